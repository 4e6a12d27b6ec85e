"""How quick the pages are on a large archive: fills one, asks for every kind of page, prints the times.

    python benchmarks/web.py --versions 42000 --documents 900 --out web.json

The archive is made of documents that change a clause at a time, some of them going back and forth; it is kept in
`--archive FILE` when given, and used again when that exists. One process serves, over HTTP on this machine; each kind of
page is asked for on many different documents. Then 100 readers ask at once.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import random
import resource
import socket
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import requests
import uvicorn

from tosmon.archive import Archive, NewChange, Recording
from tosmon.clauses import canonical_digest, split
from tosmon.compare import compare
from tosmon.model import (
    Alert,
    AlertKind,
    ChangeState,
    Clause,
    ClauseKind,
    Direction,
    Flag,
    Form,
    Judgement,
    Outcome,
    Quote,
    Severity,
    SourceDocument,
    Terms,
    TermsKey,
    Verdict,
    Version,
)
from tosmon.publish import alert_uid, feeds_for, links
from tosmon.web import WebSettings, app
from tosmon.web.serving import settle

NOW = datetime(2026, 11, 3, 9, 12, tzinfo=UTC)
_VOCABULARY = (
    "the service you content account may use rights agree terms provide data license party notice law claim liability "
    "information access user time reasonable written request purpose applicable including without limitation any shall "
    "not our policy material third platform creator work model train image upload store partner share process delete"
)
_WORDS = _VOCABULARY.split()


@dataclass(frozen=True)
class Filled:
    keys: list[TermsKey]
    changes: list[int]
    versions: list[int]
    by_document: dict[TermsKey, list[int]]
    new: list[str]


def fill(archive: Archive, documents: int, versions: int, chance: random.Random) -> None:
    """Documents of about 3,000 words, each with its share of the versions, spread over six years."""
    types = ("Terms of Service", "Privacy Policy", "Community Guidelines")
    keys = [TermsKey(f"Service {number // 3:03d}", types[number % 3]) for number in range(documents)]
    start = NOW - timedelta(days=6 * 365)
    archive.declare([_terms(key) for key in keys], start)
    shares = [chance.paretovariate(1.2) for _ in keys]
    scale = versions / sum(shares)
    began = time.perf_counter()
    done = 0
    for key, share in zip(keys, shares, strict=True):
        count = max(2, min(3000, round(share * scale)))
        for recording in _history(archive, key, count, start, chance):
            archive.record(recording)
            done += 1
            if done % 1000 == 0:
                print(f"{done} versions, {done / (time.perf_counter() - began):.0f} a second", flush=True)


def _terms(key: TermsKey) -> Terms:
    return Terms(key, key.service, Form((SourceDocument(f"https://{key.service.replace(' ', '-')}.example/"),)))


def _history(
    archive: Archive, key: TermsKey, count: int, start: datetime, chance: random.Random
) -> Iterator[Recording]:
    clauses = _first_text(key, chance)
    earlier = clauses
    step = (NOW - start) / (count + 1)
    for number in range(count):
        at = start + step * number + timedelta(seconds=chance.randrange(3600))
        [standing] = archive.claim([key], at, timedelta(minutes=5))
        change = None
        if number:
            before, clauses = clauses, earlier if chance.random() < 0.3 else _edited(clauses, chance)
            earlier = before
            assert standing.latest is not None
            change = _change(key, standing.latest.id, before, clauses, at, chance)
        text = "".join(clause.lead + clause.text + clause.tail for clause in clauses)
        version = Version(clauses, at, hashlib.sha256(text.encode()).digest(), canonical_digest(clauses), 3000)
        yield Recording(
            standing,
            at,
            at,
            Verdict.OK,
            Outcome.CHANGED,
            "",
            NOW + timedelta(hours=1),
            0,
            version=version,
            change=change,
        )


def _sentence(chance: random.Random) -> str:
    return f"{' '.join(chance.choice(_WORDS) for _ in range(chance.randrange(12, 60)))}."


def _first_text(key: TermsKey, chance: random.Random) -> tuple[Clause, ...]:
    sections = []
    for number in range(1, 13):
        sections += [f"## {number}. Section {number} of {key.service}", *(_sentence(chance) for _ in range(7))]
    return split("\n\n".join(sections))


def _edited(clauses: Sequence[Clause], chance: random.Random) -> tuple[Clause, ...]:
    edited = list(clauses)
    place = chance.randrange(len(edited))
    tokens = edited[place].text.split()
    tokens[chance.randrange(len(tokens))] = chance.choice(_WORDS)
    edited[place] = Clause(
        " ".join(tokens), edited[place].lead, edited[place].tail, edited[place].kind, edited[place].level
    )
    if chance.random() < 0.3:
        edited.insert(place + 1, Clause(_sentence(chance), "", "\n\n", ClauseKind.PARAGRAPH))
    return tuple(edited)


def _change(
    key: TermsKey,
    before_id: int,
    before: Sequence[Clause],
    after: Sequence[Clause],
    at: datetime,
    chance: random.Random,
) -> NewChange:
    comparison = compare(before, after)
    told = chance.random() < 0.35
    flags: tuple[Flag, ...] = ()
    if chance.random() < 0.3 and comparison.changes and (place := comparison.changes[0].after) is not None:
        quote = Quote(after[place].text, place, 0, len(after[place].text), ("Section",))
        topic = chance.choice(("ai_training", "content_license", "ai_other"))
        flags = (Flag(topic, chance.choice(list(Direction)), "Says something else now.", (), (quote,)),)
    severity = chance.choice(list(Severity))
    judgement = Judgement(told, "reworded", severity, f"{key.service} {key.type}: a clause reworded", flags)

    def tell(change_id: int, version_id: int):  # type: ignore[no-untyped-def]
        uid = alert_uid("bench.example", NOW.date(), change_id, AlertKind.CHANGE)
        alert = Alert(
            uid, AlertKind.CHANGE, at, key.service, key.service, key.type, "https://x.example/", judgement.headline,
            severity, flags=flags, change_id=change_id, version_id=version_id,
        )  # fmt: skip
        return alert, [], [feed.path for feed in feeds_for(alert)]

    state = ChangeState.TOLD if told else ChangeState.SUPPRESSED
    return NewChange(before_id, judgement, comparison, state, "", tell if told else None)


# --- measuring ------------------------------------------------------------------------------------------------------


def _serve(url: str, port: int) -> None:
    made = app(Archive(url), WebSettings(), lambda: NOW)
    settle()
    uvicorn.run(made, port=port, log_level="critical", access_log=False)


@contextmanager
def served(url: str) -> Iterator[tuple[str, int]]:
    """The web in a process of its own; gives its address and its id."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(url, port), daemon=True)
    process.start()
    base = f"http://127.0.0.1:{port}"
    for _ in range(200):
        try:
            requests.get(f"{base}/robots.txt", timeout=1)
            break
        except requests.ConnectionError:
            time.sleep(0.1)
    try:
        yield base, process.pid or 0
    finally:
        process.terminate()
        process.join()


Kinds = dict[str, Callable[[], str]]
"""For each kind of page, what gives the address of one."""


def addresses(filled: Filled, chance: random.Random) -> Kinds:
    def key() -> TermsKey:
        return chance.choice(filled.keys)

    def change() -> int:
        return chance.choice(filled.changes)

    def version() -> int:
        return chance.choice(filled.versions)

    def day() -> str:
        return f"{chance.randrange(2021, 2027)}-0{chance.randrange(1, 10)}-15"

    def words(count: int) -> str:
        return "+".join(chance.choice(_WORDS) for _ in range(count))

    def compared() -> str:
        whose, ids = chance.choice(list(filled.by_document.items()))
        return f"{links.document_path(whose)}/compare?from={chance.choice(ids)}&to={chance.choice(ids)}"

    return {
        "home": lambda: "/",
        "home, filtered by service": lambda: f"/?service={key().service}",
        "home, filtered by topic": lambda: "/?topic=ai_training&direction=worse",
        "home, by severity and day": lambda: f"/?severity=high&since={day()}",
        "home, page 50": lambda: f"/?before={change()}",
        "services": lambda: "/services",
        "service": lambda: links.service_path(key().service),
        "document": lambda: links.document_path(key()),
        "document, everything": lambda: f"{links.document_path(key())}?all=1",
        "change": lambda: links.change_path(change()),
        "change, side by side": lambda: f"{links.change_path(change())}?view=side",
        "version": lambda: f"/versions/{version()}",
        "text on a day": lambda: f"{links.document_path(key())}/at/{day()}",
        "two versions compared": lambda: compared(),
        "patch": lambda: f"{links.change_path(change())}/patch",
        "Markdown": lambda: f"/versions/{version()}/text",
        "search, a word": lambda: f"/search?q={words(1)}",
        "search, two words": lambda: f"/search?q={words(2)}",
        "search, a phrase": lambda: f"/search?q=%22{words(2)}%22",
        "search, a beginning": lambda: f"/search?q={words(1)[:3]}*",
        "search, in a service": lambda: f"/search?q={words(1)}&service={key().service}",
        "search, in a time": lambda: f"/search?q={words(2)}&since={day()}&until={day()}&order=first",
        "feeds": lambda: "/feeds",
        "OPML": lambda: "/feeds.opml",
        "incidents": lambda: "/incidents",
        "health": lambda: "/health",
        "api: changes": lambda: "/api/v1/changes",
        "api: version": lambda: f"/api/v1/versions/{version()}",
        "api: change": lambda: f"/api/v1/changes/{change()}",
        "api: services": lambda: "/api/v1/services",
        "api: documents": lambda: f"/api/v1/services/{quote(key().service)}",
        "api: versions": lambda: f"/api/v1{links.document_path(key())}/versions",
        "api: text on a day": lambda: f"/api/v1{links.document_path(key())}/at/{day()}",
        "api: search": lambda: f"/api/v1/search?q={words(2)}",
        "api: description": lambda: "/api/openapi.json",
    }


def timed(session: requests.Session, address: str) -> float:
    began = time.perf_counter()
    answer = session.get(address)
    assert answer.status_code in (200, 404), (address, answer.status_code)
    return (time.perf_counter() - began) * 1000


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--versions", type=int, default=42_000)
    options.add_argument("--documents", type=int, default=900)
    options.add_argument("--requests", type=int, default=60, help="of each kind of page")
    options.add_argument("--archive", type=Path)
    options.add_argument("--out", type=Path)
    asked = options.parse_args()
    chance = random.Random(1)
    with tempfile.TemporaryDirectory() as temporary:
        file = asked.archive or Path(temporary) / "archive.sqlite"
        fresh = not file.exists()
        url = f"sqlite:///{file}"
        archive = Archive(url)
        if fresh:
            fill(archive, asked.documents, asked.versions, chance)
        counts = archive.browse.counts()
        documents = archive.browse.documents()
        keys = [document.key for document in documents]
        by_document = {one.key: [mark.id for mark in archive.browse.version_marks(one.id)] for one in documents[::9]}
        latest = archive.browse.changes(limit=20_000)
        changes = [change.id for change in latest]
        new = ["/"] * 10 + [links.change_path(change.id) for change in latest[:30]]
        new += [links.document_path(change.key) for change in latest[:10]]
        versions = list(range(1, counts["versions"] + 1))
        archive.close()
        print(json.dumps(counts), f"{file.stat().st_size / 1e6:.0f} MB", flush=True)
        measured = measure(url, Filled(keys, changes, versions, by_document, new), asked.requests, chance)
    if asked.out:
        asked.out.write_text(json.dumps({"archive": counts, **measured}, indent=2))


Figures = dict[str, float]
PAUSE = 4.0
"""Seconds for which a reader reads before the next page."""


def at_leisure(base: str, kinds: Kinds, new: Sequence[str], chance: random.Random, seconds: float = 30) -> Figures:
    """100 people who read: each asks for a page, reads it for a while, and asks for the next.

    Three pages of four are what is new (`new`: the first page, the latest changes and their documents), which others read,
    too; one of four is any page of any kind.
    """

    def page() -> str:
        return base + (chance.choice(new) if chance.random() < 0.75 else chance.choice(list(kinds.values()))())

    plans = [[page() for _ in range(30)] for _ in range(100)]
    starts = [chance.random() * PAUSE for _ in plans]
    pauses = [[chance.expovariate(1 / PAUSE) for _ in plan] for plan in plans]
    began = time.perf_counter()

    def reader(number: int) -> list[float]:
        times = []
        time.sleep(starts[number])
        with requests.Session() as session:
            for address, pause in zip(plans[number], pauses[number], strict=True):
                if time.perf_counter() - began > seconds:
                    break
                times.append(timed(session, address))
                time.sleep(pause)
        return times

    with ThreadPoolExecutor(100) as readers:
        times = sorted(found for mine in readers.map(reader, range(100)) for found in mine)
    return {
        "pages": len(times),
        "pages_a_second": round(len(times) / (time.perf_counter() - began), 1),
        "median_ms": round(statistics.median(times), 1),
        "p95_ms": round(times[int(len(times) * 0.95) - 1], 1),
    }


def without_pause(base: str, kinds: Kinds, chance: random.Random) -> Figures:
    """100 programs that ask for the next page as soon as they have one: how much one process can give."""
    wanted = [base + address() for address in kinds.values() for _ in range(60)]
    chance.shuffle(wanted)
    began = time.perf_counter()
    with ThreadPoolExecutor(100) as readers, requests.Session() as session:
        session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=100))
        list(readers.map(lambda address: timed(session, address), wanted))
    return {"pages_a_second": round(len(wanted) / (time.perf_counter() - began))}


def _cpu_ms(process: int) -> float:
    """What the server has worked so far: waits of a busy machine are not in it."""
    status = Path(f"/proc/{process}/stat")
    if not status.exists():
        return 0.0
    fields = status.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def measure(url: str, filled: Filled, each: int, chance: random.Random) -> dict[str, object]:
    results: dict[str, object] = {}
    with served(url) as (base, process):
        kinds = addresses(filled, chance)
        every: list[float] = []
        with requests.Session() as session:
            for name, address in kinds.items():
                timed(session, base + address())
                before = _cpu_ms(process)
                times = sorted(timed(session, base + address()) for _ in range(each))
                cpu = (_cpu_ms(process) - before) / each
                every += times
                p95 = times[int(len(times) * 0.95) - 1]
                results[name] = {
                    "median_ms": round(statistics.median(times), 1),
                    "p95_ms": round(p95, 1),
                    "cpu_ms": round(cpu, 1),
                }
                middle = statistics.median(times)
                print(
                    f"{name:28} median {middle:7.1f} ms   p95 {p95:7.1f} ms   slowest {times[-1]:7.1f}   CPU {cpu:6.1f}"
                )
        results["all"] = {"p95_ms": round(sorted(every)[int(len(every) * 0.95) - 1], 1)}
        results["100 readers"] = at_leisure(base, kinds, filled.new, chance)
        print(f"100 readers, a page each every {PAUSE} s: {results['100 readers']}")
        results["100 readers without a pause"] = without_pause(base, kinds, chance)
        print(f"100 readers without a pause: {results['100 readers without a pause']}; p95 alone {results['all']}")
        status = Path(f"/proc/{process}/status")
        if status.exists():
            peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
            results["peak_memory_mb"] = round(int(peak.split()[1]) / 1024)
            print(f"peak memory of the server: {results['peak_memory_mb']} MB")
    results["readers_cpu_seconds"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_utime, 1)
    return results


if __name__ == "__main__":
    main()
