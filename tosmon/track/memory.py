"""What is remembered of a document when a new text comes: its recent texts, which were known, what people were told.

The archive remembers for a check; an import of a long history keeps its own memory and asks the archive nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from tosmon.archive import Archive, Standing
from tosmon.gates.volatile import WINDOW, Part, learn
from tosmon.model import Clause, Version

LEARNT_FROM = 20
"""Latest versions, as far as they are young enough, from which parts that change by themselves are learnt."""
RECENT = 6
"""Recent texts among which the nearest one is what a new text is compared with: platforms serve variants in turn."""
REMEMBERED = 100
"""Versions whose clauses are no news when they come back."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """A recent text of the document, by the id of its version."""

    version_id: int
    at: datetime
    canonical_digest: bytes
    clauses: tuple[Clause, ...]


@dataclass(frozen=True, slots=True)
class Volatile:
    """Parts of a document that change by themselves: those that nobody is told of, and those learnt just now."""

    parts: tuple[Part, ...] = ()
    learnt: tuple[Part, ...] = ()


class Memory(Protocol):
    def recent(self) -> Sequence[Remembered]:
        """The last distinct texts, newest first, without those that nobody was told of or that were taken back."""

    def known_since(self, canonical_digest: bytes) -> datetime | None:
        """When that very text stood in the document, if people know it or could know it."""

    def clauses_before(self) -> Sequence[frozenset[bytes]]:
        """The canonical digests of the clauses of known versions, oldest first."""

    def undone(self, canonical_digest: bytes) -> int | None:
        """The last told change, if that text turns it: takes it back, or brings it back after that."""

    def announced_for(self, first: date, last: date) -> bool:
        """Whether people were told of a change that applies from one of these days on."""


@dataclass(frozen=True, slots=True)
class ArchiveMemory:
    """The archive's memory of a document that is being checked."""

    archive: Archive
    standing: Standing

    def recent(self) -> list[Remembered]:
        seen: set[bytes] = set()
        found = []
        for row in self.archive.browse.recent_versions(self.standing.terms_id, RECENT, known_only=True):
            if row.canonical_digest not in seen:
                seen.add(row.canonical_digest)
                found.append(Remembered(row.id, row.at, row.canonical_digest, self.archive.browse.clauses(row.id)))
        return found

    def known_since(self, canonical_digest: bytes) -> datetime | None:
        known = self.archive.browse.known_text(self.standing.terms_id, canonical_digest)
        return known.at if known is not None else None

    def clauses_before(self) -> list[frozenset[bytes]]:
        return self.archive.browse.known_clauses(self.standing.terms_id, REMEMBERED)[::-1]

    def announced_for(self, first: date, last: date) -> bool:
        return self.archive.browse.announced_for(self.standing.terms_id, first, last)

    def undone(self, canonical_digest: bytes) -> int | None:
        return self.archive.browse.turned_by(self.standing.terms_id, canonical_digest)

    def volatile(self, version: Version) -> Volatile:
        """The document's parts that change by themselves, with what its latest texts and this new one teach."""
        rows = self.archive.browse.recent_versions(self.standing.terms_id, LEARNT_FROM)
        young = [row for row in rows if not row.technical and version.at - row.at <= WINDOW]
        texts = [(row.at, self.archive.browse.clauses(row.id)) for row in reversed(young)]
        masked, shown = self.archive.operating.parts(self.standing.terms_id)
        told = {(part.above, part.below) for part in shown}
        learnt = learn([*texts, (version.at, version.clauses)])
        return Volatile((*masked, *(part for part in learnt if (part.above, part.below) not in told)), learnt)
