"""Pictures of time as plain coordinates: a year of activity, and one document's story. Templates draw them as SVG."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from tosmon.archive import Activity, ChangeMark, VersionMark
from tosmon.model import ChangeState, Direction, Severity
from tosmon.publish.words import day

_WEEKS = 53
_STEP, _CELL = 12, 10


@dataclass(frozen=True, slots=True)
class Cell:
    """A day on which people were told of something. `weight` is 1 to 3, by the number of changes."""

    x: int
    y: int
    on: date
    changes: int
    high: int
    weight: int

    @property
    def words(self) -> str:
        high = f", {self.high} of high severity" if self.high else ""
        return f"{day(self.on)}: {self.changes} change{'' if self.changes == 1 else 's'}{high}"


@dataclass(frozen=True, slots=True)
class Calendar:
    """A year as a strip of weeks, Monday on top. `grid` is the path of the days that were looked at, `unseen` of those
    before the first look, which was at `looked_from` if it lies in that year."""

    width: int
    height: int
    cell: int
    grid: str
    cells: tuple[Cell, ...]
    first: date
    changes: int
    high: int
    unseen: str = ""
    looked_from: date | None = None


def calendar_start(today: date) -> date:
    return today - timedelta(days=today.weekday(), weeks=_WEEKS - 1)


def calendar(activity: Sequence[Activity], today: date, looked_from: date | None = None) -> Calendar:
    first = calendar_start(today)
    by_day: dict[date, list[Activity]] = defaultdict(list)
    for active in activity:
        if first <= active.on <= today:
            by_day[active.on].append(active)

    def corner(on: date) -> tuple[int, int]:
        week, weekday = divmod((on - first).days, 7)
        return week * _STEP, weekday * _STEP

    days = [first + timedelta(days=number) for number in range((today - first).days + 1)]
    start = looked_from or first

    def squares(wanted: Iterable[date]) -> str:
        return "".join("M{} {}h{c}v{c}h-{c}z".format(*corner(on), c=_CELL) for on in wanted)

    cells = []
    for on, found in sorted(by_day.items()):
        changes = sum(active.changes for active in found)
        high = sum(active.changes for active in found if active.severity is Severity.HIGH)
        cells.append(Cell(*corner(on), on, changes, high, 1 if changes == 1 else 2 if changes < 5 else 3))
    return Calendar(
        _WEEKS * _STEP - (_STEP - _CELL),
        7 * _STEP - (_STEP - _CELL),
        _CELL,
        squares(on for on in days if on >= start),
        tuple(cells),
        first,
        sum(cell.changes for cell in cells),
        sum(cell.high for cell in cells),
        squares(on for on in days if on < start),
        start if start > first else None,
    )


# --- one document's story -------------------------------------------------------------------------------------------

_MARKED = (ChangeState.TOLD, ChangeState.WITHDRAWN, ChangeState.HISTORIC)
_WIDTH, _HEIGHT, _EDGE = 640, 108, 14
_TOP, _BASE, _TOLD = 24, 70, 90


@dataclass(frozen=True, slots=True)
class Point:
    """A told change on the time line."""

    x: float
    y: float
    change: ChangeMark
    direction: Direction | None


@dataclass(frozen=True, slots=True)
class Story:
    """A document over time. `size` is a path: how many words it had; `ticks` one for each version, `quiet` for each
    change that nobody was told of. `years` are (x, year) of each turn of a year."""

    width: int
    height: int
    base: int
    told_y: int
    size: str
    ticks: str
    quiet: str
    points: tuple[Point, ...]
    years: tuple[tuple[float, int], ...]
    first: datetime
    fewest: int
    most: int


def story(versions: Sequence[VersionMark], changes: Sequence[ChangeMark], now: datetime) -> Story | None:
    """The picture of a document; `None` while there is no more than one version to show."""
    if len(versions) < 2:
        return None
    first = versions[0].at
    length = max((max(now, versions[-1].at) - first).total_seconds(), 1.0)

    def across(at: datetime) -> float:
        return round(_EDGE + (_WIDTH - 2 * _EDGE) * (at - first).total_seconds() / length, 1)

    most = max(version.words for version in versions)

    def up(words: int) -> float:
        return round(_BASE - (_BASE - _TOP) * words / max(most, 1), 1)

    steps = [f"M{across(first)} {up(versions[0].words)}"]
    steps += [f"H{across(version.at)}V{up(version.words)}" for version in versions[1:]]
    steps.append(f"H{_WIDTH - _EDGE}")
    told = [change for change in changes if change.state in _MARKED]
    quiet = [change for change in changes if change.state not in _MARKED]
    return Story(
        _WIDTH,
        _HEIGHT,
        _BASE,
        _TOLD,
        "".join(steps),
        _strokes((across(version.at) for version in versions), _BASE, 5),
        _strokes((across(change.at) for change in quiet), _TOLD - 3, 6),
        tuple(Point(across(change.at), _TOLD, change, foremost(change.directions)) for change in told),
        tuple((across(turn), turn.year) for turn in _turns(first, now)),
        first,
        min(version.words for version in versions),
        most,
    )


def _strokes(places: Iterable[float], y: int, length: int) -> str:
    # A thousand versions of an unruly document fall on the same few hundred places.
    return "".join(f"M{x} {y}v{length}" for x in dict.fromkeys(places))


def _turns(first: datetime, now: datetime) -> list[datetime]:
    return [
        first.replace(year=year, month=1, day=1, hour=0, minute=0, second=0, microsecond=0)
        for year in range(first.year + 1, now.year + 1)
    ]


_RANK = (Direction.WORSE, Direction.MIXED, Direction.BETTER, Direction.NEUTRAL)


def foremost(directions: Sequence[Direction]) -> Direction | None:
    """The direction that a change as a whole is marked with: both ways make it mixed, else the weightiest one."""
    if Direction.WORSE in directions and Direction.BETTER in directions:
        return Direction.MIXED
    return next((direction for direction in _RANK if direction in directions), None)
