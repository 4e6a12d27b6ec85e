"""How many documents a second one process checks, end to end, when nothing or little changed.

    python benchmarks/throughput.py --pages DIR [-n 1000] [--workers 4] [--folder FOLDER] [--profile]

Serves real pages (`*.html`, `*.html.gz`, some folder deep) from another process on loopback, each document under a
host of its own (127.0.x.y), and checks them with the product's own fetcher, extraction, archive and gates; no pause.
robots.txt is asked for, as by default, before the first look. Prints one JSON object: for each round documents per
second, processor time of this process for one document, what the checks came to and the peak memory so far.

    304       the server answers "not modified"
    same      the server knows no validators and sends the same bytes
    nonce     a token in the head differs each time
    clause    one paragraph has another sentence each time

With an `index.jsonl` beside or above the pages (`{"declaration": {"select": …}, "snapshots": [{"file": …}]}` a line) its
selectors are used; else tosmon finds the text by itself.
"""

from __future__ import annotations

import argparse
import collections
import cProfile
import gzip
import json
import multiprocessing
import pstats
import re
import resource
import socket
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import fmean

from tosmon.archive import Archive, Snapshots
from tosmon.fetch import Fetcher
from tosmon.http import Client, Limits
from tosmon.judge import load_rules
from tosmon.model import Form, Outcome, SourceDocument, Terms, TermsKey
from tosmon.publish import FeedSettings
from tosmon.run import Works, look_at_due, share_heaps
from tosmon.track import World

ROUNDS = ("first", "304", "same", "nonce", "clause")
_LATER = timedelta(days=1)  # everything is due again, also what waited for its second look
_SMALLEST = 50_000  # bytes: the figures to reach are for pages of about 220 kB
_PARAGRAPH = re.compile(rb"<p[^>]*>([^<>]{200,})</p>")


@dataclass(frozen=True, slots=True)
class Page:
    body: bytes
    select: tuple[str, ...] = ()


def pages_in(folder: Path) -> list[Page]:
    """The pages of a folder of some size that have a paragraph to change, without those that their declaration fits not."""
    selects = dict(_declared(folder))
    found = []
    for path in sorted(folder.rglob("*.html*")):
        body = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        select = selects.get(path.name, ())
        if select is not None and len(body) >= _SMALLEST and _PARAGRAPH.search(body) and b"<head" in body:
            found.append(Page(body, select))
    return found


def _declared(folder: Path) -> Iterator[tuple[str, tuple[str, ...] | None]]:
    """What to select, by file name; `None` where the declaration does not fit or is not as simple."""
    index = next((path for path in (folder / "index.jsonl", folder.parent / "index.jsonl") if path.is_file()), None)
    for line in index.read_text(encoding="utf-8").splitlines() if index else ():
        row = json.loads(line)
        select = row["declaration"].get("select")
        wanted = tuple(select) if isinstance(select, list) else (select,)
        plain = len(row["snapshots"]) == 1 and all(isinstance(selector, str) for selector in wanted)
        for snapshot in row["snapshots"]:
            yield Path(snapshot["file"]).name, wanted if plain and row.get("declaration_fits", True) else None


# --- the server, in a process of its own ---------------------------------------------------------------------------


class Server:
    """Answers every request on one port of all loopback addresses; the document is the last two bytes of the address."""

    def __init__(self, bodies: Sequence[bytes]) -> None:
        self.bodies = bodies
        self.round = "first"
        self.times = 0
        self.listener = socket.create_server(("", 0), backlog=512)

    def serve(self) -> None:
        while True:
            connection, _ = self.listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        third, fourth = map(int, connection.getsockname()[0].split(".")[2:])
        body = self.bodies[(third * 250 + fourth - 1) % len(self.bodies)]
        received = b""
        with connection:
            while True:
                while b"\r\n\r\n" not in received:
                    more = connection.recv(65536)
                    if not more:
                        return
                    received += more
                head, _, received = received.partition(b"\r\n\r\n")
                connection.sendall(self._response(head, body))

    def _response(self, head: bytes, body: bytes) -> bytes:
        if head.startswith(b"GET /robots.txt"):
            return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
        if self.round == "304":
            return b'HTTP/1.1 304 Not Modified\r\nETag: "1"\r\n\r\n'
        self.times += 1
        if self.round == "nonce":
            body = body.replace(b"<head", b'<meta name="csrf-token" content="%020d"><head' % self.times, 1)
        if self.round == "clause":
            paragraph = _PARAGRAPH.search(body)
            assert paragraph is not None
            body = body[: paragraph.end(1)] + b" This was reworded %d times." % self.times + body[paragraph.end(1) :]
        validator = b'ETag: "1"\r\n' if self.round == "first" else b""
        opening = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n%sContent-Length: %d\r\n\r\n"
        return opening % (validator, len(body)) + body


def _serve(bodies: Sequence[bytes], control: Connection) -> None:
    server = Server(bodies)
    threading.Thread(target=server.serve, daemon=True).start()
    control.send(server.listener.getsockname()[1])
    while (said := control.recv()) is not None:
        server.round = said
        control.send(said)


@contextmanager
def serving(bodies: Sequence[bytes]) -> Iterator[tuple[int, Connection]]:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=_serve, args=(bodies, theirs), daemon=True)
    process.start()
    try:
        yield ours.recv(), ours
    finally:
        ours.send(None)
        process.join()


# --- checking ------------------------------------------------------------------------------------------------------


class Checks:
    def __init__(self, folder: Path, declared: Sequence[Terms], workers: int) -> None:
        self.now = datetime(2026, 1, 5, tzinfo=UTC)
        self.workers = workers
        self.client = Client(Limits(allow_private_addresses=True), clock=lambda: self.now, environment={})
        self.archive = Archive(f"sqlite:///{folder}/archive.sqlite")
        self.archive.declare(list(declared), self.now)
        world = World(
            archive=self.archive,
            snapshots=Snapshots(folder / "snapshots"),
            fetcher=Fetcher(self.client, pause=timedelta(0)),
            rules=load_rules(),
            identity=self.archive.identity("tosmon.example", self.now.date()),
            addressees=lambda alert: [],
            clock=lambda: self.now,
        )
        settings = FeedSettings("tosmon", "https://tosmon.example", "tosmon.example", self.now.date())
        keys = {terms.key: terms for terms in declared}
        self.works = Works(world, keys, {}, settings, folder / "public", workers)

    def all(self) -> int:
        """Look at everything that is due with the clock's own workers; how many documents that were."""
        with ThreadPoolExecutor(self.workers) as threads:
            return sum(threads.map(look_at_due, [self.works] * self.workers))

    def outcomes(self, count: int) -> dict[str, int]:
        latest = self.archive.browse.checks(limit=count)
        failed = Outcome.FAILED
        names = (check.verdict.value if check.outcome is failed else check.outcome.value for check in latest)
        return dict(collections.Counter(names))

    def close(self) -> None:
        self.client.close()
        self.archive.close()


def main() -> None:
    share_heaps()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=Path, required=True)
    parser.add_argument("-n", type=int, default=1000, help="documents")
    parser.add_argument("--workers", type=int, default=4, help="threads that check")
    parser.add_argument("--folder", type=Path, help="where the archive goes; a temporary folder unless given")
    parser.add_argument("--rounds", nargs="+", default=list(ROUNDS[1:]), choices=ROUNDS[1:])
    parser.add_argument("--profile", action="store_true", help="say where the time goes instead (one worker)")
    arguments = parser.parse_args()
    pages = pages_in(arguments.pages)
    if not pages:
        parser.error(f"{arguments.pages}: no page with a paragraph of text")
    bodies = [page.body for page in pages]
    with tempfile.TemporaryDirectory(prefix="tosmon-throughput-") as temporary, serving(bodies) as (port, control):
        workers = 1 if arguments.profile else arguments.workers
        checks = Checks(arguments.folder or Path(temporary), declared(pages, arguments.n, port), workers)
        figures: dict[str, object] = {
            "documents": arguments.n,
            "different_pages": len(pages),
            "mean_page_bytes": round(fmean(len(bodies[number % len(bodies)]) for number in range(arguments.n))),
            "workers": workers,
        }
        for name in ("first", *arguments.rounds):
            control.send(name)
            control.recv()
            checks.now += _LATER
            figures[name] = profiled(checks) if arguments.profile and name != "first" else measured(checks)
        checks.close()
    print(json.dumps(figures, indent=2))


def declared(pages: Sequence[Page], count: int, port: int) -> list[Terms]:
    return [
        Terms(
            TermsKey(f"service-{number}", "Terms of Service"),
            f"Service {number}",
            Form((SourceDocument(url_of(number, port), pages[number % len(pages)].select),)),
        )
        for number in range(count)
    ]


def url_of(number: int, port: int) -> str:
    return f"http://127.0.{number // 250}.{number % 250 + 1}:{port}/terms"


def measured(checks: Checks) -> dict[str, object]:
    began, busy = time.perf_counter(), time.process_time()
    count = checks.all()
    seconds, busy = time.perf_counter() - began, time.process_time() - busy
    return {
        "per_second": round(count / seconds, 1),
        "processor_ms": round(1000 * busy / count, 2),
        "outcomes": checks.outcomes(count),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


def profiled(checks: Checks) -> str:
    profile = cProfile.Profile()
    profile.enable()
    look_at_due(checks.works)
    profile.disable()
    pstats.Stats(profile).sort_stats("tottime").print_stats(40)
    return "profiled"


if __name__ == "__main__":
    main()
