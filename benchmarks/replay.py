"""Play recorded pages through the real pipeline, and write when people would have been told of what.

    python benchmarks/replay.py --bundle FILE_OR_GIT_DIR [--ref REF] --collection NAME --declarations DIR
                                [--only SERVICE] --out FILE [--archive FOLDER] [--limit N]

A local HTTP server serves each recorded page from its date until the next one; the product's own fetcher, extraction,
archive, comparison, judging and gates look at it with default settings under a simulated clock: when a page was
recorded, again after the time to confirm while a change waits for its second look, and now and then while a document
has an open incident or a change that was taken back (in real life: at every interval). `--out` gets one JSON line for
each change that people would have been told of, with the time of its first alert. Prints one JSON object of figures.

The recorded pages were rendered when they were recorded: no browser is used. Links resolve under the address that
each page was recorded from.
"""

from __future__ import annotations

import argparse
import collections
import json
import multiprocessing
import re
import resource
import socketserver
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from queue import Queue
from urllib.parse import urlsplit

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tosmon.archive import Archive, Snapshots
from tosmon.declarations import read_declarations
from tosmon.fetch import Fetched, Fetcher
from tosmon.http import Client, Limits
from tosmon.interop.git import Blobs, Commit, commits, only_branch, repository
from tosmon.judge import load_rules
from tosmon.model import (
    Addressee,
    Alert,
    AlertKind,
    Form,
    Outcome,
    Response,
    SourceDocument,
    Terms,
    TermsKey,
    Validators,
)
from tosmon.run import share_heaps
from tosmon.track import World, check

_TOGETHER = timedelta(minutes=5)  # parts of one document that were fetched in one go
_LATER = (
    timedelta(hours=1),
    timedelta(hours=6),
    timedelta(days=1),
    timedelta(days=2),
    timedelta(days=4),
    timedelta(days=8),
    timedelta(days=15),
)
_LEASE = timedelta(hours=1)
_AHEAD = 16
NOTHING: Mapping[str, Validators] = {}


@dataclass(frozen=True, slots=True)
class Page:
    body: bytes
    content_type: str
    url: str | None


class Answer(socketserver.StreamRequestHandler):
    """Just enough HTTP to answer the product's client over a kept connection."""

    wbufsize = -1
    disable_nagle_algorithm = True
    folder: Path

    def handle(self) -> None:
        while line := self.rfile.readline(65536):
            while self.rfile.readline(65536).strip():
                pass
            try:
                kind, _, body = (self.folder / line.split(b" ")[1].decode().strip("/")).read_bytes().partition(b"\n")
                status = b"200 OK"
            except OSError:
                kind, body, status = b"text/plain", b"not recorded", b"404 Not Found"
            head = b"Content-Type: %s\r\nContent-Length: %d\r\n\r\n" % (kind, len(body))
            self.wfile.write(b"HTTP/1.1 %s\r\n%s%s" % (status, head, body))
            self.wfile.flush()


def serve(folder: Path, port: Connection) -> None:
    Answer.folder = folder
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answer) as server:
        server.daemon_threads = True
        port.send(server.server_address[1])
        server.serve_forever()


class Shown:
    """What the local server, a process of its own, shows at each path at the simulated moment."""

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}
        # In memory where that can be had: writing the pages to a disk is no part of what is measured.
        memory = Path("/dev/shm")
        self._temporary = tempfile.TemporaryDirectory(prefix="shown-", dir=memory if memory.is_dir() else None)
        folder = self.folder = Path(self._temporary.name)
        here, there = multiprocessing.Pipe()
        self.process = multiprocessing.Process(target=serve, args=(folder, there), daemon=True)
        self.process.start()
        self.port = here.recv()

    def show(self, path: str, page: Page) -> None:
        self.pages[path] = page
        # Nobody asks while this is written: looks and pages come in turn.
        (self.folder / path.strip("/")).write_bytes(page.content_type.encode() + b"\n" + page.body)

    def address(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def close(self) -> None:
        self.process.terminate()
        self.process.join()
        self._temporary.cleanup()


class RecordedFetcher(Fetcher):
    """The product's fetcher, asking the local server for each source document, and naming the recorded address."""

    shown: Shown
    key: TermsKey
    parts: Mapping[TermsKey, Mapping[str, Page]]

    def fetch(
        self, form: Form, validators: Mapping[str, Validators] = NOTHING, *, language: str | None = None
    ) -> Fetched:
        if len(form.sources) > 1 and set(self.parts[self.key]) == {""}:
            # Recorded while it was one page still, whatever the declaration says of that date.
            form = replace(form, sources=form.sources[:1])
        paths = [self._path(source, len(form.sources)) for source in form.sources]
        local = Form(
            tuple(
                replace(source, url=self.shown.address(path), browser=False)
                for source, path in zip(form.sources, paths, strict=True)
            )
        )
        fetched = super().fetch(local)
        return replace(
            fetched,
            responses=tuple(
                self._recorded(response, source, path)
                for response, source, path in zip(fetched.responses, form.sources, paths, strict=False)
            ),
        )

    def _led_on(self, answer: Response, language: str | None) -> Response:
        """What a recorded page sends its visitors to was not recorded with it, and nothing is asked of the real world."""
        return answer

    def _path(self, source: SourceDocument, sources: int) -> str:
        """Where the page of a source document is shown: by its part's name when there are several."""
        parts = self.parts[self.key]
        if sources == 1 and "" in parts:
            return path_of(self.key, "")
        part = next((name for name, page in parts.items() if page.url == source.url), None)
        return path_of(self.key, part if part is not None else part_of(source.url))

    def _recorded(self, response: Response, source: SourceDocument, path: str) -> Response:
        page = self.shown.pages.get(path)
        url = (page.url if page else None) or source.url
        return replace(response, url=source.url, final_url=url)


def part_of(url: str) -> str:
    """The name of a part in a file's name, as recorded: the path of its URL with dashes."""
    parts = urlsplit(url)
    return re.sub(r"[^\w-]+", "-", parts.path.strip("/").replace("/", "-"))


def path_of(key: TermsKey, part: str) -> str:
    return "/" + "~".join(re.sub(r"\W", lambda found: f"_{ord(found[0]):x}", name) for name in (*key_parts(key), part))


def key_parts(key: TermsKey) -> tuple[str, str]:
    return key.service, key.type


def looks(recorded: Iterable[Commit]) -> Iterator[list[Commit]]:
    """The commits of one document that belong to one look, in time order of the looks."""
    open_looks: dict[TermsKey, list[Commit]] = {}
    for commit in recorded:
        mine = open_looks.get(commit.key)
        again = mine is not None and any(known.part == commit.part for known in mine)
        if mine is not None and (again or commit.at - mine[0].at > _TOGETHER):
            yield open_looks.pop(commit.key)
        for key in [key for key, known in open_looks.items() if commit.at - known[0].at > _TOGETHER]:
            yield open_looks.pop(key)
        if not commit.part:
            yield [commit]
        else:
            open_looks.setdefault(commit.key, []).append(commit)
    yield from open_looks.values()


class Replay:
    def __init__(self, folder: Path, collection: str, declared: list[Terms]) -> None:
        self.now = datetime.now(UTC)
        self.collection = collection
        self.declared = {terms.key: terms for terms in declared}
        self.shown = Shown()
        self.parts: dict[TermsKey, dict[str, Page]] = collections.defaultdict(dict)
        client = Client(Limits(allow_private_addresses=True), clock=lambda: self.now)
        self.fetcher = RecordedFetcher(client, robots=False, pause=timedelta(0))
        self.fetcher.shown, self.fetcher.parts = self.shown, self.parts
        self.archive = Archive(f"sqlite:///{folder}/archive.sqlite")
        self.outcomes: collections.Counter[str] = collections.Counter()
        self.incidents: collections.Counter[str] = collections.Counter()
        self.lines: list[dict[str, object]] = []
        self.settled: set[TermsKey] = set()  # documents with nothing open after their last look
        self.folder = folder

    def start(self, at: datetime) -> None:
        self.now = at
        identity = self.archive.identity("tosmon.example", at.date())
        self.archive.declare(list(self.declared.values()), at)
        self.world = World(
            self.archive,
            Snapshots(self.folder / "snapshots"),
            self.fetcher,
            load_rules(),
            identity,
            lambda alert: [Addressee("email", "reader@example.org")],
            lambda: self.now,
        )

    def show(self, commit: Commit, body: bytes) -> None:
        content_type = "application/pdf" if commit.suffix == "pdf" else "text/html"
        page = Page(body, content_type, commit.trailers.get("X-source-document-location"))
        self.parts[commit.key][commit.part] = page
        self.shown.show(path_of(commit.key, commit.part), page)

    def look(self, key: TermsKey, at: datetime) -> None:
        self.now = at
        claims = self.archive.claim([key], at, _LEASE)
        if not claims:
            return
        self.fetcher.key = key
        recorded = check(claims[0], self.declared[key], self.world)
        self.outcomes[recorded.outcome.value] += 1
        if recorded.outcome is not Outcome.UNCHANGED:
            self.settled.discard(key)
        if recorded.incident_opened:
            self.incidents[recorded.verdict.value] += 1
        if recorded.alert is not None and recorded.alert.kind in (AlertKind.CHANGE, AlertKind.UNCONFIRMED):
            self.lines.append(line_of(self.collection, recorded.alert, at))

    def look_later(self, key: TermsKey, shown_at: datetime, until: datetime | None) -> None:
        """The looks that the schedule makes while the same page is shown, as far as they can matter."""
        if key in self.settled:
            return
        document = self.archive.standing(key)
        assert document is not None
        if document.pending is not None:
            at = shown_at + self.world.confirm_after
            self.look(key, at)
            document = self.archive.standing(key)
        assert document is not None
        if document.incident is None and document.undone is None:
            self.settled.add(key)
            return
        for wait in _LATER:
            if until is not None and shown_at + wait >= until:
                return
            self.look(key, shown_at + wait)

    def close(self) -> None:
        self.shown.close()
        self.archive.close()


def line_of(collection: str, alert: Alert, at: datetime) -> dict[str, object]:
    return {
        "collection": collection,
        "service": alert.service,
        "terms": alert.type,
        "at": at.isoformat(),
        "headline": alert.headline,
        "severity": alert.severity.value,
        "topics": {flag.topic: flag.direction.value for flag in alert.flags},
        "effective_date": alert.effective_date.isoformat() if alert.effective_date else None,
        "substantive": True,
        "change": alert.change_id,
    }


def main() -> None:
    share_heaps()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--ref")
    parser.add_argument("--collection", required=True)
    parser.add_argument("--declarations", type=Path, required=True)
    parser.add_argument("--only", help="play this service only")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--archive", type=Path, help="keep the archive in this folder")
    parser.add_argument("--limit", type=int, help="stop after so many pages")
    arguments = parser.parse_args()
    declared = [
        terms for terms in read_declarations(arguments.declarations) if arguments.only in (None, terms.key.service)
    ]
    with tempfile.TemporaryDirectory(prefix="tosmon-replay-") as temporary, repository(arguments.bundle) as folder:
        kept = arguments.archive or Path(temporary)
        kept.mkdir(parents=True, exist_ok=True)
        replay = Replay(kept, arguments.collection, declared)
        recorded = list(commits(folder, arguments.ref or only_branch(folder)))
        figures = play(replay, recorded, Blobs(folder), arguments.limit)
        figures["archive_bytes"] = sum(path.stat().st_size for path in kept.glob("archive.sqlite*"))
        figures["snapshot_bytes"] = sum(path.stat().st_size for path in kept.rglob("*.warc.gz"))
        replay.close()
    arguments.out.write_text("".join(json.dumps(line) + "\n" for line in replay.lines), encoding="utf-8")
    print(json.dumps(figures))


def play(replay: Replay, recorded: list[Commit], blobs: Blobs, limit: int | None) -> dict[str, object]:
    known = [commit for commit in recorded if commit.key in replay.declared and commit.blob is not None]
    rounds = list(looks(known))[:limit]
    next_at: dict[int, datetime] = {}
    latest: dict[TermsKey, datetime] = {}
    for number in range(len(rounds) - 1, -1, -1):
        key = rounds[number][0].key
        if key in latest:
            next_at[number] = latest[key]
        latest[key] = rounds[number][-1].at
    replay.start(rounds[0][0].at)
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    began, memory_halfway = time.perf_counter(), 0
    began_cpu = time.process_time()
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("pages", total=len(rounds))
        for number, (look, bodies) in enumerate(ahead(rounds, blobs)):
            for commit, body in zip(look, bodies, strict=True):
                replay.show(commit, body)
            key, at = look[-1].key, look[-1].at
            replay.look(key, at)
            replay.look_later(key, at, next_at.get(number))
            progress.update(task, advance=1, description=f"{at:%Y-%m-%d} {len(replay.lines)} alerts")
            if number == len(rounds) // 2:
                memory_halfway = peak_memory()
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - began_cpu
    blobs.close()
    return {
        "collection": replay.collection,
        "pages": sum(len(look) for look in rounds),
        "pages_per_second": round(len(rounds) / seconds, 1),
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu_seconds, 1),
        "alerts": len(replay.lines),
        "outcomes": dict(replay.outcomes),
        "incidents": dict(replay.incidents),
        "archive": replay.archive.browse.counts(),
        "peak_memory_bytes": peak_memory(),
        "peak_memory_bytes_halfway": memory_halfway,
    }


def ahead(rounds: list[list[Commit]], blobs: Blobs) -> Iterator[tuple[list[Commit], list[bytes]]]:
    """Each look with its pages, which a thread reads from git while the one before is at work: the web is ready, too."""
    waiting: Queue[tuple[list[Commit], list[bytes]] | None] = Queue(_AHEAD)

    def read() -> None:
        for look in rounds:
            waiting.put((look, [blobs.read(commit.blob) for commit in look if commit.blob is not None]))
        waiting.put(None)

    threading.Thread(target=read, daemon=True).start()
    while (one := waiting.get()) is not None:
        yield one


def peak_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
