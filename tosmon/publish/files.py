"""Keep the feeds as files under the public folder, for our own web and for any static host.

A file is replaced in one step and only when its bytes change, so a reader never gets half a feed, and a host's own
validators (ETag, Last-Modified) stay while nothing happened. Files can be made again from the archive at any time.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import cached_property
from pathlib import Path, PurePosixPath

from tosmon.model import Alert
from tosmon.publish.feeds import Feed, FeedFormat, FeedKind, FeedSettings, feed_file
from tosmon.publish.formats import WRITERS, opml

OPML_FILE = "feeds.opml"
_BATCH = 30_000_000


def write(
    folder: Path, alerts_of: Callable[[Feed], Sequence[Alert]], feeds: Iterable[Feed], settings: FeedSettings
) -> tuple[Path, ...]:
    """Write these feeds in every format and give back the files whose bytes are new.

    `alerts_of` is asked once for each feed; only the latest 100 alerts count.
    """
    written: list[Path] = []
    contents: dict[Path, bytes] = {}
    for feed in sorted(set(feeds), key=_neighbours):
        alerts = alerts_of(feed)
        for format, writer in WRITERS.items():
            path = folder / feed_file(feed, format)
            former = _bytes_of(path)
            body = writer(alerts, feed, settings, former)
            if body != former:
                contents[path] = body
        # Many at a time, as a disk writes the first of them as long as all; but not a thousand feeds in memory.
        if sum(map(len, contents.values())) > _BATCH:
            written += _replace(contents)
            contents.clear()
    return (*written, *_replace(contents))


def _neighbours(feed: Feed) -> tuple[str, str]:
    """Feeds of a service and of its documents hold the same alerts: one after the other, each is rendered once."""
    kind, _, rest = feed.path.partition("/")
    return (rest.partition("/")[0] if kind in (FeedKind.SERVICE, FeedKind.DOCUMENT) else "", feed.path)


def write_opml(folder: Path, feeds: Sequence[Feed], settings: FeedSettings) -> tuple[Path, ...]:
    """Write the list of all feeds to `feeds.opml`, if it is a new one."""
    path, body = folder / OPML_FILE, opml(feeds, settings)
    return put({path: body})


def put(contents: dict[Path, bytes]) -> tuple[Path, ...]:
    """Put files into a folder that is published, each in one step; those whose bytes are new."""
    return _replace({path: body for path, body in contents.items() if _bytes_of(path) != body})


def _replace(contents: dict[Path, bytes]) -> tuple[Path, ...]:
    for directory in {path.parent for path in contents}:
        directory.mkdir(parents=True, exist_ok=True)
    for path, body in contents.items():
        _replace_one(path, body)
    return tuple(contents)


def _bytes_of(path: Path) -> bytes:
    """What the file holds, nothing if there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _replace_one(path: Path, body: bytes) -> None:
    """Write beside the file and put it in place; on an error the old file stays.

    Nothing waits for the disk: a feed that a power cut tears is not the one that the archive makes, and a process
    writes all that differ when it starts. Waiting took half of the time that a new alert needs to be out.
    """
    number, name = tempfile.mkstemp(prefix=".", suffix=".new", dir=path.parent)
    draft = Path(name)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(body)
            os.fchmod(file.fileno(), 0o644)  # mkstemp's 0600 would hide it from a web server of another user
        draft.replace(path)
    except BaseException:
        draft.unlink()
        raise


# --- for our own web ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stored:
    """A published file as it is served: body, the same in gzip, and its validators."""

    body: bytes
    etag: str
    last_modified: str
    media_type: str

    @cached_property
    def gzipped(self) -> bytes:
        """Packed when first asked for: a feed of a megabyte takes longer to pack than to read."""
        return gzip.compress(self.body, compresslevel=4, mtime=0)

    def unchanged(self, if_none_match: str | None, if_modified_since: str | None) -> bool:
        """Whether a conditional GET with these headers is to be answered with 304 (RFC 9110: the ETag goes first)."""
        if if_none_match is not None:
            tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
            return "*" in tags or self.etag.removeprefix("W/") in tags
        return if_modified_since is not None and if_modified_since.strip() == self.last_modified


_SHELF = 20_000_000
_TYPES = {**{format.value: format.media_type for format in FeedFormat}, "opml": "text/x-opml"}


class Shelf:
    """The files of a public folder, read when they change and else kept in memory, up to 20 MB of the latest used."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: OrderedDict[str, tuple[tuple[int, int, int], Stored]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, name: str) -> Stored | None:
        """The file of that name under the folder ("feeds/all.atom"), `None` if there is none or it is not ours."""
        parts = PurePosixPath(name).parts
        ending = name.rpartition(".")[2]
        if ending not in _TYPES or not parts or any(part.startswith((".", "/")) or "\\" in part for part in parts):
            return None
        path = self._folder.joinpath(*parts)
        try:
            status = path.stat()
        except (OSError, ValueError):  # no such file, a name that is too long or holds a NUL
            return None
        mark = (status.st_ino, status.st_mtime_ns, status.st_size)
        with self._lock:
            kept = self._kept.get(name)
            if kept and kept[0] == mark:
                self._kept.move_to_end(name)
                return kept[1]
        stored = _stored(path.read_bytes(), status.st_mtime, _TYPES[ending])
        with self._lock:
            self._kept[name] = (mark, stored)
            while sum(len(one.body) for _, one in self._kept.values()) > _SHELF:
                self._kept.popitem(last=False)
        return stored


def _stored(body: bytes, modified: float, media_type: str) -> Stored:
    return Stored(
        body=body,
        # Weak, as one tag stands for the body as it is and in gzip.
        etag=f'W/"{hashlib.sha256(body).hexdigest()[:32]}"',
        last_modified=format_datetime(datetime.fromtimestamp(int(modified), UTC), usegmt=True),
        media_type=f"{media_type}; charset=utf-8",
    )
