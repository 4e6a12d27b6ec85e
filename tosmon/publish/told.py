"""What people are told of an alert, in the order they read it, before it is put in any format.

Feed entries and mails show the same: from when it applies, which way each flag goes with the words it rests on, then
the other words that changed, under their headings. Rendered from the alert alone; says nothing that is not in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from tosmon.clauses import plain
from tosmon.model import (
    Alert,
    AlertKind,
    ClauseChangeKind,
    Direction,
    Edit,
    EditKind,
    Flag,
    Passage,
    Quote,
    Severity,
    TermsKey,
)
from tosmon.publish import links
from tosmon.publish.feeds import FeedSettings
from tosmon.publish.marks import Run, quoted_only, shortened, side_runs, side_text
from tosmon.publish.text import line, visible, web_address
from tosmon.publish.words import DIRECTION, KIND, SEVERITY, applies, day, moment, topic_name


@dataclass(frozen=True, slots=True)
class Room:
    """How much is shown; what is left out is counted and one link away."""

    flags: int = 12
    passages: int = 20
    characters: int = 12_000
    around: int = 160
    longest: int = 1200


@dataclass(frozen=True, slots=True)
class Side:
    """The words before or after. `whole`: the clause came or went from end to end.

    `place` is the path of headings above them, empty where it has just been said.
    """

    label: str
    kind: EditKind
    runs: tuple[Run, ...]
    whole: bool = False
    place: str = ""


@dataclass(frozen=True, slots=True)
class ToldPassage:
    place: str
    sides: tuple[Side, ...]


@dataclass(frozen=True, slots=True)
class ToldFlag:
    direction: str
    sign: str
    direction_words: str
    topic: str
    what: str
    sides: tuple[Side, ...]


@dataclass(frozen=True, slots=True)
class Told:
    """An alert as it is shown, every text visible and short enough."""

    title: str
    headline: str
    kind_word: str
    kind_sentence: str
    severity: Severity
    severity_words: str
    service_name: str
    type: str
    applies: str
    effective_day: str
    seen: str
    summary: str
    silent: bool
    flags: tuple[ToldFlag, ...]
    passages: tuple[ToldPassage, ...]
    left_out: int
    change_url: str
    document_url: str
    source_url: str | None
    evidence: tuple[str, ...]
    corrects: str | None


def tell(alert: Alert, settings: FeedSettings, room: Room) -> Told:
    """What is shown of an alert in that much room."""
    kind_word, kind_sentence = KIND.get(alert.kind, ("", ""))
    headline = line(alert.headline) or line(f"{alert.service_name} {alert.type}: changed")
    labels = _labels(alert)
    if alert.kind is AlertKind.WITHDRAWN:
        alert = _turned(alert)
    flags = _in_one_box(_told_flag(flag, alert, labels, room) for flag in alert.flags[: room.flags])
    passages, left_out = _told_passages(alert, labels, room)
    key = TermsKey(alert.service, alert.type)
    openings = (kind_word, *_OPENINGS.get(alert.kind, ()))
    return Told(
        title=headline
        if headline.casefold().startswith(tuple(map(str.casefold, openings)))
        else f"{kind_word}: {headline}",
        headline=headline,
        kind_word=kind_word,
        kind_sentence=kind_sentence,
        severity=alert.severity,
        severity_words=SEVERITY[alert.severity],
        service_name=line(alert.service_name, 120) or line(alert.service, 120),
        type=line(alert.type, 120),
        applies=_applies(alert),
        effective_day=day(alert.effective_date) if alert.effective_date else "",
        seen=_seen(alert),
        summary=_untold_summary(alert, headline),
        silent=alert.silent,
        flags=flags,
        passages=passages,
        left_out=left_out,
        change_url=links.on(settings.site_url, links.change_path(alert.change_id)),
        document_url=links.on(settings.site_url, links.document_path(key)),
        source_url=web_address(alert.url),
        evidence=tuple(line(digest, 140) for digest in alert.evidence[:12]),
        corrects=line(alert.corrects, 300) if alert.corrects else None,
    )


_OPENINGS = {AlertKind.REMINDER: ("now in force",), AlertKind.WITHDRAWN: ("taken back",)}
"""What the headlines of a kind begin with, beside its own word."""
_LATER = {
    AlertKind.REMINDER: "reminder sent on",
    AlertKind.WITHDRAWN: "withdrawn on",
    AlertKind.CORRECTION: "corrected on",
}


def _seen(alert: Alert) -> str:
    """When the change was seen, and when what follows on it happened: a reminder sees nothing."""
    if alert.seen_at is None:
        return moment(alert.at)
    later = day((alert.stands_since or alert.at).date())
    return f"{moment(alert.seen_at)}; {_LATER.get(alert.kind, 'told again on')} {later}"


def _applies(alert: Alert) -> str:
    if alert.kind is AlertKind.WITHDRAWN:
        since = f": the earlier text stands again since {day(alert.stands_since.date())}" if alert.stands_since else ""
        return f"No longer applies{since}"
    return applies(alert.effective_date, alert.seen_at or alert.at) if alert.effective_date else ""


_FOR_YOU = re.compile(r" \([a-z]+ for you\)$")


def _untold_summary(alert: Alert, headline: str) -> str:
    """What the summary says beyond the headline and the flags, which are shown beside it."""
    summary = line(alert.summary, 1200)
    told = " ".join([headline, *(flag.what for flag in alert.flags)]).casefold()
    parts = summary.removesuffix(".").split("; ")
    left = [part for part in parts if _FOR_YOU.sub("", part).casefold() not in told]
    if len(left) == len(parts):
        return summary
    rest = "; ".join(left)
    return f"{rest[:1].upper()}{rest[1:]}." if rest else ""


# --- what is taken back -------------------------------------------------------------------------------------------

Labels = Mapping[tuple[EditKind, bool], str]
"""What a side is called: the words before or after, and whether a clause came or went from end to end."""

_OTHER = {EditKind.REMOVED: EditKind.ADDED, EditKind.ADDED: EditKind.REMOVED, EditKind.SAME: EditKind.SAME}
_OTHER_KIND = {
    ClauseChangeKind.REMOVED: ClauseChangeKind.ADDED,
    ClauseChangeKind.ADDED: ClauseChangeKind.REMOVED,
}


def _labels(alert: Alert) -> Labels:
    if alert.kind is not AlertKind.WITHDRAWN:
        return _LABELS
    announced = f"Announced {day(alert.seen_at.date())}" if alert.seen_at else "Announced"
    stands = f"Stands again since {day(alert.stands_since.date())}" if alert.stands_since else "Stands again"
    return {(kind, whole): stands if kind is EditKind.ADDED else f"{announced} (no longer applies)"
            for kind, whole in _LABELS}  # fmt: skip


def _turned(alert: Alert) -> Alert:
    """The change backwards: what it brought is gone, what it took stands again."""
    passages = tuple(
        replace(
            passage,
            kind=_OTHER_KIND.get(passage.kind, passage.kind),
            edits=tuple(Edit(_OTHER[edit.kind], edit.text) for edit in passage.edits),
        )
        for passage in alert.passages
    )
    flags = tuple(replace(flag, before=flag.after, after=flag.before) for flag in alert.flags)
    return replace(alert, passages=passages, flags=flags)


# --- flags --------------------------------------------------------------------------------------------------------

_QUOTE_LENGTH = 420
_WHOLE = {EditKind.REMOVED: ClauseChangeKind.REMOVED, EditKind.ADDED: ClauseChangeKind.ADDED}
_LABELS: Labels = {
    (EditKind.REMOVED, True): "Removed",
    (EditKind.ADDED, True): "Added",
    (EditKind.REMOVED, False): "Before",
    (EditKind.ADDED, False): "Now",
}


def _told_flag(flag: Flag, alert: Alert, labels: Labels, room: Room) -> ToldFlag:
    direction = flag.direction.value
    sign, words = DIRECTION[flag.direction]
    if alert.kind is AlertKind.WITHDRAWN:
        direction, sign, words = Direction.NEUTRAL.value, "↩", "Taken back"
    sides = [
        _quote_side(quote, kind, alert.passages, labels, room)
        for kind, quotes in _shown_quotes(flag)
        for quote in quotes
    ]
    for number in range(len(sides) - 1, 0, -1):
        if sides[number].place == sides[number - 1].place:
            sides[number] = replace(sides[number], place="")
    return ToldFlag(direction, sign, words, topic_name(flag.topic), line(flag.what, 400), tuple(sides))


def _in_one_box(flags: Iterable[ToldFlag]) -> tuple[ToldFlag, ...]:
    """Flags that say the same of the same words, on two topics, as one."""
    told: dict[tuple[object, ...], ToldFlag] = {}
    for flag in flags:
        key = (flag.direction, flag.what, flag.sides)
        told[key] = replace(told[key], topic=f"{told[key].topic} · {flag.topic}") if key in told else flag
    return tuple(told.values())


def _shown_quotes(flag: Flag) -> tuple[tuple[EditKind, Sequence[Quote]], ...]:
    """The first two of each side: more of them say the same again, as a page for each region does."""
    return (EditKind.REMOVED, flag.before[:2]), (EditKind.ADDED, flag.after[:2])


def _quote_side(quote: Quote, kind: EditKind, passages: Sequence[Passage], labels: Labels, room: Room) -> Side:
    """A quote with the marks of the passage it stands in, if the alert holds that passage."""
    words = plain(quote.text)
    home = next((passage for passage in passages if words in side_text(passage.edits, kind)), None)
    runs = quoted_only(side_runs(home.edits, kind, [words])) if home else (Run(visible(words)),)
    whole = home is not None and home.kind is _WHOLE[kind]
    short = shortened(_unquoted(runs), around=room.around // 2, longest=min(_QUOTE_LENGTH, room.longest))
    return Side(labels[kind, whole], kind, short, whole, _place(quote.headings))


def _unquoted(runs: Iterable[Run]) -> tuple[Run, ...]:
    return tuple(replace(run, quoted=False) for run in runs)


# --- passages -----------------------------------------------------------------------------------------------------

Quotes = Mapping[EditKind, Sequence[str]]
"""The plain words that flags rest on, before and after."""


def _told_passages(alert: Alert, labels: Labels, room: Room) -> tuple[tuple[ToldPassage, ...], int]:
    """The changed clauses that fit, those that flags point at first; and how many were left out."""
    quotes: dict[EditKind, list[str]] = {EditKind.REMOVED: [], EditKind.ADDED: []}
    for flag in alert.flags[: room.flags]:
        for kind, shown in _shown_quotes(flag):
            quotes[kind] += [plain(quote.text) for quote in shown]
    untold = [passage for passage in alert.passages if not _said_by_quotes(passage, quotes)]
    told: list[ToldPassage] = []
    spent = 0
    for passage in sorted(untold, key=lambda passage: not _pointed_at(passage, quotes)):
        if len(told) >= room.passages or spent >= room.characters:
            break
        told.append(_told_passage(passage, quotes, labels, room))
        spent += sum(len(run.text) for side in told[-1].sides for run in side.runs)
    return tuple(told), alert.passages_left_out + len(untold) - len(told)


def _pointed_at(passage: Passage, quotes: Quotes) -> bool:
    return any(quote in side_text(passage.edits, kind) for kind in quotes for quote in quotes[kind])


def _said_by_quotes(passage: Passage, quotes: Quotes) -> bool:
    """Flags have shown every word that went or came."""
    if not _pointed_at(passage, quotes):
        return False
    marked = [
        run
        for kind in _WHOLE
        for run in side_runs(passage.edits, kind, quotes[kind])
        if run.kind is kind and run.text.strip(" .;")
    ]
    return bool(marked) and all(run.quoted and len(run.text) <= _QUOTE_LENGTH for run in marked)


def _told_passage(passage: Passage, quotes: Quotes, labels: Labels, room: Room) -> ToldPassage:
    sides = [side for kind in _WHOLE if (side := _told_side(passage, kind, quotes[kind], labels, room))]
    if not sides:  # a clause that only moved
        moved = shortened(side_runs(passage.edits, EditKind.ADDED), around=room.around, longest=room.longest)
        sides = [Side(passage.kind.value.capitalize(), EditKind.ADDED, moved)]
    return ToldPassage(_place(passage.headings), tuple(sides))


def _told_side(passage: Passage, kind: EditKind, quotes: Sequence[str], labels: Labels, room: Room) -> Side | None:
    """One side of a changed clause; `None` when nothing went (or came), so that the other side says it all."""
    if not any(edit.kind is kind and edit.text.strip() for edit in passage.edits):
        return None
    whole = passage.kind is _WHOLE[kind]
    runs = side_runs(passage.edits, kind, quotes)
    short = shortened(runs, around=room.around, longest=room.longest)
    # Bold is for a few words in a long clause; where the quote is most of it, the flag above has shown it.
    if sum(len(run.text) for run in short if run.quoted) * 2 > sum(len(run.text) for run in short):
        short = _unquoted(short)
    return Side(labels[kind, whole], kind, short, whole)


def _place(headings: Sequence[str]) -> str:
    """Where words stand: `3. Your content › What you allow us`."""
    return " › ".join(title for heading in headings[-4:] if (title := line(plain(heading[:2000]), 100)))
