"""`export site`: the pages of the archive as files."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from tosmon.cli import Settings
from tosmon.cli.terminal import counting, print_json, say
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
        with counting() as count:
            done = export_site(archive, pages, folder, now(), evidence=evidence, step=partial(count, "pages"))
    if as_json:
        print_json(done)
        return
    say(f"{done.pages:,} pages in {folder}; {done.written:,} files written, {done.removed:,} removed.")
