"""Compose the alert for a change: everything people are shown, in one immutable value.

Feeds, mails and hooks are rendered from it and from nothing else, so it carries the marked words themselves. Long
changes are cut here, once: the passages behind a flag come first, the archive's page has the rest.
"""

from __future__ import annotations

from datetime import date, datetime

from tosmon.clauses import heading_paths, plain
from tosmon.compare import edits
from tosmon.model import (
    Alert,
    AlertKind,
    Clause,
    ClauseChange,
    ClauseChangeKind,
    Comparison,
    Edit,
    EditKind,
    Judgement,
    Passage,
    Terms,
)

_MOST_PASSAGES = 12
_MOST_LETTERS = 9_000  # of all passages together; a mail of that size still opens everywhere
_SHOWN = (ClauseChangeKind.ADDED, ClauseChangeKind.REMOVED, ClauseChangeKind.MODIFIED)


def compose(
    kind: AlertKind,
    uid: str,
    terms: Terms,
    comparison: Comparison,
    judgement: Judgement,
    *,
    at: datetime,
    change_id: int,
    version_id: int,
    evidence: tuple[str, ...] = (),
    corrects: str | None = None,
    headline: str | None = None,
    seen_at: datetime | None = None,
    stands_since: datetime | None = None,
) -> Alert:
    """The alert of that kind; `headline` replaces the judgement's (for reminders and withdrawals)."""
    passages, left_out = shown_passages(comparison, judgement)
    return Alert(
        uid=uid,
        kind=kind,
        at=at,
        service=terms.key.service,
        service_name=terms.service_name,
        type=terms.key.type,
        url=terms.url,
        headline=headline or judgement.headline,
        severity=judgement.severity,
        summary=judgement.summary,
        effective_date=judgement.effective_date,
        flags=judgement.flags,
        passages=passages,
        passages_left_out=left_out,
        tags=terms.tags,
        change_id=change_id,
        version_id=version_id,
        evidence=evidence,
        corrects=corrects,
        silent=judgement.silent,
        seen_at=seen_at,
        stands_since=stands_since,
    )


def shown_passages(comparison: Comparison, judgement: Judgement) -> tuple[tuple[Passage, ...], int]:
    """The passages to show, in reading order, and how many changed clauses were left out for length."""
    changes = [change for change in comparison.changes if change.kind in _SHOWN and _has_words(change, comparison)]
    flagged_before = {quote.clause for flag in judgement.flags for quote in flag.before}
    flagged_after = {quote.clause for flag in judgement.flags for quote in flag.after}

    telling = set(judgement.telling)

    def rank(numbered: tuple[int, ClauseChange]) -> tuple[bool, bool, int]:
        number, change = numbered
        flagged = change.before in flagged_before or change.after in flagged_after
        return not flagged, change not in telling, number

    paths_before, paths_after = heading_paths(comparison.before), heading_paths(comparison.after)
    chosen: list[tuple[int, Passage]] = []
    letters = 0
    for number, change in sorted(enumerate(changes), key=rank):
        if len(chosen) == _MOST_PASSAGES or letters > _MOST_LETTERS:
            break
        headings = paths_after[change.after] if change.after is not None else paths_before[change.before or 0]
        passage = Passage(change.kind, marked(change, comparison, _MOST_LETTERS - letters), headings, change.after)
        letters += sum(len(edit.text) for edit in passage.edits)
        chosen.append((number, passage))
    return tuple(passage for _, passage in sorted(chosen, key=lambda pair: pair[0])), len(changes) - len(chosen)


def marked(change: ClauseChange, comparison: Comparison, most_letters: int | None = None) -> tuple[Edit, ...]:
    """A changed clause as readable runs of words, long unchanged or new stretches cut when `most_letters` is given."""
    before = _text(comparison.before, change.before)
    after = _text(comparison.after, change.after)
    if change.before is None:
        runs: tuple[Edit, ...] = (Edit(EditKind.ADDED, after),)
    elif change.after is None:
        runs = (Edit(EditKind.REMOVED, before),)
    else:
        runs = edits(before, after)
    return runs if most_letters is None else _cut(runs, max(most_letters, 400))


def _cut(runs: tuple[Edit, ...], most_letters: int) -> tuple[Edit, ...]:
    kept: list[Edit] = []
    for number, run in enumerate(runs):
        text = run.text
        if run.kind is EditKind.SAME and len(text) > 320:
            head = "" if number == 0 else text[:140].rsplit(" ", 1)[0]
            tail = "" if number == len(runs) - 1 else text[-140:].split(" ", 1)[-1]
            text = f"{head} … {tail}".strip() if head and tail else f"{head} …" if head else f"… {tail}"
        if len(text) > most_letters:
            kept.append(Edit(run.kind, text[:most_letters].rsplit(" ", 1)[0] + " …"))
            break
        most_letters -= len(text)
        kept.append(Edit(run.kind, text))
    return tuple(kept)


def _text(clauses: tuple[Clause, ...], number: int | None) -> str:
    return "" if number is None else plain(clauses[number].text)


def _has_words(change: ClauseChange, comparison: Comparison) -> bool:
    return bool(_text(comparison.before, change.before) or _text(comparison.after, change.after))


def reminder_headline(headline: str, effective_date: date) -> str:
    known = f"; from {effective_date.day} {effective_date:%b %Y}"
    return f"Now in force ({effective_date:%-d %B %Y}): {headline.removesuffix(known)}"


def restored_headline(headline: str) -> str:
    return f"In force again: {headline}"


def unconfirmed_headline(headline: str) -> str:
    return f"Not confirmed by a second look: {headline}"


def noise_headline(headline: str) -> str:
    return f"No change of the terms after all: {headline}"


def released_headline(headline: str) -> str:
    return f"A change of the terms after all: {headline}"


def withdrawn_headline(headline: str) -> str:
    return f"Taken back: {headline}"
