"""`search` and `export site`, from the command line to the archive and back."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import web_story as story

from tosmon.archive import Archive
from tosmon.cli import run

Tosmon = Callable[..., tuple[int, str, str]]


@pytest.fixture
def tosmon(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Tosmon:
    """Runs a command on the story's archive; gives its code and what it printed."""
    archive = Archive(f"sqlite:///{tmp_path}/archive.sqlite")
    story.tell(archive, tmp_path / "snapshots")
    archive.close()
    config = tmp_path / "config.yaml"
    config.write_text("feeds: {site_url: https://terms.example.org}\n", encoding="utf-8")

    def called(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run(["--config", str(config), *arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return called


def test_a_search_prints_each_clause_with_its_days(tosmon: Tosmon) -> None:
    """The words, who says them, since when, until when."""
    code, out, err = tosmon("search", "never", "artwork", "--service", "brushwork")

    assert code == 0 and story.PROMISE in out and "gone since 2026-09-19" in out
    assert "1 in all." in err


def test_an_argument_of_several_words_is_a_phrase(tosmon: Tosmon) -> None:
    """The shell takes the quotes, so an argument with a space in it is looked for as it stands."""
    assert tosmon("search", "machine-learning and artificial")[1].count("•") == 1
    assert "No clause says that" in tosmon("search", "artificial machine-learning")[2]


def test_a_search_can_be_narrowed_and_read_by_programs(tosmon: Tosmon) -> None:
    """Every option narrows or orders; JSON has every time and number."""
    found: dict[str, Any] = json.loads(tosmon("search", "content", "--service", "Inkwell", "--json")[1])
    gone = json.loads(tosmon("search", "never", "artwork", "--since", "2026-10-01", "--json")[1])
    none = json.loads(tosmon("search", "content", "--without", "content", "--json")[1])
    first = json.loads(tosmon("search", "percent", "--first", "--limit", "5", "--json")[1])

    assert found["total"] > 3 and {one["key"]["service"] for hit in found["hits"] for one in hit["stands"]} == {
        "Inkwell"
    }
    assert gone["total"] == none["total"] == 0
    begun = [hit["stands"][0]["first_at"] for hit in first["hits"]]
    assert begun == sorted(begun) and len(begun) == 5


def test_until_a_day_takes_in_that_day(tosmon: Tosmon) -> None:
    """What first stood on a day stood until that day, and not until the one before."""
    hits = json.loads(tosmon("search", "never", "artwork", "--first", "--json")[1])["hits"]
    day = date.fromisoformat(hits[0]["stands"][0]["first_at"][:10])

    def total(until: date) -> int:
        return int(json.loads(tosmon("search", "never", "artwork", "--until", until.isoformat(), "--json")[1])["total"])

    assert total(day) > total(day - timedelta(days=1))


def test_a_misspelt_service_is_told_the_nearest(tosmon: Tosmon) -> None:
    """Not "no clause says that", which would be taken for an answer."""
    code, _, err = tosmon("search", "content", "--service", "Inkwel")

    assert code == 1 and "did you mean Inkwell Studio?" in err


def test_signs_alone_are_no_search(tosmon: Tosmon) -> None:
    """It says what to do instead."""
    code, _, err = tosmon("search", "***")

    assert code == 1 and "there is no word to look for" in err


def test_hostile_clauses_do_nothing_to_the_terminal(tosmon: Tosmon) -> None:
    """Escape sequences of captured text are not printed."""
    out = tosmon("search", "script")[1] + tosmon("search", "terms", "--service", "Grimware")[1]

    assert "\x1b]" not in out and "\u202e" not in out


def test_the_site_is_written_as_files(tosmon: Tosmon, tmp_path: Path) -> None:
    """Pages and feeds stand in the folder; once more, and nothing is written."""
    code, out, _ = tosmon("export", "site", str(tmp_path / "site"), "--json")
    done, again = json.loads(out), json.loads(tosmon("export", "site", str(tmp_path / "site"), "--json")[1])

    assert code == 0 and done["pages"] > 100 and (tmp_path / "site/index.html").is_file()
    assert "https://terms.example.org/changes/" in (tmp_path / "site/feeds/all.rss").read_text(encoding="utf-8")
    assert again["pages"] == done["pages"] and again["written"] <= 2  # the feed of now, and the page that says when


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("list", "Inkwel"), "did you mean Inkwell?"),
        (("search", "train", "--type", "Nope"), '"Terms of Service"'),
        (("changes", "--topic", "ai_trainig"), "did you mean ai_training?"),
    ],
)
def test_what_is_misspelt_is_no_empty_answer(tosmon: Tosmon, arguments: tuple[str, ...], said: str) -> None:
    """A service, type or topic that is none is an error that names what there is."""
    code, _, err = tosmon(*arguments)

    assert code == 1 and said in err
