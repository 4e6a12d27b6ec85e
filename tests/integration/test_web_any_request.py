"""Whatever is asked for, no answer breaks: every route with every kind of value, and the API against its description."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import requests
import web_story as story
from bs4 import BeautifulSoup
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_web import LINK, POLICIES, PUBLIC
from web_server import serving, web

from tosmon.archive import Archive
from tosmon.web import serving as answers

READABLE = sorted(path for path, policy in POLICIES.items() if policy in (PUBLIC, LINK) and "static" not in path)


@dataclass
class Served:
    base: str
    application: FastAPI
    session: requests.Session

    def get(self, path: str, **more: Any) -> requests.Response:
        return self.session.get(self.base + path, timeout=30, allow_redirects=False, **more)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("any")
    archive = Archive(f"sqlite:///{folder}/archive.sqlite")
    story.tell(archive, folder / "snapshots")
    application = web(archive, folder)
    with serving(application) as base, requests.Session() as session:
        yield Served(base, application, session)
    archive.close()


KNOWN = [
    "Inkwell",
    "Terms of Service",
    "1",
    "30",
    "2026-05-01",
    "2026-05-01T12:00Z",
    "all.atom",
    "true",
    "side",
    "high",
]
TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=30)
AWKWARD = st.sampled_from([
    "", "0", "-1", "9" * 30, "9223372036854775808", "1e9", "0x1", "NaN", "9999-12-31", "0001-01-01", "2026-02-30", "٣",
    "2026-05-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "\x00", "..", "../../etc/passwd", "//evil.example", "%", "*",
    '"', "<script>alert(1)</script>", "'; drop table version; --", "{{7*7}}", "a" * 2000, "\u202e", "\U0001f600", "null",
])  # fmt: skip
VALUES = st.one_of(st.sampled_from(KNOWN), AWKWARD, TEXT)
PARAMETERS = [
    "service", "type", "topic", "direction", "severity", "since", "until", "before", "after", "limit", "all", "on", "from",
    "to", "view", "quiet", "q", "order", "told", "said", "at", "tag", "sort", "stance", "attribute", "lang", "document",
]  # fmt: skip


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.sampled_from(READABLE),
    parts=st.lists(VALUES, min_size=4, max_size=4),
    query=st.dictionaries(st.sampled_from(PARAMETERS), VALUES, max_size=4),
)
def test_no_request_breaks_anything(served: Served, path: str, parts: list[str], query: dict[str, str]) -> None:
    """Every route, with any values in its path and query: an answer, never a 500, and nothing of the values runs."""
    values = iter(parts)
    address = re.sub(r"{[^}]*}", lambda _: quote(next(values), safe=""), path)

    answer = served.get(f"{address}?{urlencode(query)}")

    assert answer.status_code < 500 or answer.status_code == 501, (address, query, answer.status_code)
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    if "html" in answer.headers.get("Content-Type", ""):
        assert "<script>alert" not in answer.text
    if answer.is_redirect:
        assert answer.headers["Location"].startswith("/") and not answer.headers["Location"].startswith("//")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    number=st.integers(0, 200),
    values=st.lists(VALUES, min_size=8, max_size=8),
    given_=st.lists(st.booleans(), min_size=8, max_size=8),
)
def test_the_api_answers_as_it_says(served: Served, number: int, values: list[str], given_: list[bool]) -> None:
    """Every status that the API gives is in its description, and what it gives fits the schema that stands there."""
    described = served.application.openapi()
    paths = sorted(described["paths"])
    path = paths[number % len(paths)]
    operation = described["paths"][path]["get"]
    address, query = path, {}
    for parameter, value, is_given in zip(operation.get("parameters", []), values, given_, strict=False):
        if parameter["in"] == "path":
            address = address.replace(f"{{{parameter['name']}}}", quote(value, safe="") or "x")
        elif parameter["in"] == "query" and (is_given or parameter.get("required")):
            query[parameter["name"]] = value

    answer = served.get(f"{address}?{urlencode(query)}")

    known = {*operation["responses"], "404", "308"}  # an address without its last part is another address, or none
    assert str(answer.status_code) in known, (address, query, answer.status_code)
    if answer.status_code == 200:
        schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
        _fits(answer.json(), schema, described["components"]["schemas"], address)


def _fits(value: Any, schema: dict[str, Any], named: dict[str, Any], where: str) -> None:
    """What JSON Schema says of the types, in as far as our description uses it."""
    if "$ref" in schema:
        _fits(value, named[schema["$ref"].rpartition("/")[2]], named, where)
        return
    if "anyOf" in schema:
        fitting = [one for one in schema["anyOf"] if _is_of(value, one, named)]
        assert fitting, (where, value, schema)
        _fits(value, fitting[0], named, where)
        return
    assert _is_of(value, schema, named), (where, value, schema)
    if "enum" in schema:
        assert value in schema["enum"], (where, value)
    if schema.get("type") == "array":
        for one in value:
            _fits(one, schema["items"], named, where)
    if schema.get("type") == "object" and "properties" in schema:
        assert set(schema.get("required", ())) <= set(value), where
        for name, inner in schema["properties"].items():
            if name in value:
                _fits(value[name], inner, named, f"{where}.{name}")


def _is_of(value: Any, schema: dict[str, Any], named: dict[str, Any]) -> bool:
    if "$ref" in schema:
        return _is_of(value, named[schema["$ref"].rpartition("/")[2]], named)
    kinds: dict[str, Any] = {
        "string": str,
        "integer": int,
        "number": (int, float),
        "boolean": bool,
        "array": list,
        "object": dict,
    }
    kind = schema.get("type")
    if kind == "null":
        return value is None
    return kind is None or (isinstance(value, kinds[kind]) and (kind != "integer" or not isinstance(value, bool)))


def test_the_description_is_whole(served: Served) -> None:
    """Each operation says what it does, what each of its parameters is, and what it answers."""
    described = served.application.openapi()
    for path, methods in described["paths"].items():
        for operation in methods.values():
            assert "200" in operation["responses"], path
            assert "application/json" in operation["responses"]["200"]["content"], path
    assert json.loads(json.dumps(described))["openapi"].startswith("3.")


def test_hostile_texts_are_harmless_on_every_page(served: Served) -> None:
    """Every public route, asked for the platform that tries to break whoever reads it."""
    archive: Archive = served.application.state.site.archive
    document = archive.browse.document(story.HOSTILE)
    assert document is not None
    [change, *_] = archive.browse.changes(service=story.HOSTILE.service)
    fill = {
        "service": story.HOSTILE.service,
        "type": story.HOSTILE.type,
        "change_id:int": str(change.id),
        "change_id": str(change.id),
        "version_id:int": str(document.latest_version_id),
        "version_id": str(document.latest_version_id),
        "when": "2026-11-03",
        "number:int": "1",
        "name:path": "document/Grimware/Terms of Service.atom",
    }
    seen = 0
    for path in READABLE:
        address = re.sub(r"{([^}]*)}", lambda found: quote(fill.get(found[1], "x"), safe=""), path)
        for query in ("", "?q=script", "?service=Grimware", "?all=1", f"?from={change.before_id}&to={change.after_id}"):
            answer = served.get(address + query)
            if "html" not in answer.headers.get("Content-Type", ""):
                continue
            seen += answer.status_code == 200
            soup = BeautifulSoup(answer.text, "html.parser")
            assert all(str(tag.get("src", "")).startswith("/static/") for tag in soup("script")), address
            assert not soup(["style", "iframe", "object", "embed", "base"]), address
            for tag in soup(True):
                assert not [name for name in tag.attrs if name.startswith("on") or name in ("style", "srcdoc")], address
                for name in ("href", "src", "action"):
                    assert not re.match(r"\s*(javascript|data|vbscript):", str(tag.get(name, "")), re.IGNORECASE), (
                        address
                    )
            assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x08\x1b]", answer.text), address
    assert seen > 30


def test_what_is_kept_is_never_stale(tmp_path: Path) -> None:
    """A page that was asked for a moment ago shows what was recorded since."""
    archive = Archive(f"sqlite:///{tmp_path}/archive.sqlite")
    with serving(web(archive, tmp_path)) as base:
        before = requests.get(f"{base}/services", timeout=30)
        again = requests.get(f"{base}/services", timeout=30, headers={"If-None-Match": before.headers["ETag"]})
        story.tell(archive, tmp_path / "snapshots")
        after = requests.get(f"{base}/services", timeout=30, headers={"If-None-Match": before.headers["ETag"]})
    archive.close()

    assert again.status_code == 304 and after.status_code == 200
    assert "Inkwell" in after.text and "Inkwell" not in before.text


def test_what_is_kept_is_bounded_whatever_is_asked_for() -> None:
    """A thousand addresses of one short page take no more memory than they are counted for, and old ones none."""
    kept = answers._Kept()
    short = answers._Ready([(b"content-type", b"text/html")], "tag", b"short")
    for number in range(3 * answers.KEPT_ANSWERS):
        kept.put(("/services", f"q={number}".encode() + b"x" * 500, False), 1, short)
        kept.put(("/services", f"q={number}".encode() + b"x" * 600, False), 1, short)
        kept.put(("/services/" + "x" * 600, b"%d" % number, False), 1, short)
    assert len(kept._answers) <= answers.KEPT_ANSWERS
    assert max(len(query) for _, query, _ in kept._answers) <= 512
    assert 500 * len(kept._answers) < kept._bytes <= answers.KEPT_BYTES

    kept.put(("/services", b"", False), 2, short)
    assert kept.get(("/services", b"", False), 2) == short and kept.get(("/services", b"", False), 1) is None
    assert len(kept._answers) == 1, "those of an older archive are gone"
