"""Search over all clauses ever, on a real SQLite file: who says it, since when, and who said it once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import web_story as story
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine

from tosmon.archive import Archive
from tosmon.archive.search import Found, Order, forget_clauses, parse

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Archive, story.Told]]:
    folder = tmp_path_factory.mktemp("search")
    archive = Archive(f"sqlite:///{folder}/archive.sqlite")
    yield archive, story.tell(archive, folder / "snapshots")
    archive.close()


@pytest.fixture
def archive(told: tuple[Archive, story.Told]) -> Archive:
    return told[0]


def services(found: Found) -> set[str]:
    return {stand.key.service for hit in found.hits for stand in hit.stands}


def test_a_clause_is_found_with_its_beginning_and_the_change_that_brought_it(told: tuple[Archive, story.Told]) -> None:
    """The words of a licence lead to who says it, since when, and the change that put it there."""
    archive, recorded = told

    [hit] = archive.browse.search(parse('"improve and evaluate our machine-learning"'), service="Inkwell").hits
    [stand] = hit.stands

    assert hit.text == story.TRAINING and hit.is_standing
    assert (stand.key, stand.gone_at, stand.runs) == (story.INKWELL, None, 1)
    assert stand.brought_by == recorded.changes["training"]
    assert archive.browse.clauses(stand.version_id)[stand.place - 1].text == story.TRAINING


def test_a_removed_promise_is_found_with_its_end(told: tuple[Archive, story.Told]) -> None:
    """What is gone can still be found, with the day it went and the change that removed it."""
    archive, recorded = told

    [hit] = archive.browse.search(parse("never artwork generative"), service="Brushwork").hits
    [stand] = hit.stands

    assert hit.text == story.PROMISE and not hit.is_standing
    assert stand.gone_at is not None and stand.gone_at > stand.first_at
    assert stand.removed_by == recorded.changes["promise"]


def test_one_clause_of_many_documents_is_one_hit(archive: Archive) -> None:
    """Platforms that say the same are told of together."""
    [hit] = archive.browse.search(parse('"open accounts by automated means"')).hits

    assert hit.documents >= 4 and len({stand.key for stand in hit.stands}) == len(hit.stands) >= 4


def test_what_comes_and_goes_is_told_once_with_how_often(archive: Archive) -> None:
    """A document that flips between two texts gives one stand for each clause, not one for each flip."""
    found = archive.browse.search(parse("share data"), service="Fotofeld")

    assert found.hits and max(stand.runs for hit in found.hits for stand in hit.stands) > 1
    assert all(len(hit.stands) == 1 for hit in found.hits)


def test_words_phrases_beginnings_and_exclusions(archive: Archive) -> None:
    """Each kind of term narrows or widens as it says; letter case does not matter."""
    browse = archive.browse
    words, phrase = browse.search(parse("models artificial")), browse.search(parse('"models artificial"'))

    assert words.total and not phrase.total
    assert browse.search(parse("TRAINING")).total <= browse.search(parse("train*")).total
    without = browse.search(parse("models -artificial"))
    assert all("artificial" not in hit.text.lower() for hit in without.hits)


def test_other_scripts_are_found_by_their_words(archive: Archive) -> None:
    """Japanese puts no space between words, and is found by a word all the same."""
    found = archive.browse.search(parse("生成"))

    assert services(found) == {"Ehondo"}


def test_a_search_is_narrowed_by_service_type_and_time(archive: Archive) -> None:
    """Only clauses that stood there, at some time from one day to the other."""
    browse = archive.browse
    promise = parse(f'"{story.PROMISE}"')
    [stand] = browse.search(promise, service="Brushwork").hits[0].stands
    assert stand.gone_at is not None

    assert services(browse.search(parse("content"), service="Inkwell", type="Terms of Service")) == {"Inkwell"}
    assert not browse.search(parse("content"), service="Inkwell", type="Cookies Policy").total
    assert not browse.search(parse("content"), service="Nobody").total
    assert browse.search(promise, service="Brushwork", since=stand.gone_at - DAY).total == 1
    assert not browse.search(promise, service="Brushwork", since=stand.gone_at).total
    assert not browse.search(promise, service="Brushwork", until=stand.first_at - DAY).total


def test_a_time_long_ago_is_found_behind_many_newer_clauses(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many clauses with a common word are looked at: those of the time that is asked for, not the newest of all."""
    since, until = datetime(2025, 10, 18, tzinfo=UTC), datetime(2025, 10, 20, tzinfo=UTC)
    everything = archive.browse.search(parse("we"), since=since, until=until, limit=100)
    monkeypatch.setattr("tosmon.archive.search.MOST", 5)
    few = archive.browse.search(parse("we"), since=since, until=until)

    assert everything.total > 5 and (few.total, few.more) == (5, True)
    assert {hit.clause_id for hit in few.hits} <= {hit.clause_id for hit in everything.hits}
    assert min(hit.stands[0].first_at for hit in few.hits) < until


def test_what_stands_comes_first_or_who_said_it_first(archive: Archive) -> None:
    """By default no clause that is gone stands above one that stands; the other order is that of first sight."""
    standing = archive.browse.search(parse("percent"), limit=100)
    first = archive.browse.search(parse("percent"), order=Order.FIRST, limit=100)

    gone = [not hit.is_standing for hit in standing.hits]
    assert gone == sorted(gone) and any(gone) and not all(gone)
    begun = [min(stand.first_at for stand in hit.stands) for hit in first.hits]
    assert begun == sorted(begun) and {hit.clause_id for hit in first.hits} == {hit.clause_id for hit in standing.hits}


def test_parts_of_a_listing_follow_each_other(archive: Archive) -> None:
    """Going on from a cursor never repeats nor leaves out a clause."""
    whole = [hit.clause_id for hit in archive.browse.search(parse("we"), limit=1000).hits]
    parts: list[int] = []
    cursor: int | None = None
    while True:
        found = archive.browse.search(parse("we"), after=cursor, limit=7)
        parts += [hit.clause_id for hit in found.hits]
        cursor = found.next
        if cursor is None:
            break

    assert parts == whole and len(set(whole)) == len(whole) > 14


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(written=st.text(alphabet=st.sampled_from('ab"*-() :^+{}NEARORtheé学\x00\ud800'), max_size=40))
def test_nothing_that_can_be_typed_breaks_the_search(archive: Archive, written: str) -> None:
    """The index's own query language is never spoken by strangers."""
    found = archive.browse.search(parse(written))

    assert found.total >= len(found.hits)


def test_an_archive_from_before_is_made_searchable(told: tuple[Archive, story.Told], tmp_path: Path) -> None:
    """Opening an archive of an older tosmon fills the index; what is found is what a newer one finds."""
    url = str(told[0]._engine.url.database)
    old = tmp_path / "old.sqlite"
    with sqlite3.connect(url) as source, sqlite3.connect(old) as copy:
        source.backup(copy)
        copy.execute("DROP TABLE clause_words")
        copy.execute("DROP INDEX ix_change_state_terms_id_at")
        copy.execute("UPDATE alembic_version SET version_num = '0006'")
    copy.close()
    source.close()

    opened = Archive(f"sqlite:///{old}")
    for words in ("content", "train*", '"machine learning"', "生成"):
        assert opened.browse.search(parse(words)) == told[0].browse.search(parse(words))
    opened.close()


def test_a_clause_that_is_taken_out_is_found_no_more(tmp_path: Path) -> None:
    """A text that is withdrawn leaves no word in the index."""
    archive = Archive(f"sqlite:///{tmp_path}/archive.sqlite")
    recorded = story.tell(archive, tmp_path / "snapshots")
    [hit] = archive.browse.search(parse(f'"{story.PROMISE}"'), service="Brushwork").hits
    engine = create_engine(f"sqlite:///{tmp_path}/archive.sqlite")
    with engine.begin() as connection:
        forget_clauses(connection, [(hit.clause_id, hit.text)])
    engine.dispose()

    assert recorded.changes and not archive.browse.search(parse(f'"{story.PROMISE}"')).total
    archive.close()


def test_times_are_those_at_which_texts_were_seen(archive: Archive) -> None:
    """First seen is the time of the first version that holds a clause, in UTC."""
    [hit] = archive.browse.search(parse('"improve and evaluate our machine-learning"'), service="Inkwell").hits

    assert hit.stands[0].first_at == datetime(2026, 11, 3, 6, 8, tzinfo=UTC)
