"""Pinned sentences: tell whoever pinned one that it changed, or that it is gone.

A pin hears of what people are told and of nothing else: a change that waits for its second look, a variant or a page
that could not be read takes no sentence away. Words decide, not how they are set.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rapidfuzz import fuzz, process

from tosmon import publish
from tosmon.archive import Archive, ChangeRow, Envelope, Pin, Telling
from tosmon.clauses import canonical, heading_paths, plain, words
from tosmon.compare import compare
from tosmon.errors import ArchiveError
from tosmon.model import (
    MAIL,
    Addressee,
    Alert,
    AlertKind,
    Clause,
    ClauseChangeKind,
    Comparison,
    Edit,
    EditKind,
    Passage,
    Severity,
    SubscriberState,
    TermsKey,
)
from tosmon.publish.text import line
from tosmon.track.alerts import marked
from tosmon.track.telling import recorded_change
from tosmon.track.world import World

FEWEST_WORDS = 4
"""A pin of fewer words would stand in half of all clauses."""

_LONGEST = 2000
_STILL_THERE = 60  # of 100: how much of a sentence must be left in its clause to say that it changed, not that it went


def pin(archive: Archive, key: TermsKey, sentence: str, recipient: str, now: datetime) -> Pin:
    """Pin a sentence of the latest version of a document for a mail address (or, without one, for the operator).

    Raises ArchiveError when there is no such document, or no clause of it holds these words in this order.
    """
    standing = archive.standing(key)
    if standing is None or standing.latest is None:
        raise ArchiveError(f"{key}: no text is archived yet; see: tosmon list")
    text = line(plain(sentence[: _LONGEST * 2]), _LONGEST)
    if len(words(text)) < FEWEST_WORDS:
        raise ArchiveError(f"pin a whole sentence, of {FEWEST_WORDS} words at least")
    clauses = archive.browse.clauses(standing.latest.id)
    if holder(clauses, text) is None:
        raise ArchiveError(f"{key} has no such sentence now; the nearest is: {_nearest(clauses, text)}")
    return archive.pins.add(standing.terms_id, standing.latest.id, text, recipient, now)


def holder(clauses: Sequence[Clause], sentence: str) -> int | None:
    """The first clause that holds the words of a sentence, one after the other; `None` when none does."""
    wanted = words(sentence)
    compact = canonical(sentence)
    for number, clause in enumerate(clauses):
        # A look at the canonical text first: it is remembered, and nearly always says no.
        if compact in canonical(clause.text) and _holds(words(clause.text), wanted):
            return number
    return None


def _holds(text: list[str], wanted: list[str]) -> bool:
    length = len(wanted)
    return any(text[start : start + length] == wanted for start in range(len(text) - length + 1))


def _nearest(clauses: Sequence[Clause], sentence: str) -> str:
    texts = [plain(clause.text) for clause in clauses if clause.text.strip()]
    found = process.extractOne(sentence, texts, scorer=fuzz.partial_ratio)
    return f"“{line(found[0], 200)}”" if found else "nothing"


def tell_of_pins(world: World, everyone: Sequence[Addressee] = ()) -> list[Alert]:
    """Tell of pinned sentences that told changes took away; each once. `everyone` gets the operator's pins."""
    told: list[Alert] = []
    for one, change_ids in world.archive.pins.to_look_through():
        changes = (recorded_change(world, change_id) for change_id in change_ids)
        gone = next((change for change in changes if _took(one, change, world)), None)
        if gone is not None:
            alert = world.archive.tell(gone, _telling(one, gone, world, everyone), world.clock())
            told += [alert] if alert is not None else []
        # After the alert: who dies in between finds that it exists and tells nobody twice.
        world.archive.pins.looked_through(one.id, len(change_ids), gone.id if gone else None)
    return told


def _took(one: Pin, change: ChangeRow, world: World) -> bool:
    browse = world.archive.browse
    return (
        holder(browse.clauses(change.after_id), one.sentence) is None
        and holder(browse.clauses(change.before_id), one.sentence) is not None
    )


def _telling(one: Pin, change: ChangeRow, world: World, everyone: Sequence[Addressee]) -> Telling:
    browse, identity = world.archive.browse, world.identity
    comparison = compare(browse.clauses(change.before_id), browse.clauses(change.after_id))
    passage, changed = _passage(one.sentence, comparison)
    document = browse.document(one.key)
    evidence = tuple(sha for kept in browse.evidence(change.after_id) for sha in kept["body_sha256"])

    def tell(change_id: int, version_id: int) -> tuple[Alert, list[Envelope], list[str]]:
        uid = f"{publish.alert_uid(identity.authority, identity.started, change_id, AlertKind.CHANGE)}/pin/{one.id}"
        alert = Alert(
            uid=uid,
            kind=AlertKind.CHANGE,
            at=change.at,
            service=one.key.service,
            service_name=one.service_name,
            type=one.key.type,
            url=document.url if document else "",
            headline=f"{one.service_name} {one.key.type}: a pinned sentence {'changed' if changed else 'disappeared'}",
            severity=Severity.HIGH if change.severity is Severity.HIGH else Severity.MEDIUM,
            summary=f"Pinned on {one.created_at:%Y-%m-%d}: “{one.sentence}”",
            effective_date=change.effective_date,
            passages=(passage,),
            change_id=change_id,
            version_id=version_id,
            evidence=evidence,
            silent=change.silent,
        )
        to = [Addressee(MAIL, one.recipient)] if one.recipient else list(everyone)
        envelopes = [
            Envelope(each, publish.message_id(identity.authority, uid, each.recipient))
            for each in to
            if _is_told(each, world)
        ]
        return alert, envelopes, [publish.PINS.path] if not one.recipient else []

    return tell


def _is_told(to: Addressee, world: World) -> bool:
    """Whether nobody asked that this address be left alone."""
    subscriber = world.archive.subscribers.by_address(to.recipient) if to.channel == MAIL else None
    silent = (SubscriberState.LEFT, SubscriberState.SUSPENDED)
    return subscriber is None or not (subscriber.paused or subscriber.state in silent)


def _passage(sentence: str, comparison: Comparison) -> tuple[Passage, bool]:
    """The clause that held the sentence with what became of it, and whether something of the sentence is left."""
    number = holder(comparison.before, sentence)
    assert number is not None
    headings = heading_paths(comparison.before)[number]
    change = next((one for one in comparison.changes if one.before == number), None)
    if change is None or change.after is None:
        gone = (Edit(EditKind.REMOVED, plain(comparison.before[number].text)[:_LONGEST]),)
        return Passage(ClauseChangeKind.REMOVED, gone, headings), False
    after = comparison.after[change.after].text
    left = fuzz.partial_ratio(canonical(sentence), canonical(after)) >= _STILL_THERE
    return Passage(change.kind, marked(change, comparison, _LONGEST), headings, change.after), left
