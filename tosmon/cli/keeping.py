"""`verify`, `backup`, `restore` and the rest: keeping an archive for years."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tosmon.cli import ERROR, Settings
from tosmon.cli.terminal import one_line, print_json, say, stderr, stdout, styled
from tosmon.cli.wiring import config_of, reading
from tosmon.errors import ArchiveError

if TYPE_CHECKING:
    from tosmon.archive.verify import Progress
    from tosmon.config import Config

_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_SHOWN = 50


@click.command("verify")
@_JSON
@click.pass_obj
def verify_command(settings: Settings, as_json: bool) -> int:
    """Look whether everything in the archive is as it was recorded.

    Every clause and version is held against its digest, the chain of versions is followed, every page as received is
    hashed on disk. What is damaged is named, and the exit code is 1. Nothing is changed.
    """
    with reading(settings) as (config, archive), _bar() as progress:
        found = archive.verify(config.snapshots, progress)
    if as_json:
        print_json(found)
        return ERROR if found.faults else 0
    console = stdout()
    for fault in found.faults[:_SHOWN]:
        console.print(styled(f"{fault.kind} {one_line(fault.name)}: {one_line(fault.detail)}", "red"))
    if len(found.faults) > _SHOWN:
        console.print(styled(f"and {len(found.faults) - _SHOWN:,} more (--json lists all)"))
    looked = f"{found.clauses:,} clauses, {found.versions:,} versions, {found.snapshots:,} snapshots"
    gone = f"; {found.withdrawn:,} clauses were withdrawn on request" if found.withdrawn else ""
    say(f"{looked} looked at{gone}: {f'{len(found.faults):,} faults' if found.faults else 'all as recorded'}.")
    return ERROR if found.faults else 0


@contextmanager
def _bar() -> Iterator[Progress]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = stderr()
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        tasks = {}

        def said(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what)
            bar.update(tasks[what], completed=done, total=total)

        yield said


# --- backups ---------------------------------------------------------------------------------------------------------


@click.command("backup")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@_JSON
@click.pass_obj
def backup_command(settings: Settings, file: Path, as_json: bool) -> None:
    """Copy the archive and the pages as received into one file.

    It is whole and of one moment, also while tosmon runs. The file holds the addresses of subscribers: keep it safe.
    """
    from tosmon.archive.backup import back_up

    config = config_of(settings)
    with _bar() as progress:
        missing = back_up(
            _database(config), config.snapshots, file, lambda done, total: progress("snapshots", done, total)
        )
    if as_json:
        print_json({"file": file, "bytes": file.stat().st_size, "missing": missing})
        return
    for path in missing:
        say(f"Missing on disk: {one_line(path)}", "yellow")
    say(f"Wrote {file}, {file.stat().st_size / 1e6:,.1f} MB")


@click.command("restore")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@_JSON
@click.pass_obj
def restore_command(settings: Settings, file: Path, as_json: bool) -> None:
    """Put a backup in the place of the archive.

    Only where there is none: an archive that is there has to be moved away first. Every file is checked before.
    """
    from tosmon.archive.backup import restore

    config = config_of(settings)
    snapshots = restore(file, _database(config), config.snapshots)
    if as_json:
        print_json({"file": file, "snapshots": snapshots})
        return
    say(f"Restored, with {snapshots:,} snapshots. Look at it with: tosmon verify")


def _database(config: Config) -> Path:
    if not config.archive.startswith("sqlite:///"):
        raise ArchiveError("this archive is on a database server: copy it with the server's own tools (pg_dump)")
    return Path(config.archive.removeprefix("sqlite:///"))
