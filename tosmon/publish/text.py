"""Make strangers' text harmless before it is shown: in feeds, in mail, on a terminal, on the web.

Terms are written by people we do not know, and some pages are made to break what reads them. What no reader can
see is dropped here once: characters that XML forbids, control characters, and the marks that turn text around
(U+202E shows "exe.txt" as "txt.exe"). Escaping for HTML or XML is left to who writes it.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_SURROGATE = re.compile("[\ud800-\udfff]")
_SPACE_LIKE = re.compile("[\t\n\x0b\x0c\r\x85\u2028\u2029]")
# Control characters but the spaces above, the bidi embeddings, overrides and isolates, the byte order mark, and the
# two non-characters that XML 1.0 forbids. U+200E, U+200F and U+061C stay: they mark a direction and override none.
_UNSEEN = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff]")
_MANY_SPACES = re.compile(r"\s+")

ELLIPSIS = "…"


def visible(text: str) -> str:
    """The text without what no reader can see or XML forbids; every line break becomes a space."""
    return _UNSEEN.sub("", _SPACE_LIKE.sub(" ", _SURROGATE.sub("\ufffd", text)))


def line(text: str, room: int = 300) -> str:
    """One visible line of at most `room` characters, cut at a word if there is one near the end."""
    # A megabyte of spaces or control characters is not worth a walk: what is shown stands near the start.
    shown = _MANY_SPACES.sub(" ", visible(text[: room * 20])).strip()
    return shown if len(shown) <= room else head(shown, room - 1) + ELLIPSIS


def head(text: str, room: int) -> str:
    """The first `room` characters or a few less, so that no word is cut in two unless it is a very long one."""
    if len(text) <= room:
        return text
    cut = text.rfind(" ", max(0, room - 30), room + 1)
    return text[: cut if cut > 0 else room].rstrip()


def tail(text: str, room: int) -> str:
    """The last `room` characters or a few less, from the start of a word on."""
    if len(text) <= room:
        return text
    start = len(text) - room
    cut = text.find(" ", start - 1, start + 30)
    return text[cut + 1 if cut >= 0 else start :].lstrip()


def web_address(url: str) -> str | None:
    """The address if it is one that people may be sent to (http or https, with a host), else None."""
    url = visible(url).strip()
    try:
        parts = urlsplit(url)
    except ValueError:  # "http://[" and the like
        return None
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname or len(url) > 2000:
        return None
    return re.sub(r"[\s<>\"\\^`{|}]", lambda match: f"%{ord(match[0]):02X}", url)
