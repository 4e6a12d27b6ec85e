"""Import the history of texts that Open Terms Archive recorded: versions, compared and judged, nothing told.

Document by document, so that memory depends on the largest document and not on the history. Documents do not depend on
each other, so several processes can each take the next one; a document is written in one transaction for every few
hundred versions, so a killed import goes on where it stopped, and the next pull brings only what is new. Where a commit
bears an earlier date than the one before it, the order of recording counts and the date is marked as uncertain.
"""

from __future__ import annotations

import hashlib
import logging
import random
import re
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta, timezone
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from tosmon.archive import Archive
from tosmon.archive.history import DocumentWriter, Entry, HistoricChange, Origin, Overtaken, Past, bases_of
from tosmon.archive.packing import digest
from tosmon.clauses import canonical, split
from tosmon.errors import TosmonError
from tosmon.interop.git import Blobs, Commit, TooLarge, commits, only_branch, repository
from tosmon.interop.splitting import Splitter
from tosmon.judge import Rules, load_rules
from tosmon.judge.finding import forget
from tosmon.language import guess_language
from tosmon.model import ChangeState, Clause, Form, SourceDocument, Terms, TermsKey, Version
from tosmon.track.memory import RECENT, REMEMBERED, Remembered
from tosmon.track.news import news_of

_log = logging.getLogger(__name__)

_IN_ONE_TRANSACTION = 200
_WORTH_A_PROCESS = 150  # versions: starting a process takes about a second
_SOURCE = "Open Terms Archive "
_UNCERTAIN = " (date uncertain)"
_TECHNICAL = ("Apply technical", "Refilter")


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import brought: `texts` in characters, of the versions imported this time."""

    documents: int = 0
    versions: int = 0
    changes: int = 0
    texts: int = 0
    known_already: int = 0

    def __add__(self, other: Imported) -> Imported:
        return Imported(
            self.documents + other.documents,
            self.versions + other.versions,
            self.changes + other.changes,
            self.texts + other.texts,
            self.known_already + other.known_already,
        )


Progress = Callable[[int, int], None]
"""Called with the versions done and the versions in all."""


class Recorded(NamedTuple):
    """One version as the repository lists it; what else is known of it is in its commit."""

    commit: bytes
    blob: bytes
    at: datetime
    technical: bool

    @property
    def source(self) -> str:
        return _SOURCE + self.commit.hex()


def import_versions(
    repo: Path,
    archive: Archive,
    rules: Rules | None,
    now: datetime,
    *,
    ref: str | None = None,
    progress: Progress | None = None,
    workers: int = 1,
    packs: Sequence[Path] = (),
) -> Imported:
    """Bring in every version of a git folder or bundle that is not there yet; raises GitError, ArchiveError.

    With several workers, each a process, `packs` are the files of rules that each of them loads.
    """
    total = Imported()
    with repository(repo) as folder:
        history = listed(folder, ref or only_branch(folder))
        everything = sum(map(len, history.values()))
        _train(folder, history, archive)
        done = 0

        def report(count: int) -> None:
            nonlocal done
            done += count
            if progress is not None:
                progress(done, everything)

        if workers > 1 and everything > _WORTH_A_PROCESS:
            from tosmon.interop.workers import import_side_by_side

            return import_side_by_side(folder, history, archive.url, packs, now, report, workers)
        rules = rules or load_rules(packs)
        blobs = Blobs(folder)
        try:
            for key, recorded in history.items():
                total += import_document(key, recorded, archive, rules, blobs, now, report)
        finally:
            blobs.close()
    return total


def listed(folder: Path, ref: str) -> dict[TermsKey, list[Recorded]]:
    """The versions of each document of a branch, in the order of recording; documents by key."""
    found: dict[TermsKey, list[Recorded]] = {}
    for commit in commits(folder, ref):
        if commit.suffix == "md" and commit.blob:
            found.setdefault(commit.key, []).append(_recorded(commit, commit.blob))
    return dict(sorted(found.items()))


def _recorded(commit: Commit, blob: str) -> Recorded:
    technical = commit.subject.startswith(_TECHNICAL)
    return Recorded(bytes.fromhex(commit.id), bytes.fromhex(blob), commit.at, technical)


# --- a dictionary for clauses -----------------------------------------------------------------------------------------

_WORTH_A_DICTIONARY = 200  # versions
_LONG = 5000
_SAMPLED = 150  # documents


def _train(folder: Path, history: Mapping[TermsKey, Sequence[Recorded]], archive: Archive) -> None:
    """Before the first long import, let the archive learn how such clauses read: they pack to half of the size."""
    versions = sum(map(len, history.values()))
    if versions < _WORTH_A_DICTIONARY:
        return
    keys = list(history)
    chosen = random.Random(1).sample(keys, min(len(keys), _SAMPLED))
    archive.history.train(
        _samples(folder, [history[key][-1] for key in chosen]), 256_000 if versions > _LONG else 112_000
    )


def _samples(folder: Path, recorded: Sequence[Recorded]) -> Iterable[str]:
    blobs = Blobs(folder)
    try:
        room = 4_000_000 // max(1, len(recorded))  # letters of each document
        for one in recorded:
            used = 0
            try:
                clauses = split(blobs.read(one.blob.hex()).decode("utf-8", "replace"))
            except TooLarge:
                continue
            for clause in random.Random(2).sample(clauses, len(clauses)):
                if len(clause.text) > 30 and used < room:
                    used += len(clause.text)
                    yield clause.text
    finally:
        blobs.close()


# --- one document -----------------------------------------------------------------------------------------------------


def import_document(
    key: TermsKey,
    recorded: Sequence[Recorded],
    archive: Archive,
    rules: Rules,
    blobs: Blobs,
    now: datetime,
    report: Callable[[int], None],
    lock: AbstractContextManager[Any] | None = None,
) -> Imported:
    """Bring in what is new of one document; `report` hears of versions that are done."""
    for _ in range(3):
        reported = 0

        def said(count: int) -> None:
            nonlocal reported
            reported += count
            report(count)

        try:
            return _import_document(key, recorded, archive, rules, blobs, now, said, lock)
        except Overtaken:  # a check recorded a version of it, or another import did: what it knows is old
            report(-reported)
    raise TosmonError(f"{key}: something else goes on recording it; import again when that is done")


def _import_document(
    key: TermsKey,
    recorded: Sequence[Recorded],
    archive: Archive,
    rules: Rules,
    blobs: Blobs,
    now: datetime,
    report: Callable[[int], None],
    lock: AbstractContextManager[Any] | None,
) -> Imported:
    past = archive.history.past(key)
    new = _unknown(recorded, past, blobs)
    counts = Imported(documents=1, known_already=len(recorded) - len(new))
    report(counts.known_already)
    memory = HistoryMemory()
    if past.last_id is not None and new:
        memory.learn_from(archive, key)
    reader = _Reader(key, memory, rules, blobs)
    writer = archive.history.document(key, key.service, now, past.last_id, lock)
    rest = iter(new)
    while part := list(islice(rest, _IN_ONE_TRANSACTION)):
        counts += _import_part(part, reader, writer, memory, report)
        forget()  # what clauses say that may never stand again
    return counts


def _unknown(recorded: Sequence[Recorded], past: Past, blobs: Blobs) -> list[Recorded]:
    """The versions that the archive has not: neither from that commit, nor with that text from that second.

    The second is how versions are known that were exported from this archive, or imported from another copy.
    """
    sources = {source.removesuffix(_UNCERTAIN) for source in past.sources}
    seconds = {second for second, _ in past.marks}
    new = []
    for one in recorded:
        if one.source in sources:
            continue
        second = int(one.at.timestamp())
        if second in seconds:
            try:
                text = blobs.read(one.blob.hex()).decode("utf-8", "replace")
            except TooLarge:
                text = ""
            if (second, hashlib.sha256(text.encode()).digest()) in past.marks:
                continue
        new.append(one)
    return new


def _import_part(
    part: Sequence[Recorded],
    reader: _Reader,
    writer: DocumentWriter,
    memory: HistoryMemory,
    report: Callable[[int], None],
) -> Imported:
    entries: list[Entry] = []
    letters = changes = unreported = 0
    for one in part:
        unreported += 1
        try:
            entry, length = reader.entry(one, -len(entries) - 1)
        except TooLarge as error:
            _log.warning("%s of commit %s is passed over: %s", reader.key, one.commit.hex(), error)
            continue
        entries.append(entry)
        letters += length
        changes += entry.change is not None and entry.change.state is ChangeState.HISTORIC
        if unreported == 20:
            report(unreported)
            unreported = 0
    if entries:
        memory.settle(writer.append(entries))
    report(unreported)
    return Imported(versions=len(entries), changes=changes, texts=letters)


class _Text(NamedTuple):
    """A text as it was read, to be known again when it returns."""

    clauses: tuple[Clause, ...]
    digest: bytes
    canonical_digest: bytes
    words: int
    letters: int


_GUESSES = 5
_MOST_FORMS = 4_000  # texts whose canonical forms are remembered
_TEXTS = 40  # of a document that are remembered by their blobs: most that return do so soon


class _Reader:
    """Makes entries of recorded versions, one after another."""

    def __init__(self, key: TermsKey, memory: HistoryMemory, rules: Rules, blobs: Blobs) -> None:
        self.key = key
        self._terms = Terms(key, key.service, Form((SourceDocument(""),)))
        self._memory = memory
        self._rules = rules
        self._blobs = blobs
        self._splitter = Splitter()
        self._texts: OrderedDict[bytes, _Text] = OrderedDict()
        self._guesses = 0

    def entry(self, recorded: Recorded, number: int) -> tuple[Entry, int]:
        """The version, compared and judged, and the letters of its text; `number` stands for its id until it has one."""
        memory = self._memory
        text, bases = self._read(recorded.blob)
        at = max(recorded.at, memory.last_at or recorded.at)
        version = Version(
            text.clauses,
            at,
            text.digest,
            text.canonical_digest,
            text.words,
            recorded.technical,
            "recorded elsewhere",
            "open-terms-archive",
            memory.language or self._language(text),
            recorded.source + (_UNCERTAIN if at != recorded.at else ""),
        )
        change = self._change(version)
        if change is not None:
            bases = bases | bases_of(change.comparison)
        memory.remember(number, version)
        if change is not None and change.state is ChangeState.HISTORIC and change.judgement.effective_date is not None:
            memory.announced.add(change.judgement.effective_date)
        return Entry(version, memory.forms, bases, change, self._origin(recorded)), text.letters

    def _read(self, blob: bytes) -> tuple[_Text, dict[str, str]]:
        known = self._texts.get(blob)
        if known is not None:
            self._texts.move_to_end(blob)
            self._memory.learn_forms(known.clauses)
            return known, {}
        markdown = self._blobs.read(blob.hex()).decode("utf-8", "replace")
        clauses = self._splitter.split(markdown)
        self._memory.learn_forms(clauses)
        text = _Text(
            clauses,
            hashlib.sha256(markdown.encode()).digest(),
            self._memory.canonical_digest(clauses),
            self._splitter.words,
            len(markdown),
        )
        self._texts[blob] = text
        if len(self._texts) > _TEXTS:
            self._texts.popitem(last=False)
        return text, self._splitter.bases

    def _language(self, text: _Text) -> str | None:
        """The language of a text, guessed for the first few of a document: where they do not tell, the next will not."""
        self._guesses += 1
        if self._guesses > _GUESSES:
            return None
        return guess_language("".join([f"{clause.text}\n" for clause in text.clauses]))

    def _change(self, version: Version) -> HistoricChange | None:
        latest = self._memory.latest
        if latest is None or version.technical or version.canonical_digest == latest.canonical_digest:
            return None
        news = news_of(version, self._terms, self._memory, self._rules, version.at, confirm=False)
        if news.before_id is None:
            return None
        state = ChangeState.HISTORIC if news.decision.state is ChangeState.TOLD else news.decision.state
        return HistoricChange(
            news.before_id, version.at, state, news.decision.reason, news.judgement, news.comparison
        )  # fmt: skip

    def _origin(self, recorded: Recorded) -> Origin:
        return origin_of(self._blobs.read(recorded.commit.hex()), recorded.at)


_AUTHOR = re.compile(r"author (.*) (\d{1,12}) ([+-])(\d{2})([0-5]\d)")
_FARTHEST = timedelta(hours=14)  # from UTC, of any place; git writes no more either


def origin_of(commit: bytes, at: datetime) -> Origin:
    """Who made a commit, when by their clock, and what it says, from the commit as git keeps it.

    Where the clock says what no clock says, it is `at`, in UTC.
    """
    head, _, message = commit.decode("utf-8", "replace").partition("\n\n")
    author = next((line for line in head.split("\n") if line.startswith("author ")), "author unknown")
    said = _AUTHOR.fullmatch(author)
    if said is None:
        return Origin(author.removeprefix("author "), at.isoformat(), message)
    name, seconds, sign, hours, minutes = said.groups()
    offset = timedelta(hours=int(hours), minutes=int(minutes)) * (-1 if sign == "-" else 1)
    if abs(offset) <= _FARTHEST:
        try:
            at = datetime.fromtimestamp(int(seconds), timezone(offset))
        except (ValueError, OverflowError, OSError):
            pass  # the year 10000 there, and not yet in UTC
    return Origin(name, at.isoformat(), message)


@dataclass(slots=True)
class HistoryMemory:
    """What an import remembers of the document it is at; see `track.memory.Memory`.

    A version that has no id yet has a negative number in its place, until `settle` is told the ids.
    """

    last_at: datetime | None = None
    language: str | None = None
    latest: Remembered | None = None
    announced: set[date] = field(default_factory=set)
    forms: dict[str, str] = field(default_factory=dict)
    """The canonical form of each text of the document, as long as there are not too many of them."""
    _recent: deque[Remembered] = field(default_factory=lambda: deque(maxlen=RECENT))
    _known: dict[bytes, datetime] = field(default_factory=dict)
    _versions: deque[frozenset[bytes]] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    _marks: dict[str, bytes] = field(default_factory=dict)

    def recent(self) -> Sequence[Remembered]:
        return list(self._recent)

    def known_since(self, canonical_digest: bytes) -> datetime | None:
        return self._known.get(canonical_digest)

    def clauses_before(self) -> Sequence[frozenset[bytes]]:
        return list(self._versions)

    def undone(self, canonical_digest: bytes) -> int | None:
        return None

    def announced_for(self, first: date, last: date) -> bool:
        return any(first <= day <= last for day in self.announced)

    def learn_forms(self, clauses: Iterable[Clause]) -> None:
        for clause in clauses:
            if clause.text not in self.forms:
                self.forms[clause.text] = form = canonical(clause.text)
                self._marks[clause.text] = digest(form)

    def canonical_digest(self, clauses: Iterable[Clause]) -> bytes:
        joined = "".join([self.forms[clause.text] for clause in clauses])
        return hashlib.sha256(joined.encode("utf-8", "surrogatepass")).digest()[:16]

    def remember(self, version_id: int, version: Version) -> None:
        self.latest = Remembered(version_id, version.at, version.canonical_digest, version.clauses)
        for same in [one for one in self._recent if one.canonical_digest == version.canonical_digest]:
            self._recent.remove(same)
        self._recent.appendleft(self.latest)
        self._known[version.canonical_digest] = version.at
        self._versions.append(frozenset([self._marks[clause.text] for clause in version.clauses]))
        self.last_at = version.at
        self.language = version.language

    def settle(self, ids: Sequence[int]) -> None:
        """Put the ids of versions that were written now in the place of their numbers."""
        for place, one in enumerate(self._recent):
            if one.version_id < 0:
                self._recent[place] = replace(one, version_id=ids[-one.version_id - 1])
        if self.latest is not None and self.latest.version_id < 0:
            self.latest = replace(self.latest, version_id=ids[-self.latest.version_id - 1])
        if len(self.forms) > _MOST_FORMS:
            kept = {clause.text for one in self._recent for clause in one.clauses}
            self.forms = {text: form for text, form in self.forms.items() if text in kept}
            self._marks = {text: mark for text, mark in self._marks.items() if text in kept}

    def learn_from(self, archive: Archive, key: TermsKey) -> None:
        """Take up where an earlier import of the document stopped: what was recorded otherwise is another story."""
        rows = [row for row in archive.browse.versions(key, newest_first=False) if row.source.startswith(_SOURCE)]
        if not rows:
            return
        self._known = {row.canonical_digest: row.at for row in rows}
        for row in rows[-REMEMBERED:]:
            clauses = archive.browse.clauses(row.id)
            self.learn_forms(clauses)
            self.remember(row.id, Version(clauses, row.at, row.digest, row.canonical_digest, 0, language=row.language))
        for change in archive.browse.changes(service=key.service, type=key.type, limit=200):
            if change.effective_date is not None and change.state is ChangeState.HISTORIC:
                self.announced.add(change.effective_date)
