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
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

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
    "search": Lazy("searching", "Find clauses of all times by their words: who says this, and since when."),
    "show": Lazy("reading", "Print the text of a document as it is, or as it was on a day."),
    "profile": Lazy("profiles", "Show who may do what with people's work, service by service, in their own words."),
    "rejudge": Lazy("profiles", "Judge all history by the rules in force, after they changed."),
    "assess": Lazy("pairs", "Compare and judge two files: what did the change do? Needs no archive."),
    "rules": Lazy("rules", "What tosmon looks for in terms: list the rules, test them, explain a clause."),
    "extract": Lazy("pairs", "Print what tosmon reads on a page, as Markdown. Needs no archive."),
    "release": Lazy("operating", "Tell people of a change that was held back."),
    "noise": Lazy("operating", "Say that a change people were told of is none."),
    "volatile": Lazy("operating", "List parts of documents that change by themselves, and how to leave them out."),
    "variants": Lazy("operating", "List documents that show several texts in turn."),
    "incidents": Lazy("operating", "List documents that cannot be read, and why."),
    "pause": Lazy("operating", "Look at documents no more, until they are resumed."),
    "resume": Lazy("operating", "Look at paused documents again."),
    "check-now": Lazy("operating", "Let the tosmon that runs look at documents now."),
    "re-extract": Lazy("operating", "Read recorded snapshots anew by today's extractor and selectors."),
    "mail-test": Lazy("checking", "Send one mail to the configured recipients, to prove the set-up."),
    "hook-test": Lazy("hooking", "Send an invented alert to the configured hooks, to prove the set-up."),
    "subscribe": Lazy("subscribing", "Tell an address by mail when terms change, once its owner has said yes."),
    "subscribers": Lazy("subscribing", "List who is told by mail and of what; or what is kept about one of them."),
    "unsubscribe": Lazy("subscribing", "Tell an address nothing more; or forget it altogether."),
    "pin": Lazy("pinning", "Pin a sentence: an alert comes when it changes or disappears."),
    "pins": Lazy("pinning", "List pinned sentences, and those that are gone."),
    "unpin": Lazy("pinning", "Forget pinned sentences."),
    "outbox": Lazy("outbox", "What waits to be sent, what was given up and why; send it again, or drop it."),
    "import": Lazy("importing", "Bring in histories and declarations that others recorded."),
    "export": Lazy("exporting", "Write what is archived in forms that others read."),
    "verify": Lazy("keeping", "Look whether everything in the archive is as it was recorded."),
    "backup": Lazy("keeping", "Copy the archive and the pages as received into one file."),
    "restore": Lazy("keeping", "Put a backup in the place of the archive."),
    "prune": Lazy("keeping", "Let go of old looks and pages that no version, alert or open incident needs."),
    "withdraw-text": Lazy("keeping", "Withdraw a text on legal request, leaving a tombstone."),
    "demo": Lazy("checking", "Watch invented platforms change their terms, in an archive of its own."),
}


class Commands(click.Group):
    """A group that imports a command when it is called.

    Command `a-b` is `a_b_command` of its module, and command `c-d` in a group with prefix "a" is `a_c_d_command`.
    """

    def __init__(self, *, lazy: Mapping[str, Lazy] | None = None, prefix: str = "", **options: Any) -> None:
        super().__init__(**options)
        self.lazy = COMMANDS if lazy is None else lazy
        self.prefix = f"{prefix}_" if prefix else ""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        lazy = self.lazy.get(cmd_name)
        if lazy is None:
            return None
        module = importlib.import_module(f"tosmon.cli.{lazy.module}")
        command = getattr(module, f"{self.prefix}{cmd_name.replace('-', '_')}_command")
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.lazy and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], self.lazy, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            ctx.fail(f"No such command {click.format_filename(args[0])!r}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if not self.lazy:
            return
        with formatter.section("Commands"):
            formatter.write_dl([(name, lazy.help) for name, lazy in self.lazy.items()])


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
