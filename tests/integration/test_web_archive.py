"""What the web asks of the archive beyond its other readers: overviews, on a real SQLite file."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
import web_story as story

from tosmon.archive import Archive, Pulse
from tosmon.model import ChangeState, Direction, Severity


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Archive, story.Told]]:
    folder = tmp_path_factory.mktemp("archive")
    archive = Archive(f"sqlite:///{folder}/archive.sqlite")
    yield archive, story.tell(archive, folder / "snapshots")
    archive.close()


def test_marks_of_versions_are_those_of_the_document_oldest_first(told: tuple[Archive, story.Told]) -> None:
    """Each version of the document, and none of another."""
    archive, recorded = told
    document = archive.browse.document(story.FOTOFELD)
    assert document is not None

    marks = archive.browse.version_marks(document.id)

    assert [mark.id for mark in marks] == recorded.versions[story.FOTOFELD]
    assert marks[0].at == story.NOW - timedelta(days=90) and marks[0].words > 50


def test_marks_of_changes_have_state_and_directions(told: tuple[Archive, story.Told]) -> None:
    """Also those that nobody was told of; directions are those of the flags, each once."""
    archive, recorded = told
    document = archive.browse.document(story.INKWELL)
    assert document is not None

    marks = archive.browse.change_marks(document.id)

    assert [(mark.id, mark.state, mark.directions) for mark in marks] == [
        (recorded.changes["cosmetic"], ChangeState.SUPPRESSED, ()),
        (recorded.changes["training"], ChangeState.TOLD, (Direction.WORSE,)),
    ]


def test_activity_counts_what_people_were_told_by_day(told: tuple[Archive, story.Told]) -> None:
    """Each day with its severities, of one service or of all."""
    archive, _ = told
    since = story.NOW - timedelta(days=2)

    every = archive.browse.activity(since)
    one = archive.browse.activity(since, "Inkwell")

    assert [(active.on.isoformat(), active.severity, active.changes) for active in every] == [
        ("2026-11-02", Severity.HIGH, 1),
        ("2026-11-03", Severity.HIGH, 1),
    ]
    assert one == every[1:]


def test_topics_are_those_that_flags_have(told: tuple[Archive, story.Told]) -> None:
    """Also topics of packs that tosmon does not bring."""
    archive, _ = told

    assert archive.browse.topics() == ["<script>alert(12)</script>", "ai_other", "ai_training", "content_license"]


def test_the_pulse_tells_of_looks_and_incidents(told: tuple[Archive, story.Told]) -> None:
    """How many documents are looked at, when last, when next, and how many cannot be read."""
    archive, _ = told

    assert archive.browse.pulse() == Pulse(
        13, story.NOW - timedelta(minutes=23), story.NOW + timedelta(minutes=40), 1, 1, 12
    )


def test_a_listing_goes_on_by_time_whatever_the_order_of_recording(told: tuple[Archive, story.Told]) -> None:
    """Imports record old changes late: going on from one never repeats nor leaves out another."""
    archive, _ = told
    whole = [change.id for change in archive.browse.changes(limit=100)]
    parts: list[int] = []
    while part := archive.browse.changes(limit=7, before_id=parts[-1] if parts else None):
        parts += [change.id for change in part]

    assert parts == whole and parts != sorted(parts, reverse=True)
