"""Read recorded history anew by today's extractor: what differs is recorded as technical, and nobody is ever told.

Goes version by version, oldest first, from the snapshots alone; what is done is remembered with it, in one transaction,
so that it can be interrupted at any point and goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from tosmon import extract
from tosmon.archive import ToReread
from tosmon.clauses import join
from tosmon.errors import ArchiveError, ExtractionError
from tosmon.model import Terms, Version
from tosmon.track.news import extractor_of, make_version
from tosmon.track.world import World

_TOGETHER = 10  # versions in one transaction
# Of the words of the version: below, today's selectors do not fit that snapshot, and its text stays as it was.
_WHOLE = 0.5


@dataclass(frozen=True, slots=True)
class Reread:
    """What came of it: versions read anew, those whose text differs now, and those that could not be read so.

    `busy` when someone was looking at the document, so that the rest is left for another time.
    """

    read: int = 0
    technical: int = 0
    unfit: int = 0
    busy: bool = False

    def plus(self, other: Reread) -> Reread:
        return Reread(
            self.read + other.read,
            self.technical + other.technical,
            self.unfit + other.unfit,
            self.busy or other.busy,
        )


def left_to_read(terms: Terms, world: World, since: datetime | None = None) -> int:
    """How many versions of a document another extractor read."""
    return world.archive.operating.count_to_reread(terms.key, extractor_of(terms), since)


def reread(
    terms: Terms,
    world: World,
    since: datetime | None = None,
    *,
    step: Callable[[int], None] = lambda versions: None,
    stop: Callable[[], bool] = lambda: False,
) -> Reread:
    """Read a document's versions anew until none is left or `stop` says so; `step` is told how many are done more."""
    done = Reread()
    extractor = extractor_of(terms)
    while not stop():
        waiting = world.archive.operating.to_reread(terms.key, extractor, since, _TOGETHER)
        if not waiting:
            break
        read = [(one, *_read_anew(one, terms, world)) for one in waiting]
        versions = [(one.version.id, version) for one, version, _ in read]
        if not world.archive.operating.record_reread(terms.key, extractor, versions, world.clock()):
            return replace(done, busy=True)
        technical = sum(version is not None for _, version, _ in read)
        done = done.plus(Reread(len(read), technical, sum(not fits for _, _, fits in read)))
        step(len(read))
    return done


def _read_anew(one: ToReread, terms: Terms, world: World) -> tuple[Version | None, bool]:
    """The technical version, `None` where the text is the same; and whether the snapshot could be read at all."""
    text = join(world.archive.browse.clauses(one.version.id))
    try:
        responses = world.snapshots.read(one.path)
        reading = extract.read(responses, terms, one.version.at, text)
    except (ArchiveError, ExtractionError):
        return None, False
    version = make_version(reading, terms, one.version.at, technical=True)
    if version.words < one.version.words * _WHOLE:
        return None, False
    return (None if version.digest == one.version.digest else version), True
