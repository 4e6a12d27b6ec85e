"""The table of profiles and a service's own page over real HTTP: what they say, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import profile_story as story
import pytest
import requests
from bs4 import BeautifulSoup
from profile_story import FACES, HEAD, KEEP, LICENCE, NARROW, NEVER, OPT_OUT, START, TRAINS
from web_server import serving

from tosmon.archive import Archive
from tosmon.judge import load_rules
from tosmon.model import TermsKey
from tosmon.track.rejudging import rejudge
from tosmon.web import WebSettings, app

INKWELL = TermsKey("Inkwell", "Terms of Service")
AI_TERMS = TermsKey("Inkwell", "AI Terms")
BRUSH = TermsKey("Brushwork", "Terms of Service")
SILENT = TermsKey("Marsam", "Terms of Service")
HOSTILE = TermsKey('Grim<b>ware"', "Terms of Service")


@dataclass(frozen=True)
class Told:
    archive: Archive
    base: str
    changes: list[int]

    def get(self, path: str) -> requests.Response:
        return requests.get(self.base + path, timeout=30, allow_redirects=False)

    def soup(self, path: str) -> BeautifulSoup:
        answer = self.get(path)
        assert answer.status_code == 200, (path, answer.status_code)
        return BeautifulSoup(answer.text, "lxml")

    def json(self, path: str) -> Any:
        answer = self.get(path)
        assert answer.status_code == 200, (path, answer.status_code)
        return answer.json()


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    folder = tmp_path_factory.mktemp("profiles")
    rules = load_rules()
    pack = folder / "faces.yaml"
    pack.write_text(story.FACES_PACK, encoding="utf-8")
    archive = Archive(f"sqlite:///{folder}/archive.sqlite")
    story.declare(archive, INKWELL, AI_TERMS, BRUSH, SILENT, HOSTILE)
    changes = story.history(
        archive,
        INKWELL,
        [HEAD + KEEP + NARROW + NEVER, HEAD + KEEP + LICENCE + TRAINS, HEAD + KEEP + LICENCE + TRAINS + FACES],
        rules,
    )
    story.record(archive, AI_TERMS, HEAD + NEVER, 30, rules)
    story.record(archive, BRUSH, HEAD + NARROW + OPT_OUT, 12, rules)
    story.record(archive, SILENT, HEAD, 12, rules)
    evil = "We may use <script>alert(1)</script> your content to train our AI models on‮ all of it.\n"
    story.record(archive, HOSTILE, f'# <img src=x onerror="alert(2)">\n\n{evil}', 12, rules)
    archive.findings.refresh(rules, story.NOW, judged=True)
    rejudge(archive, load_rules([pack]), story.NOW)
    with serving(app(archive, WebSettings(), lambda: story.NOW)) as base:
        yield Told(archive, base, changes)
    archive.close()


def words(soup: Any) -> str:
    return " ".join(soup.get_text(" ").split())


def row(soup: BeautifulSoup, name: str) -> dict[str, str]:
    """A service's cells in the table, by their questions."""
    for line in soup.select("tbody tr"):
        head = line.find("th")
        if head is not None and name in words(head):
            return {str(cell["data-label"]): words(cell) for cell in line.select("td[data-label]")}
    raise AssertionError(name)


def names(soup: BeautifulSoup) -> list[str]:
    return [words(link) for link in soup.select("tbody th a")]


TRAINING = "May it train AI on your work or data?"


def test_each_cell_of_the_table_is_an_answer_with_its_words(told: Told) -> None:
    """The stance in a word, what else the service says, and the quote with its document and day behind it."""
    cells = row(told.soup("/profiles"), "Inkwell")

    assert cells[TRAINING].startswith("▼ Yes also: no")
    assert f"“{TRAINS.strip()}” Terms of Service , Your content · since 11 January 2024" in cells[TRAINING]
    assert f"“{NEVER.strip()}” AI Terms" in cells[TRAINING]
    assert "For ever" in cells["Does it take a licence to your content?"]


def test_silence_is_an_answer_too(told: Told) -> None:
    """A service whose terms do not speak of it is in the table, and says so."""
    assert row(told.soup("/profiles"), "Marsam")[TRAINING] == "Says nothing"


def test_the_table_is_that_of_the_day_in_the_address(told: Told) -> None:
    """Before the change the promise stood alone; services without a text of that day are left out."""
    day = (START + timedelta(days=5)).date()
    soup = told.soup(f"/profiles?at={day}")

    assert row(soup, "Inkwell")[TRAINING].startswith("▲ No")
    assert names(soup) == ["Inkwell Studio"]
    assert "said on 6 January 2024" in words(soup)


def test_the_table_can_be_sorted_by_each_column(told: Told) -> None:
    """What allows most comes first, silence last; by name it is in the order of names."""
    assert names(told.soup("/profiles")) == ["Brushwork", 'Grim<b>ware"', "Inkwell Studio", "Marsam"]
    assert names(told.soup("/profiles?sort=training")) == ["Inkwell Studio", 'Grim<b>ware"', "Brushwork", "Marsam"]
    assert names(told.soup("/profiles?sort=licence"))[0] == "Inkwell Studio"
    assert names(told.soup("/profiles?show=licence&sort=licence.perpetual"))[0] == "Inkwell Studio"
    assert names(told.soup("/profiles?sort=recent"))[0] == "Inkwell Studio"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("training=may_unless_opt_out", ["Brushwork"]),
        ("training=silent", ["Marsam"]),
        ("training=may_not", []),
        ("covers=licence.perpetual", ["Inkwell Studio"]),
        ("q=brush", ["Brushwork"]),
        ("q=brush&training=silent", []),
    ],
)
def test_the_table_can_be_filtered(told: Told, query: str, found: list[str]) -> None:
    """By what is said on training, by what the licence covers, by name; all of it in the address."""
    assert names(told.soup(f"/profiles?{query}")) == found


def test_the_tiles_add_up_to_the_services(told: Told) -> None:
    """Each service is counted once, where its link finds it."""
    soup = told.soup("/profiles")

    assert sum(int(tile.strong.text) for tile in soup.select("a.count") if tile.strong) == len(names(soup))
    for tile in soup.select("a.count"):
        assert tile.strong and int(tile.strong.text) == len(names(told.soup(str(tile["href"]))))


def test_an_address_that_makes_no_sense_still_shows_something(told: Told) -> None:
    """What is not understood is left out and named."""
    soup = told.soup("/profiles?sort=beauty&training=maybe&at=someday&page=-1&covers=all")

    assert len(names(soup)) == 4
    assert (
        "Left out, as it could not be understood: training=maybe, covers=all, sort=beauty, at=someday, page=-1"
        in words(soup)
    )


def test_the_licence_is_compared_point_by_point(told: Told) -> None:
    """One column for each attribute; each mark tells on hover in which words and since when."""
    soup = told.soup("/profiles?show=licence")
    marks = {
        str(cell.a["data-label"]): str(cell.a["title"])
        for cell in soup.select("tbody tr:nth-child(3) td.yes")
        if cell.a
    }

    assert {"For ever", "Worldwide", "May alter it", "Unpaid"} <= set(marks)
    assert "since 11 January 2024" in marks["For ever"] and "perpetual" in marks["For ever"]


def test_a_service_has_a_page_in_its_own_words(told: Told) -> None:
    """Each answer with all its quotes; their links lead to the very clause and to the change that brought it."""
    soup = told.soup("/profiles/Inkwell")
    card = soup.select_one("#training")
    assert card is not None

    assert "It also says: no" in words(card)
    places = [str(link["href"]) for link in card.select(".from a")]
    assert f"/changes/{told.changes[0]}" in places
    version, place = next(path for path in places if path.startswith("/versions/")).split("#")
    clause = told.soup(version).select_one(f"#{place}")
    assert clause is not None and TRAINS.strip() in words(clause)


def test_a_service_is_shown_over_time(told: Told) -> None:
    """Bars of what it claimed, above each document's versions and changes, all of them links with words."""
    picture = told.soup("/profiles/Inkwell").select_one(".lanes svg")
    assert picture is not None
    labels = [str(link["aria-label"]) for link in picture.select("a")]

    assert (
        "Trains AI: No: Terms of Service, from 1 January 2024 until 11 January 2024 (the first text we have)" in labels
    )
    assert "Trains AI: Yes: Terms of Service, since 11 January 2024" in labels
    assert any(label.startswith("11 January 2024: Inkwell Studio Terms of Service") for label in labels)


def test_a_page_of_a_past_day_has_that_days_words(told: Told) -> None:
    """As it stood: the promise and no permission; of a day before the first text there is nothing."""
    then = words(told.soup("/profiles/Inkwell?at=2024-01-05"))

    assert NEVER.strip() in then and TRAINS.strip() not in then
    assert "No text of that day is archived" in words(told.soup("/profiles/Inkwell?at=2020-01-05"))


def test_an_unknown_service_is_not_found(told: Told) -> None:
    """Pages and API alike."""
    for path in ("/profiles/Nobody", "/api/v1/profiles/Nobody", "/api/v1/profiles/Nobody/history"):
        assert told.get(path).status_code == 404


def test_what_platforms_write_stays_harmless(told: Told) -> None:
    """No tag, no attribute and no turning mark of a quote or a name gets through."""
    for path in ("/profiles", "/profiles?show=licence", "/profiles/Grim%3Cb%3Eware%22", "/services/Grim%3Cb%3Eware%22"):
        answer = told.get(path)
        assert answer.status_code == 200, path
        assert "<script>alert" not in answer.text and "<img" not in answer.text.split("</header>")[1], path
        assert "<b>" not in answer.text and "‮" not in answer.text, path


def test_what_was_found_later_is_listed_and_said_on_its_change(told: Told) -> None:
    """On a page of its own, with what it was before; the change's page says that nobody was alerted."""
    listed = words(told.soup("/found-later"))
    change = told.changes[1]

    assert "found later" in listed and "judged again" in listed
    assert "Nobody was alerted of that" in words(told.soup(f"/changes/{change}"))
    assert "Nobody was alerted of that" not in words(told.soup(f"/changes/{told.changes[0]}"))
    [row_] = told.json("/api/v1/found-later")["rejudged"]
    assert (row_["change"], row_["outcome"], row_["severity_before"]) == (change, "found later", "low")


def test_the_service_page_says_it_in_brief(told: Told) -> None:
    """Before its documents: the main answers with their days, and the way to all of it."""
    said = words(told.soup("/services/Inkwell"))

    assert f"{TRAINING} ▼ Yes also: no , since 11 January 2024" in said
    assert "The whole profile, in its own words" in said


def test_programs_get_profiles_in_parts(told: Told) -> None:
    """By key, with a cursor; each stance with its quote, the version and clause where it stands."""
    first = told.json("/api/v1/profiles?limit=2")
    rest = told.json(f"/api/v1/profiles?limit=2&after={first['next']}")

    assert [one["service"] for one in first["profiles"] + rest["profiles"]] == [
        "Brushwork",
        'Grim<b>ware"',
        "Inkwell",
        "Marsam",
    ]
    assert rest["next"] is None
    [inkwell] = [one for one in rest["profiles"] if one["service"] == "Inkwell"]
    [training] = [one for one in inkwell["answers"] if one["aspect"] == "training"]
    assert (training["answer"], training["conflicting"], training["direction"]) == ("Yes", True, "worse")
    [may, _] = training["stances"]
    text = told.json(f"/api/v1/versions/{may['version']}")["text"]
    assert may["quote"] in text and may["since"].startswith("2024-01-11") and may["change"] == told.changes[0]


def test_programs_ask_for_a_day_and_for_history(told: Told) -> None:
    """As it stood on a day; every stance from when until when."""
    then = told.json("/api/v1/profiles/Inkwell?at=2024-01-05")
    [training] = [one for one in then["answers"] if one["aspect"] == "training"]
    runs = [one for one in told.json("/api/v1/profiles/Inkwell/history") if one["aspect"] == "training"]

    assert training["answer"] == "No"
    assert [(one["stance"], one["until"] is None) for one in runs] == [
        ("may_not", False),
        ("may", True),
        ("may_not", True),
    ]
    assert told.get("/api/v1/profiles?at=someday").status_code == 404


def test_an_archive_without_texts_says_how_profiles_come(tmp_path: Path) -> None:
    """The first visitor of a new archive is told what will be here."""
    archive = Archive(f"sqlite:///{tmp_path}/archive.sqlite")
    with serving(app(archive, WebSettings())) as base:
        page = requests.get(base + "/profiles", timeout=30).text
    archive.close()

    assert "they come with the first look" in page
