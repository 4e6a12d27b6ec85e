"""`tosmon profile` and `tosmon rejudge` on a real archive."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import profile_story as story
import pytest
from profile_story import FACES, HEAD, KEEP, LICENCE, NEVER, TRAINS

from tosmon import cli
from tosmon.archive import Archive
from tosmon.judge import load_rules
from tosmon.model import TermsKey

TERMS = TermsKey("Inkwell", "Terms of Service")
AI_TERMS = TermsKey("Inkwell", "AI Terms")


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
    """Runs a command beside an archive that nobody has made profiles of yet."""
    for name in [name for name in os.environ if name.startswith("TOSMON_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text(f"archive: sqlite:///{tmp_path}/archive.sqlite\n", encoding="utf-8")
    archive = Archive(f"sqlite:///{tmp_path}/archive.sqlite")
    story.declare(archive, TERMS, AI_TERMS)
    rules = load_rules()
    story.history(
        archive,
        TERMS,
        [HEAD + KEEP + NEVER, HEAD + KEEP + LICENCE + TRAINS, HEAD + KEEP + LICENCE + TRAINS + FACES],
        rules,
    )
    story.record(archive, AI_TERMS, HEAD + NEVER, 30, rules)
    archive.close()

    def call(*arguments: str) -> Ended:
        code = cli.run(arguments)
        out, err = capsys.readouterr()
        return Ended(code, out, err)

    return call


def test_a_profile_says_each_stance_in_its_words(tosmon: Tosmon) -> None:
    """The question, the answer, what else the service says, quotes with their places and days; then what is not said."""
    ended = tosmon("profile", "inkwell studio")

    assert ended.code == 0
    assert "May it train AI on your work or data? ▼ Yes  It also says: no." in ended.out
    assert f"Yes: “{TRAINS.strip()}”" in ended.out and f"No: “{NEVER.strip()}”" in ended.out
    assert "Terms of Service, Your content · since 11 January 2024, change 1" in ended.out
    assert "▼ For ever, since 11 January 2024" in ended.out
    assert "It says nothing on: May partners and others train AI on it?" in ended.out


def test_a_profile_of_a_day_is_that_days(tosmon: Tosmon) -> None:
    """The day counts whole: what came in on it is in."""
    assert "▲ No" in tosmon("profile", "Inkwell", "--at", "2024-01-10").out
    assert "▼ Yes" in tosmon("profile", "Inkwell", "--at", "2024-01-11").out
    assert "No text of that time" in tosmon("profile", "Inkwell", "--at", "2020-01-01").err


def test_without_a_service_all_stand_in_a_table(tosmon: Tosmon) -> None:
    """One line for each service, with what its licence covers."""
    ended = tosmon("profile")

    [line] = [one for one in ended.out.splitlines() if one.startswith("Inkwell Studio")]
    assert "▼ Yes (also: no)" in line and "for ever" in line
    assert "1 service." in ended.err


def test_an_unknown_service_is_told_with_the_nearest_one(tosmon: Tosmon) -> None:
    """A slip of the finger costs one line."""
    ended = tosmon("profile", "Inkwel")

    assert ended.code == 1 and "did you mean Inkwell Studio?" in ended.err


def test_profiles_are_json_for_programs(tosmon: Tosmon) -> None:
    """Each aspect with its stances and exact quotes; one service or all."""
    one = tosmon("profile", "Inkwell", "--json").json
    every = tosmon("profile", "--json").json

    assert every == [one]
    [training] = [answer for answer in one["answers"] if answer["aspect"] == "training"]
    assert [stance["quote"] for stance in training["stances"]] == [TRAINS.strip(), NEVER.strip()]
    assert tosmon("profile", "Inkwell", "--at", "2020-01-01", "--json").json is None


def test_history_is_judged_again_after_the_rules_changed(tosmon: Tosmon, tmp_path: Path) -> None:
    """What was missed is printed, once; then there is nothing left to do."""
    assert tosmon("rejudge").err.startswith("2 documents judged by the rules in force")
    assert "nothing to do" in tosmon("rejudge").err
    (tmp_path / "faces.yaml").write_text(story.FACES_PACK, encoding="utf-8")
    with (tmp_path / "config.yaml").open("a", encoding="utf-8") as config:
        config.write("rules: [faces.yaml]\n")

    ended = tosmon("rejudge", "Inkwell")

    assert ended.code == 0
    assert "found later: change 2, 21 January 2024" in ended.out
    assert "2 documents judged by the rules in force; 1 change looked at, 1 judged otherwise." in ended.err


def test_judging_again_is_json_for_programs(tosmon: Tosmon) -> None:
    """Counts, and each change that came out otherwise."""
    value = tosmon("rejudge", "--json").json

    assert (value["documents"], value["documents_left"], value["rejudged"]) == (2, 0, [])
