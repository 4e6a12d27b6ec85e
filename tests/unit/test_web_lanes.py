"""A platform over time as coordinates: bars never overlap, and everything lies on one axis."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from tosmon.archive import ChangeMark, VersionMark
from tosmon.judge.profile import Held
from tosmon.model import ChangeState, Direction, Severity, Stance, TermsKey
from tosmon.web.lanes import NARROW, lanes

START = datetime(2024, 1, 1, tzinfo=UTC)
NOW = START + timedelta(days=800)
TERMS, AI_TERMS = TermsKey("Inkwell", "Terms of Service"), TermsKey("Inkwell", "AI Terms")


def run(
    key: TermsKey, stance: Stance, first: int, last: int | None, aspect: str = "training"
) -> tuple[Held, datetime, datetime | None]:
    since = START + timedelta(days=first)
    until = None if last is None else START + timedelta(days=last)
    return Held(key, aspect, stance, "", since, 1, first == 0, None, 1, 0), since, until


def versions(*days: int) -> list[VersionMark]:
    return [VersionMark(number, START + timedelta(days=day), 100 * number, False) for number, day in enumerate(days, 1)]


def test_nothing_read_makes_no_picture() -> None:
    """A document that was never read has no story."""
    assert lanes([], [(TERMS, [], [])], NOW) is None


def test_stances_that_stand_at_once_lie_below_each_other() -> None:
    """What allows the platform most lies on top; those that follow each other share a row."""
    runs = [
        run(TERMS, Stance.MAY_NOT, 0, 100),
        run(TERMS, Stance.MAY, 100, None),
        run(AI_TERMS, Stance.MAY_NOT, 200, None),
    ]
    picture = lanes(runs, [(TERMS, versions(0, 100), [])], NOW)
    assert picture is not None
    [training] = picture.claims

    rows: dict[float, list[tuple[float, float]]] = {}
    for bar in training.bars:
        rows.setdefault(bar.y, []).append((bar.x, bar.x + bar.width))
    assert training.bars[0].held.stance is Stance.MAY
    assert [len(row) for _, row in sorted(rows.items())] == [2, 1]
    for row in rows.values():
        assert all(one[1] <= two[0] + 0.2 for one, two in pairwise(sorted(row)))


def test_a_bar_begins_where_its_version_stands() -> None:
    """One axis for all lanes: the bar and the stroke of the version that began it have the same place."""
    picture = lanes([run(TERMS, Stance.MAY, 100, None)], [(TERMS, versions(0, 100, 300), [])], NOW)
    assert picture is not None

    assert f"M{picture.claims[0].bars[0].x} " in picture.documents[0].ticks


def test_an_opt_out_takes_the_place_of_the_permission() -> None:
    """As long as a document offers it; another document's permission stays."""
    runs = [
        run(TERMS, Stance.MAY, 0, None),
        run(TERMS, Stance.MAY_UNLESS_OPT_OUT, 100, 200),
        run(AI_TERMS, Stance.MAY, 0, None),
    ]
    picture = lanes(runs, [(TERMS, versions(0, 100, 200), [])], NOW)
    assert picture is not None
    [training] = picture.claims

    mine = sorted((bar.x, bar.x + bar.width, bar.held.stance) for bar in training.bars if bar.held.key == TERMS)
    assert [stance for *_, stance in mine] == [Stance.MAY, Stance.MAY_UNLESS_OPT_OUT, Stance.MAY]
    assert all(one[1] <= two[0] + 0.2 for one, two in pairwise(mine))
    assert len(training.bars) == 4


def test_a_phone_has_the_whole_picture_in_its_width() -> None:
    """The same bars up to today, narrower; nothing lies beyond the right end."""
    picture = lanes([run(TERMS, Stance.MAY, 100, None)], [(TERMS, versions(0, 100), [])], NOW, NARROW)
    assert picture is not None
    [bar] = picture.claims[0].bars

    assert picture.width == NARROW and NARROW - 20 <= bar.x + bar.width <= NARROW


def test_a_bar_says_what_fits_into_it() -> None:
    """A long bar names its document, a short one nothing; on hover each says it all."""
    runs = [run(TERMS, Stance.MAY, 0, None), run(AI_TERMS, Stance.MAY_NOT, 0, 3)]
    picture = lanes(runs, [(TERMS, versions(0), [])], NOW)
    assert picture is not None

    assert [bar.label for bar in picture.claims[0].bars] == ["Yes · Terms of Service", ""]
    assert (
        picture.claims[0].bars[1].words
        == "No: AI Terms, from 1 January 2024 until 4 January 2024 (the first text we have)"
    )


def test_told_changes_are_marked_with_their_direction() -> None:
    """What nobody was told of is no mark."""
    marks = [
        ChangeMark(number, 1, 2, START + timedelta(days=10), state, Severity.HIGH, "headline", (Direction.WORSE,))
        for number, state in enumerate((ChangeState.TOLD, ChangeState.SUPPRESSED), 1)
    ]
    picture = lanes([], [(TERMS, versions(0, 10), marks)], NOW)
    assert picture is not None

    assert [(mark.change.id, mark.direction) for mark in picture.documents[0].marks] == [(1, Direction.WORSE)]
    assert [year for _, year in picture.years] == [2025, 2026]
