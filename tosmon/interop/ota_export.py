"""Write the archive as a versions repository in Open Terms Archive's layout: one text per commit, by its date.

A version that came from such a repository goes back with the author, date and message it came with, and with the same
bytes. What the folder has is seen from its own commits, so exporting again adds what is new and a killed export does
no harm.
"""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, NamedTuple

from tosmon import __version__
from tosmon.archive import Archive, TermsRow, VersionRow
from tosmon.archive.history import Origin
from tosmon.clauses import join
from tosmon.errors import TosmonError
from tosmon.interop.git import GitError, commits
from tosmon.interop.names import file_name
from tosmon.model import TermsKey

_US = "tosmon <tosmon@localhost>"
_BRANCH = "main"


class Exported(NamedTuple):
    versions: int
    there_already: int


class _Leaving(NamedTuple):
    """A version on its way out. The second is that of its author's date."""

    version: VersionRow
    path: str
    first: bool
    origin: Origin | None
    second: int


def export_git(
    archive: Archive, folder: Path, progress: Callable[[int, int], None] = lambda done, total: None
) -> Exported:
    """Add every version that the repository in `folder` has not yet; makes it when it is not there. Raises GitError."""
    _prepare(folder)
    known = _known(folder)
    leaving = sorted(_versions(archive), key=lambda one: (one.version.at, one.version.id))
    new = [one for one in leaving if not _take(known, one)]
    if new:
        _import(folder, archive, new, bool(_head(folder)), progress)
        if not _is_bare(folder):
            _git(folder, "reset", "--quiet", "--hard", _BRANCH)
    return Exported(len(new), len(leaving) - len(new))


def _take(known: Counter[tuple[str, int]], one: _Leaving) -> bool:
    if known[one.path, one.second] == 0:
        return False
    known[one.path, one.second] -= 1
    return True


def _prepare(folder: Path) -> None:
    if not folder.exists() or not any(folder.iterdir()):
        folder.mkdir(parents=True, exist_ok=True)
        bare = ["--bare"] if folder.suffix == ".git" else []
        _git(folder, "init", "--quiet", *bare, f"--initial-branch={_BRANCH}")
        return
    try:
        top = _git(folder, "rev-parse", "--absolute-git-dir").decode().strip()
    except GitError as error:
        raise TosmonError(f"{folder} is neither empty nor a git repository; name another folder") from error
    if Path(top).resolve() not in (folder.resolve(), (folder / ".git").resolve()):
        raise TosmonError(f"{folder} lies inside another git repository; name a folder of its own")


def _head(folder: Path) -> str:
    return _git(folder, "for-each-ref", "--format=%(objectname)", f"refs/heads/{_BRANCH}").decode().strip()


def _is_bare(folder: Path) -> bool:
    return _git(folder, "rev-parse", "--is-bare-repository").strip() == b"true"


def _known(folder: Path) -> Counter[tuple[str, int]]:
    """The path and second of each version that the repository has."""
    if not _head(folder):
        return Counter()
    found = (commit for commit in commits(folder, _BRANCH) if commit.suffix == "md" and commit.blob)
    return Counter((_path(commit.key), int(commit.at.timestamp())) for commit in found)


def _path(key: TermsKey) -> str:
    return f"{file_name(key.service)}/{file_name(key.type)}.md"


def _versions(archive: Archive) -> Iterator[_Leaving]:
    for document in archive.browse.documents():
        origins = archive.history.origins(document.key)
        rows = sorted(archive.browse.versions(document.key, newest_first=False), key=_recorded)
        for number, version in enumerate(rows):
            origin = origins.get(version.id)
            at = datetime.fromisoformat(origin.date) if origin else version.at
            yield _Leaving(version, _path(document.key), number == 0, origin, int(at.timestamp()))


def _recorded(version: VersionRow) -> tuple[datetime, int]:
    return version.at, version.id


def _import(
    folder: Path, archive: Archive, new: list[_Leaving], goes_on: bool, progress: Callable[[int, int], None]
) -> None:
    process = subprocess.Popen(
        ["git", "-C", str(folder), "fast-import", "--quiet", "--date-format=raw"],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None and process.stderr is not None
    names = {document.key: document for document in archive.browse.documents()}
    try:
        for done, one in enumerate(new):
            parent = f"from refs/heads/{_BRANCH}^0\n" if goes_on and done == 0 else ""
            _write(process.stdin, one, names[one.version.key], parent, archive)
            progress(done + 1, len(new))
        process.stdin.close()
    except BrokenPipeError:
        pass  # git says why, below
    words = process.stderr.read().decode("utf-8", "replace")
    process.stderr.close()
    if process.wait():
        raise GitError(f"git fast-import: {words.strip()[-500:]}")


def _write(out: IO[bytes], one: _Leaving, document: TermsRow, parent: str, archive: Archive) -> None:
    who, message = _signed(one, document, archive)
    text = join(archive.browse.clauses(one.version.id)).encode("utf-8", "replace")
    words = message.encode("utf-8", "replace")
    out.write(f"commit refs/heads/{_BRANCH}\nauthor {who}\ncommitter {who}\ndata {len(words)}\n".encode())
    out.write(words + f"\n{parent}M 100644 inline {_quoted(one.path)}\ndata {len(text)}\n".encode())
    out.write(text + b"\n\n")


def _quoted(path: str) -> str:
    escaped = path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _signed(one: _Leaving, document: TermsRow, archive: Archive) -> tuple[str, str]:
    """The author with the date as git takes it, and the message."""
    if one.origin is not None:
        at = datetime.fromisoformat(one.origin.date)
        return f"{_harmless(one.origin.author)} {int(at.timestamp())} {at:%z}", one.origin.message
    at = one.version.at.astimezone(UTC)
    return f"{_US} {int(at.timestamp())} +0000", _message(one, document, archive)


def _harmless(author: str) -> str:
    """An author as git takes it: one line, one pair of angle brackets."""
    name, _, address = author.replace("\n", " ").replace("\0", "").partition("<")
    address = address.partition(">")[0].replace("<", "")
    return f"{name.replace('>', '').strip()} <{address.strip()}>".strip()


def _message(one: _Leaving, document: TermsRow, archive: Archive) -> str:
    name = f"{document.service_name} {document.key.type}"
    if one.version.technical:
        subject = f"Apply technical or declaration upgrade on {name}"
    else:
        subject = f"First record of {name}" if one.first else f"Record new changes of {name}"
    kept = [found["sha256"] for found in archive.browse.evidence(one.version.id)]
    recorded = f"This version was recorded after extracting from snapshot {kept[0]}\n\n" if kept else ""
    return f"{subject}\n\n{recorded}X-engine-version: tosmon-{__version__}\n"


def _git(folder: Path, *arguments: str) -> bytes:
    try:
        return subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, check=True).stdout
    except FileNotFoundError as error:
        raise GitError("git is not installed") from error
    except subprocess.CalledProcessError as error:
        raise GitError(f"git {arguments[0]}: {error.stderr.decode('utf-8', 'replace').strip()}") from error
