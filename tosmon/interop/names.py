"""Names of strangers as names of files: services and types come from declarations and repositories that others wrote."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from urllib.parse import quote

_RESERVED = re.compile(r"[\x00-\x1f\x7f/\\:*?\"<>|%]")
_GIT = re.compile(r"^\.?git(?:~\d+)?$", re.IGNORECASE)


def file_name(name: str) -> str:
    """The name without what would lead out of a folder or mean something to a file system; as it is, where it can be."""
    cleaned = _RESERVED.sub(lambda found: quote(found[0], safe=""), name)
    cleaned = re.sub(r"^\.|[. ]$", lambda found: f"%{ord(found[0]):02X}", cleaned)[:150]
    return f"%{ord(cleaned[0]):02X}{cleaned[1:]}" if _GIT.match(cleaned) else cleaned or "%00"


def stamp(at: datetime) -> str:
    """A time as names of files have it: 2026-05-03T12-30-20Z."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
