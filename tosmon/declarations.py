"""Open Terms Archive's declarations, read as they lie: where each document lives and what to select on its page.

Thousands of documents are declared in this format by volunteers, so a folder of them (or a checkout that holds one)
can be tracked without conversion. The JavaScript beside them is never run: filters are known by name, and a name
nobody ported costs a warning, not the document. Knows nothing of pages.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

from tosmon.errors import DeclarationError
from tosmon.model import Filter, Form, Range, Selector, SourceDocument, Terms, TermsKey

KNOWN_FILTERS = frozenset(
    (
        "removeQueryParams",
        "removeSIDfromUrls",
        "removeGclidFromUrls",
        "removeTrackingIDs",
        "removeTrackingIds",
        "removeTrackingIdsInUrls",
        "removeUTMParams",
        "removeUtmParams",
        "cleanUrls",
        "removePDFBlinkingQueryParam",
        "unifyEmailProtectedAddresses",
        "numberListCorrectly",
    )
)
"""Filters that `tosmon.extract` can apply, by the name declarations give them."""

_HISTORY = ".history.json"
_log = logging.getLogger(__name__)


def read_declarations(folder: Path) -> list[Terms]:
    """All terms declared in a folder, or in the `declarations` folder of a checkout, by service and type.

    Services that ended (no terms) have no entry. Filters that nobody ported are logged as warnings (`unknown_filters`
    lists them). Raises `DeclarationError` for a folder without declarations and for the first file that is wrong.
    """
    inner = folder / "declarations"
    place = inner if inner.is_dir() else folder
    if not place.is_dir():
        raise DeclarationError(f"{folder}: no such folder; give a folder of declarations or a checkout with one")
    paths = sorted(path for path in place.glob("*.json") if not path.name.endswith(_HISTORY))
    if not paths:
        raise DeclarationError(f"{place}: holds no declaration (a file SERVICE.json)")
    return [terms for path in paths for terms in read_declaration(path)]


def read_declaration(path: Path) -> list[Terms]:
    """The terms of one service: `path` is `SERVICE.json`; a `SERVICE.history.json` beside it gives the earlier forms."""
    declared = _mapping(_json(path), path, "")
    key = path.name.removesuffix(".json")
    name = declared.get("name", key)
    if not isinstance(name, str) or not name.strip():
        raise _wrong(path, "name", "a text", name)
    if "terms" not in declared:
        raise DeclarationError(f'{path}: no "terms"; a service that ended has "terms": {{}}')
    earlier = _history(path.with_name(key + _HISTORY))
    found = [
        Terms(
            key=TermsKey(key, kind),
            service_name=name,
            form=_form(_mapping(entry, path, f"terms.{kind}"), path, f"terms.{kind}", None),
            earlier_forms=earlier.get(kind, ()),
        )
        for kind, entry in _mapping(declared["terms"], path, "terms").items()
    ]
    for terms in found:
        for unknown in unknown_filters(terms):
            _log.warning("%s: the filter %r is not known here; %s is tracked without it", path, unknown, terms.key)
    return found


def unknown_filters(terms: Terms) -> tuple[str, ...]:
    """Names of the filters of the form in force that will not be applied, in order, each once."""
    names = [filter_.name for source in terms.form.sources for filter_ in source.filters]
    return tuple(dict.fromkeys(name for name in names if name not in KNOWN_FILTERS))


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DeclarationError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise DeclarationError(f"{path}: not JSON: {error}") from error


def _history(path: Path) -> dict[str, tuple[Form, ...]]:
    if not path.exists():
        return {}
    found = {}
    for kind, entries in _mapping(_json(path), path, "").items():
        if not isinstance(entries, list):
            raise _wrong(path, kind, "a list of earlier forms", entries)
        forms = [
            _earlier_form(_mapping(entry, path, f"{kind}[{number}]"), path, f"{kind}[{number}]")
            for number, entry in enumerate(entries)
        ]
        # Lists are not always in order of time; among equal dates the later entry is the one that was used last.
        found[kind] = tuple(form for _, form in sorted(forms, key=lambda pair: pair[0]))
    return found


def _earlier_form(entry: Mapping[str, Any], path: Path, place: str) -> tuple[datetime, Form]:
    if "validUntil" not in entry:
        raise DeclarationError(f'{path}: {place}: no "validUntil" (a date, as in "2024-01-31T12:00:00Z")')
    until = _instant(entry["validUntil"], path, f"{place}.validUntil")
    return until, _form(entry, path, place, until)


def _instant(value: Any, path: Path, place: str) -> datetime:
    """A time in UTC; a bare date is good until its last moment, since `validUntil` is inclusive."""
    try:
        found = datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise _wrong(path, place, "a date such as 2024-01-31T12:00:00Z", value) from error
    if len(value) <= 10:
        found = datetime.combine(found.date(), time.max)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _form(entry: Mapping[str, Any], path: Path, place: str, until: datetime | None) -> Form:
    if "combine" not in entry:
        return Form((_source(entry, path, place),), until)
    parts = entry["combine"]
    if not isinstance(parts, list) or not parts:
        raise _wrong(path, f"{place}.combine", "a list of parts", parts)
    root = {key: value for key, value in entry.items() if key != "combine"}
    sources = []
    for number, part in enumerate(parts):
        where = f"{place}.combine[{number}]"
        sources.append(_source({**root, **_mapping(part, path, where)}, path, where))
    return Form(tuple(sources), until)


def _source(entry: Mapping[str, Any], path: Path, place: str) -> SourceDocument:
    url = entry.get("fetch")
    if not isinstance(url, str) or not url.strip():
        raise _wrong(path, f"{place}.fetch", "a URL", url)
    return SourceDocument(
        url=url.strip(),
        select=_selectors(entry.get("select"), path, f"{place}.select"),
        remove=_selectors(entry.get("remove"), path, f"{place}.remove"),
        filters=_filters(entry.get("filter"), path, f"{place}.filter"),
        browser=bool(entry.get("executeClientScripts", False)),
    )


def _selectors(value: Any, path: Path, place: str) -> tuple[Selector, ...]:
    if value is None:
        return ()
    if isinstance(value, list):
        return tuple(_selector(each, path, f"{place}[{number}]") for number, each in enumerate(value))
    return (_selector(value, path, place),)


def _selector(value: Any, path: Path, place: str) -> Selector:
    if isinstance(value, str) and value.strip():
        return value
    if isinstance(value, dict):
        return _range(value, path, place)
    raise _wrong(path, place, "a CSS selector, a range or a list of them", value)


def _range(value: Mapping[str, Any], path: Path, place: str) -> Range:
    starts = [key for key in ("startBefore", "startAfter") if key in value]
    ends = [key for key in ("endBefore", "endAfter") if key in value]
    if len(starts) != 1 or len(ends) != 1:
        raise DeclarationError(
            f"{path}: {place}: a range has one of startBefore, startAfter and one of endBefore, endAfter"
        )
    for key in (starts[0], ends[0]):
        if not isinstance(value[key], str) or not value[key].strip():
            raise _wrong(path, f"{place}.{key}", "a CSS selector", value[key])
    return Range(value[starts[0]], value[ends[0]], starts[0] == "startBefore", ends[0] == "endAfter")


def _filters(value: Any, path: Path, place: str) -> tuple[Filter, ...]:
    if value is None:
        return ()
    found: list[Filter] = []
    for number, each in enumerate(value if isinstance(value, list) else [value]):
        if isinstance(each, str):
            found.append(Filter(each))
        elif isinstance(each, dict):
            found.extend(Filter(name, tuple(_arguments(argument))) for name, argument in each.items())
        else:
            raise _wrong(path, f"{place}[{number}]", "the name of a filter, or a name with its parameters", each)
    return tuple(found)


def _arguments(value: Any) -> Iterable[str]:
    for each in value if isinstance(value, list) else [value]:
        yield each if isinstance(each, str) else json.dumps(each, ensure_ascii=False, sort_keys=True)


def _mapping(value: Any, path: Path, place: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(path, place, "an object", value)
    return value


def _wrong(path: Path, place: str, expected: str, got: object) -> DeclarationError:
    shown = json.dumps(got, ensure_ascii=False, default=str)
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    return DeclarationError(f"{path}: {place + ': ' if place else ''}expected {expected}, got {shown}")
