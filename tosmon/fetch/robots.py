"""What robots.txt lets us fetch (RFC 9309).

The standard library's parser knows no wildcards and takes the first matching rule instead of the longest; most
robots.txt of platforms are written for the RFC.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from threading import Lock
from urllib.parse import SplitResult, quote

MAX_BYTES = 500 * 1024
"""How much of a robots.txt counts (RFC 9309, 2.5)."""

_TOKEN = re.compile(r"[A-Za-z_-]+|\*")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]")


@dataclass(frozen=True, slots=True)
class Rules:
    """What one robots.txt says to us: lines of `+pattern` (allow) and `-pattern` (disallow)."""

    text: str = ""

    def allow(self, path: str) -> bool:
        """Whether a path with its query may be fetched: the longest matching rule wins, of two equal ones `allow`."""
        path = _normal(path or "/")
        best = max(
            ((len(line), line[0] == "+") for line in self.text.splitlines() if _matches(line[1:], path)),
            default=(0, True),
        )
        return best[1] or path == "/robots.txt"


EVERYTHING = Rules()
NOTHING = Rules("-/")


def path_of(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def product(user_agent: str) -> str:
    """The name that robots.txt calls us by: the letters that the User-Agent opens with."""
    found = _TOKEN.match(user_agent)
    return found[0].lower() if found else "tosmon"


def read_rules(body: bytes, agent: str) -> Rules:
    """The rules for `agent` (a product token in lower case): those of all groups that name it, else those for `*`."""
    ours: list[str] = []
    others: list[str] = []
    named = False
    for agents, rules in _groups(_lines(body)):
        if agent in agents:
            named = True
            ours += rules
        elif "*" in agents:
            others += rules
    return Rules("\n".join(dict.fromkeys(ours if named else others)))


def _lines(body: bytes) -> Iterator[tuple[str, str]]:
    for line in body[:MAX_BYTES].decode("utf-8-sig", "replace").splitlines():
        name, colon, value = line.partition("#")[0].partition(":")
        if colon:
            yield name.strip().lower(), value.strip()


def _groups(lines: Iterable[tuple[str, str]]) -> Iterator[tuple[set[str], list[str]]]:
    agents: set[str] = set()
    rules: list[str] = []
    naming = False
    for name, value in lines:
        if name == "user-agent":
            if not naming:
                yield agents, rules
                agents, rules = set(), []
            naming = True
            token = _TOKEN.match(value)
            if token:
                agents.add(token[0].lower())
        elif name in ("allow", "disallow"):
            naming = False
            if value:
                rules.append(("+" if name == "allow" else "-") + _normal(value))
    yield agents, rules


def _normal(path: str) -> str:
    """The same octets always written the same way, so that patterns and paths can be compared as text."""
    escaped = quote(path, safe="%/:?#[]@!$&'()*+,;=~")
    return _ESCAPE.sub(lambda found: _unescaped(found[1]), escaped)


def _unescaped(digits: str) -> str:
    character = chr(int(digits, 16))
    return character if _UNRESERVED.match(character) else f"%{digits.upper()}"


def _matches(pattern: str, path: str) -> bool:
    """`*` stands for anything, `$` at the end for the end. No regular expression: strangers write the patterns."""
    anchored = pattern.endswith("$")
    first, *rest = pattern.removesuffix("$").split("*")
    if not path.startswith(first):
        return False
    at = len(first)
    if not rest:
        return not anchored or at == len(path)
    *middle, last = rest
    for piece in middle:
        found = path.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    if anchored:
        return len(path) - len(last) >= at and path.endswith(last)
    return path.find(last, at) >= 0


@dataclass(frozen=True, slots=True)
class Known:
    """Rules, when they were had and for how many seconds they hold (monotonic clock)."""

    rules: Rules
    at: float
    lasts: float


class KnownRules:
    """Rules by origin; bounded by their size, those asked for longest ago going first."""

    def __init__(self, budget: int = 8_000_000) -> None:
        self._budget = budget
        self._size = 0
        self._lock = Lock()
        self._by_origin: OrderedDict[str, Known] = OrderedDict()

    def __len__(self) -> int:
        return len(self._by_origin)

    def get(self, origin: str) -> Known | None:
        with self._lock:
            known = self._by_origin.get(origin)
            if known is not None:
                self._by_origin.move_to_end(origin)
            return known

    def put(self, origin: str, known: Known) -> None:
        with self._lock:
            self._drop(origin)
            self._by_origin[origin] = known
            self._size += _size(origin, known)
            while self._size > self._budget and len(self._by_origin) > 1:
                self._drop(next(iter(self._by_origin)))

    def _drop(self, origin: str) -> None:
        old = self._by_origin.pop(origin, None)
        if old is not None:
            self._size -= _size(origin, old)


def _size(origin: str, known: Known) -> int:
    return 400 + len(origin) + len(known.rules.text)
