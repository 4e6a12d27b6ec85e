"""Open Terms Archive's declarations."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tosmon.declarations import KNOWN_FILTERS, read_declaration, read_declarations, unknown_filters
from tosmon.errors import DeclarationError
from tosmon.extract.filters import FILTERS
from tosmon.model import Filter, Range, Terms, TermsKey


def write(folder: Path, name: str, content: Any) -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def declared(folder: Path, terms: Any, history: Any = None, name: str = "Inkwell") -> list[Terms]:
    if history is not None:
        write(folder, f"{name}.history.json", history)
    return read_declaration(write(folder, f"{name}.json", {"name": "Inkwell, Inc.", "terms": terms}))


def test_service_is_known_by_its_file_and_shown_by_its_name(tmp_path: Path) -> None:
    """The key everywhere is the file's name; the name inside is for people."""
    [terms] = declared(
        tmp_path, {"Privacy Policy": {"fetch": "https://ink.example/p", "select": "main"}}, name="Ink Well"
    )

    assert terms.key == TermsKey("Ink Well", "Privacy Policy")
    assert terms.service_name == "Inkwell, Inc."


def test_selectors_may_be_one_a_range_or_a_list_of_both(tmp_path: Path) -> None:
    """Selectors keep the order in which they are declared."""
    entry = {
        "fetch": "https://ink.example/tos",
        "select": ["h1", {"startAfter": "#a", "endBefore": "#b"}, {"startBefore": ".c", "endAfter": ".d"}],
        "remove": ".share",
        "executeClientScripts": True,
    }

    [terms] = declared(tmp_path, {"Terms of Service": entry})

    [source] = terms.form.sources
    assert source.select == ("h1", Range("#a", "#b", False, False), Range(".c", ".d", True, True))
    assert source.remove == (".share",)
    assert source.browser


def test_part_of_a_combination_overrides_the_root_key_by_key(tmp_path: Path) -> None:
    """A part's own key replaces the root's; the two are not merged."""
    entry = {
        "select": ["main"],
        "remove": [".nav"],
        "combine": [
            {"fetch": "https://ink.example/1"},
            {"fetch": "https://ink.example/2", "remove": [".ad"]},
            {"fetch": "https://ink.example/3", "select": "article"},
        ],
    }

    [terms] = declared(tmp_path, {"Terms of Service": entry})

    assert [(source.select, source.remove) for source in terms.form.sources] == [
        (("main",), (".nav",)),
        (("main",), (".ad",)),
        (("article",), (".nav",)),
    ]
    assert terms.url == "https://ink.example/1"


def test_pdf_is_declared_by_its_address_alone(tmp_path: Path) -> None:
    """A form without selectors is read by itself."""
    [terms] = declared(tmp_path, {"Terms of Service": {"fetch": "https://ink.example/tos.pdf"}})

    assert terms.form.sources[0].select == ()


def test_earlier_forms_come_in_order_of_time(tmp_path: Path) -> None:
    """History lists are often out of order; a date without a time is good until its last moment."""
    forms = [
        {"fetch": "https://ink.example/b", "select": "b", "validUntil": "2024-05-01T10:00:00+02:00"},
        {"fetch": "https://ink.example/a", "select": "a", "validUntil": "2022-05-01"},
    ]

    [terms] = declared(
        tmp_path, {"Terms of Service": {"fetch": "https://ink.example/c"}}, {"Terms of Service": forms, "Imprint": []}
    )

    assert [form.valid_until for form in terms.earlier_forms] == [
        datetime(2022, 5, 1, 23, 59, 59, 999999, UTC),
        datetime(2024, 5, 1, 8, tzinfo=UTC),
    ]


def test_unknown_filter_is_a_warning_and_the_document_is_tracked(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """JavaScript beside declarations is never run: what nobody ported is named in a warning."""
    write(tmp_path, "Inkwell.filters.js", "export function addSparkles(document) { throw new Error() }")
    entry = {"fetch": "https://ink.example/", "filter": [{"removeQueryParams": ["sid", "t"]}, "addSparkles"]}

    with caplog.at_level(logging.WARNING):
        [terms] = declared(tmp_path, {"Imprint": entry})

    assert terms.form.sources[0].filters == (Filter("removeQueryParams", ("sid", "t")), Filter("addSparkles"))
    assert unknown_filters(terms) == ("addSparkles",)
    assert "addSparkles" in caplog.text


def test_filters_said_to_be_known_are_the_ones_that_are_ported() -> None:
    """The two layers cannot import each other, so their lists are held together here."""
    assert frozenset(FILTERS) == KNOWN_FILTERS


def test_service_that_ended_has_no_terms(tmp_path: Path) -> None:
    """An empty "terms" says that the service is gone."""
    assert declared(tmp_path, {}) == []


def test_folder_may_be_a_checkout(tmp_path: Path) -> None:
    """The `declarations` folder inside is found; histories are no services."""
    folder = tmp_path / "declarations"
    folder.mkdir()
    for name in ("B", "A"):
        declared(folder, {"Imprint": {"fetch": f"https://{name}.example/"}}, {"Imprint": []}, name=name)

    assert [terms.key.service for terms in read_declarations(tmp_path)] == ["A", "B"]
    assert [terms.key.service for terms in read_declarations(folder)] == ["A", "B"]


@pytest.mark.parametrize(
    ("entry", "place"),
    [
        ({}, "terms.Imprint.fetch"),
        ({"fetch": 3}, "terms.Imprint.fetch"),
        ({"fetch": "https://a.example", "select": 3}, "terms.Imprint.select"),
        ({"fetch": "https://a.example", "select": ["a", ""]}, "terms.Imprint.select[1]"),
        ({"fetch": "https://a.example", "remove": {"startBefore": "a"}}, "terms.Imprint.remove"),
        (
            {"fetch": "https://a.example", "select": {"startBefore": "a", "endBefore": 1}},
            "terms.Imprint.select.endBefore",
        ),
        ({"combine": []}, "terms.Imprint.combine"),
        ({"combine": ["x"]}, "terms.Imprint.combine[0]"),
        ({"fetch": "https://a.example", "filter": [1]}, "terms.Imprint.filter[0]"),
        ([], "terms.Imprint"),
    ],
)
def test_error_names_the_file_and_the_place(tmp_path: Path, entry: Any, place: str) -> None:
    """Whoever must mend a declaration is told where."""
    with pytest.raises(DeclarationError) as error:
        declared(tmp_path, {"Imprint": entry})

    assert f"Inkwell.json: {place}: " in str(error.value)


def test_file_that_is_no_json_is_named(tmp_path: Path) -> None:
    """A broken file stops the reading with its name."""
    with pytest.raises(DeclarationError, match=r"Inkwell\.json: not JSON"):
        read_declaration(write(tmp_path, "Inkwell.json", "{"))


def test_folder_without_declarations_is_an_error(tmp_path: Path) -> None:
    """An empty folder is a mistake in the configuration, not a service without terms."""
    with pytest.raises(DeclarationError, match="holds no declaration"):
        read_declarations(tmp_path)
    with pytest.raises(DeclarationError, match="no such folder"):
        read_declarations(tmp_path / "nowhere")


@pytest.mark.parametrize("value", [None, "soon", 5])
def test_earlier_form_needs_a_date(tmp_path: Path, value: Any) -> None:
    """A history without dates cannot be used."""
    with pytest.raises(DeclarationError, match=r"Inkwell\.history\.json: Imprint\[0\]"):
        declared(
            tmp_path,
            {"Imprint": {"fetch": "https://a.example"}},
            {"Imprint": [{"fetch": "https://a.example", "validUntil": value}]},
        )


@pytest.mark.parametrize("collection", ["demo", "dating"])
def test_recorded_declarations_are_read_whole(collection: str) -> None:
    """Every declaration of the reference collections can be read, with its history."""
    folder = Path(__file__).parents[3] / "shared/data/replay" / f"{collection}-declarations"
    if not folder.is_dir():
        pytest.skip("reference data is not here")

    found = read_declarations(folder)

    assert found
    assert any(terms.earlier_forms for terms in found)
