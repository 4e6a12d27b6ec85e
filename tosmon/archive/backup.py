"""Copies of an archive: the database as of one moment, and every page as received, in one file that can be checked.

A backup is a tar file: `archive.sqlite`, `snapshots/…`, and `MANIFEST.json` with the SHA-256 of each of them, last, so
that a file without it is known for a torn one. The database is copied by SQLite's online backup: checks may go on
meanwhile. Snapshots are written once, so copying those that the copied database speaks of is a copy of that moment, too.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import sqlite3
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from tosmon.errors import ArchiveError

_DATABASE = "archive.sqlite"
_MANIFEST = "MANIFEST.json"
_CHUNK = 1 << 20
_LONGEST_MANIFEST = 100_000_000


def make_private(database: Path) -> None:
    """Make an empty file for a database, if there is none: for its owner alone, as addresses and a secret will be in it.

    SQLite gives the files beside it the same permissions.
    """
    with suppress(OSError):  # SQLite will say what is wrong, in words that we explain
        if not database.exists():
            os.close(os.open(database, os.O_WRONLY | os.O_CREAT, 0o600))


def copy_database(source: Path, target: Path) -> None:
    """Copy an SQLite database as of one moment, while it is in use; raises ArchiveError."""
    make_private(target)
    try:
        with (
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as here,
            closing(sqlite3.connect(target)) as there,
        ):
            here.backup(there, pages=4096)
    except sqlite3.Error as error:
        raise ArchiveError(f"{source} cannot be copied to {target}: {error}") from error


def back_up(
    database: Path, snapshots: Path, target: Path, progress: Callable[[int, int], None] = lambda done, total: None
) -> list[str]:
    """Write a backup; the snapshots that the database speaks of and that are missing on disk. Raises ArchiveError."""
    missing: list[str] = []
    with _draft(target) as draft, tempfile.TemporaryDirectory(dir=target.parent, prefix=".backup-") as folder:
        copy = Path(folder) / _DATABASE
        copy_database(database, copy)
        digests: dict[str, str] = {}
        with tarfile.open(draft, "w") as bundle:
            digests[_DATABASE] = _add(bundle, copy, _DATABASE)
            paths = _snapshot_paths(copy)
            for number, path in enumerate(paths):
                try:
                    digests[f"snapshots/{path}"] = _add(bundle, snapshots / path, f"snapshots/{path}")
                except FileNotFoundError:
                    missing.append(path)
                progress(number + 1, len(paths))
            manifest = json.dumps({"version": 1, "sha256": digests}, indent=1, ensure_ascii=True).encode()
            entry = tarfile.TarInfo(_MANIFEST)
            entry.size, entry.mode = len(manifest), 0o600
            bundle.addfile(entry, io.BytesIO(manifest))
    return missing


@contextmanager
def _draft(target: Path) -> Iterator[Path]:
    """A file beside the target that takes its place when it is whole and on disk."""
    draft = target.with_name(f".{target.name}.new")
    try:
        draft.touch(mode=0o600)  # mail addresses are in it
        yield draft
        with draft.open("rb") as stream:
            os.fsync(stream.fileno())
        draft.replace(target)
    except OSError as error:
        raise ArchiveError(f"{target} cannot be written: {error.strerror or error}") from error
    finally:
        draft.unlink(missing_ok=True)


def _add(bundle: tarfile.TarFile, path: Path, name: str) -> str:
    with path.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        stream.seek(0)
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode, entry.mtime = os.fstat(stream.fileno()).st_size, 0o600, int(path.stat().st_mtime)
        bundle.addfile(entry, stream)
    return sha256


def _snapshot_paths(database: Path) -> list[str]:
    with closing(sqlite3.connect(database)) as connection:
        return [row[0] for row in connection.execute("SELECT path FROM snapshot ORDER BY id")]


def restore(source: Path, database: Path, snapshots: Path) -> int:
    """Put a backup where there is no archive yet; how many snapshots it has. Raises ArchiveError, and nothing is put.

    Every file is held against the manifest beside its place before any takes it, the database last of all. Nothing that
    is there already is replaced.
    """
    if database.exists():
        raise ArchiveError(f"{database} is there already; move it away first, a backup never takes its place")
    try:
        with tarfile.open(source, "r:") as bundle:
            wanted = _manifest(bundle, source)
            members = {member.name: member for member in bundle if member.name != _MANIFEST}
            if members.keys() != wanted.keys():
                raise ArchiveError(f"{source} does not hold what its manifest says; take another backup")
            places = {name: _place(name, database, snapshots, source) for name in members}
            if len(set(places.values())) < len(places):
                raise ArchiveError(f"{source} holds two files for one place; it was not restored")
            with _staging(snapshots) as staging, _staging(database.parent) as beside:
                staged: dict[str, Path] = {}
                for number, (name, member) in enumerate(members.items()):
                    staged[name] = beside / _DATABASE if name == _DATABASE else staging / str(number)
                    if name == _DATABASE:
                        staged[name].touch(mode=0o600)  # mail addresses are in it
                    _restored(bundle, member, staged[name], wanted[name], source)
                _put(staged, places, wanted, source)
    except (tarfile.TarError, EOFError) as error:
        raise ArchiveError(f"{source} is no backup, or a torn one: {error}") from error
    except OSError as error:
        raise ArchiveError(f"{source} cannot be restored: {error.strerror or error}") from error
    return len(members) - 1


@contextmanager
def _staging(folder: Path) -> Iterator[Path]:
    """A folder inside of another, on the same disk, that goes with the block."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".restore-") as staging:
        yield Path(staging)


def _put(staged: dict[str, Path], places: dict[str, Path], wanted: dict[str, str], source: Path) -> None:
    """Each file to its place, the database last; what stands there with the same bytes stays, anything else stops all."""
    new = []
    for name, place in places.items():
        if not os.path.lexists(place):
            new.append(name)
        elif name == _DATABASE or not place.is_file() or _sha256(place) != wanted[name]:
            raise ArchiveError(f"{place} is there already and is not what {source} holds; move it away first")
    for name in sorted(new, key=lambda one: one == _DATABASE):
        places[name].parent.mkdir(parents=True, exist_ok=True)
        staged[name].rename(places[name])


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _manifest(bundle: tarfile.TarFile, source: Path) -> dict[str, str]:
    no_manifest = f"{source} has no manifest: it is no backup of tosmon, or a torn one"
    try:
        member = bundle.getmember(_MANIFEST)
        stream = bundle.extractfile(member) if member.isfile() and not member.issparse() else None
        if stream is None or member.size > _LONGEST_MANIFEST:
            raise ArchiveError(no_manifest)
        found = json.loads(stream.read())
    except (KeyError, ValueError, RecursionError) as error:
        raise ArchiveError(no_manifest) from error
    wanted = found.get("sha256") if isinstance(found, dict) else None
    if not isinstance(wanted, dict) or not all(isinstance(one, str) for one in wanted.values()):
        raise ArchiveError(no_manifest)
    if _DATABASE not in wanted:
        raise ArchiveError(f"{source} has no database in it")
    return wanted


def _place(name: str, database: Path, snapshots: Path, source: Path) -> Path:
    """Where a member goes; nothing leads out of the folder of snapshots, whoever made the file."""
    if name == _DATABASE:
        return database
    folder, _, rest = name.partition("/")
    place = (snapshots / rest.replace("\0", "")).resolve()
    inside = place.is_relative_to(snapshots.resolve()) and place != snapshots.resolve()
    if folder != "snapshots" or "\0" in rest or not inside:
        raise ArchiveError(f"{source} holds {name!r}, which leads out of its folder; it was not restored")
    return place


def _restored(bundle: tarfile.TarFile, member: tarfile.TarInfo, place: Path, sha256: str, source: Path) -> None:
    stream = bundle.extractfile(member) if member.isfile() and not member.issparse() else None
    if stream is None:
        raise ArchiveError(f"{source}: {member.name} is no file")
    actual = hashlib.sha256()
    with place.open("wb") as out:
        while chunk := stream.read(_CHUNK):
            actual.update(chunk)
            out.write(chunk)
        out.flush()
        os.fsync(out.fileno())
    if actual.hexdigest() != sha256:
        raise ArchiveError(f"{source}: {member.name} is damaged; take another backup")
