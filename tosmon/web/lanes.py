"""A platform over time as one picture: what it claimed from when until when, above its documents' versions and changes.

Plain coordinates; a template draws them as SVG. All lanes share one axis of time, so that a bar that begins where a
document changed shows which change brought it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from tosmon.archive import ChangeMark, VersionMark
from tosmon.judge.profile import ASPECTS, Held, answer, aspect_named, permission, tone
from tosmon.model import ChangeState, Direction, Stance, TermsKey
from tosmon.publish.words import day
from tosmon.web.pictures import foremost

_TOLD = (ChangeState.TOLD, ChangeState.WITHDRAWN, ChangeState.HISTORIC)
WIDE, NARROW = 960, 350
_EDGE = 10
_HEAD, _CLAIM, _BAR, _DOCUMENT, _LINE = 26, 44, 15, 92, 40
_LETTER = 7.5
_SHOWN = tuple(aspect.key for aspect in ASPECTS if not aspect.is_attribute)


_Run = tuple[Held, datetime, datetime | None]


@dataclass(frozen=True, slots=True)
class Bar:
    """A stance from a time to a time. `label` is what can be written into it."""

    x: float
    width: float
    y: float
    held: Held
    tone: Direction
    label: str
    words: str


@dataclass(frozen=True, slots=True)
class Claims:
    """The lane of one question: the bars of all documents, in as many rows as stand at once."""

    name: str
    y: float
    height: float
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    x: float
    change: ChangeMark
    direction: Direction | None


@dataclass(frozen=True, slots=True)
class Document:
    """The lane of one document: `size` is a path of how many words it had, `ticks` one stroke for each version."""

    key: TermsKey
    y: float
    base: float
    size: str
    ticks: str
    versions: int
    fewest: int
    most: int
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class Lanes:
    width: int
    height: float
    bar: int
    first: datetime
    years: tuple[tuple[float, int], ...]
    claims: tuple[Claims, ...]
    documents: tuple[Document, ...]


def lanes(
    runs: Sequence[_Run],
    documents: Sequence[tuple[TermsKey, Sequence[VersionMark], Sequence[ChangeMark]]],
    now: datetime,
    width: int = WIDE,
) -> Lanes | None:
    """The picture of a platform; `None` while none of its documents has a version. A phone shows it `NARROW`."""
    runs = _opted_out(runs)
    read = [one for one in documents if one[1]]
    if not read:
        return None
    first = min(versions[0].at for _, versions, _ in read)
    length = max((now - first).total_seconds(), 1.0)

    def across(at: datetime) -> float:
        part = (at - first).total_seconds() / length
        return round(_EDGE + (width - 2 * _EDGE) * min(max(part, 0.0), 1.0), 1)

    y: float = _HEAD
    claims = []
    for aspect in (*_SHOWN, *sorted({held.aspect for held, _, _ in runs} - {one.key for one in ASPECTS})):
        mine = [run for run in runs if run[0].aspect == aspect]
        if mine:
            claims.append(_claims(aspect, mine, y, across, now))
            y += claims[-1].height
    stories = []
    for key, versions, changes in read:
        stories.append(_document(key, versions, changes, y, across, width))
        y += _DOCUMENT
    years = tuple(
        (across(first.replace(year=year, month=1, day=1, hour=0, minute=0, second=0, microsecond=0)), year)
        for year in range(first.year + 1, now.year + 1)
    )
    return Lanes(width, y + 4, _BAR, first, years, tuple(claims), tuple(stories))


def _opted_out(runs: Sequence[_Run]) -> list[_Run]:
    """While a document offers an opt-out, that holds for whatever else it may do: its plain permission shows around it."""
    offers: dict[tuple[TermsKey, str], list[tuple[datetime, datetime | None]]] = {}
    for held, since, until in runs:
        if held.stance is Stance.MAY_UNLESS_OPT_OUT:
            offers.setdefault((held.key, held.aspect), []).append((since, until))
    shown: list[_Run] = []
    for held, since, until in runs:
        start: datetime | None = since
        if held.stance is Stance.MAY:
            for begun, ended in sorted(offers.get((held.key, held.aspect), []), key=lambda one: one[0]):
                if start is None or (until is not None and begun >= until) or (ended is not None and ended <= start):
                    continue
                if begun > start:
                    shown.append((held, start, begun))
                start = ended
        if start is not None and (until is None or start < until or start == since):
            shown.append((held, start, until))
    return shown


def _claims(
    aspect: str,
    runs: Sequence[_Run],
    y: float,
    across: Callable[[datetime], float],
    now: datetime,
) -> Claims:
    """What allows the platform most lies on top; stances that stand at once lie below each other."""
    rows: list[list[Bar]] = []
    for held, since, until in sorted(runs, key=lambda run: (permission(aspect, run[0].stance), run[1])):
        x, end = across(since), across(until or now)
        free = (
            number for number, bars in enumerate(rows) if all(end <= one.x or x >= one.x + one.width for one in bars)
        )
        row = next(free, len(rows))
        if row == len(rows):
            rows.append([])
        rows[row].append(_bar(held, since, until, x, end, y + 20 + row * (_BAR + 3)))
    height = _CLAIM + (len(rows) - 1) * (_BAR + 3)
    return Claims(aspect_named(aspect).name, y, height, tuple(bar for bars in rows for bar in bars))


def _bar(held: Held, since: datetime, until: datetime | None, x: float, end: float, y: float) -> Bar:
    said = answer(held.aspect, held.stance)
    words = f"{said}: {held.key.type}, {'since' if until is None else 'from'} {day(since)}"
    words += f" until {day(until)}" if until is not None else ""
    words += " (the first text we have)" if held.from_first else ""
    width = max(round(end - x, 1), 3.0)
    label = next((one for one in (f"{said} · {held.key.type}", said) if width > _LETTER * len(one) + 10), "")
    return Bar(x, width, y, held, tone(held.aspect, held.stance), label, words)


def _document(
    key: TermsKey,
    versions: Sequence[VersionMark],
    changes: Sequence[ChangeMark],
    y: float,
    across: Callable[[datetime], float],
    width: int,
) -> Document:
    base = y + 24 + _LINE
    most = max(version.words for version in versions)

    def up(words: int) -> float:
        return round(base - _LINE * words / max(most, 1), 1)

    steps = [f"M{across(versions[0].at)} {up(versions[0].words)}"]
    steps += [f"H{across(version.at)}V{up(version.words)}" for version in versions[1:]]
    steps.append(f"H{width - _EDGE}")
    strokes = dict.fromkeys(across(version.at) for version in versions)
    return Document(
        key,
        y,
        base,
        "".join(steps),
        "".join(f"M{x} {base}v5" for x in strokes),
        len(versions),
        min(version.words for version in versions),
        most,
        tuple(Mark(across(one.at), one, foremost(one.directions)) for one in changes if one.state in _TOLD),
    )
