"""The command line: parses what a person asks for, calls the right function, prints what it returns.

Each command lives in a module that is imported when it is called, so that `tosmon --help` answers at once. Nothing is
decided here; how the parts are put together stands in `wiring`.

Exit codes: 0 done · 1 something a person can act on, told in one line on stderr · 2 wrong usage · 3 done, but some
documents could not be read (`check`) · 130 interrupted.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import click

from tosmon import __version__
from tosmon.errors import TosmonError

ERROR, USAGE, UNREADABLE, INTERRUPTED = 1, 2, 3, 130


class Lazy(NamedTuple):
    """Where a command is, and what `--help` says of it without importing it."""

    module: str
    help: str


COMMANDS = {
    "init": Lazy("setup", "Write a first configuration, with a comment beside each setting."),
    "add": Lazy("setup", "Look at a URL, show what would be tracked, and add it to the configuration."),
    "list": Lazy("reading", "List the documents that are tracked, and how each of them stands."),
    "check": Lazy("checking", "Look at documents now: all of them, or those of the services named."),
    "run": Lazy("checking", "Look when it is time, tell people, and serve the archive, until stopped."),
    "serve": Lazy("checking", "Serve the archive in the browser, without looking at anything."),
    "changes": Lazy("reading", "List what changed, the latest first."),
    "diff": Lazy("reading", "Show one change, clause by clause."),
    "show": Lazy("reading", "Print the text of a document as it is, or as it was on a day."),
    "assess": Lazy("pairs", "Compare and judge two files: what did the change do? Needs no archive."),
    "extract": Lazy("pairs", "Print what tosmon reads on a page, as Markdown. Needs no archive."),
    "mail-test": Lazy("checking", "Send one mail to the configured recipients, to prove the set-up."),
    "demo": Lazy("checking", "Watch invented platforms change their terms, in an archive of its own."),
}


class Commands(click.Group):
    """A group that imports a command when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        lazy = COMMANDS.get(cmd_name)
        if lazy is None:
            return None
        module = importlib.import_module(f"tosmon.cli.{lazy.module}")
        command = getattr(module, cmd_name.replace("-", "_") + "_command")
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            ctx.fail(f"No such command {click.format_filename(args[0])!r}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, lazy.help) for name, lazy in COMMANDS.items()])


class Settings(NamedTuple):
    """The options that stand before the command."""

    config: Path | None
    verbosity: int


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Begin with: tosmon init, then tosmon run.",
)
@click.option(
    "--config",
    "-c",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The configuration; else TOSMON_CONFIG, ./config.yaml, or your own (~/.config/tosmon/config.yaml).",
)
@click.option("-v", "--verbose", count=True, help="Say more on stderr: -v what is done, -vv how.")
@click.version_option(__version__, message="tosmon %(version)s")
@click.pass_context
def tosmon(context: click.Context, config: Path | None, verbose: int) -> None:
    """Keep every version of the terms that platforms impose; tell people what changed in them, and for whom."""
    context.obj = Settings(config, verbose)
    if verbose:
        from tosmon.cli.terminal import log_to_stderr

        log_to_stderr(verbose)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave the process with its exit code."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code. A bug is not caught: its traceback is what it takes to mend it."""
    try:
        given = None if arguments is None else list(arguments)
        result = tosmon.main(args=given, prog_name="tosmon", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        return INTERRUPTED
    except TosmonError as error:
        from tosmon.cli.terminal import complain

        complain(error)
        return ERROR
    except BrokenPipeError:
        # The reader (head, less) has seen enough; Python would complain once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return result if isinstance(result, int) else 0
