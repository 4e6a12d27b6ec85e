"""Add documents to a configuration file as a careful person would: new lines in the right place, all else untouched.

A round trip through a YAML writer would reformat what it does not need to touch, and move comments that stand between
sections; so the lines are inserted by the places of what is there, and the result is read again before it is believed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import time
from typing import cast

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from tosmon.config.problems import InvalidConfig
from tosmon.config.written import read_yaml
from tosmon.errors import ConfigError
from tosmon.model import Filter, Form, Selector, SourceDocument

_PLAIN = re.compile(r"https?://[\w.~/?=&%+@:-]*[\w/=]|[A-Za-z][\w .()'-]*[\w.)]", re.ASCII)
_WORDS_OF_YAML = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}


@dataclass(frozen=True, slots=True)
class NewTerms:
    """A document to add. An empty `name` is that of the key; `form` without selectors: tosmon finds the text itself."""

    service: str
    type: str
    form: Form
    name: str = ""
    tags: tuple[str, ...] = ()
    earlier: tuple[Form, ...] = ()


def with_terms(text: str, new: Sequence[NewTerms]) -> str:
    """The configuration with those documents in it, each under its service if that is there already.

    Raises InvalidConfig when the text is no YAML, and ConfigError, with the lines to add by hand, when it is written
    in a way that this cannot add to (all on one line, an alias instead of a list).
    """
    if not new:
        return text
    written = read_yaml(text)
    lines = text.split("\n")
    try:
        blocks = _blocks(written.root, _by_service(new), lines)
    except _CannotAdd as error:
        raise _by_hand(new) from error
    # From the last line to the first, so that the places of those before stay what they are.
    for line, block in sorted(blocks, key=lambda placed: placed[0], reverse=True):
        lines[line:line] = block
    changed = "\n".join(lines)
    try:
        after = read_yaml(changed).values
    except InvalidConfig as error:
        raise _by_hand(new) from error
    before = written.values
    if _without_services(before) != _without_services(after) or _count(after) != _count(before) + len(new):
        raise _by_hand(new)
    return changed if changed.endswith("\n") else changed + "\n"


def as_written(new: Sequence[NewTerms]) -> str:
    """The documents alone, as the `services` of a configuration."""
    services = [line for terms in _by_service(new).values() for line in _service(terms)]
    return "\n".join(["services:", *_indented(services, 2)]) + "\n"


def _by_service(new: Sequence[NewTerms]) -> dict[str, list[NewTerms]]:
    found: dict[str, list[NewTerms]] = {}
    for terms in new:
        found.setdefault(terms.service, []).append(terms)
    return found


class _CannotAdd(Exception):
    pass


@dataclass(frozen=True, slots=True)
class _Place:
    """Where to insert (before the line of that number, from 0), at which depth, and in which form."""

    line: int
    column: int
    form: str
    parted: bool = False

    def block(self, services: Sequence[Sequence[NewTerms]]) -> list[str]:
        """The lines of some services to insert here; of one service whose documents go into its `terms`."""
        new = services[0]
        match self.form:
            case "services":
                made = ["services:", *_indented(self._one_after_the_other(_service, services), 2)]
            case "service item":
                made = self._one_after_the_other(_service, services)
            case "service key":
                made = self._one_after_the_other(_service_by_key, services)
            case "terms":
                made = ["terms:", *_indented([line for terms in new for line in _listed(_terms(terms))], 2)]
            case "terms key":
                made = [line for terms in new for line in _terms_by_type(terms)]
            case _:
                made = [line for terms in new for line in _listed(_terms(terms))]
        return (["", *_indented(made, self.column)]) if self.parted else _indented(made, self.column)

    def _one_after_the_other(
        self, write: Callable[[Sequence[NewTerms]], list[str]], services: Sequence[Sequence[NewTerms]]
    ) -> list[str]:
        first, *others = services
        parting = [""] if self.parted and self.form != "services" else []
        return [*write(first), *(line for terms in others for line in (*parting, *write(terms)))]


def _blocks(
    root: Node | None, services: Mapping[str, Sequence[NewTerms]], lines: Sequence[str]
) -> list[tuple[int, list[str]]]:
    """What to insert before which line (from 0): services that are not there yet together, behind those that are."""
    places = {key: _place(root, key, lines) for key in services}
    known = [(places[key], [terms]) for key, terms in services.items() if places[key].form.startswith("terms")]
    unknown = [terms for key, terms in services.items() if not places[key].form.startswith("terms")]
    together = [(places[unknown[0][0].service], unknown)] if unknown else []
    return [(place.line, place.block(added)) for place, added in [*together, *known]]


def _place(root: Node | None, key: str, lines: Sequence[str]) -> _Place:
    end = len(lines) - 1 if lines and not lines[-1].strip() else len(lines)
    if root is None:
        return _Place(end, 0, "services", parted=end > 0)
    services = _value(root, "services")
    if not isinstance(root, MappingNode) or root.flow_style:
        raise _CannotAdd
    if services is None:
        return _Place(end, 0, "services", parted=True)
    if isinstance(services, ScalarNode) and services.value.strip() in ("", "~", "null"):
        line = next(int(name.start_mark.line) for name, value in root.value if value is services)
        return _Place(line + 1, 2, "service item")
    if not isinstance(services, MappingNode | SequenceNode) or services.flow_style:
        raise _CannotAdd
    service = _service_node(services, key)
    if service is None:
        last = services.value[-1][0] if isinstance(services, MappingNode) else services.value[-1]
        parted = last.start_mark.line > 0 and not lines[last.start_mark.line - 1].strip()
        form = "service key" if isinstance(services, MappingNode) else "service item"
        return _Place(_end(services), services.start_mark.column, form, parted)
    return _place_in_service(service)


def _place_in_service(service: Node) -> _Place:
    if not isinstance(service, MappingNode) or service.flow_style:
        raise _CannotAdd
    terms = _value(service, "terms")
    if terms is None:
        return _Place(_end(service), service.start_mark.column, "terms")
    if not isinstance(terms, MappingNode | SequenceNode) or terms.flow_style:
        raise _CannotAdd
    form = "terms key" if isinstance(terms, MappingNode) else "terms item"
    return _Place(_end(terms), terms.start_mark.column, form)


def _service_node(services: Node, key: str) -> Node | None:
    if isinstance(services, MappingNode):
        return _value(services, key)
    for service in services.value:
        written = _value(service, "key")
        if written is not None and str(written.value).strip() == key:
            return cast("Node", service)
    return None


def _value(node: Node, key: str) -> Node | None:
    if not isinstance(node, MappingNode):
        return None
    return next((value for name, value in node.value if getattr(name, "value", None) == key), None)


def _end(node: Node) -> int:
    """The number of the line after the last one with something of the node on it."""
    if isinstance(node, MappingNode | SequenceNode) and not node.flow_style:
        children = node.value if isinstance(node, SequenceNode) else [child for pair in node.value for child in pair]
        return max(_end(child) for child in children)
    mark = node.end_mark
    return int(mark.line) if mark.column == 0 and mark.line > node.start_mark.line else int(mark.line) + 1


# --- how it is written ----------------------------------------------------------------------------------------------


def _service(new: Sequence[NewTerms]) -> list[str]:
    return _listed([f"key: {_scalar(new[0].service)}", *_service_rest(new)])


def _service_by_key(new: Sequence[NewTerms]) -> list[str]:
    return [f"{_scalar(new[0].service)}:", *_indented(_service_rest(new), 2)]


def _service_rest(new: Sequence[NewTerms]) -> list[str]:
    name = next((terms.name for terms in new if terms.name and terms.name != terms.service), None)
    documents = [line for terms in new for line in _listed(_terms(terms))]
    return [*([f"name: {_scalar(name)}"] if name else []), "terms:", *_indented(documents, 2)]


def _terms_by_type(new: NewTerms) -> list[str]:
    kind, *rest = _terms(new)
    return [f"{kind.removeprefix('type: ')}:", *_indented(rest, 2)]


def _terms(new: NewTerms) -> list[str]:
    made = [f"type: {_scalar(new.type)}", *_form(new.form)]
    if new.tags:
        tags = [_scalar(tag) for tag in new.tags]
        made.append(f"tags: {tags[0] if len(tags) == 1 else _flow(tags)}")
    if new.earlier:
        made.append("earlier:")
        for form in new.earlier:
            made += _indented(_listed([f"until: {_until(form)}", *_form(form)]), 2)
    return made


def _form(form: Form) -> list[str]:
    """One URL with its settings; of several, each with its own, but what all of them share stands once."""
    if len(form.sources) == 1:
        (source,) = form.sources
        return [f"url: {_scalar(source.url)}", *(f"{name}: {value}" for name, value in _settings(source).items())]
    each = [_settings(source) for source in form.sources]
    shared = {name: value for name, value in each[0].items() if all(one.get(name) == value for one in each)}
    made = ["url:"]
    for source, settings in zip(form.sources, each, strict=True):
        own = {name: value for name, value in settings.items() if name not in shared}
        lines = [f"{name}: {value}" for name, value in own.items()]
        made += _indented(_listed([f"url: {_scalar(source.url)}", *lines]) if own else [f"- {_scalar(source.url)}"], 2)
    return [*made, *(f"{name}: {value}" for name, value in shared.items())]


def _settings(source: SourceDocument) -> dict[str, str]:
    """What is to be done with one URL, as written: only what differs from the default."""
    written = {
        "select": [_selector(one) for one in source.select],
        "remove": [_selector(one) for one in source.remove],
        "filters": [_filter(one) for one in source.filters],
    }
    made = {name: values[0] if len(values) == 1 else _flow(values) for name, values in written.items() if values}
    return {**made, "browser": "true"} if source.browser else made


def _selector(selector: Selector) -> str:
    if isinstance(selector, str):
        return quoted(selector)
    start = "start_before" if selector.start_included else "start_after"
    end = "end_after" if selector.end_included else "end_before"
    return f"{{{start}: {quoted(selector.start)}, {end}: {quoted(selector.end)}}}"


def _filter(filter_: Filter) -> str:
    if not filter_.argument:
        return quoted(filter_.name)
    return f"{{{quoted(filter_.name)}: {_flow([quoted(one) for one in filter_.argument])}}}"


def _until(form: Form) -> str:
    """The day, if the form was good until its last moment; else the instant."""
    at = form.valid_until
    if at is None:
        raise ValueError("an earlier form has an end")
    return f'"{at.date()}"' if at.time() == time.max else f'"{at.isoformat().removesuffix("+00:00")}Z"'


def _flow(values: Sequence[str]) -> str:
    return "[" + ", ".join(values) + "]"


def _listed(lines: Sequence[str]) -> list[str]:
    return [("- " if number == 0 else "  ") + line for number, line in enumerate(lines)]


def _indented(lines: Sequence[str], by: int) -> list[str]:
    return [" " * by + line if line else line for line in lines]


def _scalar(text: str) -> str:
    return text if _PLAIN.fullmatch(text) and text.lower() not in _WORDS_OF_YAML else quoted(text)


def quoted(text: str) -> str:
    """The text as YAML cannot misread it: what cannot be printed is escaped."""
    return json.dumps(text, ensure_ascii=not text.isprintable())


# --- what must not have changed ----------------------------------------------------------------------------------------


def _without_services(values: object) -> object:
    return {key: value for key, value in values.items() if key != "services"} if isinstance(values, dict) else values


def _count(values: object) -> int:
    services = values.get("services") if isinstance(values, dict) else None
    bodies = list(services.values()) if isinstance(services, dict) else services or []
    return sum(len(body.get("terms") or []) for body in bodies if isinstance(body, dict))


def _by_hand(new: Sequence[NewTerms]) -> ConfigError:
    lines = "\n".join(_indented(as_written(new).splitlines(), 2))
    return ConfigError(f"this configuration is written in a way that tosmon cannot add to; add by hand:\n{lines}")
