"""What is wrong with a configuration, as lines that name the place and the fix.

All problems of a file are told at once; `str(error)` has one line for each, such as
`services[2].terms[0].select: expected a CSS selector or a list, got 3`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from typing import Any

from tosmon.errors import ConfigError

Place = tuple[str | int, ...]
"""Keys and positions from the top of the file to a value."""

_LONGEST_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to mend. `line` counts from 1; `None` where there is none (the environment)."""

    place: str
    fix: str
    line: int | None = None

    @classmethod
    def at(cls, place: Place, fix: str, *, line: int | None = None) -> Problem:
        return cls(spelled(place), fix, line)

    def __str__(self) -> str:
        return f"{self.place}: {self.fix}"


class InvalidConfig(ConfigError):
    """A configuration that cannot be used; nothing starts from it. `problems` stand in the order of the file."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems

    @classmethod
    def of(cls, *problems: Problem) -> InvalidConfig:
        return cls(problems)


def spelled(place: Place) -> str:
    """`("services", 2, "terms", 0)` as `services[2].terms[0]`."""
    text = ""
    for part in place:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part.replace("_", "").replace("-", "").isalnum():
            text += f".{part}" if text else part
        else:
            text += f"[{json.dumps(part, ensure_ascii=False)}]"
    return text or "the file"


def as_written(place: Place, values: object) -> Place:
    """A place in the checked form (lists throughout) as the place that the person wrote.

    `services` and `terms` may be written as a mapping, and one value may stand where a list may: a position then
    is a key, or nothing at all.
    """
    written: list[str | int] = []
    here: Any = values
    for part in place:
        if isinstance(part, int):
            if isinstance(here, Mapping) and written and written[-1] in ("services", "terms"):
                key = str(list(here)[part])
                written.append(key)
                here = here[list(here)[part]]
            elif isinstance(here, list):
                written.append(part)
                here = here[part] if part < len(here) else None
        elif isinstance(here, Mapping):
            written.append(part)
            here = here.get(part)
        elif here is None:
            written.append(part)
    return tuple(written)


def shown(value: object) -> str:
    """A value as the person wrote it, short enough for a line."""
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list" if value else "an empty list"
    if isinstance(value, date):
        return value.isoformat()
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 2] + '…"'


def did_you_mean(key: str, known: Iterable[str]) -> str:
    """The fix for a key that nobody knows: the nearest one, or all of them."""
    names = sorted(known)
    folded = key.lower().replace("-", "_")
    near = [name for name in names if name.replace("_", "") == folded.replace("_", "")]
    near = near or get_close_matches(folded, names, n=1, cutoff=0.6)
    if near:
        return f"unknown setting; did you mean {near[0]}?"
    return "unknown setting; expected one of " + ", ".join(names)
