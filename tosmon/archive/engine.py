"""Open an archive: the database behind a URL, its pragmas, its migrations.

SQLite by default: write-ahead log, so that reading pages never waits for a check; every writing transaction takes the
write lock at its start (BEGIN IMMEDIATE), so that two processes queue instead of failing half-way; and commits
reach the disk (synchronous=FULL), because a mail that was sent must not be forgotten in a power cut, but for those that
a power cut may undo without harm (see HURRIED).
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import quote

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, ExceptionContext, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, IntegrityError, NoSuchModuleError, ProgrammingError
from sqlalchemy.pool import QueuePool

from tosmon.archive.backup import copy_database, make_private
from tosmon.errors import ArchiveError

_BUSY_SECONDS = 60
HURRIED = "hurried"
"""Execution option of transactions that a power cut may undo: leases, and looks at what had not changed. A process that is
killed loses nothing either way."""


def open_engine(url: str) -> Engine:
    """The migrated database behind an SQLAlchemy URL; raises ArchiveError when it cannot be had."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ArchiveError(f"archive: {url!r} is no database URL; write sqlite:///path/to/archive.sqlite") from error
    sqlite = parsed.get_backend_name() == "sqlite"
    if sqlite and parsed.database and parsed.database != ":memory:":
        _make_folder(Path(parsed.database).parent)
        if not parsed.database.startswith("file:"):
            make_private(Path(parsed.database))
    shown = parsed.render_as_string()
    if sqlite:
        parsed = _as_it_lies(parsed)
    try:
        if sqlite:
            engine = create_engine(
                parsed, connect_args={"timeout": _BUSY_SECONDS}, poolclass=QueuePool, pool_size=8, max_overflow=16
            )
            _tame_sqlite(engine)
        else:
            engine = create_engine(parsed, pool_pre_ping=True)
        _speak_plainly(engine, shown)
        migrate(engine)
    except NoSuchModuleError as error:
        raise ArchiveError(
            f"archive: no driver for {parsed.get_backend_name()!r} (tosmon[postgres] brings one)"
        ) from error
    except DatabaseError as error:
        raise ArchiveError(f"archive {shown} cannot be opened: {error.orig}") from error
    return engine


def _as_it_lies(url: URL) -> URL:
    """On a disk that cannot be written SQLite cannot make the files that go with a log: open the database without them.

    Only if there is no log with changes in it, which would be overlooked like that.
    """
    path = Path(url.database or "")
    log = path.with_name(f"{path.name}-wal")
    if not path.is_file() or os.access(path.parent, os.W_OK) or (log.exists() and log.stat().st_size):
        return url
    return make_url(f"sqlite:///file:{quote(str(path))}?mode=ro&immutable=1&uri=true")


def _speak_plainly(engine: Engine, shown: str) -> None:
    """Whatever goes wrong in the database (disk full, read-only, damaged, locked) reaches callers as an ArchiveError."""

    @event.listens_for(engine, "handle_error")
    def on_error(context: ExceptionContext) -> None:
        error = context.sqlalchemy_exception
        # A broken rule of the schema is a bug of ours, and should look like one.
        if isinstance(error, DatabaseError) and not isinstance(error, IntegrityError | ProgrammingError):
            plain = ArchiveError(f"archive {shown}: {error.orig}; {_way_out(str(error.orig))}")
            raise plain from context.original_exception  # what a handler raises takes the place of the error


def _way_out(words: str) -> str:
    ways = {
        "full": "make room on the disk, nothing is lost",
        "readonly": "make the file and its folder writable",
        "read-only": "make the file and its folder writable",
        "unable to open": "check that the folder exists and can be written",
        "disk I/O": "check the disk and its free space",
        "locked": "another program holds it; try again when it is done",
        "malformed": "it is damaged; move it away and put a backup in its place: tosmon restore FILE",
        "not a database": "this file is no archive, or damaged; name another one, or move it away and put a backup in its "
        "place: tosmon restore FILE",
    }
    return next((way for sign, way in ways.items() if sign in words), "see the message of the database")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArchiveError(f"archive: cannot make the folder {folder}: {error.strerror or error}") from error


def _tame_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, record: object) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves, see below
        for pragma in (
            "journal_mode=WAL",
            "foreign_keys=ON",
            "cache_size=-16384",
            "temp_store=MEMORY",
        ):
            try:
                connection.execute(f"PRAGMA {pragma}")
            except sqlite3.OperationalError as error:
                # An archive on a read-only disk can still be browsed, so only the write-ahead log may fail.
                if "readonly" not in str(error) and "read-only" not in str(error):
                    raise

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        if options.get("reads"):
            connection.exec_driver_sql("BEGIN")
            return
        wanted = "NORMAL" if options.get(HURRIED) else "FULL"
        if connection.info.get("synchronous") != wanted:
            connection.exec_driver_sql(f"PRAGMA synchronous={wanted}")
            connection.info["synchronous"] = wanted
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def migrate(engine: Engine) -> None:
    """Bring the schema to the newest form; an archive from a newer tosmon is refused, untouched."""
    config = Config()
    config.set_main_option("script_location", "tosmon.archive:migrations")
    script = ScriptDirectory.from_config(config)
    with engine.connect().execution_options(reads=True) as connection, connection.begin():
        current = MigrationContext.configure(connection).get_current_revision()
    if current == script.get_current_head():
        return
    if current is not None and current not in {revision.revision for revision in script.walk_revisions()}:
        raise ArchiveError(f"the archive was written by a newer tosmon (schema {current}); upgrade tosmon")
    if current is not None:
        _copy_beside(engine, str(script.get_current_head()))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _copy_beside(engine: Engine, head: str) -> None:
    """Copy the database of an older tosmon before it is changed; a copy that is there stays, it is the older one."""
    if engine.dialect.name != "sqlite" or not engine.url.database or engine.url.database == ":memory:":
        return
    path = Path(engine.url.database)
    copy = path.with_name(f"{path.name}.before-{head}")
    if path.is_file() and not copy.exists():
        draft = copy.with_name(f".{copy.name}.new")
        draft.unlink(missing_ok=True)
        copy_database(path, draft)
        draft.replace(copy)
