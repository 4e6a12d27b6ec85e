"""Write the archive as a versions repository in Open Terms Archive's layout: one text per commit, by its date.

A version that came from such a repository goes back with the author, date and message it came with, and with the same
bytes. What the folder has is seen from its own commits, so exporting again adds what is new and a killed export does
no harm. A repository that was not begun here is left alone, as is one with work of somebody else in it: what is checked
out is replaced by what is exported.
"""

from __future__ import annotations

import re
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
from tosmon.interop.git import GitError, command, commits, environment, git_folder, repository, run_git
from tosmon.interop.names import file_name
from tosmon.model import TermsKey

_US = "tosmon <tosmon@localhost>"
_BRANCH = "main"
_MARK = "tosmon.export"
# What `git init` and `git remote add` write. Other settings can name programs, which git would run while we write.
_SETTINGS = re.compile(
    r"core\.(repositoryformatversion|filemode|bare|logallrefupdates|ignorecase|precomposeunicode|symlinks)"
    r"|extensions\.objectformat|tosmon\.export|user\.(name|email)"
    r"|remote\..*\.(url|pushurl|fetch)|branch\..*\.(remote|merge|rebase)",
    re.DOTALL,
)


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
            run_git(folder, "reset", "--quiet", "--hard", f"refs/heads/{_BRANCH}", "--")
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
        run_git(folder, "init", "--quiet", "--template=", *bare, f"--initial-branch={_BRANCH}")
        run_git(folder, "config", _MARK, "true")
        return
    if not (folder / ".git" / "HEAD").is_file() and not (folder / "HEAD").is_file():
        raise TosmonError(f"{folder} is neither empty nor a git repository; name another folder")
    own = git_folder(folder)
    if own not in (folder.resolve(), (folder / ".git").resolve()) or (own / "commondir").exists():
        raise TosmonError(f"{folder} is part of another git repository; name a folder of its own")
    _look_at_settings(folder, own)
    if not _is_bare(folder):
        _look_for_work(folder)


def _look_at_settings(folder: Path, own: Path) -> None:
    """Refuse a repository that was begun elsewhere, or that tells git to do more than to keep it."""
    said = run_git(
        folder.parent, "config", "--no-includes", "--null", "--list", "--file", str((own / "config").resolve())
    )
    settings = dict(one.partition("\n")[::2] for one in said.decode("utf-8", "replace").split("\0") if one)
    for name in settings:
        if not _SETTINGS.fullmatch(name):
            raise TosmonError(f"{folder} sets {name!a} for git, which is not used here; name another folder")
    if _MARK not in settings:
        raise TosmonError(
            f"{folder} holds a repository that no export began; name another folder (or, for an export of an earlier"
            f" tosmon, say: git -C {folder} config {_MARK} true)"
        )


def _look_for_work(folder: Path) -> None:
    """Refuse a working tree with anything in it that is not in the history: it would be lost."""
    if run_git(folder, "symbolic-ref", "HEAD").strip() != f"refs/heads/{_BRANCH}".encode():
        raise TosmonError(f"{folder} is not on the branch {_BRANCH}; check that out first")
    status = run_git(folder, "status", "--porcelain", "-z", "--no-renames", "--untracked-files=all")
    staged = [one for one in status.split(b"\0") if one]
    if any(one[1:2] != b" " for one in staged) or (staged and not _was_exported(folder)):
        raise TosmonError(f"{folder} has work in it that is in no commit; commit it elsewhere or take it away first")


def _was_exported(folder: Path) -> bool:
    """Whether what is checked out is an earlier commit: an export was killed before it checked out the last."""
    tree = run_git(folder, "write-tree").strip()
    if not run_git(folder, "ls-files", "-z"):
        return True
    return bool(_head(folder)) and tree in run_git(folder, "log", "--format=%T", f"refs/heads/{_BRANCH}", "--").split()


def _head(folder: Path) -> str:
    return run_git(folder, "for-each-ref", "--format=%(objectname)", f"refs/heads/{_BRANCH}").decode().strip()


def _is_bare(folder: Path) -> bool:
    return run_git(folder, "rev-parse", "--is-bare-repository").strip() == b"true"


def _known(folder: Path) -> Counter[tuple[str, int]]:
    """The path and second of each version that the repository has."""
    head = _head(folder)
    if not head:
        return Counter()
    with repository(folder) as own:
        found = (commit for commit in commits(own, head) if commit.suffix == "md" and commit.blob)
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
        command(folder, "fast-import", "--quiet", "--date-format=raw"),
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
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
