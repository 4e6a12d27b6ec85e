"""Import the history of texts that Open Terms Archive recorded: versions, compared and judged, nothing told.

Document by document, so that memory depends on the largest document and not on the history; a document is written in
one transaction for every few hundred versions, so a killed import goes on where it stopped, and the next pull brings
only what is new. Where a commit bears an earlier date than the one before it, the order of recording counts and the
date is marked as uncertain.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from itertools import groupby, islice
from pathlib import Path

from tosmon.archive import Archive, DocumentWriter
from tosmon.archive.history import Known
from tosmon.clauses import canonical, split
from tosmon.gates import guess_language
from tosmon.interop.git import Blobs, Commit, commits, only_branch, repository
from tosmon.judge import Rules
from tosmon.model import ChangeState, Clause, Form, SourceDocument, Terms, TermsKey, Version
from tosmon.track.memory import RECENT, REMEMBERED, Remembered
from tosmon.track.news import News, news_of

_IN_ONE_TRANSACTION = 400
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


Progress = Callable[[int, int], None]
"""Called with the versions done and the versions in all."""


def import_versions(
    repo: Path,
    archive: Archive,
    rules: Rules,
    now: datetime,
    *,
    ref: str | None = None,
    progress: Progress | None = None,
) -> Imported:
    """Bring in every version of a git folder or bundle that is not there yet; raises GitError."""
    total = Imported()
    with repository(repo) as folder:
        recorded = sorted(
            (commit for commit in commits(folder, ref or only_branch(folder)) if commit.suffix == "md" and commit.blob),
            key=lambda commit: commit.key,  # a stable sort: the order of recording stays within a document
        )
        blobs = Blobs(folder)
        try:
            done = 0
            for key, group in groupby(recorded, key=lambda commit: commit.key):
                mine = list(group)

                def report(count: int, before: int = done) -> None:
                    if progress is not None:
                        progress(before + count, len(recorded))

                total = _plus(total, _import_document(key, mine, archive, rules, blobs, now, report))
                done += len(mine)
        finally:
            blobs.close()
    return total


def _plus(one: Imported, other: Imported) -> Imported:
    return Imported(
        one.documents + other.documents,
        one.versions + other.versions,
        one.changes + other.changes,
        one.texts + other.texts,
        one.known_already + other.known_already,
    )


def _import_document(
    key: TermsKey,
    recorded: Sequence[Commit],
    archive: Archive,
    rules: Rules,
    blobs: Blobs,
    now: datetime,
    report: Callable[[int], None],
) -> Imported:
    known = {source.removesuffix(_UNCERTAIN) for source in archive.history.imported(key)}
    new = [commit for commit in recorded if _SOURCE + commit.id not in known]
    memory = HistoryMemory()
    if known and new:
        memory.learn_from(archive, key)
    terms = Terms(key, key.service, Form((SourceDocument(""),)))
    counts = Imported(known_already=len(recorded) - len(new))
    rest = iter(new)
    while part := list(islice(rest, _IN_ONE_TRANSACTION)):
        with archive.history.document(key, key.service, now) as writer:
            for commit in part:
                counts = _plus(counts, _import_version(commit, terms, writer, memory, rules, blobs))
        report(counts.known_already + counts.versions)
    report(len(recorded))
    return replace(counts, documents=1)


def _import_version(
    commit: Commit, terms: Terms, writer: DocumentWriter, memory: HistoryMemory, rules: Rules, blobs: Blobs
) -> Imported:
    assert commit.blob is not None
    text = blobs.read(commit.blob).decode("utf-8", "replace")
    clauses = split(text)
    known = writer.learn(clauses, memory.canonical_forms(clauses))
    at = max(commit.at, memory.last_at or commit.at)
    technical = commit.subject.startswith(_TECHNICAL)
    version = Version(
        clauses,
        at,
        hashlib.sha256(text.encode()).digest(),
        memory.canonical_digest(clauses),
        len(text.split()),
        technical,
        "recorded elsewhere",
        "open-terms-archive",
        memory.language or guess_language(text),
        _SOURCE + commit.id + (_UNCERTAIN if at != commit.at else ""),
    )
    news: News | None = None
    if memory.latest is not None and not technical and version.canonical_digest != memory.latest.canonical_digest:
        news = news_of(version, terms, memory, rules, at, confirm=False)
    version_id = writer.add_version(version, known)
    if news is not None and news.before_id is not None:
        state = ChangeState.HISTORIC if news.decision.state is ChangeState.TOLD else news.decision.state
        writer.add_change(news.before_id, version_id, at, state, news.decision.reason, news.judgement, news.comparison)
    memory.remember(version_id, version, known)
    told = news is not None and news.decision.state is ChangeState.TOLD
    if news is not None and told and news.judgement.effective_date is not None:
        memory.announced.add(news.judgement.effective_date)
    return Imported(versions=1, changes=int(told), texts=len(text))


@dataclass(slots=True)
class HistoryMemory:
    """What an import remembers of the document it is at; see `track.memory.Memory`."""

    last_at: datetime | None = None
    language: str | None = None
    latest: Remembered | None = None
    announced: set[date] = field(default_factory=set)
    _recent: deque[Remembered] = field(default_factory=lambda: deque(maxlen=RECENT))
    _known: dict[bytes, datetime] = field(default_factory=dict)
    _versions: deque[frozenset[bytes]] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    _forms: dict[str, str] = field(default_factory=dict)

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

    def canonical_forms(self, clauses: Iterable[Clause]) -> dict[str, str]:
        """The canonical form of each text of the document; each is worked out once."""
        for clause in clauses:
            if clause.text not in self._forms:
                self._forms[clause.text] = canonical(clause.text)
        return self._forms

    def canonical_digest(self, clauses: Iterable[Clause]) -> bytes:
        joined = "".join([self._forms[clause.text] for clause in clauses])
        return hashlib.sha256(joined.encode("utf-8", "surrogatepass")).digest()[:16]

    def remember(self, version_id: int, version: Version, known: Sequence[Known]) -> None:
        self.latest = Remembered(version_id, version.at, version.canonical_digest, version.clauses)
        for same in [one for one in self._recent if one.canonical_digest == version.canonical_digest]:
            self._recent.remove(same)
        self._recent.appendleft(self.latest)
        self._known[version.canonical_digest] = version.at
        self._versions.append(frozenset(one.canonical for one in known))
        self.last_at = version.at
        self.language = version.language

    def learn_from(self, archive: Archive, key: TermsKey) -> None:
        """Take up where an earlier import of the document stopped."""
        rows = archive.browse.versions(key, newest_first=False)
        self._known = {row.canonical_digest: row.at for row in rows}
        standing = archive.standing(key)
        if standing is None or not rows:
            return
        self._versions.extend(archive.browse.known_clauses(standing.terms_id, REMEMBERED)[::-1])
        for row in rows[-RECENT:]:
            self._recent.appendleft(Remembered(row.id, row.at, row.canonical_digest, archive.browse.clauses(row.id)))
        self.latest = self._recent[0]
        self.last_at, self.language = rows[-1].at, rows[-1].language
