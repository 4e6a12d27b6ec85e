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
from contextlib import closing, contextmanager
from pathlib import Path

from tosmon.errors import ArchiveError

_DATABASE = "archive.sqlite"
_MANIFEST = "MANIFEST.json"
_CHUNK = 1 << 20


def copy_database(source: Path, target: Path) -> None:
    """Copy an SQLite database as of one moment, while it is in use; raises ArchiveError."""
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

    Every file is held against the manifest before the database takes its place, last of all.
    """
    if database.exists():
        raise ArchiveError(f"{database} is there already; move it away first, a backup never takes its place")
    database.parent.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(source, "r:") as bundle:
            wanted = _manifest(bundle, source)
            members = {member.name: member for member in bundle if member.name != _MANIFEST}
            if members.keys() != wanted.keys():
                raise ArchiveError(f"{source} does not hold what its manifest says; take another backup")
            draft = database.with_name(f".{database.name}.new")
            try:
                for name, member in members.items():
                    _restored(bundle, member, _place(name, draft, snapshots, source), wanted[name], source)
                draft.replace(database)
            finally:
                draft.unlink(missing_ok=True)
    except (tarfile.TarError, EOFError) as error:
        raise ArchiveError(f"{source} is no backup, or a torn one: {error}") from error
    except OSError as error:
        raise ArchiveError(f"{source} cannot be restored: {error.strerror or error}") from error
    return len(members) - 1


def _manifest(bundle: tarfile.TarFile, source: Path) -> dict[str, str]:
    try:
        stream = bundle.extractfile(_MANIFEST)
        assert stream is not None
        wanted: dict[str, str] = json.loads(stream.read())["sha256"]
    except (KeyError, ValueError) as error:
        raise ArchiveError(f"{source} has no manifest: it is no backup of tosmon, or a torn one") from error
    if _DATABASE not in wanted:
        raise ArchiveError(f"{source} has no database in it")
    return wanted


def _place(name: str, draft: Path, snapshots: Path, source: Path) -> Path:
    """Where a member goes; nothing leads out of the folder of snapshots, whoever made the file."""
    if name == _DATABASE:
        return draft
    folder, _, rest = name.partition("/")
    place = (snapshots / rest).resolve()
    if folder != "snapshots" or not rest or not place.is_relative_to(snapshots.resolve()):
        raise ArchiveError(f"{source} holds {name!r}, which leads out of its folder; it was not restored")
    return place


def _restored(bundle: tarfile.TarFile, member: tarfile.TarInfo, place: Path, sha256: str, source: Path) -> None:
    stream = bundle.extractfile(member) if member.isfile() else None
    if stream is None:
        raise ArchiveError(f"{source}: {member.name} is no file")
    place.parent.mkdir(parents=True, exist_ok=True)
    actual = hashlib.sha256()
    new = place.with_name(f".{place.name}.restored")
    try:
        with new.open("wb") as out:
            while chunk := stream.read(_CHUNK):
                actual.update(chunk)
                out.write(chunk)
            out.flush()
            os.fsync(out.fileno())
        if actual.hexdigest() != sha256:
            raise ArchiveError(f"{source}: {member.name} is damaged; take another backup")
        new.replace(place)
    finally:
        new.unlink(missing_ok=True)
