"""How quick feeds are with many alerts in the archive: a GET, a 304, and what one more alert costs.

    python benchmarks/feeds.py [--alerts 10000] [--rounds 50] [--out FILE]

Fills a new archive in a temporary folder with alerts of invented platforms, writes every feed, and serves them over real
HTTP from this machine. GETs are timed by a bare client (no library between it and the socket), with and without gzip.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random

import uvicorn

from tosmon import publish
from tosmon.archive import Archive, Envelope, NewChange, Recording
from tosmon.clauses import canonical_digest, split
from tosmon.compare import compare
from tosmon.model import (
    Alert,
    AlertKind,
    ChangeState,
    ClauseChangeKind,
    Direction,
    Edit,
    EditKind,
    Flag,
    Form,
    Judgement,
    Outcome,
    Passage,
    Quote,
    Severity,
    SourceDocument,
    Terms,
    TermsKey,
    Verdict,
    Version,
)
from tosmon.publish import FeedFormat, FeedSettings, feed_file
from tosmon.web import WebSettings, app

START = datetime(2025, 1, 1, tzinfo=UTC)
SETTINGS = FeedSettings("tosmon", "https://terms.example", "terms.example", START.date())
SERVICES = 60
TYPES = ("Terms of Service", "Privacy Policy")
TOPICS = ("ai_training", "content_license", "ai_restriction", "service_license", "ai_other")
WORDS = (
    *("you", "we", "may", "will", "licence", "content", "grant", "use", "service", "terms", "data", "privacy", "train"),
    *("models", "display", "share", "partners", "worldwide", "perpetual", "account", "remove", "notify", "change"),
    *("agree", "rights", "third", "parties", "without", "with", "under", "for", "any", "purpose"),
)


def sentence(random: Random, words: int) -> str:
    return " ".join(random.choice(WORDS) for _ in range(words)).capitalize() + "."


def an_alert(random: Random, key: TermsKey, change_id: int, version_id: int, at: datetime) -> Alert:
    """An alert of ordinary size: one or two flags with a quote, three or so changed clauses."""
    passages = tuple(
        Passage(
            ClauseChangeKind.MODIFIED,
            (
                Edit(EditKind.SAME, sentence(random, 30)),
                Edit(EditKind.REMOVED, sentence(random, 4)),
                Edit(EditKind.ADDED, sentence(random, 6)),
                Edit(EditKind.SAME, sentence(random, 40)),
            ),
            (sentence(random, 3), sentence(random, 4)),
            number,
        )
        for number in range(random.randint(1, 5))
    )
    flags = tuple(
        Flag(
            topic, random.choice(list(Direction)), sentence(random, 8), (), (Quote(passages[0].edits[2].text, 0, 0, 9),)
        )
        for topic in random.sample(TOPICS, random.randint(0, 2))
    )
    return Alert(
        uid=publish.alert_uid(SETTINGS.authority, SETTINGS.started, change_id, AlertKind.CHANGE),
        kind=AlertKind.CHANGE,
        at=at,
        service=key.service,
        service_name=key.service,
        type=key.type,
        url="https://platform.example/terms",
        headline=f"{key.service} {key.type}: {sentence(random, 9)}",
        severity=random.choice(list(Severity)),
        effective_date=date(2026, 11, 15) if random.random() < 0.3 else None,
        flags=flags,
        passages=passages,
        tags=("creators",),
        change_id=change_id,
        version_id=version_id,
        evidence=("3f8a0c1d" * 8,),
    )


class Telling:
    """Fills an archive, one told change after the other."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._random = Random(6)
        self._latest: dict[TermsKey, int] = {}
        self._keys = [TermsKey(f"Platform {number}", type) for number in range(SERVICES) for type in TYPES]
        self._at = START
        archive.declare(
            [Terms(key, key.service, Form((SourceDocument("https://p.example/"),))) for key in self._keys], START
        )
        for key in self._keys:
            self._record(key, None)

    def one_more(self) -> Alert:
        """Record one change that people are told of; gives its alert."""
        key = self._random.choice(self._keys)
        told: list[Alert] = []

        def tell(change_id: int, version_id: int) -> tuple[Alert, list[Envelope], list[str]]:
            told.append(an_alert(self._random, key, change_id, version_id, self._at))
            return told[0], [], [feed.path for feed in publish.feeds_for(told[0])]

        judgement = Judgement(True, "benchmark", Severity.LOW, "news")
        comparison = compare(split("One."), split("Two."))
        self._record(key, NewChange(self._latest[key], judgement, comparison, ChangeState.TOLD, "benchmark", tell))
        return told[0]

    def _record(self, key: TermsKey, change: NewChange | None) -> None:
        self._at += timedelta(minutes=7)
        [standing] = self._archive.claim([key], self._at, timedelta(minutes=1))
        clauses = split(sentence(self._random, 12))
        version = Version(clauses, self._at, b"d" * 32, canonical_digest(clauses), 12)
        recorded = self._archive.record(
            Recording(
                standing,
                self._at,
                self._at,
                Verdict.OK,
                Outcome.CHANGED,
                "",
                self._at,
                0,
                version=version,
                change=change,
            )
        )
        assert recorded.version_id is not None
        self._latest[key] = recorded.version_id


class Got:
    """GETs over one kept-alive connection, as a feed reader's fetcher makes them."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port)

    def get(self, path: str, headers: dict[str, str]) -> tuple[int, bytes, str]:
        self._connection.request("GET", path, headers=headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read(), answer.headers.get("ETag") or ""


def milliseconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


def spread(times: list[float]) -> dict[str, float]:
    times = sorted(times)
    return {
        "median_ms": round(statistics.median(times), 2),
        "p95_ms": round(times[min(len(times) - 1, int(len(times) * 0.95))], 2),
        "max_ms": round(times[-1], 2),
    }


def serve(archive: Archive, public: Path) -> tuple[uvicorn.Server, threading.Thread, int]:
    web = app(archive, WebSettings(public=public, feeds=SETTINGS))
    server = uvicorn.Server(uvicorn.Config(web, host="127.0.0.1", port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.05)
    return server, thread, server.servers[0].sockets[0].getsockname()[1]


def measure(folder: Path, alerts: int, rounds: int) -> dict[str, object]:
    archive = Archive(f"sqlite:///{folder}/archive.sqlite")
    public = folder / "public"
    telling = Telling(archive)
    print(f"filling an archive with {alerts} alerts …", file=sys.stderr)
    every: set[publish.Feed] = set()
    filling = time.perf_counter()
    for _ in range(alerts):
        every.update(publish.feeds_for(telling.one_more()))
    filled = time.perf_counter() - filling

    def write(feeds: set[publish.Feed]) -> int:
        return len(
            publish.write(
                public,
                lambda feed: archive.browse.alerts(feed.path),
                sorted(feeds, key=lambda feed: feed.path),
                SETTINGS,
            )
        )

    everything = milliseconds(lambda: write(every))
    # A process that runs has written the feeds before: what it then keeps is what one more alert finds.
    added = []
    for _ in range(rounds):
        touched = set(publish.feeds_for(telling.one_more()))
        added.append(milliseconds(partial(write, touched)))
    server, thread, port = serve(archive, public)
    got = Got(port)
    paths = [
        feed_file(feed, format).replace(" ", "%20")
        for feed in sorted(every, key=lambda feed: feed.path)
        for format in FeedFormat
    ]
    first, again, packed, unchanged = [], [], [], []
    etags: dict[str, str] = {}
    for path in paths:
        started = time.perf_counter()
        status, body, etags[path] = got.get(f"/{path}", {})
        first.append((time.perf_counter() - started) * 1000)
        assert status == 200 and body, path
    largest = max(paths, key=lambda path: (public / path.replace("%20", " ")).stat().st_size)
    for _ in range(rounds):
        again.append(milliseconds(lambda: got.get(f"/{largest}", {})))
        packed.append(milliseconds(lambda: got.get(f"/{largest}", {"Accept-Encoding": "gzip"})))
        unchanged.append(milliseconds(lambda: got.get(f"/{largest}", {"If-None-Match": etags[largest]})))
    assert got.get(f"/{largest}", {"If-None-Match": etags[largest]})[0] == 304
    server.should_exit = True
    thread.join(10)
    archive.close()
    return {
        "alerts": alerts,
        "feeds": len(every),
        "files": len(paths),
        "filling_s": round(filled, 1),
        "writing_every_feed_ms": round(everything),
        "one_more_alert": spread(added),
        "get_each_feed_for_the_first_time": spread(first),
        "get_largest": spread(again),
        "get_largest_gzip": spread(packed),
        "get_304": spread(unchanged),
        "largest": {"path": largest, "bytes": (public / largest.replace("%20", " ")).stat().st_size},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--alerts", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = json.dumps(measure(Path(folder), asked.alerts, asked.rounds), indent=2)
    print(found)
    if asked.out:
        asked.out.write_text(found + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
