"""Import a recorded history of versions, and say how fast, how large and with how much memory.

    python benchmarks/history.py --versions GIT_DIR_OR_BUNDLE [--ref REF] [--archive FOLDER]

Prints one JSON object: versions and megabytes of text a second, the size of the archive against that of the git pack,
peak memory.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tosmon.archive import Archive
from tosmon.interop.git import repository
from tosmon.interop.ota_versions import import_versions
from tosmon.judge import load_rules


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--versions", type=Path, required=True)
    parser.add_argument("--ref")
    parser.add_argument("--archive", type=Path, help="keep the archive in this folder")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tosmon-history-") as temporary, repository(arguments.versions) as folder:
        kept = arguments.archive or Path(temporary)
        kept.mkdir(parents=True, exist_ok=True)
        archive = Archive(f"sqlite:///{kept}/archive.sqlite")
        rules = load_rules()
        console = Console(stderr=True)
        columns = (TextColumn("versions"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        began = time.perf_counter()
        with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
            task = progress.add_task("versions")
            imported = import_versions(
                folder,
                archive,
                rules,
                datetime.now(UTC),
                ref=arguments.ref,
                progress=lambda done, total: progress.update(task, completed=done, total=total),
            )
        seconds = time.perf_counter() - began
        counts = archive.browse.counts()
        archive.close()
        size = sum(path.stat().st_size for path in kept.glob("archive.sqlite*"))
        pack = sum(path.stat().st_size for path in folder.rglob("*.pack"))
    figures = {
        "versions": imported.versions,
        "documents": imported.documents,
        "changes": imported.changes,
        "seconds": round(seconds, 1),
        "versions_per_second": round(imported.versions / seconds, 1),
        "megabytes_per_second": round(imported.texts / seconds / 1e6, 2),
        "archive_bytes": size,
        "pack_bytes": pack,
        "archive_to_pack": round(size / pack, 2) if pack else None,
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "archive": counts,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
