"""`verify`, `backup`, `restore`, `prune`, `withdraw-text`: keeping an archive for years."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tosmon.cli import ERROR, Settings
from tosmon.cli.reading import document_in
from tosmon.cli.terminal import counting, one_line, print_json, say, stdout, styled
from tosmon.cli.wiring import config_of, now, reading
from tosmon.errors import ArchiveError

if TYPE_CHECKING:
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
    with reading(settings) as (config, archive), counting() as count:
        found = archive.verify(config.snapshots, count)
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
    faults = len(found.faults)
    told = f"{faults:,} fault{'s' if faults != 1 else ''}" if faults else "all as recorded"
    say(f"{looked} looked at{gone}: {told}.")
    if faults:
        say("Keep this archive aside, then put the last good backup in its place: tosmon restore FILE")
    return ERROR if found.faults else 0


# --- backups ---------------------------------------------------------------------------------------------------------


@click.command("backup")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--force", is_flag=True, help="Take the place of a file that is there, once the new one is whole.")
@_JSON
@click.pass_obj
def backup_command(settings: Settings, file: Path, force: bool, as_json: bool) -> None:
    """Copy the archive and the pages as received into one file.

    It is whole and of one moment, also while tosmon runs. The file holds the addresses of subscribers: keep it safe.
    """
    from tosmon.archive.backup import back_up

    if file.exists() and not force:
        raise ArchiveError(f"{file} is there already: name another file, or say --force to have it replaced")
    config = config_of(settings)
    with counting() as count:
        missing = back_up(_database(config), config.snapshots, file, partial(count, "snapshots"))
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


# --- what goes -------------------------------------------------------------------------------------------------------

_DRY = click.option("--dry-run", is_flag=True, help="Say what would go, and leave it.")
_YEAR = 365  # days


@click.command("prune")
@click.option(
    "--checks",
    type=click.IntRange(min=1),
    default=_YEAR,
    metavar="DAYS",
    help=f"Older looks that found nothing new go; {_YEAR} if not said.",
)
@click.option(
    "--evidence",
    type=click.IntRange(min=1),
    default=_YEAR,
    metavar="DAYS",
    help=f"Older pages of incidents that are over go; {_YEAR} if not said.",
)
@_DRY
@_JSON
@click.pass_obj
def prune_command(settings: Settings, checks: int, evidence: int, dry_run: bool, as_json: bool) -> None:
    """Let go of old looks and pages that no version, alert or open incident needs.

    What versions, changes and alerts rest on always stays, and of each document the last look.
    """
    at = now()
    with reading(settings) as (config, archive):
        gone = archive.prune(
            config.snapshots, at - timedelta(days=checks), at - timedelta(days=evidence), dry_run=dry_run
        )
    if as_json:
        print_json(gone)
        return
    what = f"{gone.checks:,} looks that found nothing new, {gone.snapshots:,} pages ({gone.bytes / 1e6:,.1f} MB)"
    say(f"Would delete {what}." if dry_run else f"Deleted {what}.")


@click.command("withdraw-text")
@click.argument("service")
@click.argument("type_", metavar="TYPE")
@click.option("--containing", metavar="WORDS", help="The clauses, of all times, that hold these words.")
@click.option("--version", "version_id", type=int, metavar="NUMBER", help="All clauses of that version.")
@click.option("--reason", required=True, help="Who asked for it and why: it stands where the text stood.")
@_DRY
@_JSON
@click.pass_obj
def withdraw_text_command(
    settings: Settings,
    service: str,
    type_: str,
    containing: str | None,
    version_id: int | None,
    reason: str,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Withdraw a text on legal request, leaving a tombstone.

    The clauses go from every version of every document that has them, with the pages as received that hold them; search,
    profiles, flags and alerts lose the quotes. Digests stay. It cannot be undone: begin with --dry-run.
    """
    if (version_id is None) == (not (containing or "").strip()):
        raise click.UsageError("Say which text: --containing WORDS, or --version NUMBER.")
    with reading(settings) as (config, archive):
        key = document_in(archive, service, type_).key
        clauses = archive.clauses_to_withdraw(key, containing, version_id)
        gone = archive.withdraw(clauses, reason, now(), config.snapshots, dry_run=dry_run)
    if as_json:
        print_json(gone)
        return
    if not gone.texts:
        raise ArchiveError("no such text, or it is withdrawn already: nothing was done")
    for clause_id, text in gone.texts.items():
        stdout().print(styled(f"clause {clause_id}: {one_line(text)}"))
    say(
        f"{'Would withdraw' if dry_run else 'Withdrew'} {len(gone.texts):,} clauses of {gone.versions:,} versions of"
        f" {gone.documents:,} documents, {gone.alerts:,} alerts lose a quote, {gone.snapshots:,} pages as received go."
    )
    if not dry_run:
        say(
            "Mails that were sent, backups, exports and files of feeds are yours to see to; restart a tosmon that runs."
        )
