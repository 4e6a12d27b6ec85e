"""`export site`: the pages of the archive as files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from tosmon.cli import Settings
from tosmon.cli.terminal import print_json, say, stderr
from tosmon.cli.wiring import feed_settings, identity_of, now, reading


@click.command("site")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--evidence", is_flag=True, help="Copy the pages as received, too (WARC files: they are large).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def export_site_command(settings: Settings, folder: Path, evidence: bool, as_json: bool) -> None:
    """Write the archive into FOLDER as a site of files: the pages, feeds and style, with links between them.

    Feeds lead to feeds.site_url, so set it to where the folder will be seen. Done again, it writes what is new.
    """
    from tosmon.web import WebSettings
    from tosmon.web.static_site import export_site

    with reading(settings) as (config, archive):
        feeds = feed_settings(config, identity_of(config, archive))
        pages = WebSettings(config.feeds.title, config.site_url, snapshots=config.snapshots, feeds=feeds)
        with _counted() as step:
            done = export_site(archive, pages, folder, now(), evidence=evidence, step=step)
    if as_json:
        print_json(done)
        return
    say(f"{done.pages:,} pages in {folder}; {done.written:,} files written, {done.removed:,} removed.")


@contextmanager
def _counted() -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal: how many pages are done, of how many, and how long the rest will take."""
    console = stderr()
    if not console.is_terminal:
        yield lambda done, total: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("pages"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("pages", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
