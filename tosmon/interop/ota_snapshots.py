"""Import the pages that Open Terms Archive recorded, read by our own extraction: nothing told.

Each recorded page goes through the very steps of a check, at the time it was recorded, with the page from git in the
place of a fetch: verdicts, incidents, WARC files, versions, changes are what they would have been. What people would
have been told is kept as historic. Pages that were recorded before the last look at a document are passed over, so an
import can be stopped and done again, and the next pull brings what is new.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tosmon.archive import Archive, Identity, NewChange, Recorded, Recording, Settled, Snapshots
from tosmon.errors import FetchError, FetchProblem
from tosmon.fetch import Fetched, Fetcher
from tosmon.interop.git import Blobs, Commit, TooLarge, commits, only_branch, repository
from tosmon.judge import Rules
from tosmon.model import ChangeState, Form, Outcome, Response, SourceDocument, Terms, Validators
from tosmon.track import World, check

_TOGETHER = timedelta(minutes=5)  # parts of one document that were fetched in one go
_LEASE = timedelta(hours=1)
_FINAL = {ChangeState.TOLD: ChangeState.HISTORIC, ChangeState.WITHDRAWN: ChangeState.HISTORIC}
_MEDIA = {"html": "text/html", "pdf": "application/pdf"}


@dataclass(frozen=True, slots=True)
class Reread:
    """What an import of recorded pages brought. `undeclared` are pages of documents that no declaration speaks of."""

    pages: int = 0
    versions: int = 0
    changes: int = 0
    failures: int = 0
    known_already: int = 0
    undeclared: int = 0


def import_snapshots(
    repo: Path,
    declared: Sequence[Terms],
    archive: Archive,
    snapshots: Snapshots,
    rules: Rules,
    identity: Identity,
    now: datetime,
    *,
    ref: str | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Reread:
    """Read every recorded page of the declared documents that is newer than the last look at them; raises GitError."""
    by_key = {terms.key: terms for terms in declared}
    with repository(repo) as folder:
        recorded = [one for one in commits(folder, ref or only_branch(folder)) if one.suffix in _MEDIA and one.blob]
        known = sorted((one for one in recorded if one.key in by_key), key=lambda one: one.key)
        total, done = Reread(undeclared=len(recorded) - len(known)), 0
        blobs = Blobs(folder)
        try:
            for key, mine in groupby(known, key=lambda one: one.key):
                replay = _Replay(by_key[key], archive, snapshots, rules, identity, blobs)
                for look in looks(list(mine)):
                    total = _counted(total, replay.look(look, now), len(look))
                    done += len(look)
                    progress(done, len(known))
        finally:
            blobs.close()
    return total


def _counted(total: Reread, recorded: Recorded | None, pages: int) -> Reread:
    if recorded is None:
        return replace(total, known_already=total.known_already + pages)
    return replace(
        total,
        pages=total.pages + pages,
        versions=total.versions + (recorded.version_id is not None),
        changes=total.changes + (recorded.change_id is not None),
        failures=total.failures + (recorded.outcome is Outcome.FAILED),
    )


def looks(recorded: Iterable[Commit]) -> Iterator[list[Commit]]:
    """The pages of one document that belong to one look, in the order of recording."""
    look: list[Commit] = []
    for commit in recorded:
        together = look and commit.part and look[0].part and commit.at - look[0].at <= _TOGETHER
        if look and (not together or any(known.part == commit.part for known in look)):
            yield look
            look = []
        look.append(commit)
    if look:
        yield look


class _Replay:
    """Looks at one document as it was recorded."""

    def __init__(
        self,
        terms: Terms,
        archive: Archive,
        snapshots: Snapshots,
        rules: Rules,
        identity: Identity,
        blobs: Blobs,
    ) -> None:
        self._terms = terms
        self._archive = archive
        self._at = datetime.min.replace(tzinfo=UTC)
        self._pages = _RecordedPages(blobs)
        silent: Any = _Silent(archive)
        self._world = World(
            silent, snapshots, self._pages, rules, identity, lambda alert: [], lambda: self._at, timedelta(0)
        )
        standing = archive.standing(terms.key)
        self._seen_until = standing.last_whole_at if standing is not None else None
        checks = archive.browse.checks(terms.key, 1)
        if checks:
            self._seen_until = max(checks[0].at, self._seen_until or checks[0].at)

    def look(self, look: Sequence[Commit], now: datetime) -> Recorded | None:
        """One look; `None` when the document was looked at later than that already."""
        at = look[-1].at
        self._pages.show(look)
        if self._seen_until is not None and at <= self._seen_until:
            return None
        self._seen_until, self._at = at, at
        standing = self._archive.history.claim(self._terms, now, _LEASE)
        return check(standing, self._terms, self._world)


class _Silent:
    """The archive, but that what would be told is recorded as historic, with no word to anybody."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def __getattr__(self, name: str) -> Any:
        return getattr(self._archive, name)

    def record(self, recording: Recording) -> Recorded:
        change = recording.change
        return self._archive.record(
            replace(
                recording,
                change=_historic(change) if change is not None else None,
                settled=tuple(map(_settled, recording.settled)),
            )
        )

    def tell(self, *unused: object) -> None:
        return None


def _historic(change: NewChange) -> NewChange:
    return replace(change, state=_FINAL.get(change.state, change.state), tell=None)


def _settled(settled: Settled) -> Settled:
    return replace(settled, state=_FINAL.get(settled.state, settled.state), tell=None)


class _RecordedPages(Fetcher):
    """Answers with the pages that were recorded last, in the place of a fetch."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._parts: dict[str, Commit] = {}

    def show(self, look: Sequence[Commit]) -> None:
        for commit in look:
            if not commit.part:
                self._parts.clear()
            self._parts[commit.part] = commit

    def fetch(
        self, form: Form, validators: Mapping[str, Validators] | None = None, *, language: str | None = None
    ) -> Fetched:
        pages: list[Response] = []
        for source in form.sources:
            try:
                pages.append(self._page(source, len(form.sources)))
            except TooLarge as error:
                problem = FetchError(source.url, str(error), FetchProblem.TOO_LARGE, transient=False)
                return Fetched(tuple(pages), problem)
        return Fetched(tuple(pages))

    def rendered(self, form: Form) -> Fetched | None:
        return None  # what was recorded was rendered then, if it had to be

    def browser_told(self, form: Form, *, of_use: bool) -> None:
        return None

    def _page(self, source: SourceDocument, sources: int) -> Response:
        commit = self._commit(source, sources)
        if commit is None or commit.blob is None:
            at = max(one.at for one in self._parts.values())
            return Response(source.url, source.url, 404, (("Content-Type", "text/plain"),), b"not recorded", at)
        location = commit.trailers.get("X-source-document-location") or source.url
        headers = (("Content-Type", _MEDIA[commit.suffix]), ("X-Recorded-By", f"Open Terms Archive {commit.id}"))
        body = self._blobs.read(commit.blob)
        rendered = commit.trailers.get("X-fetcher") == "fullDom"
        return Response(source.url, location, 200, headers, body, commit.at, rendered=rendered)

    def _commit(self, source: SourceDocument, sources: int) -> Commit | None:
        """The page of a source document: the only one, else that of its address, else that named by its path."""
        if "" in self._parts:
            return self._parts[""] if sources == 1 else None
        for commit in self._parts.values():
            if commit.trailers.get("X-source-document-location") == source.url:
                return commit
        found = self._parts.get(_part_of(source.url))
        return found if found is not None or sources > 1 else next(iter(self._parts.values()), None)


def _part_of(url: str) -> str:
    """The name of a part in a file's name, as recorded: the path of its URL with dashes."""
    return re.sub(r"[^\w-]+", "-", urlsplit(url).path.strip("/").replace("/", "-"))
