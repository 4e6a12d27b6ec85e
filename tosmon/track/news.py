"""What a new text is: compared with the nearest text that people know, judged, decided upon.

Reads the archive's memory of a document (what stood, what people were told), writes nothing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from rapidfuzz import process
from rapidfuzz.distance import Indel

from tosmon import extract
from tosmon.archive import VersionRow
from tosmon.archive.packing import digest
from tosmon.clauses import canonical, canonical_digest, split, words
from tosmon.compare import compare
from tosmon.compare.substance import substance
from tosmon.errors import ArchiveError, ExtractionError
from tosmon.gates import Decision, decide
from tosmon.gates.volatile import Part, masked
from tosmon.judge import Rules
from tosmon.language import guess_language
from tosmon.model import (
    Clause,
    ClauseChange,
    Comparison,
    Form,
    Judgement,
    Reading,
    Response,
    Severity,
    Terms,
    Version,
)
from tosmon.track.memory import Memory, Remembered, Volatile
from tosmon.track.telling import judged
from tosmon.track.world import World


def make_version(reading: Reading, terms: Terms, at: datetime, *, technical: bool = False) -> Version:
    """The version that a reading makes, not stored yet."""
    clauses = split(reading.text)
    return Version(
        clauses,
        at,
        hashlib.sha256(reading.text.encode("utf-8", "surrogatepass")).digest(),
        canonical_digest(clauses),
        sum(len(words(clause.text)) for clause in clauses),
        technical,
        reading.form,
        extractor_of(terms),
        reading.language or guess_language(reading.text),
    )


def extractor_of(terms: Terms) -> str:
    """How the text was had: the extractor's version and the declared selectors. Another one means: read anew first."""
    declared = hashlib.sha256(repr((terms.form, terms.earlier_forms)).encode()).hexdigest()[:12]
    return f"{extract.EXTRACTOR}/{declared}"


@dataclass(frozen=True, slots=True)
class News:
    """A new text, compared with the nearest known one, judged and decided upon.

    `before_id` is the version it was compared with, `None` for the technical one. `undone` is the told change that it
    takes back, `learnt` are the parts of the document that were found to change by themselves.
    """

    before_id: int | None
    comparison: Comparison
    judgement: Judgement
    decision: Decision
    undone: int | None
    learnt: tuple[Part, ...] = ()


def news_of(
    version: Version,
    terms: Terms,
    memory: Memory,
    rules: Rules,
    at: datetime,
    *,
    technical: Version | None = None,
    confirm: bool,
    volatile: Callable[[], Volatile] = Volatile,
) -> News:
    """What a text is that differs in its words from the latest one."""
    known_since = memory.known_since(version.canonical_digest)
    undone = memory.undone(version.canonical_digest) if known_since is not None else None
    if technical is not None:
        before_id, comparison = None, compare(technical.clauses, version.clauses)
    else:
        before_id, comparison = _nearest(version, memory)
    if known_since is None:
        judgement = judged(comparison, terms, rules, at)
        same = _same_in_substance(version, memory, before_id) if judgement.substantive and not technical else None
        if same is not None:
            known_since, undone = same.at, memory.undone(same.canonical_digest)
    else:
        headline = f"{terms.service_name} {terms.key.type}: an earlier text again"
        judgement = Judgement(False, "a known text", Severity.LOW, headline)
    recombined = judgement.substantive and (
        _is_recombined(comparison, judgement.telling, memory.clauses_before())
        or _is_around(version, comparison, judgement)
    )
    in_force = judgement.substantive and _is_in_force(comparison, judgement, memory, at)
    moving = volatile() if judgement.substantive else Volatile()
    hidden = masked(comparison, judgement, moving.parts)
    told = tuple(change for change in judgement.telling if change not in hidden)
    decision = decide(
        judgement,
        known_since=known_since,
        recombined=recombined,
        in_force=in_force,
        confirm=confirm,
        volatile=bool(hidden) and not told,
    )
    return News(before_id, comparison, replace(judgement, telling=told), decision, undone, moving.learnt)


def _same_in_substance(version: Version, memory: Memory, compared_id: int | None) -> Remembered | None:
    """A recent text from which the new one differs in nothing that people would be told: it is that text again.

    The nearest text by letters need not be the one: a variant comes back with another menu around it. But most of it must
    be the same: of a text in another language, too, nobody would be told.
    """
    letters = sum(len(clause.text) for clause in version.clauses)
    for known in memory.recent():
        if known.version_id == compared_id or _distance(known, version) > letters * _VARIANT:
            continue
        if not substance(compare(known.clauses, version.clauses)).told:
            return known
    return None


_VARIANT = 0.4  # of the letters of a text: so much may stand on one side only


def _nearest(version: Version, memory: Memory) -> tuple[int, Comparison]:
    """The recent text that differs least, by letters of clauses that only one has: platforms serve variants in turn."""
    nearest = min(memory.recent(), key=lambda known: _distance(known, version))
    return nearest.version_id, compare(nearest.clauses, version.clauses)


def _distance(known: Remembered, version: Version) -> int:
    """The letters of the clauses that only one of two texts has."""
    texts = {clause.text for clause in version.clauses}
    return sum(map(len, texts.symmetric_difference(clause.text for clause in known.clauses)))


_MOST_AROUND = 8  # words of a clause that is no sentence
_SENTENCE_END = re.compile(r"[^.…][.:;]\s*$")  # three dots end a slogan


def _is_around(version: Version, comparison: Comparison, judgement: Judgement) -> bool:
    """Whether a page that is read without selectors changed only around the terms: short lines that end no sentence."""
    if version.form != extract.WITHOUT_SELECTORS or judgement.flags or judgement.date_only:
        return False
    texts = []
    for change in judgement.telling:
        texts += [comparison.before[change.before].text] if change.before is not None else []
        texts += [comparison.after[change.after].text] if change.after is not None else []
    return all(len(text.split()) <= _MOST_AROUND and _SENTENCE_END.search(text) is None for text in texts)


def _is_recombined(
    comparison: Comparison, telling: Sequence[ClauseChange], versions: Sequence[frozenset[bytes]]
) -> bool:
    """Whether all that came stood here before, and all that went had been gone before: no word of it is news."""
    stood: set[bytes] = set()
    left: set[bytes] = set()
    for clauses in versions:
        left |= stood - clauses
        stood |= clauses
    for change in telling:
        if change.after is not None and known_by(comparison.after[change.after]) not in stood:
            return False
        if change.before is not None and known_by(comparison.before[change.before]) not in left:
            return False
    return True


_DAYS_AROUND = timedelta(days=7)  # platforms take the old text down some days after the announced one, or before
_LIKE_ITS_SUCCESSOR = 0.5  # share of words, as for reworded clauses
_MOST_WITHOUT_SUCCESSOR = 0.1  # of the removed words: the announcement itself, and a clause rewritten whole


def _is_in_force(comparison: Comparison, judgement: Judgement, memory: Memory, at: datetime) -> bool:
    """Whether announced terms took the place of those that stood beside them: nothing came, and all that went has a
    successor in what stays. What went without one was never told, so it is news.
    """
    if any(change.after is not None for change in judgement.telling):
        return False
    gone = [comparison.before[change.before] for change in judgement.telling if change.before is not None]
    if not memory.announced_for((at - _DAYS_AROUND).date(), (at + _DAYS_AROUND).date()):
        return False
    stays = [words(clause.text) for clause in comparison.after]
    total = lost = 0
    for clause in gone:
        mine = words(clause.text)
        total += len(mine)
        best = process.extractOne(mine, stays, scorer=Indel.normalized_similarity, score_cutoff=_LIKE_ITS_SUCCESSOR)
        lost += 0 if best else len(mine)
    return lost <= total * _MOST_WITHOUT_SUCCESSOR


def by_one_form(
    latest: VersionRow, responses: Sequence[Response], reading: Reading, terms: Terms, world: World, at: datetime
) -> tuple[Reading, Version | None]:
    """Keep apart what the platform changed and what we read differently, when selectors, form or extractor changed.

    Returns the reading to compare with, and the technical version to record before it (`None` where nothing is ours).
    First the latest snapshot is read as the new page was: the difference to the latest version is technical. Where today's
    selectors do not fit that snapshot (the page was rebuilt), the new page is read as the old one was: if the words are
    the latest ones, the new reading is the technical version; if not, the old way of reading is kept for this change.
    """
    if latest.extractor == extractor_of(terms) and latest.form == reading.form:
        return reading, None
    anew = _latest_read_anew(latest, reading, terms, world, at)
    if anew is not None:
        return reading, None if anew.digest == latest.digest else anew
    if latest.form == reading.form:
        return reading, None
    former = _read_by(extract.form_named(terms, latest.form), responses, terms, at)
    if former is None:
        return reading, None
    by_former = make_version(replace(former, form=latest.form), terms, at)
    if by_former.canonical_digest == latest.canonical_digest:
        return reading, replace(make_version(reading, terms, at), technical=True)
    if by_former.words >= latest.words * _WHOLE:
        return replace(former, form=latest.form), None
    return reading, None


_WHOLE = 0.5  # of the words of the latest version: below, the former way of reading does not fit the page any more


def _latest_read_anew(latest: VersionRow, reading: Reading, terms: Terms, world: World, at: datetime) -> Version | None:
    """The latest version's snapshot, read by the form of the new reading; `None` if it does not fit or is gone."""
    evidence = world.archive.browse.evidence(latest.id)
    if not evidence:
        return None
    try:
        responses = world.snapshots.read(evidence[0]["path"])
    except ArchiveError:
        return None
    anew = _read_by(extract.form_named(terms, reading.form), responses, terms, at)
    if anew is None:
        return None
    version = make_version(replace(anew, form=reading.form), terms, latest.at, technical=True)
    return version if version.words >= latest.words * _WHOLE else None


def _read_by(form: Form, responses: Sequence[Response], terms: Terms, at: datetime) -> Reading | None:
    """What one form makes of the responses; `None` when it finds nothing."""
    try:
        alone = replace(terms, form=replace(form, valid_until=None), earlier_forms=())
        reading = extract.read(responses, alone, at)
    except ExtractionError:
        return None
    fits = bool(form.sources[0].select) == (reading.form != extract.WITHOUT_SELECTORS)
    return reading if reading.text.strip() and fits else None


def known_by(clause: Clause) -> bytes:
    """The canonical digest by which the archive knows a clause."""
    return digest(canonical(clause.text))
