"""`import`: what others recorded (histories of texts, raw pages, declarations) becomes ours, and nobody is told of it."""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path

import click

from tosmon.cli import Commands, Lazy, Settings

IMPORTS: dict[str, Lazy] = {
    "ota": Lazy("declaring", "Write declarations of Open Terms Archive into the configuration."),
    "ota-versions": Lazy("importing", "Bring in recorded texts: a versions repository of Open Terms Archive."),
    "ota-snapshots": Lazy("importing", "Read recorded pages anew: a snapshots repository of Open Terms Archive."),
}


@click.group("import", cls=Commands, lazy=IMPORTS, prefix="import")
def import_command() -> None:
    """Bring in histories and declarations that others recorded.

    Nothing that is imported is told to anybody.
    """


_REPOSITORY = click.argument("repository", type=click.Path(path_type=Path, exists=True), metavar="REPOSITORY")
_REF = click.option("--ref", metavar="NAME", help="The branch to take, where there are several.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print what was imported as JSON.")


@click.command("ota-versions")
@_REPOSITORY
@_REF
@click.option("--workers", type=click.IntRange(1, 64), help="How many processes compare and judge; else one per core.")
@_JSON
@click.pass_obj
def import_ota_versions_command(
    settings: Settings, repository: Path, ref: str | None, workers: int | None, as_json: bool
) -> None:
    """Bring in recorded texts: a versions repository of Open Terms Archive.

    REPOSITORY is a clone, a bare clone or a bundle file. Every version is compared and judged as if it had been seen then,
    and nobody is told. It can be stopped at any time: the same command goes on, and after a pull brings what is new.
    """
    from tosmon.cli.terminal import counting, print_json, say
    from tosmon.cli.wiring import config_of, now, opened_archive
    from tosmon.interop.ota_versions import import_versions
    from tosmon.judge import load_rules

    config = config_of(settings)
    processes = workers or os.cpu_count() or 1
    began = time.monotonic()
    with opened_archive(config) as archive, counting() as count:
        rules = load_rules(config.rules)  # here too, so that a mistake in them is told before anything begins
        imported = import_versions(
            repository,
            archive,
            rules,
            now(),
            ref=ref,
            progress=partial(count, "versions"),
            workers=processes,
            packs=config.rules,
        )
    seconds = time.monotonic() - began
    if as_json:
        print_json(
            {
                "documents": imported.documents,
                "versions": imported.versions,
                "changes": imported.changes,
                "known_already": imported.known_already,
                "characters": imported.texts,
                "seconds": round(seconds, 1),
            }
        )
        return
    say(
        f"{imported.versions:,} versions of {imported.documents:,} documents, {imported.changes:,} changes in"
        f" {seconds:,.0f} s; {imported.known_already:,} versions were there already. Nobody was told."
    )


@click.command("ota-snapshots")
@_REPOSITORY
@click.option(
    "--declarations",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    required=True,
    help="The folder that says which part of each page to read.",
)
@_REF
@_JSON
@click.pass_obj
def import_ota_snapshots_command(
    settings: Settings, repository: Path, declarations: Path, ref: str | None, as_json: bool
) -> None:
    """Read recorded pages anew: a snapshots repository of Open Terms Archive.

    Each page goes through the steps of a check as of the time it was recorded, and is kept as a WARC file. Nobody is told.
    It can be stopped at any time: the same command goes on, and after a pull brings what is new.
    """
    from tosmon.archive import Snapshots
    from tosmon.cli.terminal import counting, print_json, say
    from tosmon.cli.wiring import config_of, identity_of, now, opened_archive
    from tosmon.declarations import read_declarations
    from tosmon.interop.ota_snapshots import import_snapshots
    from tosmon.judge import load_rules

    config = config_of(settings)
    declared = list(read_declarations(declarations))
    with opened_archive(config) as archive, counting() as count:
        done = import_snapshots(
            repository, declared, archive, Snapshots(config.snapshots), load_rules(config.rules),
            identity_of(config, archive), now(), ref=ref, progress=partial(count, "pages"),
        )  # fmt: skip
    if as_json:
        print_json(done)
        return
    say(
        f"{done.pages:,} pages read, {done.versions:,} versions, {done.changes:,} changes, {done.failures:,} not whole;"
        f" {done.known_already:,} older than the last look, {done.undeclared:,} of no declared document. Nobody was told."
    )
