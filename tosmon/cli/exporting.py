"""`export`: what is archived, written in forms that others read."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import click

from tosmon.cli import Commands, Lazy, Settings
from tosmon.errors import TosmonError

EXPORTS: dict[str, Lazy] = {
    "git": Lazy("exporting", "Write all versions into a git repository, as Open Terms Archive does."),
    "dataset": Lazy("exporting", "Write all versions into one zip file, with their metadata."),
    "csv": Lazy("exporting", "Write changes and their flags for a spreadsheet."),
    "jsonl": Lazy("exporting", "Write changes and their flags as one JSON object a line."),
    "evidence": Lazy("exporting", "Write one change with all there is to prove it, as a zip file."),
    "site": Lazy("static_site", "Write the pages of the archive as files, for any static host."),
}


@click.group("export", cls=Commands, lazy=EXPORTS, prefix="export")
def export_command() -> None:
    """Write what is archived in forms that others read."""


_JSON = click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
_ALL = click.option("--all", "everything", is_flag=True, help="Also the changes that nobody is told of.")
_FILE = click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True), default="-")


@click.command("git")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@_JSON
@click.pass_obj
def export_git_command(settings: Settings, folder: Path, as_json: bool) -> None:
    """Write all versions into a git repository, as Open Terms Archive does.

    One text per commit, by its date. FOLDER is made, bare if its name ends in .git; done again, what is new is added.
    """
    from tosmon.cli.terminal import counting, print_json, say
    from tosmon.cli.wiring import reading
    from tosmon.interop.ota_export import export_git

    with reading(settings) as (_, archive), counting() as count:
        done = export_git(archive, folder, partial(count, "versions"))
    if as_json:
        print_json({"folder": folder, "versions": done.versions, "there_already": done.there_already})
        return
    say(f"{done.versions:,} versions added to {folder}; {done.there_already:,} were there already.")


@click.command("dataset")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@_JSON
@click.pass_obj
def export_dataset_command(settings: Settings, file: Path, as_json: bool) -> None:
    """Write all versions into one zip file, with their metadata.

    The files are named `<service>/<type>/<time>.md`; `metadata.jsonl` has a line for each.
    """
    from tosmon.cli.terminal import counting, print_json, say
    from tosmon.cli.wiring import reading
    from tosmon.interop.bundles import export_dataset

    with reading(settings) as (_, archive), counting() as count:
        versions = export_dataset(archive, file, partial(count, "versions"))
    if as_json:
        print_json({"file": file, "versions": versions})
        return
    say(f"{versions:,} versions in {file}")


@click.command("csv")
@_FILE
@_ALL
@click.pass_obj
def export_csv_command(settings: Settings, file: Path, everything: bool) -> None:
    """Write changes and their flags for a spreadsheet.

    One line for each flag, one for a change without any; without FILE on stdout. No cell is taken for a formula.
    """
    from tosmon.cli.wiring import reading
    from tosmon.interop.tables import csv_lines, every_change

    with reading(settings) as (_, archive):
        _write(file, csv_lines(every_change(archive, told_only=not everything)))


@click.command("jsonl")
@_FILE
@_ALL
@click.pass_obj
def export_jsonl_command(settings: Settings, file: Path, everything: bool) -> None:
    """Write changes and their flags as one JSON object a line.

    Without FILE on stdout.
    """
    from tosmon.cli.wiring import reading
    from tosmon.interop.tables import every_change, json_lines

    with reading(settings) as (_, archive):
        _write(file, json_lines(every_change(archive, told_only=not everything)))


@click.command("evidence")
@click.argument("change", type=int)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@_JSON
@click.pass_obj
def export_evidence_command(settings: Settings, change: int, file: Path | None, as_json: bool) -> None:
    """Write one change with all there is to prove it, as a zip file.

    Both texts, the pages as received, the hashes of all of them, and a cover to read. CHANGE is its number, as
    `tosmon changes` shows it; without FILE it goes to evidence-CHANGE.zip.
    """
    from tosmon.cli.terminal import print_json, say
    from tosmon.cli.wiring import now, reading
    from tosmon.interop.bundles import export_evidence

    path = file or Path(f"evidence-{change}.zip")
    with reading(settings) as (config, archive):
        missing = export_evidence(archive, change, config.snapshots, path, now())
    if as_json:
        print_json({"file": path, "missing": missing})
        return
    for one in missing:
        say(f"Missing: {one}.", "yellow")
    say(f"Wrote {path}")


def _write(file: Path, lines: Iterator[str]) -> None:
    """The lines into a file, or on stdout; line ends as they are."""
    try:
        if str(file) == "-":
            out = sys.stdout.buffer if hasattr(sys.stdout, "buffer") else None
            for line in lines:
                if out is None:
                    sys.stdout.write(line)
                else:
                    out.write(line.encode("utf-8", "replace"))
            sys.stdout.flush()
            return
        draft = file.with_name(f".{file.name}.new")
        try:
            with draft.open("wb") as stream:
                stream.writelines(line.encode("utf-8", "replace") for line in lines)
            draft.replace(file)
        finally:
            draft.unlink(missing_ok=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise TosmonError(f"{file} cannot be written: {error.strerror or os.strerror(error.errno or 0)}") from error
