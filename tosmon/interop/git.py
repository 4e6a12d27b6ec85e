"""Read recorded pages and versions from git repositories in Open Terms Archive's layout.

One `git log --raw -z` lists everything, one `git cat-file --batch` gives the contents: a `git show` per version would
take hours on a real history. Service and type come from the path (both hold spaces), never from the subject.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tosmon.errors import TosmonError
from tosmon.model import TermsKey

_TRAILER = re.compile(r"^(X-[A-Za-z-]+):[ \t]*(.*)$", re.MULTILINE)
_NO_BLOB = "0" * 40


class GitError(TosmonError):
    """git could not do what was asked; the message has its words."""


@dataclass(frozen=True, slots=True)
class Commit:
    """One file as one commit left it. `part` is what follows `#` in a file name, "" for a document of one page.

    `blob` is `None` when the commit took the file away. `subject` is the first line of the message.
    """

    id: str
    at: datetime
    key: TermsKey
    part: str
    suffix: str
    blob: str | None
    subject: str
    trailers: Mapping[str, str]


@contextmanager
def repository(bundle_or_folder: Path) -> Iterator[Path]:
    """A folder in which git finds the history: the given one, or a bare clone of a bundle that goes with the block."""
    if bundle_or_folder.is_dir():
        yield bundle_or_folder
        return
    if not bundle_or_folder.is_file():
        raise GitError(f"{bundle_or_folder}: no such bundle or git folder")
    with tempfile.TemporaryDirectory(prefix="tosmon-git-") as folder:
        _git(Path.cwd(), "clone", "--quiet", "--bare", str(bundle_or_folder), folder)
        yield Path(folder)


def only_branch(folder: Path) -> str:
    """The name of the only branch; GitError when there are several or none."""
    names = _git(folder, "for-each-ref", "--format=%(refname:short)", "refs/heads").decode().split()
    if len(names) != 1:
        raise GitError(f"{folder}: {len(names)} branches ({', '.join(names[:5])}); say which with --ref")
    return names[0]


def commits(folder: Path, ref: str) -> Iterator[Commit]:
    """Every file of every commit, oldest commit first; files in the root and merges are passed over."""
    command = [
        "-c", "core.quotePath=off", "log", "--reverse", "--first-parent", "--no-merges", "--raw", "-z", "--no-abbrev",
        "--no-renames", "--encoding=UTF-8", "--format=%x01%H%x02%aI%x02%B%x03", ref, "--",
    ]  # fmt: skip
    for entry in _entries(folder, command):
        head, _, files = entry.partition(b"\x03")
        commit_id, time, message = head.decode("utf-8", "replace").split("\x02", 2)
        at = datetime.fromisoformat(time).astimezone(UTC)
        trailers = {name: value.strip() for name, value in _TRAILER.findall(message)}
        fields = files.strip(b"\n\0").split(b"\0")
        for raw, path in zip(fields[::2], fields[1::2], strict=False):
            named = _named(path.decode("utf-8", "replace"))
            if named is None:
                continue
            key, part, suffix = named
            blob = raw.decode().split()[3]
            subject = message.partition("\n")[0]
            yield Commit(commit_id, at, key, part, suffix, None if blob == _NO_BLOB else blob, subject, trailers)


def _entries(folder: Path, command: list[str]) -> Iterator[bytes]:
    """What stands between the marks of a log, one commit at a time: a long history is never in memory whole."""
    with tempfile.TemporaryFile() as words:
        try:
            process = subprocess.Popen(["git", "-C", str(folder), *command], stdout=subprocess.PIPE, stderr=words)
        except FileNotFoundError as error:
            raise GitError("git is not installed") from error
        assert process.stdout is not None
        rest = b""
        try:
            while chunk := process.stdout.read(1 << 16):
                *whole, rest = (rest + chunk).split(b"\x01")
                yield from (entry for entry in whole if entry)
            if rest:
                yield rest
        finally:
            process.stdout.close()
            failed = process.wait() > 0
        if failed:
            words.seek(0)
            raise GitError(f"git {command[2]}: {words.read().decode('utf-8', 'replace').strip()}")


def _named(path: str) -> tuple[TermsKey, str, str] | None:
    folder, slash, name = path.rpartition("/")
    stem, dot, suffix = name.rpartition(".")
    if not slash or "/" in folder or folder.startswith(".") or not dot or suffix not in ("html", "pdf", "md"):
        return None
    type_, _, part = stem.partition(" #")
    return TermsKey(folder, type_), part, suffix


class Blobs:
    """The contents of blobs (and of commits, as git writes them) by id, from one `git cat-file --batch` process.

    Not for use by several threads.
    """

    def __init__(self, folder: Path) -> None:
        # Neighbours in a history are built on each other: git's memory of them can stay small.
        cache = "core.deltaBaseCacheLimit=16m"
        self._process = subprocess.Popen(
            ["git", "-C", str(folder), "-c", cache, "cat-file", "--batch"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def read(self, blob: str) -> bytes:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{blob}\n".encode())
        self._process.stdin.flush()
        head = self._process.stdout.readline().split()
        if len(head) != 3:
            raise GitError(f"blob {blob} is missing from the repository: {head!r}")
        contents = self._process.stdout.read(int(head[2]))
        self._process.stdout.read(1)
        return contents

    def close(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process.wait()


def _git(folder: Path, *arguments: str) -> bytes:
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, check=True)
    except FileNotFoundError as error:
        raise GitError("git is not installed") from error
    except subprocess.CalledProcessError as error:
        raise GitError(f"git {arguments[0]}: {error.stderr.decode('utf-8', 'replace').strip()}") from error
    return done.stdout
