"""`tosmon import ota`: a folder of declarations becomes lines of the configuration, and is tracked as it would be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tosmon import cli
from tosmon.cli.wiring import declared_terms
from tosmon.config import Config, load_config
from tosmon.declarations import read_declarations
from tosmon.model import Terms, TermsKey

CONFIGURATION = """\
# My platforms
services:
  # the first one
  - key: Inkwell
    terms:
      - {type: Imprint, url: "https://inkwell.example/imprint"}  # short

# not to be lost
web: {port: 9000}
"""
DECLARATIONS: dict[str, Any] = {
    "Inkwell.json": {
        "name": "Inkwell",
        "terms": {
            "Terms of Service": {
                "fetch": "https://inkwell.example/tos?lang=en#top",
                "select": ["main > p:not(.ad)", {"startBefore": "#a", "endBefore": "#b"}],
                "remove": [".share", {"startAfter": "h2", "endAfter": "[data-x=\"y\"]"}],
                "filter": [{"removeQueryParams": ["utm_source", "sid"]}, "cleanUrls"],
                "executeClientScripts": True,
            }
        },
    },
    "Inkwell.history.json": {
        "Terms of Service": [
            {"fetch": "https://inkwell.example/old", "select": "body", "validUntil": "2023-03-02T10:00:00Z"},
            {"fetch": "https://inkwell.example/older", "select": "#x", "validUntil": "2021-01-05"},
        ]
    },
    "Murmur it's.json": {
        "name": 'Murmur: "the" network',
        "terms": {
            "Community Guidelines": {
                "combine": [
                    {"fetch": "https://murmur.example/rules"},
                    {"fetch": "https://murmur.example/rules/art", "select": "article", "executeClientScripts": True},
                    {"fetch": "https://murmur.example/rules/text"},
                ],
                "select": "main",
                "remove": "nav",
            },
            "Imprint": {"fetch": "https://murmur.example/imprint.pdf"},
        },
    },
    "Gone.json": {"name": "Gone", "terms": {}},
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with declarations, and beside it a configuration that a person wrote."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text(CONFIGURATION, encoding="utf-8")
    place = tmp_path / "checkout" / "declarations"
    place.mkdir(parents=True)
    for name, content in DECLARATIONS.items():
        (place / name).write_text(json.dumps(content), encoding="utf-8")
    return tmp_path / "checkout"


def tracked(config: Config) -> dict[TermsKey, Terms]:
    return {terms.key: terms for terms in declared_terms(config)}


def test_what_is_imported_is_tracked_as_declared(folder: Path) -> None:
    """Selectors, ranges, filters, combinations, earlier forms, browser, names: nothing differs from `declarations:`."""
    assert cli.run(["import", "ota", str(folder)]) == 0

    imported = tracked(load_config(Path("config.yaml"), {}))
    Path("other.yaml").write_text("declarations: checkout\n", encoding="utf-8")
    as_it_lies = tracked(load_config(Path("other.yaml"), {}))
    assert len(as_it_lies) == 3
    assert {key: terms for key, terms in imported.items() if key in as_it_lies} == as_it_lies


def test_import_adds_lines_and_touches_none(folder: Path) -> None:
    """Comments and all other lines stay, and the new document of a known service goes under it."""
    cli.run(["import", "ota", str(folder)])

    written = Path("config.yaml").read_text(encoding="utf-8")
    rest = iter(written.split("\n"))
    assert all(line in rest for line in CONFIGURATION.split("\n"))
    assert written.count("key: Inkwell") == 1


def test_importing_twice_is_importing_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is tracked already stays as it is; what differs is told, never replaced."""
    cli.run(["import", "ota", str(folder)])
    first = Path("config.yaml").read_bytes()
    path = folder / "declarations" / "Inkwell.json"
    path.write_text(path.read_text(encoding="utf-8").replace(".share", ".other"), encoding="utf-8")
    capsys.readouterr()

    assert cli.run(["import", "ota", str(folder), "--json"]) == 0

    told = json.loads(capsys.readouterr().out)
    assert Path("config.yaml").read_bytes() == first
    assert (len(told["added"]), len(told["same"]), told["written"]) == (0, 2, False)
    assert told["different"] == [{"service": "Inkwell", "type": "Terms of Service"}]


def test_a_dry_run_prints_the_lines_and_writes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The lines are those that an import would add: as a configuration, they track the same."""
    assert cli.run(["import", "ota", str(folder), "--dry-run"]) == 0

    Path("lines.yaml").write_text(capsys.readouterr().out, encoding="utf-8")
    assert Path("config.yaml").read_text(encoding="utf-8") == CONFIGURATION
    declared = {terms.key: terms.form for terms in read_declarations(folder)}
    assert {terms.key: terms.form for terms in load_config(Path("lines.yaml"), {}).terms()} == declared


def test_only_named_services_are_imported(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A collection of four hundred platforms may hold two that one cares about; a name that is none is an error."""
    assert cli.run(["import", "ota", str(folder), "--service", "inkwell", "--tag", "press"]) == 0
    (terms,) = [one for one in load_config(Path("config.yaml"), {}).terms() if one.key.type == "Terms of Service"]
    assert terms.tags == ("press",)

    assert cli.run(["import", "ota", str(folder), "--service", "Inkwel"]) == 1
    assert "declares no service inkwel" in capsys.readouterr().err


def test_unknown_filters_are_warned_of(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Their JavaScript is never run: the document is tracked without them, and that is said."""
    path = folder / "declarations" / "Inkwell.json"
    path.write_text(path.read_text(encoding="utf-8").replace("cleanUrls", "mendAll"), encoding="utf-8")

    assert cli.run(["import", "ota", str(folder)]) == 0

    assert "'mendAll' is not known here" in caplog.text
    (terms,) = [one for one in load_config(Path("config.yaml"), {}).terms() if one.key.type == "Terms of Service"]
    assert [one.name for one in terms.form.sources[0].filters] == ["removeQueryParams", "mendAll"]


def test_what_our_form_cannot_say_is_left_out_and_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One strange document does not keep the others out, and is not bent into something else."""
    path = folder / "declarations" / "Odd.json"
    odd = {"name": "Odd", "terms": {"Imprint": {"fetch": "https://odd.example/", "select": "p:first(2"}}}
    path.write_text(json.dumps(odd), encoding="utf-8")

    assert cli.run(["import", "ota", str(folder), "--json"]) == 0

    told = json.loads(capsys.readouterr().out)
    assert [one["key"] for one in told["left_out"]] == [{"service": "Odd", "type": "Imprint"}]
    assert "expected a CSS selector" in told["left_out"][0]["reason"]
    assert len(told["added"]) == 3
