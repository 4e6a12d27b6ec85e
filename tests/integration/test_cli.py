"""The command line, from a first configuration to a change that is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest
from platforms import SECTIONS, TRAINS, Site, configuration, page, serving

from tosmon import cli
from tosmon.cli.setup import guessed_service, guessed_type
from tosmon.config import load_config

ROOT = Path(__file__).parents[2]


class Ended(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Tosmon = Callable[..., Ended]


@pytest.fixture
def tosmon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Tosmon:
    """Runs a command in an empty folder, with nothing of the user's own around."""
    for name in [name for name in os.environ if name.startswith("TOSMON_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg-config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg-data"))
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> Ended:
        code = cli.run(arguments)
        out, err = capsys.readouterr()
        return Ended(code, out, err)

    return call


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as made:
        yield made


def every_command() -> Iterator[tuple[str, click.Command, cli.Lazy]]:
    """Each command with what the list says of it; one in a group by both names, "import ota-versions"."""
    groups = [("", cli.tosmon)]
    for prefix, group in groups:
        assert isinstance(group, cli.Commands)
        for name, lazy in group.lazy.items():
            command = group.get_command(click.Context(group), name)
            assert command is not None, name
            yield prefix + name, command, lazy
            if isinstance(command, cli.Commands):
                groups.append((f"{prefix}{name} ", command))


# --- by itself -------------------------------------------------------------------------------------------------------


def test_help_answers_at_once() -> None:
    """`tosmon --help` and `--version` import nothing that takes time."""
    heavy = {"pydantic", "sqlalchemy", "rich", "requests", "lxml", "bs4", "fastapi", "ruamel.yaml"}
    code = (
        "import sys, tosmon.cli\nfor words in ['--help'], ['--version']:\n    assert tosmon.cli.run(words) == 0\n"
        f"print(sorted({heavy} & set(sys.modules)))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": str(ROOT)}
    )

    assert ended.stdout.endswith("[]\n")


def test_help_lists_every_command() -> None:
    """Each command says in the list what it says of itself."""
    for name, command, lazy in every_command():
        assert command.name == name.split()[-1]
        assert command.help, name
        assert lazy.help.endswith(".")


def test_each_command_and_option_is_documented() -> None:
    """docs/cli.md has a section for each command, with its usage and every option."""
    text = (ROOT / "docs/cli.md").read_text(encoding="utf-8")

    for name, command, _ in every_command():
        assert command.help is not None
        section = text.split(f"\n## {name}\n")[1].split("\n## ")[0]
        assert " ".join(command.help.split("\n\n")[0].split()) in section, name
        for option in command.params:
            if isinstance(option, click.Option):
                assert f"| {', '.join(f'`{one}`' for one in option.opts)} | {option.help} |" in section, (name, option)


def test_unknown_command_is_wrong_usage(tosmon: Tosmon) -> None:
    """A slip of the finger is answered with the nearest command, and exit code 2."""
    ended = tosmon("chek")

    assert ended.code == 2
    assert "Did you mean check?" in ended.err


# --- init and the configuration ---------------------------------------------------------------------------------------


def test_init_writes_a_configuration_that_works(tosmon: Tosmon, tmp_path: Path) -> None:
    """The first configuration tracks two dozen platforms; it is never written over."""
    assert tosmon("init").code == 0
    again = tosmon("init")

    assert len(load_config(tmp_path / "config.yaml", {}).services) >= 20
    assert again.code == 1
    assert "is there already" in again.err
    assert tosmon("list").out.count("Terms of Service") >= 20


def test_init_can_begin_with_nothing(tosmon: Tosmon, tmp_path: Path) -> None:
    """An empty configuration with a contact, at a place of one's own."""
    ended = tosmon("--config", "deep/mine.yaml", "init", "--empty", "--contact", "https://ink.example/about: us")

    config = load_config(tmp_path / "deep/mine.yaml", {})
    assert ended.code == 0
    assert config.services == ()
    assert config.politeness.contact == "https://ink.example/about: us"
    assert "Nothing is tracked yet" in tosmon("--config", "deep/mine.yaml", "list").err


def test_init_puts_the_contact_where_its_comment_stood(tosmon: Tosmon, tmp_path: Path) -> None:
    """In the full configuration the sleeping line is woken."""
    assert tosmon("init", "--contact", "archive@ink.example").code == 0

    assert load_config(tmp_path / "config.yaml", {}).politeness.contact == "archive@ink.example"
    assert tosmon("init", "--contact", "a\nb").code == 2


def test_commands_without_a_configuration_say_how_to_have_one(tosmon: Tosmon) -> None:
    """Nobody has to read a manual to begin."""
    for words in (["list"], ["check"], ["changes"], ["add", "https://ink.example"], ["mail-test"]):
        ended = tosmon(*words)
        assert ended.code == 1
        assert "tosmon init" in ended.err


def test_nothing_starts_from_a_configuration_with_mistakes(tosmon: Tosmon, tmp_path: Path) -> None:
    """Each mistake is told with line, place and fix; no archive is made."""
    (tmp_path / "config.yaml").write_text(
        "services:\n  - key: A\n    terms:\n      - {type: T, url: x, select: 3}\nwebb: {}\n"
    )

    ended = tosmon("check")

    assert ended.code == 1
    assert "  line 4  services[0].terms[0].select: expected a CSS selector or a list, got 3\n" in ended.err
    assert "  line 5  webb: unknown setting; did you mean web?\n" in ended.err
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]


# --- files and pages at hand ------------------------------------------------------------------------------------------


def test_extract_prints_what_selectors_give(tosmon: Tosmon, site: Site, tmp_path: Path) -> None:
    """A file or a URL as Markdown, without the rest of the page."""
    (tmp_path / "tos.html").write_text(page())
    site.pages["/tos"] = page()

    from_file = tosmon("extract", "tos.html", "--select", "main", "--remove", "h2")
    from_url = tosmon("extract", f"{site.url}/tos", "--allow-private", "--select", "main", "--json")

    assert from_file.code == from_url.code == 0
    assert from_file.out.startswith("# Terms of Service\n")
    assert "Your account" not in from_file.out and "Home" not in from_file.out
    assert from_url.json["text"].count("## ") == len(SECTIONS)


def test_extract_says_what_is_wrong(tosmon: Tosmon, site: Site, tmp_path: Path) -> None:
    """A file that is not there, a selector that is none, a private address, a page without such an element."""
    (tmp_path / "tos.html").write_text(page())

    assert (ended := tosmon("extract", "none.html")).code == 1 and "none.html: cannot be read" in ended.err
    assert (ended := tosmon("extract", "tos.html", "-s", "div[")).code == 2 and "expected a CSS selector" in ended.err
    assert (ended := tosmon("extract", f"{site.url}/tos")).code == 1 and "public address" in ended.err
    assert (ended := tosmon("extract", "tos.html", "-s", ".none")).code == 1 and "match nothing" in ended.err


def test_assess_says_what_a_change_does(tosmon: Tosmon, tmp_path: Path) -> None:
    """Two files, no archive: flags with exact quotes, direction and a headline."""
    before = "# Terms\n\n" + SECTIONS["Your drawings"] + "\n\n" + SECTIONS["Payments"]
    after = "# Terms\n\n" + TRAINS + "\n\n" + SECTIONS["Payments"]
    (tmp_path / "a.md").write_text(before)
    (tmp_path / "b.md").write_text(after)

    told = tosmon("assess", "a.md", "b.md", "--service", "Inkwell", "--on", "2026-03-01", "--json")
    shown = tosmon("assess", "a.md", "b.md", "--service", "Inkwell")

    assert told.code == shown.code == 0
    flags = {flag["topic"]: flag for flag in told.json["flags"]}
    assert told.json["substantive"] is True
    assert flags["ai_training"]["direction"] == "worse"
    assert all(quote["text"] in after for quote in flags["ai_training"]["after"])
    assert told.json["clauses"]["modified"] == 1
    assert told.json["headline"] in shown.out
    assert "[-" in shown.out and "{+" in shown.out


def test_assess_of_the_same_text_says_that_nothing_changed(tosmon: Tosmon, tmp_path: Path) -> None:
    """No difference is no news."""
    (tmp_path / "a.md").write_text("# Terms\n\nBe kind.\n")

    ended = tosmon("assess", "a.md", "a.md", "--json")

    assert ended.json["substantive"] is False
    assert ended.json["flags"] == []


def test_assess_reads_pages_too(tosmon: Tosmon, tmp_path: Path) -> None:
    """Saved pages are read as they would be from the web."""
    (tmp_path / "a.html").write_text(page())
    (tmp_path / "b.html").write_text(page(Your_drawings=TRAINS))

    ended = tosmon("assess", "a.html", "b.html", "--json")

    assert "ai_training" in [flag["topic"] for flag in ended.json["flags"]]


# --- add --------------------------------------------------------------------------------------------------------------


def test_add_shows_what_would_be_tracked_and_asks(tosmon: Tosmon, site: Site, tmp_path: Path) -> None:
    """Without a yes (and without a terminal to ask on) nothing is written."""
    path = configuration(tmp_path, site, {})
    site.pages["/legal/privacy"] = page("Privacy Policy")
    before = path.read_text()

    ended = tosmon("add", f"{site.url}/legal/privacy", "--service", "Inkwell")

    assert ended.code == 0
    assert "Privacy Policy" in ended.out and "These terms are a contract" in ended.out
    assert "say --yes" in ended.err
    assert path.read_text() == before


def test_add_writes_into_the_configuration(tosmon: Tosmon, site: Site, tmp_path: Path) -> None:
    """The document is tracked from then on; all that stood in the file stands there still."""
    path = configuration(tmp_path, site, {"Inkwell": ["Terms of Service"]}, "# my own words")
    path.chmod(0o640)
    site.pages["/legal/privacy"] = page("Privacy Policy")
    before = path.read_text().splitlines()

    ended = tosmon("add", f"{site.url}/legal/privacy", "-S", "Inkwell", "-s", "main", "--tag", "art", "--yes")

    assert ended.code == 0, ended.err
    terms = load_config(path, {}).terms()
    assert [str(one.key) for one in terms] == ["Inkwell / Terms of Service", "Inkwell / Privacy Policy"]
    assert terms[1].tags == ("art",)
    assert [line for line in path.read_text().splitlines() if line in before] == before
    assert path.stat().st_mode & 0o777 == 0o640
    assert {one.name for one in tmp_path.iterdir()} == {"config.yaml"}


def test_add_refuses_what_is_tracked_or_holds_nothing(tosmon: Tosmon, site: Site, tmp_path: Path) -> None:
    """A second declaration of a document, an error page, a wrong address."""
    path = configuration(tmp_path, site, {"Inkwell": ["Terms of Service"]})
    before = path.read_text()
    site.pages["/tos"] = page()

    assert "is tracked already" in tosmon("add", f"{site.url}/tos", "-S", "Inkwell", "-y").err
    assert "match nothing" in tosmon("add", f"{site.url}/tos", "-S", "Other", "-s", ".none", "-y").err
    assert tosmon("add", f"{site.url}/gone", "-S", "Other", "-y").code == 1
    assert tosmon("add", "ftp://ink.example/tos", "-y").code == 2
    assert path.read_text() == before


@pytest.mark.parametrize(
    ("url", "service"),
    [
        ("https://www.inkwell.example/tos", "Inkwell"),
        ("https://help.inkwell.co.uk/tos", "Inkwell"),
        ("https://x.com/en/tos", "X"),
        ("http://127.0.0.1:8000/", "127.0.0.1"),
        ("http://localhost/", "localhost"),
    ],
)
def test_service_is_guessed_from_the_host(url: str, service: str) -> None:
    """What people would call it, most of the time."""
    assert guessed_service(url) == service


@pytest.mark.parametrize(
    ("path", "title", "kind"),
    [
        ("/legal/privacy", "", "Privacy Policy"),
        ("/x", "Terms and Conditions | Inkwell", "Terms of Service"),
        ("/legal/cookies", "", "Trackers Policy"),
        ("/terms/copyright", "", "Copyright Claims Policy"),
        ("/x", "", "Terms of Service"),
    ],
)
def test_type_is_guessed_from_title_and_address(path: str, title: str, kind: str) -> None:
    """The title speaks first, then the path."""
    assert guessed_type(f"https://ink.example{path}", title, "") == kind


# --- looking, and reading the archive -----------------------------------------------------------------------------------


def test_a_change_is_seen_told_and_shown(tosmon: Tosmon, site: Site, tmp_path: Path) -> None:
    """From the first look to the marked words of a change."""
    configuration(tmp_path, site, {"Inkwell": ["Terms of Service", "Privacy Policy"]})
    first = tosmon("check")
    site.pages["/Inkwell/terms"] = page(Your_drawings=TRAINS)

    second = tosmon("check", "--json")
    listed, shown = tosmon("changes", "--json"), tosmon("changes", "inkwell", "terms")
    diff, latest, old = tosmon("diff", "Inkwell"), tosmon("show", "inkwell", "terms"), tosmon("list", "--json")

    assert (first.code, second.code) == (0, 0)
    assert first.out.count("new ") == 2
    outcomes = {one["type"]: one["outcome"] for one in second.json["documents"]}
    assert outcomes == {"Terms of Service": "changed", "Privacy Policy": "unchanged"}
    (change,) = listed.json
    assert change["state"] == "told"
    assert "ai_training" in [flag["topic"] for flag in change["flags"]]
    assert change["headline"] in shown.out and change["headline"] in diff.out
    assert "may use your drawings to train" in diff.out and "[-" in diff.out
    assert TRAINS in latest.out
    assert [one["versions"] for one in old.json] == [2, 1]
    assert (tmp_path / "public/feeds/all.atom").read_text().count("<entry>") == 1


def test_any_version_can_be_shown_and_compared(tosmon: Tosmon, site: Site, tmp_path: Path) -> None:
    """By number, by day, and as a pair; what is not there is said."""
    configuration(tmp_path, site, {"Inkwell": ["Terms of Service"]})
    tosmon("check")
    site.pages["/Inkwell/terms"] = page(Payments=SECTIONS["Payments"].replace("six", "nine"))
    tosmon("check")

    versions = tosmon("show", "Inkwell", "--versions", "--json").json
    first = str(versions[-1]["id"])

    assert "six euros" in tosmon("show", "Inkwell", "--version", first).out
    assert "nine euros" in tosmon("show", "Inkwell", "--at", "0s").out
    today = datetime.now(UTC).date().isoformat()
    assert "nine euros" in tosmon("show", "Inkwell", "--at", today).out  # a day stands for its last moment
    assert (ended := tosmon("show", "Inkwell", "--at", "2001-01-01")).code == 1 and "does not go back" in ended.err
    assert tosmon("show", "Inkwell", "--at", "yesterday").code == 2
    assert "[-six-]{+nine+}" in tosmon("diff", "Inkwell", "--from", first).out
    assert (ended := tosmon("diff", "99")).code == 1 and "no change 99" in ended.err
    kinds = [clause["kind"] for clause in tosmon("diff", "1", "--json").json["clauses"]]
    assert kinds == ["modified"]


def test_commands_that_read_say_when_there_is_nothing(tosmon: Tosmon, site: Site, tmp_path: Path) -> None:
    """An empty archive is no error of anybody; a misspelt name gets the nearest one."""
    configuration(tmp_path, site, {"Inkwell": ["Terms of Service", "Privacy Policy"]})
    before = tosmon("changes")
    tosmon("check")

    assert before.code == 1 and "tosmon check" in before.err
    assert "No change yet in 2 versions" in tosmon("changes").err
    assert tosmon("changes", "--json").json == []
    assert (ended := tosmon("show", "Inkwel")).code == 1 and "did you mean Inkwell?" in ended.err
    assert (ended := tosmon("show", "Inkwell")).code == 1 and '"Privacy Policy", "Terms of Service"' in ended.err
    assert (ended := tosmon("check", "Inkwel")).code == 1 and "did you mean Inkwell?" in ended.err
    assert (ended := tosmon("diff", "Inkwell", "terms")).code == 1 and "has not changed yet" in ended.err


def test_documents_that_cannot_be_read_make_code_3(tosmon: Tosmon, site: Site, tmp_path: Path) -> None:
    """An error is told as one, then as one again, then as recovered; it is never a change."""
    configuration(tmp_path, site, {"Inkwell": ["Terms of Service"]})
    tosmon("check")
    good, site.pages["/Inkwell/terms"] = site.pages["/Inkwell/terms"], 404

    first, again = tosmon("check"), tosmon("check")
    listed, shown = tosmon("list"), tosmon("show", "Inkwell")
    site.pages["/Inkwell/terms"] = good
    recovered = tosmon("check")

    assert (first.code, again.code, recovered.code) == (3, 3, 0)
    assert first.out.startswith("error  ") and again.out.startswith("error again  ")
    assert recovered.out.startswith("recovered  ")
    assert "gone" in listed.out and "1 of them cannot be read" in listed.err
    assert "this is the last whole text" in shown.err and "six euros" in shown.out
    assert tosmon("changes", "--all", "--json").json == []


def test_only_the_services_named_are_looked_at(tosmon: Tosmon, site: Site, tmp_path: Path) -> None:
    """By key in any letter case, and by type; paused documents only when named; `--due` only what is due."""
    path = configuration(
        tmp_path, site, {"Inkwell": ["Terms of Service", "Privacy Policy"], "Quill": ["Terms of Service"]}
    )
    path.write_text(path.read_text().replace("- key: Quill", "- key: Quill\n    paused: true"))

    assert [
        one["type"] for one in tosmon("check", "inkWELL", "--type", "privacy policy", "--json").json["documents"]
    ] == ["Privacy Policy"]
    assert {one["service"] for one in tosmon("check", "--json").json["documents"]} == {"Inkwell"}
    assert {one["service"] for one in tosmon("check", "Quill", "--json").json["documents"]} == {"Quill"}
    assert tosmon("check", "--due", "--json").json["documents"] == []


def test_hostile_terms_cannot_write_to_the_terminal(tosmon: Tosmon, site: Site, tmp_path: Path) -> None:
    """Whatever a page holds, what is printed of it holds no control characters."""
    configuration(tmp_path, site, {"Inkwell": ["Terms of Service"]})
    hostile = "We may \x1b]0;owned\x07 \x9b31m share \u202eyour data [bold]now[/bold] \x1b[2J."
    tosmon("check")
    site.pages["/Inkwell/terms"] = page("Terms \x1b[31mof\x9b Service", Payments=hostile)

    for words in (["check"], ["changes"], ["diff", "Inkwell"], ["show", "Inkwell"], ["changes", "--json"], ["list"]):
        ended = tosmon(*words)
        assert not {character for character in ended.out + ended.err if ord(character) < 32} - {"\n"}
        assert not set(ended.out + ended.err) & set("\x7f\x9b\u202e")
    assert "[bold]now[/bold]" in tosmon("show", "Inkwell").out


def test_declarations_of_others_are_tracked_beside_ours(tosmon: Tosmon, site: Site, tmp_path: Path) -> None:
    """A folder of Open Terms Archive's declarations; ours win where both have a document."""
    configuration(tmp_path, site, {"Inkwell": ["Terms of Service"]}, "declarations: theirs\ntags: [all]")
    (tmp_path / "theirs").mkdir()
    for name, kinds in {"Inkwell": ["Terms of Service", "Imprint"], "Quill": ["Privacy Policy"]}.items():
        terms = {kind: {"fetch": f"{site.url}/theirs/{name}", "select": "main"} for kind in kinds}
        (tmp_path / f"theirs/{name}.json").write_text(json.dumps({"name": name, "terms": terms}))

    listed = tosmon("list", "--json").json

    assert [(one["service"], one["type"], one["url"].split("/")[-1]) for one in listed] == [
        ("Inkwell", "Terms of Service", "terms"),
        ("Inkwell", "Imprint", "Inkwell"),
        ("Quill", "Privacy Policy", "Quill"),
    ]
    assert all(one["tags"] == ["all"] for one in listed)


def test_assess_of_equal_files_and_of_one_more_paragraph(tosmon: Tosmon, tmp_path: Path) -> None:
    """The same text is said to be the same; what is appended changes no clause before it."""
    (tmp_path / "a.md").write_text("# Terms\n\nBe kind to everyone here.\n")
    (tmp_path / "b.md").write_text("# Terms\n\nBe kind to everyone here.\n\nAnd pay what you owe us.\n")

    assert "The two files are the same." in tosmon("assess", "a.md", "a.md").err
    assert tosmon("assess", "a.md", "b.md", "--json").json["clauses"]["cosmetic"] == 0


def test_extract_from_ones_own_network_names_the_option(tosmon: Tosmon) -> None:
    """Who tries a page at home is told how."""
    ended = tosmon("extract", "http://127.0.0.1:9/terms")

    assert ended.code == 1 and "--allow-private" in ended.err
