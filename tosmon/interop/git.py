"""Read recorded pages and versions from git repositories in Open Terms Archive's layout.

One `git log --raw -z` lists everything, one `git cat-file --batch` gives the contents: a `git show` per version would
take hours on a real history. Service and type come from the path (both hold spaces), never from the subject.

A repository of strangers may name programs in its configuration (for signatures, for objects that it leaves to others)
and git runs them. So git never runs inside of it: an empty repository of our own borrows its objects, its refs are read
as text here, and git is only ever given the ids of commits.
"""

from __future__ import annotations

import logging
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic_core import PydanticCustomError

from tosmon.config.values import key as valid_key
from tosmon.errors import TosmonError
from tosmon.model import TermsKey
from tosmon.publish.text import line

_log = logging.getLogger(__name__)
_TRAILER = re.compile(r"^(X-[A-Za-z-]+):[ \t]*(.*)$", re.MULTILINE)
_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_REF = re.compile(r"refs/[^\x00-\x20\x7f~^:?*\[\\]+")
_FILES = ("100644", "100755")  # modes: no symbolic link, whose text is a path, and no other repository
_MOST_BYTES = 20_000_000


class GitError(TosmonError):
    """git could not do what was asked; the message has its words."""


class TooLarge(GitError):
    """A text or page of a size that no terms have; it was passed over."""


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


# --- running git -----------------------------------------------------------------------------------------------------

_SAFE = (
    "core.fsmonitor=false", "core.hooksPath=/dev/null", "log.showSignature=false", "gpg.program=false",
    "gc.auto=0", "maintenance.auto=false", "protocol.allow=never",
)  # fmt: skip


def command(folder: Path, *arguments: str) -> list[str]:
    """A call of git in a folder, with everything off by which a repository could name a program to run."""
    settings = [part for setting in _SAFE for part in ("-c", setting)]
    return ["git", *settings, "-C", str(folder), *arguments]


def environment() -> dict[str, str]:
    """What git sees of ours: nothing that leads it to other repositories, configurations, hosts or prompts."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return ours | {
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_ALLOW_PROTOCOL": "none",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
    }


def run_git(folder: Path, *arguments: str) -> bytes:
    """What git writes; GitError with its words when it fails."""
    try:
        done = subprocess.run(command(folder, *arguments), capture_output=True, check=True, env=environment())
    except FileNotFoundError as error:
        raise GitError("git is not installed") from error
    except subprocess.CalledProcessError as error:
        raise GitError(f"git {arguments[0]}: {_words(error.stderr)}") from error
    return done.stdout


def _words(said: bytes) -> str:
    return line(said.decode("utf-8", "replace"), 500)


# --- a repository of our own -----------------------------------------------------------------------------------------


@contextmanager
def repository(bundle_or_folder: Path) -> Iterator[Path]:
    """A repository of our own with the objects and refs of the bundle or the git folder; it goes with the block."""
    if not bundle_or_folder.exists():
        raise GitError(f"{bundle_or_folder}: no such bundle or git folder")
    with tempfile.TemporaryDirectory(prefix="tosmon-git-") as temporary:
        own = Path(temporary) / "own.git"
        if bundle_or_folder.is_dir():
            _borrow(git_folder(bundle_or_folder), Path(temporary), own)
        else:
            _unbundle(bundle_or_folder, own)
        yield own


def git_folder(folder: Path) -> Path:
    """Where git keeps what belongs to a folder, its own `.git` or itself if it is bare; GitError if there is no such."""
    inner = folder / ".git"
    try:
        if inner.is_file():  # a further working tree of a repository
            inner = folder / inner.read_text().removeprefix("gitdir:").strip()
        found = inner if inner.is_dir() else folder
        if (found / "commondir").is_file():
            found = found / (found / "commondir").read_text().strip()
    except (OSError, ValueError) as error:
        raise GitError(f"{folder}: {inner} cannot be read") from error
    if not (found / "HEAD").is_file() or not (found / "objects").is_dir():
        raise GitError(f"{folder} is no git repository")
    return found.resolve()


def _init(own: Path, *, sha256: bool) -> None:
    kind = "sha256" if sha256 else "sha1"
    run_git(own.parent, "init", "--quiet", "--bare", "--template=", f"--object-format={kind}", own.name)


def _borrow(theirs: Path, temporary: Path, own: Path) -> None:
    refs = _refs(theirs)
    _init(own, sha256=any(len(one) == 64 for one in refs.values()))
    # By a link with a plain name: a line of this file ends at a line break, and some signs at its start have a meaning.
    (temporary / "objects").symlink_to(theirs / "objects", target_is_directory=True)
    (own / "objects" / "info").mkdir(parents=True, exist_ok=True)
    (own / "objects" / "info" / "alternates").write_text(f"{temporary / 'objects'}\n")
    (own / "packed-refs").write_text("".join(f"{commit_id} {name}\n" for name, commit_id in refs.items()), "utf-8")
    shallow = theirs / "shallow"
    if shallow.is_file():  # where a clone of the last commits only was cut off
        ids = [one for one in shallow.read_text("ascii", "replace").split() if _ID.fullmatch(one)]
        (own / "shallow").write_text("".join(f"{one}\n" for one in ids))


def _unbundle(bundle: Path, own: Path) -> None:
    with bundle.open("rb") as stream:
        head = stream.read(200).decode("ascii", "replace")
    if not re.match(r"# v[23] git bundle\n", head):
        raise GitError(f"{bundle}: no such bundle or git folder")
    _init(own, sha256="\n@object-format=sha256\n" in head)
    said = run_git(own, "bundle", "unbundle", str(bundle.resolve())).decode("utf-8", "replace")
    refs = (one.partition(" ")[::2] for one in said.split("\n"))
    known = "".join(f"{one} {name}\n" for one, name in refs if _ID.fullmatch(one) and _REF.fullmatch(name))
    (own / "packed-refs").write_text(known, "utf-8")


def _refs(folder: Path) -> dict[str, str]:
    """The refs of a git folder with the ids they stand at, read without git; symbolic ones are passed over."""
    if (folder / "reftable").is_dir():
        raise GitError(f"{folder} keeps its refs as a reftable; make a bundle of it: git bundle create FILE --branches")
    found: dict[str, str] = {}
    packed = folder / "packed-refs"
    if packed.is_file():
        for entry in packed.read_text("utf-8", "replace").split("\n"):
            commit_id, _, name = entry.partition(" ")
            found[name] = commit_id
    for place, _, names in os.walk(folder / "refs"):
        for path in (Path(place) / name for name in names):
            if path.is_file() and path.stat().st_size < 100:
                name = path.relative_to(folder).as_posix().encode("utf-8", "replace").decode()
                found[name] = path.read_text("ascii", "replace").strip()
    return {name: one for name, one in sorted(found.items()) if _REF.fullmatch(name) and _ID.fullmatch(one)}


def only_branch(folder: Path) -> str:
    """The full name of the only branch; GitError when there are several or none."""
    names = [name for name in _refs(folder) if name.startswith("refs/heads/")]
    if len(names) != 1:
        shown = line(", ".join(name.removeprefix("refs/heads/") for name in names[:5]))
        raise GitError(f"the repository has {len(names)} branches ({shown}); say which with --ref")
    return names[0]


def commit_id_of(folder: Path, ref: str) -> str:
    """The id at which a branch or tag stands, or the id itself: nothing else is ever handed to git; GitError if none."""
    if _ID.fullmatch(ref):
        return ref
    refs = _refs(folder)
    for name in (ref, f"refs/heads/{ref}", f"refs/tags/{ref}", f"refs/remotes/{ref}"):
        if name in refs:
            return refs[name]
    raise GitError(f"there is no branch {line(ref, 100)!r} in the repository")


# --- what was recorded -----------------------------------------------------------------------------------------------


def commits(folder: Path, ref: str) -> Iterator[Commit]:
    """Every file of every commit of our own `repository`, oldest commit first; files in the root, merges and what bears
    no name or date that we can keep are passed over."""
    arguments = [
        "log", "--reverse", "--first-parent", "--no-merges", "--no-show-signature", "--raw", "-z", "--no-abbrev",
        "--no-renames", "--encoding=UTF-8", "--format=%x00%H%x00%at%x00%B%x00", "--end-of-options",
        commit_id_of(folder, ref), "--",
    ]  # fmt: skip
    passed_over: set[str] = set()
    fields = _fields(folder, arguments)
    commit_id, at, subject = "", None, ""
    trailers: dict[str, str] = {}
    # No name, message or id holds a zero byte: what a field is shows by its place alone.
    for field in fields:
        field = field.strip(b"\n")
        if not field:
            continue
        if not field.startswith(b":"):
            commit_id, at = field.decode(), _moment(next(fields, b""))
            message = next(fields, b"").decode("utf-8", "replace")
            subject = message.partition("\n")[0]
            trailers = {name: value.strip() for name, value in _TRAILER.findall(message)}
            if at is None:
                _log.warning("commit %s bears no date that we can keep; passed over", commit_id)
            continue
        path = next(fields, b"").decode("utf-8", "replace")
        _, mode, _, blob, *_ = field.decode().split()
        gone = not blob.strip("0")
        named = _named(path)
        if named is None or at is None or not (gone or mode in _FILES):
            continue
        key, part, suffix = named
        if not (_is_valid(key.service) and _is_valid(key.type)):
            if path not in passed_over:
                passed_over.add(path)
                _log.warning("%s is no name for a document of ours; passed over", ascii(path[:200]))
            continue
        yield Commit(commit_id, at, key, part, suffix, None if gone else blob, subject, trailers)


def _moment(seconds: bytes) -> datetime | None:
    try:
        return datetime.fromtimestamp(int(seconds), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _is_valid(name: str) -> bool:
    try:
        return valid_key(name) == name
    except PydanticCustomError:
        return False


def _fields(folder: Path, arguments: list[str]) -> Iterator[bytes]:
    """What stands between the zero bytes of a log: a long history is never in memory whole."""
    with tempfile.TemporaryFile() as words:
        try:
            process = subprocess.Popen(
                command(folder, *arguments), stdout=subprocess.PIPE, stderr=words, env=environment()
            )
        except FileNotFoundError as error:
            raise GitError("git is not installed") from error
        assert process.stdout is not None
        rest = b""
        try:
            while chunk := process.stdout.read(1 << 16):
                *whole, rest = (rest + chunk).split(b"\0")
                yield from whole
                if len(rest) > _MOST_BYTES:
                    raise GitError("a commit says more than 20 MB; its history is not read")
            if rest:
                yield rest
        finally:
            process.stdout.close()
            failed = process.wait() > 0
        if failed:
            words.seek(0)
            raise GitError(f"git {arguments[0]}: {_words(words.read())}")


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
        cache = ("-c", "core.deltaBaseCacheLimit=16m")
        git, *rest = command(folder, "cat-file", "--batch")
        self._process = subprocess.Popen(
            [git, *cache, *rest], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment()
        )

    def read(self, blob: str) -> bytes:
        """The bytes; raises TooLarge for more than 20 MB of them, which are not held in memory."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{blob}\n".encode())
        self._process.stdin.flush()
        head = self._process.stdout.readline().split()
        if len(head) != 3:
            raise GitError(f"blob {blob} is missing from the repository (is it a partial clone?): {head!r}")
        size = int(head[2])
        if size > _MOST_BYTES:
            left = size + 1
            while left and (chunk := self._process.stdout.read(min(left, 1 << 20))):
                left -= len(chunk)
            raise TooLarge(f"blob {blob} has {size:,} bytes")
        contents = self._process.stdout.read(size)
        self._process.stdout.read(1)
        return contents

    def close(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process.wait()
