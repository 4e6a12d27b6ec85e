"""Import a recorded history of versions, and say how fast, how large and with how much memory.

    python benchmarks/history.py --versions GIT_DIR_OR_BUNDLE [--ref REF] [--archive FOLDER] [--workers N]

Prints one JSON object: versions and megabytes of text a second, the size of the archive against that of the git pack
(whole, and without the search index beside it), peak memory of all processes together.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tosmon.archive import Archive
from tosmon.archive.search import INDEX
from tosmon.interop.git import repository
from tosmon.interop.ota_versions import Imported, import_versions
from tosmon.judge import load_rules

_TEXTS = ("clause", "version", "layout", "dictionary", "origin")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--versions", type=Path, required=True)
    parser.add_argument("--ref")
    parser.add_argument("--archive", type=Path, help="keep the archive in this folder")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tosmon-history-") as temporary, repository(arguments.versions) as folder:
        kept = arguments.archive or Path(temporary)
        kept.mkdir(parents=True, exist_ok=True)
        began = time.perf_counter()
        with peak_memory() as peak:
            imported, counts = run(folder, kept, arguments.ref, arguments.workers)
        seconds = time.perf_counter() - began
        packed = arguments.versions if arguments.versions.is_dir() else folder
        pack = sum(path.stat().st_size for path in packed.rglob("*.pack"))
        figures = {
            "versions": imported.versions,
            "documents": imported.documents,
            "changes": imported.changes,
            "workers": arguments.workers,
            "seconds": round(seconds, 1),
            "versions_per_second": round(imported.versions / seconds, 1),
            "megabytes_per_second": round(imported.texts / seconds / 1e6, 2),
            "pack_bytes": pack,
            **sizes(kept / "archive.sqlite", pack),
            "peak_memory_bytes": peak,
            "archive": counts,
        }
    print(json.dumps(figures))


def run(folder: Path, kept: Path, ref: str | None, workers: int) -> tuple[Imported, dict[str, int]]:
    archive = Archive(f"sqlite:///{kept}/archive.sqlite")
    console = Console(stderr=True)
    columns = (TextColumn("versions"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("versions")
        imported = import_versions(
            folder,
            archive,
            load_rules() if workers == 1 else None,
            datetime.now(UTC),
            ref=ref,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
            workers=workers,
        )
    counts = archive.browse.counts()
    archive.close()
    return imported, counts


def sizes(path: Path, pack: int) -> dict[str, object]:
    """The bytes of the texts (clauses, versions, what they need to be read), of the search index, and of all."""
    with sqlite3.connect(path) as connection:
        tables = dict(connection.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY name"))
    texts = sum(tables[name] for name in _TEXTS if name in tables)
    search = sum(size for name, size in tables.items() if name.startswith(INDEX))
    whole = sum(tables.values())
    return {
        "archive_bytes": whole,
        "texts_bytes": texts,
        "search_bytes": search,
        "texts_to_pack": round(texts / pack, 2) if pack else None,
        "without_search_to_pack": round((whole - search) / pack, 2) if pack else None,
        "largest_tables": dict(sorted(tables.items(), key=lambda one: -one[1])[:12]),
    }


@contextmanager
def peak_memory() -> Iterator[dict[str, int]]:
    """The most memory that this process and its children had at one time, looked at every fifth of a second.

    Shared pages are counted once (PSS); where the system does not tell, there is nothing in it.
    """
    found = {"together": 0, "largest": 0}
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(0.2):
            each = [memory_of(process) for process in family()]
            found["together"] = max(found["together"], sum(each))
            found["largest"] = max(found["largest"], *each, 0)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        stop.set()
        thread.join()


def family() -> list[str]:
    """The ids of this process and all below it."""
    known: list[str] = []
    waiting = [str(os.getpid())]
    while waiting:
        process = waiting.pop()
        known.append(process)
        for children in Path("/proc", process, "task").glob("*/children"):
            try:
                waiting += children.read_text().split()
            except OSError:
                continue
    return known


def memory_of(process: str) -> int:
    try:
        lines = Path("/proc", process, "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


if __name__ == "__main__":
    main()
