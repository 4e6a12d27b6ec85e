"""Platforms change their names; a document stays the document it was, with its history, its feeds and its links.

Under the new key everything goes on. The old one is kept: addresses lead from it to the new one, and the chain of versions
names the document as it was named when each of them was recorded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Engine, Select, delete, func, insert, select, update

from tosmon.archive import schema as t
from tosmon.archive.store import insert_unless_there
from tosmon.errors import ArchiveError

FeedPaths = Callable[[str, str | None], str]
"""The path of the feed of a service, or, with a type, of one of its documents: they are made of the keys."""


class Identities:
    """The names that services had and have."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def former(self) -> dict[str, str]:
        """The keys that services had before, each with the key of today; one that is in use again is not among them."""
        query = (
            select(t.former.c.service, t.service.c.key)
            .join(t.terms, t.terms.c.id == t.former.c.terms_id)
            .join(t.service, t.service.c.id == t.terms.c.service_id)
            .where(t.former.c.service.not_in(select(t.service.c.key)))
        )
        with self._engine.connect().execution_options(reads=True) as connection:
            return {row.service: row.key for row in connection.execute(query)}

    def rename(self, old: str, new: str, feeds: FeedPaths) -> bool:
        """Let a service go on under another key; False when the archive has none of the old one.

        Raises ArchiveError when both keys have a document of the same type: those are two histories.
        """
        with self._engine.connect().execution_options(reads=True) as connection:
            if _service(connection, old) is None:
                return False
        with self._engine.begin() as connection:
            old_id = _service(connection, old)
            if old_id is None:
                return False
            new_id = _service(connection, new)
            if new_id is not None:
                _refuse_twins(connection, old, old_id, new, new_id)
            for row in connection.execute(_documents(old_id)).all():
                _remember(connection, old, row.type, row.id)
                _take_feed_along(connection, feeds(old, row.type), feeds(new, row.type))
            _take_feed_along(connection, feeds(old, None), feeds(new, None))
            if new_id is None:
                connection.execute(update(t.service).where(t.service.c.id == old_id).values(key=new))
            else:
                connection.execute(update(t.terms).where(t.terms.c.service_id == old_id).values(service_id=new_id))
                connection.execute(delete(t.service).where(t.service.c.id == old_id))
        return True


def _service(connection: Connection, key: str) -> int | None:
    found: int | None = connection.execute(select(t.service.c.id).where(t.service.c.key == key)).scalar()
    return found


def _documents(service_id: int) -> Select[Any]:
    return select(t.terms.c.id, t.terms.c.type).where(t.terms.c.service_id == service_id)


def _refuse_twins(connection: Connection, old: str, old_id: int, new: str, new_id: int) -> None:
    mine, theirs = ({row.type for row in connection.execute(_documents(one))} for one in (old_id, new_id))
    if twins := sorted(mine & theirs):
        raise ArchiveError(
            f"{old} cannot go on as {new}: the archive has {twins[0]} of both; they stay two histories. Take"
            f" `formerly: {old}` out of the configuration"
        )


def _remember(connection: Connection, service: str, type: str, terms_id: int) -> None:
    last = select(func.coalesce(func.max(t.version.c.id), 0)).where(t.version.c.terms_id == terms_id)
    until_id = connection.execute(last).scalar_one()
    connection.execute(delete(t.former).where(t.former.c.service == service, t.former.c.type == type))
    connection.execute(insert(t.former).values(service=service, type=type, terms_id=terms_id, until_id=until_id))


def _take_feed_along(connection: Connection, old: str, new: str) -> None:
    """The new feed begins with the entries of the old one: their ids are the same, so readers see nothing twice."""
    entries = connection.execute(select(t.feed_entry.c.alert_id).where(t.feed_entry.c.feed == old)).scalars().all()
    if entries:
        statement = insert_unless_there(connection, t.feed_entry, ("feed", "alert_id"))
        connection.execute(statement, [{"feed": new, "alert_id": alert_id} for alert_id in entries])
        connection.execute(delete(t.feed_entry).where(t.feed_entry.c.feed == old))
