"""Import documents side by side, in processes: comparing and judging take all of a core's time.

The first process hands out documents, the largest first, and counts; the workers read, compare, judge and write. Only
one writes at a time. A worker whose first process is gone finds its pipe closed at its next word, and ends.
"""

from __future__ import annotations

import multiprocessing
import signal
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tosmon.errors import TosmonError

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext, ForkServerProcess, SpawnContext, SpawnProcess

    from tosmon.interop.ota_versions import Imported, Recorded
    from tosmon.model import TermsKey


def import_side_by_side(
    folder: Path,
    history: Mapping[TermsKey, Sequence[Recorded]],
    archive_url: str,
    packs: Sequence[Path],
    now: datetime,
    report: Callable[[int], None],
    workers: int,
) -> Imported:
    """Import all documents of a repository with so many processes; `report` hears how many versions are done."""
    from tosmon.interop.ota_versions import Imported

    waiting = sorted(history.items(), key=lambda one: len(one[1]))
    total = Imported()
    context = _context()
    lock = context.Lock()
    processes: dict[Connection, SpawnProcess | ForkServerProcess] = {}
    try:
        for _ in range(min(workers, len(waiting))):
            here, there = context.Pipe()
            process = context.Process(
                target=_work, args=(there, folder, archive_url, packs, now, lock), name="import", daemon=True
            )
            process.start()
            there.close()
            processes[here] = process
        busy = set(processes)
        while busy:
            for pipe in wait(list(busy)):
                assert isinstance(pipe, Connection)
                said = _heard(pipe)
                if isinstance(said, int):
                    report(said)
                    continue
                if isinstance(said, Imported):
                    total += said
                if waiting:
                    pipe.send(waiting.pop())
                else:
                    pipe.send(None)
                    busy.discard(pipe)
        for process in processes.values():
            process.join()
    finally:
        for pipe, process in processes.items():
            pipe.close()
            if process.is_alive():
                process.terminate()
                process.join()
    return total


def _context() -> SpawnContext | ForkServerContext:
    """How to start processes: never as copies of this one, which would take its threads' locks along.

    Where there is one, a process that has imported all modules and done nothing else is copied: the copies share its memory.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tosmon.interop.preloaded"])
    return context


def _heard(pipe: Connection) -> object:
    """What a worker says: None (it is ready), a count of versions, what a document came to. Raises what it raised."""
    try:
        said: object = pipe.recv()
    except EOFError as error:
        raise TosmonError(
            "a process of the import ended without a word (out of memory?); import again to go on"
        ) from error
    if isinstance(said, TosmonError):
        raise said
    if isinstance(said, str):
        raise RuntimeError(said)  # noqa: TRY004 (it is the traceback of a bug in the worker)
    return said


def _work(
    pipe: Connection,
    folder: Path,
    archive_url: str,
    packs: Sequence[Path],
    now: datetime,
    lock: AbstractContextManager[Any],
) -> None:
    from tosmon.archive import Archive
    from tosmon.interop.git import Blobs
    from tosmon.interop.ota_versions import import_document
    from tosmon.judge import load_rules

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the first process, which ends this one
    try:
        archive, blobs = Archive(archive_url), Blobs(folder)
        rules = load_rules(packs)
        pipe.send(None)
        while (task := pipe.recv()) is not None:
            key, recorded = task
            pipe.send(import_document(key, recorded, archive, rules, blobs, now, pipe.send, lock))
        blobs.close()
        archive.close()
    except (BrokenPipeError, EOFError, ConnectionResetError):
        return  # nobody is there to import for
    except TosmonError as error:
        pipe.send(TosmonError(str(error)))
    except Exception:
        pipe.send(traceback.format_exc())
