"""How single values are written: durations, sizes, addresses, selectors, keys.

Each reader takes what YAML gave and returns the value, or raises a complaint of the form "expected this, got that";
the place is added by whoever called it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from email.utils import parseaddr
from typing import NoReturn, TypeVar
from urllib.parse import urlsplit

import soupsieve
from pydantic_core import PydanticCustomError

from tosmon.config.problems import did_you_mean, shown
from tosmon.model import Filter, Range, Selector

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"(?:\d{1,9}(?:\.\d{1,3})?[smhdw]\s*)+", re.ASCII)
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)([smhdw])", re.ASCII)
_SIZE = re.compile(r"(\d{1,12}(?:\.\d{1,3})?)\s*(B|kB|KB|MB|GB)?", re.ASCII)
_BYTES = {"B": 1, "KB": 1000, "MB": 1000**2, "GB": 1000**3}
_ADDRESS = re.compile(r"(?!.*=\?)[^\s@<>,;:\"()\[\]\\]+@[^\s@<>,;:\"()\[\]\\]+\Z")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*\Z", re.ASCII)
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?\Z", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_LONGEST_KEY = 100

T = TypeVar("T")


def complain(message: str) -> NoReturn:
    """Refuse a value with these words."""
    # As an argument, for a brace in the value would be read as a place to fill in.
    raise PydanticCustomError("tosmon", "{words}", {"words": message})


def expected(what: str, value: object) -> NoReturn:
    complain(f"expected {what}, got {shown(value)}")


def duration(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    what = "a duration such as 30m, 12h or 1d"
    if not isinstance(value, str) or not _DURATION.fullmatch(value.strip()):
        expected(what, value)
    seconds = sum(float(amount) * _UNITS[unit] for amount, unit in _AMOUNT.findall(value))
    if seconds > 366 * 86_400:
        expected("a duration of at most a year", value)
    return timedelta(seconds=seconds)


def wait(value: object) -> timedelta:
    """A duration of at least a second."""
    length = duration(value)
    if length < timedelta(seconds=1):
        expected("a duration of at least 1s", value)
    return length


def last_moment(value: object) -> datetime:
    """An instant in UTC; a bare day stands for its last moment."""
    what = "a day such as 2024-01-31, or an instant such as 2024-01-31T12:00:00Z"
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value) if len(value) > 10 else date.fromisoformat(value)
        except ValueError:
            expected(what, value)
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if isinstance(value, date):
        return datetime.combine(value, time.max, UTC)
    expected(what, value)


def size(value: object) -> int:
    """Bytes, written as a number or such as 20MB."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or float(match[1]) <= 0:
        expected("a size such as 20MB", value)
    return max(1, int(float(match[1]) * _BYTES[(match[2] or "B").upper()]))


def url(value: object) -> str:
    """An address on the web, without a password and without anything that two readers could read differently."""
    what = "an http or https address"
    if not isinstance(value, str) or not value.isprintable() or " " in value or "\\" in value:
        expected(what, value)
    try:
        parts = urlsplit(value)
        host, _port = parts.hostname, parts.port
    except ValueError:
        expected(what, value)
    if parts.scheme.lower() not in ("http", "https") or not host:
        expected(what, value)
    if "@" in parts.netloc:
        complain("expected an address without user name and password")
    return value


def key(value: object) -> str:
    """The key of a service or a type of terms: it names folders, feeds and links for ever."""
    if not isinstance(value, str):
        hint = f'; write it in quotes: "{value}"' if isinstance(value, int | float) else ""
        complain(f"expected a name, got {shown(value)}{hint}")
    text = value.strip()
    if not text or len(text) > _LONGEST_KEY:
        expected(f"a name of 1 to {_LONGEST_KEY} characters", value)
    if text.startswith(".") or re.search(r"[/\\\x00-\x1f\x7f-\x9f]", text) or _CONTROL.search(text):
        expected("a name without slashes, control characters or a dot in front", value)
    return text


def line(value: object) -> str:
    """One line of text; what ends up in headers and titles."""
    if not isinstance(value, str):
        expected("text", value)
    if _CONTROL.search(value):
        expected("one line of text without control characters", value)
    return value.strip()


def header(value: object) -> str:
    """One line of plain ASCII, as HTTP wants it."""
    text = line(value)
    if not text or not text.isascii():
        expected("a line of plain ASCII text", value)
    return text


def language(value: object) -> str:
    if not isinstance(value, str) or not _LANGUAGE.match(value):
        expected("a language code such as en or pt-BR", value)
    return value


def authority(value: object) -> str:
    """Who feed ids are minted by (RFC 4151): a host name of ours."""
    if not isinstance(value, str) or not _HOST.match(value):
        expected("a host name such as example.org", value)
    return value


def address(value: object) -> str:
    """A mail address alone: `someone@example.org`."""
    if not isinstance(value, str) or not _ADDRESS.match(value) or _CONTROL.search(value) or len(value) > 254:
        expected("an e-mail address", value)
    return value


def mailbox(value: object) -> str:
    """A mail address, with or without a name in front: `tosmon <alerts@example.org>`."""
    if not isinstance(value, str) or _CONTROL.search(value) or not _ADDRESS.match(parseaddr(value)[1]):
        expected("an e-mail address, or a name with the address in <>", value)
    return value


def hook_name(value: object) -> str:
    """What names a hook in the outbox and, in capitals, its environment variables: `news-room`."""
    if not isinstance(value, str) or not re.fullmatch(r"[a-z0-9]+(?:-[a-z0-9]+)*", value) or len(value) > 40:
        expected("small letters, digits and hyphens, such as news-room", value)
    return value


def archive_url(value: object) -> str:
    """A file name or a database address; told without its password when refused."""
    if not isinstance(value, str) or not value.strip() or _CONTROL.search(value):
        expected("a file name, sqlite:///FILE or postgresql://…", value)
    text = value.strip()
    if "://" not in text:
        return f"sqlite:///{text}"
    kind = text.split("://")[0]
    if kind == "sqlite" and not re.match(r"sqlite:///[^:?]", text):
        expected("a file name after sqlite:///", value)
    if kind.split("+")[0] not in ("sqlite", "postgresql"):
        complain(f"expected a file name, sqlite:///FILE or postgresql://…, got {kind}://…")
    return text


# --- what to select and remove ------------------------------------------------------------------------------------

_RANGE_ENDS = ("start_before", "start_after", "end_before", "end_after")


def selectors(value: object) -> tuple[Selector, ...]:
    """A CSS selector, a range, or a list of them."""
    if isinstance(value, str | Mapping):
        return (selector(value),)
    if not isinstance(value, list | tuple):
        expected("a CSS selector or a list", value)
    return tuple(_each(selector, value))


def selector(value: object) -> Selector:
    if isinstance(value, Range):
        return value
    if isinstance(value, Mapping):
        return _range(value)
    if not isinstance(value, str):
        expected("a CSS selector or a range", value)
    return css(value)


def css(value: object) -> str:
    if not isinstance(value, str):
        expected("a CSS selector", value)
    try:
        soupsieve.compile(value)
    except (soupsieve.SelectorSyntaxError, NotImplementedError) as error:
        complain(f"expected a CSS selector, got {shown(value)} ({_first_line(error)})")
    return value


def _range(written: Mapping[object, object]) -> Range:
    for name in written:
        if name not in _RANGE_ENDS:
            complain(f"{name}: {did_you_mean(str(name), _RANGE_ENDS)}")
    starts = [name for name in _RANGE_ENDS[:2] if name in written]
    ends = [name for name in _RANGE_ENDS[2:] if name in written]
    if len(starts) != 1 or len(ends) != 1:
        complain("expected one of start_before and start_after with one of end_before and end_after")
    return Range(
        start=css(written[starts[0]]),
        end=css(written[ends[0]]),
        start_included=starts[0] == "start_before",
        end_included=ends[0] == "end_after",
    )


def filters(value: object) -> tuple[Filter, ...]:
    """Names of filters, each alone or as `name: argument` or `name: [arguments]`."""
    if isinstance(value, str | Mapping):
        value = [value]
    if not isinstance(value, list | tuple):
        expected("the name of a filter or a list", value)
    return tuple(_each(_filter, value))


def _filter(value: object) -> Filter:
    if isinstance(value, Filter):
        return value
    if isinstance(value, str) and value:
        return Filter(value)
    if isinstance(value, Mapping) and len(value) == 1:
        ((name, argument),) = value.items()
        arguments = argument if isinstance(argument, list) else [argument]
        if isinstance(name, str) and all(isinstance(one, str | int | float) for one in arguments):
            return Filter(name, tuple(str(one) for one in arguments))
    expected("the name of a filter, or its name with a list of texts", value)


def _each(read: Callable[[object], T], values: list[object] | tuple[object, ...]) -> list[T]:
    """Read each value; a complaint about one says which."""
    result = []
    for index, value in enumerate(values):
        try:
            result.append(read(value))
        except PydanticCustomError as error:
            raise PydanticCustomError("tosmon.inner", "{words}", {"words": error.message(), "index": index}) from error
    return result


def _first_line(error: Exception) -> str:
    return str(error).split("\n")[0].rstrip(":. ")
