"""What the operator does: release what was held back, call an alert noise, pause, see what to declare otherwise.

Each action can be repeated without doing it twice, and each says what it did. Sends nothing: what it writes to the
archive is delivered like all else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tosmon.archive import Archive, ChangeRow, Snapshots, VolatilePart
from tosmon.clauses import plain
from tosmon.compare import compare
from tosmon.errors import ArchiveError, TosmonError
from tosmon.extract.removal import removal_selector
from tosmon.gates.variants import Seen, Variant, told_apart_by, variants
from tosmon.gates.volatile import Part, marked_parts, place
from tosmon.language import guess_language
from tosmon.model import Alert, AlertKind, ChangeState, Clause, Form, SourceDocument, Terms, TermsKey, Verdict
from tosmon.track.alerts import noise_headline, released_headline
from tosmon.track.telling import judged, telling
from tosmon.track.world import World

__all__ = ["Decided", "Moving", "NotPossible", "Turning", "mark_as_noise", "moving_parts", "release", "turning_texts"]


class NotPossible(TosmonError):
    """The change is not in a state in which that can be done; the message says in which, and what can be done."""


@dataclass(frozen=True, slots=True)
class Decided:
    """What came of a decision: the change as it stands now, and the alert that people get, if any.

    `done` is false when it had been decided before. `parts` are those that nobody is told of from now on.
    """

    change: ChangeRow
    done: bool
    alert: Alert | None = None
    parts: tuple[Part, ...] = ()


# --- one change ------------------------------------------------------------------------------------------------------


def release(change_id: int, declared: Mapping[TermsKey, Terms], world: World) -> Decided:
    """Tell people of a change that was held back. Raises NotPossible."""
    change = _change(world.archive, change_id)
    if change.state is ChangeState.TOLD:
        return Decided(change, False)
    if change.state is not ChangeState.SUPPRESSED:
        raise NotPossible(f"change {change_id} cannot be released: {_WHY_NOT[change.state]}")
    now = world.clock()
    before = world.archive.browse.alerts_of(change_id)
    terms = _terms(change, declared)
    if before:  # people were told, then that it was noise
        headline = released_headline(change.headline)
        tell = telling(change, terms, world, AlertKind.CORRECTION, now, headline, turn=len(before))
    else:
        tell = telling(change, terms, world)
    reason = f"released by the operator on {now:%Y-%m-%d}; held back at first: {change.reason}"
    alert = world.archive.operating.release(change_id, reason, tell, now)
    return Decided(_change(world.archive, change_id), alert is not None, alert)


def mark_as_noise(change_id: int, declared: Mapping[TermsKey, Terms], world: World) -> Decided:
    """Take back an alert (or hold back a change that waits): those who were told get a correction. Raises NotPossible.

    The parts of the document in which the change stands are masked from now on, unless they are most of it.
    """
    change = _change(world.archive, change_id)
    if change.state is ChangeState.SUPPRESSED:
        return Decided(change, False)
    if change.state not in (ChangeState.TOLD, ChangeState.PENDING, ChangeState.WITHDRAWN):
        raise NotPossible(f"change {change_id} cannot be called noise: {_WHY_NOT[change.state]}")
    now = world.clock()
    browse, terms = world.archive.browse, _terms(change, declared)
    comparison = compare(browse.clauses(change.before_id), browse.clauses(change.after_id))
    parts = marked_parts(comparison, judged(comparison, terms, world.rules, change.at).telling)
    headline = noise_headline(change.headline)
    turn = len(browse.alerts_of(change_id))
    correction = telling(change, terms, world, AlertKind.CORRECTION, now, headline, turn=turn)
    reason = f"called noise by the operator on {now:%Y-%m-%d}"
    done, alert = world.archive.operating.mark_as_noise(change_id, reason, parts, correction, now)
    return Decided(_change(world.archive, change_id), done, alert, parts if done else ())


_WHY_NOT = {
    ChangeState.PENDING: "it waits for its second look, which comes within minutes; look at once with: tosmon check",
    ChangeState.GONE: "it was no longer there at the second look, so that nobody was told of it",
    ChangeState.WITHDRAWN: "people were told of it, and that the platform took it back",
    ChangeState.HISTORIC: "it is from an imported history, of which nobody is told",
}


def _change(archive: Archive, change_id: int) -> ChangeRow:
    change = archive.browse.change(change_id)
    if change is None:
        raise NotPossible(f"there is no change {change_id}; see: tosmon changes --all")
    return change


def _terms(change: ChangeRow, declared: Mapping[TermsKey, Terms]) -> Terms:
    """The document as it is declared, or, when it is no longer, as the archive knows it."""
    return declared.get(change.key) or Terms(change.key, change.service_name, Form((SourceDocument(change.url),)))


# --- what to declare otherwise -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Moving:
    """A part of a document that changes by itself; `selector` is what to `remove`, when its last snapshot shows one."""

    found: VolatilePart
    selector: str | None


def moving_parts(archive: Archive, snapshots: Snapshots, key: TermsKey | None = None) -> list[Moving]:
    """The parts that change by themselves, of one document or of all, each with the selector to propose."""
    return [Moving(found, _selector(archive, snapshots, found)) for found in archive.operating.volatile(key)]


def _selector(archive: Archive, snapshots: Snapshots, found: VolatilePart) -> str | None:
    standing = archive.standing(found.key)
    if standing is None or standing.latest is None:
        return None
    clauses = archive.browse.clauses(standing.latest.id)
    here = place(clauses, found.part)
    evidence = archive.browse.evidence(standing.latest.id)
    if here is None or not evidence:
        return None
    try:
        responses = snapshots.read(evidence[0]["path"])
    except ArchiveError:
        return None
    start, end = here
    inside, around = _plain(clauses[start:end]), _plain([*clauses[max(0, start - 1) : start], *clauses[end : end + 1]])
    return next((name for one in responses if (name := removal_selector(one, inside, around))), None)


def _plain(clauses: Sequence[Clause]) -> list[str]:
    return [plain(clause.text) for clause in clauses]


@dataclass(frozen=True, slots=True)
class Turning:
    """Texts that one document shows in turn, and what tells them apart: "language", "address" or "region or test".

    `strays` is how often it came in another language for too short a time to be believed, `detail` what the last of these
    was.
    """

    key: TermsKey
    by: str
    variants: tuple[Variant, ...]
    strays: int = 0
    detail: str = ""


_LOOK_BACK = timedelta(days=90)
_STRAYS = 2  # once is a mistake of theirs


def turning_texts(archive: Archive, now: datetime, keys: Sequence[TermsKey]) -> list[Turning]:
    """The documents that showed several texts in turn during the last three months."""
    since = now - _LOOK_BACK
    strays: dict[TermsKey, list[str]] = defaultdict(list)
    for incident in archive.browse.incidents(open_only=False, limit=_MOST_INCIDENTS):
        if incident.verdict is Verdict.WRONG_LANGUAGE and incident.last_at >= since:
            strays[incident.key].append(incident.detail)
    found = []
    for key in keys:
        rows = [row for row in archive.browse.versions(key, newest_first=False) if row.at >= since]
        seen = [
            Seen(row.id, row.at, row.canonical_digest, row.language, row.words)
            for row in rows
            if not row.technical and not row.source
        ]
        served = tuple(Variant(one.turns, _looked_up(archive, one.last)) for one in variants(seen))
        details = strays[key]
        if served or len(details) >= _STRAYS:
            by = "language" if details and not served else told_apart_by(served)
            found.append(Turning(key, by, served, len(details), details[0] if details else ""))
    return found


_MOST_INCIDENTS = 10_000


def _looked_up(archive: Archive, seen: Seen) -> Seen:
    """With where it came from, and the language it is in: what a page declares is often the same for all of them."""
    urls = tuple(url for kept in archive.browse.evidence(seen.version_id) for url in kept["urls"])
    text = "\n".join(clause.text for clause in archive.browse.clauses(seen.version_id))
    return replace(seen, language=guess_language(text) or seen.language, urls=urls)
