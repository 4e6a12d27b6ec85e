"""What is printed: harmless, readable by people on a terminal and by programs in a pipe.

Captured text comes from strangers, and a terminal obeys what it is sent: escape sequences retitle windows, hide lines
or write into the clipboard. Everything that is printed goes through `harmless`, and nothing is read as markup.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from tosmon.config import InvalidConfig
from tosmon.errors import TosmonError
from tosmon.publish.text import visible

_UNSAFE_IN_JSON = re.compile("[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def harmless(text: str) -> str:
    """The text without control characters and marks that turn it around; line breaks stay."""
    return "\n".join(visible(line) for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"))


def one_line(text: str, room: int = 300) -> str:
    """The same on one line, cut when it is longer than that."""
    shown = " ".join(visible(text[: room * 8]).split())
    return shown if len(shown) <= room else shown[: room - 1].rstrip() + "…"


def styled(text: str, style: str = "") -> Text:
    """Harmless text in a style; what looks like markup in it is printed as it is."""
    return Text(harmless(text), style=style)


_PIPED_WIDTH = 240  # programs that read a table want each row on one line


def stdout() -> Console:
    """Where answers go: words wrapped on a terminal, each line whole in a pipe."""
    terminal = sys.stdout.isatty()
    width = None if terminal else _PIPED_WIDTH
    return Console(markup=False, highlight=False, emoji=False, soft_wrap=not terminal, width=width)


def stderr() -> Console:
    return Console(stderr=True, markup=False, highlight=False, emoji=False, soft_wrap=True)


def indented(text: Text, console: Console, by: int = 2) -> RenderableType:
    """The text some way in; on a terminal each of its wrapped lines is."""
    return Padding(text, (0, 0, 0, by)) if console.is_terminal else Text(" " * by) + text


def say(text: str, style: str = "") -> None:
    """Something about the work itself, on stderr: what is printed on stdout is the answer alone."""
    stderr().print(styled(text, style))


def complain(error: TosmonError) -> None:
    """Say what a person can act on: what happened, to what, what to do next."""
    if isinstance(error, InvalidConfig):
        say("The configuration cannot be used; nothing was started. Mend:", "bold red")
        width = max(len(str(problem.line or "")) for problem in error.problems)
        for problem in error.problems:
            place = f"line {problem.line:>{width}}  " if problem.line else " " * (width + 7 if width else 0)
            say(f"  {place}{problem}")
    else:
        console = stderr()
        console.print(Text.assemble(("Error: ", "bold red"), styled(str(error))))


# --- times ---------------------------------------------------------------------------------------------------------

_UNITS = ((365 * 86_400, "year"), (30 * 86_400, "month"), (86_400, "day"), (3600, "hour"), (60, "minute"))


def ago(moment: datetime | None, now: datetime) -> str:
    """How long ago something was, or in how long it will be: "3 hours ago", "in 10 minutes", "never"."""
    if moment is None:
        return "never"
    seconds = (now - moment).total_seconds()
    for length, unit in _UNITS:
        count = int(abs(seconds) // length)
        if count:
            told = f"{count} {unit}{'s' if count > 1 else ''}"
            return f"{told} ago" if seconds > 0 else f"in {told}"
    return "just now" if seconds >= 0 else "in a moment"


def exact(moment: datetime | None) -> str:
    """The instant in UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if moment else "never"


def both(moment: datetime | None, now: datetime) -> str:
    """ "3 hours ago (2026-03-01 12:00:00 UTC)"."""
    return f"{ago(moment, now)} ({exact(moment)})" if moment else "never"


# --- JSON ----------------------------------------------------------------------------------------------------------


def print_json(value: object) -> None:
    """One JSON value on stdout, harmless to a terminal that shows it."""
    sys.stdout.write(as_json(value) + "\n")


def as_json(value: object) -> str:
    text = json.dumps(plain(value), ensure_ascii=False, indent=2)
    return _UNSAFE_IN_JSON.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def plain(value: object) -> Any:
    """Our values as what JSON knows: times with their offset, enums as their values, bytes in hex, sets sorted."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(plain(inner) for inner in value)
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [plain(inner) for inner in value]
    return value


# --- tables and progress --------------------------------------------------------------------------------------------


def table(headings: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> Table:
    """A plain table that gives its last column the room that is left."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in headings:
        made.add_column(heading, overflow="fold")
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else styled(cell) for cell in row))
    return made


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[str], None]]:
    """A bar on stderr while long work goes on, and nothing when stderr is no terminal.

    Yields what to call after each step, with a word on what it was.
    """
    console = stderr()
    if not console.is_terminal or total < 2:
        yield lambda _: None
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda word: bar.update(task, advance=1, description=one_line(word, 40))


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.0f}/s" if task.speed else "")


@contextmanager
def counting() -> Iterator[Callable[[str, int, int], None]]:
    """Bars on stderr with the rate and the time left, one for each kind of thing; nothing when stderr is no terminal.

    Yields what to call with a kind of thing, how many of it are done, and how many there are.
    """
    console = stderr()
    columns = (
        TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        tasks: dict[str, TaskID] = {}

        def said(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what)
            bar.update(tasks[what], completed=done, total=total)

        yield said


# --- logging --------------------------------------------------------------------------------------------------------


class _Harmless(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return harmless(super().format(record))


def log_to_stderr(verbosity: int) -> None:
    """Send tosmon's own log to stderr; at three or more that of the libraries too."""
    logger = logging.getLogger("tosmon" if verbosity < 3 else None)
    logger.setLevel(logging.INFO if verbosity == 1 else logging.DEBUG)
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(_Harmless("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        logger.addHandler(handler)
