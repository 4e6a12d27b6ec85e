"""Which changes a reader asked for: filters that live in the URL, so that a view can be kept and shared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from enum import StrEnum
from typing import TypeVar
from urllib.parse import urlencode

from tosmon.archive.search import Order
from tosmon.model import Direction, Severity
from tosmon.publish.text import line

_E = TypeVar("_E", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Filters:
    service: str | None = None
    topic: str | None = None
    direction: Direction | None = None
    severity: Severity | None = None
    since: date | None = None

    @property
    def any(self) -> bool:
        return any(getattr(self, name.name) is not None for name in fields(self))

    def query(self, **changed: object) -> str:
        """The filters as a query string (with its question mark), with some of them changed; empty when there are none."""
        wanted = {name.name: getattr(self, name.name) for name in fields(self)} | changed
        set_ = {name: str(value) for name, value in wanted.items() if value is not None}
        return f"?{urlencode(set_)}" if set_ else ""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the URL says: filters, the change after which a listing goes on, and what could not be understood."""

    filters: Filters
    before: int | None
    ignored: tuple[str, ...]


def asked(query: Mapping[str, str]) -> Asked:
    """Read a query string. What makes no sense is left out and named, so that an old link still shows something."""
    ignored: list[str] = []

    def one_of(kinds: type[_E], name: str) -> _E | None:
        written = query.get(name, "")
        if not written:
            return None
        try:
            return kinds(written)
        except ValueError:
            ignored.append(f"{name}={line(written, 40)}")
            return None

    filters = Filters(
        query.get("service") or None,
        query.get("topic") or None,
        one_of(Direction, "direction"),
        one_of(Severity, "severity"),
        day_asked(query.get("since", ""), ignored),
    )
    return Asked(filters, id_asked(query.get("before", ""), ignored), tuple(ignored))


def day_asked(written: str, ignored: list[str], name: str = "since") -> date | None:
    """The day that is written, `None` where none is; what is no day is added to `ignored`."""
    if not written:
        return None
    try:
        day = date.fromisoformat(written)
        if day.year < date.max.year:  # the end of its last day must be a time as well
            return day
    except ValueError:
        pass
    ignored.append(f"{name}={line(written, 40)}")
    return None


LARGEST = 2**63 - 1
"""The largest id that a database can hold."""


def id_asked(written: str, ignored: list[str], name: str = "before") -> int | None:
    """The id that is written, `None` where none is; what is no id is added to `ignored`."""
    if not written:
        return None
    if written.isascii() and written.isdigit() and int(written[:20]) <= LARGEST:
        return int(written[:20])
    ignored.append(f"{name}={line(written, 40)}")
    return None


@dataclass(frozen=True, slots=True)
class Sought:
    """What a search asks for, as the URL says it."""

    words: str = ""
    service: str | None = None
    type: str | None = None
    since: date | None = None
    until: date | None = None
    order: Order = Order.STANDING
    after: int | None = None
    ignored: tuple[str, ...] = ()

    @property
    def is_narrowed(self) -> bool:
        return any((self.service, self.type, self.since, self.until, self.order is not Order.STANDING))

    @property
    def everywhere(self) -> str:
        return f"?{urlencode({'q': self.words})}"

    def query(self, *, after: int | None) -> str:
        """The search as a query string, going on after a clause."""
        asked = {
            "q": self.words,
            "service": self.service,
            "type": self.type,
            "since": self.since,
            "until": self.until,
            "order": self.order.value if self.order is not Order.STANDING else None,
            "after": after,
        }
        return f"?{urlencode({name: str(value) for name, value in asked.items() if value is not None})}"


def sought(query: Mapping[str, str]) -> Sought:
    """Read a query string; what makes no sense is left out and named."""
    ignored: list[str] = []
    order = Order.STANDING
    try:
        order = Order(query.get("order") or Order.STANDING)
    except ValueError:
        ignored.append(f"order={line(query['order'], 40)}")
    return Sought(
        _sayable(query.get("q", ""))[:300].strip(),
        _sayable(query.get("service", "")) or None,
        _sayable(query.get("type", "")) or None,
        day_asked(query.get("since", ""), ignored, "since"),
        day_asked(query.get("until", ""), ignored, "until"),
        order,
        id_asked(query.get("after", ""), ignored, "after"),
        tuple(ignored),
    )


def _sayable(written: str) -> str:
    """Without what no database takes (lone surrogates, NUL)."""
    return written.replace("\0", "").encode("utf-8", "replace").decode()
