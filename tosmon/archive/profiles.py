"""Read profiles: which stances stood at an instant, and the words they rest on. Changes nothing.

A table of all services is some ten thousand stances, of which a page shows a few hundred: rows stay rows until their cell
is looked at, and words are fetched for what is shown.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Row, Text, func, or_, select, type_coerce
from sqlalchemy.sql import Select

from tosmon.archive import schema as t
from tosmon.archive.store import chunks, clause_texts
from tosmon.judge.profile import BY_KEY, Cell, Gone, Held, Profile, Source, cell_of, is_promise
from tosmon.model import ChangeState, Stance, TermsKey


def profiles_at(
    connection: Connection,
    services: Sequence[str] | None,
    at: datetime | None,
    aspects: frozenset[str] | None = None,
    today: date | None = None,
) -> list[Profile]:
    """The profile of each service (or of some), by name, without words, as its documents stand or stood at an instant.

    With `aspects` only these are in it. What is to apply from a day after `today` (else after that instant) says so.
    """
    documents = _sources(connection, services, at)
    keys = {terms_id: source.key for terms_id, source in documents}
    starts = _ahead(connection, at.date() if at else today)
    rows: dict[str, dict[str, list[Row[Any]]]] = {}
    for row in connection.execute(_standing(at, None if services is None else list(keys), aspects)):
        key = keys.get(row[_TERMS])
        if key is not None:
            rows.setdefault(key.service, {}).setdefault(row[_ASPECT], []).append(row)
    by_service: dict[str, list[Source]] = {}
    for _, source in documents:
        by_service.setdefault(source.key.service, []).append(source)
    gone = _gone(connection, keys, rows, at, aspects, services is None)
    return [
        Profile(name, mine[0].service_name, tuple(mine), _Cells(rows.get(name, {}), keys, starts), gone.get(name, {}))
        for name, mine in by_service.items()
    ]


def _ahead(connection: Connection, today: date | None) -> dict[int, date]:
    """The changes that are to apply from a later day, and from which."""
    if today is None:
        return {}
    columns = t.change.c
    query = select(columns.id, columns.effective_date).where(columns.state.in_(_SHOWN), columns.effective_date > today)
    return {row.id: row.effective_date for row in connection.execute(query)}


def _gone(
    connection: Connection,
    keys: Mapping[int, TermsKey],
    standing: Mapping[str, Mapping[str, object]],
    at: datetime | None,
    aspects: frozenset[str] | None,
    every: bool,
) -> dict[str, dict[str, Gone]]:
    """By services and aspects, what documents promised and dropped where nothing is said any more: the last of each."""
    columns = t.stance.c
    query = select(columns.terms_id, columns.aspect, columns.stance, columns.until_at, columns.until_version_id)
    query = query.where(columns.until_at.is_not(None), columns.stance.in_(_PROMISES)).order_by(columns.until_at)
    if not every:
        query = query.where(columns.terms_id.in_(list(keys)))
    if aspects is not None:
        query = query.where(columns.aspect.in_(sorted(aspects)))
    if at is not None:
        query = query.where(columns.until_at <= at)
    found: dict[tuple[str, str], Gone] = {}
    for terms_id, aspect, stance, until, version_id in connection.execute(query):
        key = keys.get(terms_id)
        if key is not None and aspect not in standing.get(key.service, {}) and is_promise(aspect, _STANCES[stance]):
            found[key.service, aspect] = Gone(key, aspect, _STANCES[stance], until, version_id)
    brought = _brought(connection, {one.version_id for one in found.values()})
    gone: dict[str, dict[str, Gone]] = {}
    for (service, aspect), one in found.items():
        gone.setdefault(service, {})[aspect] = replace(one, change_id=brought.get(one.version_id))
    return gone


def _brought(connection: Connection, version_ids: Iterable[int]) -> dict[int, int]:
    """The change that brought each version, of those that people are shown."""
    brought: dict[int, int] = {}
    columns = t.change.c
    for part in chunks(sorted(version_ids)):
        query: Select[Any] = select(columns.after_id, columns.id).where(columns.state.in_(_SHOWN))
        for after_id, change_id in connection.execute(query.where(columns.after_id.in_(part)).order_by(columns.id)):
            brought[after_id] = change_id
    return brought


def history_of(connection: Connection, keys: Mapping[int, TermsKey]) -> list[tuple[Held, datetime, datetime | None]]:
    """Every stance that documents ever took: (in its first words, since when, until when), oldest first."""
    query = select(*_COLUMNS, t.stance.c.until_at).where(t.stance.c.terms_id.in_(list(keys)))
    query = query.order_by(t.stance.c.since_at, t.stance.c.from_at, t.stance.c.id)
    runs: dict[tuple[Any, ...], tuple[Held, datetime, datetime | None]] = {}
    for row in connection.execute(query):
        one = _held_from(row, keys)
        run = (one.key, one.aspect, one.stance, one.since_version_id)
        runs[run] = (runs[run][0] if run in runs else one, one.since, row.until_at)
    return list(runs.values())


@dataclass(frozen=True, slots=True)
class Words:
    """What a stance rests on: exact words, the headings above, what they are about, and the change that brought them."""

    quote: str
    headings: tuple[str, ...]
    objects: tuple[str, ...]
    change_id: int | None = None


def words_of(connection: Connection, stance_ids: Sequence[int]) -> dict[int, Words]:
    """The words of stances; of a clause that was withdrawn from the archive there are none."""
    columns = t.stance.c
    rows: list[Row[Any]] = []
    for part in chunks(stance_ids):
        wanted = (
            *(columns.id, columns.clause_id, columns.start, columns.end, columns.headings, columns.objects),
            *(columns.from_version_id, columns.since_version_id),
        )
        query: Select[Any] = select(*wanted)
        rows += connection.execute(query.where(columns.id.in_(part))).all()
    texts = clause_texts(connection, {row.clause_id for row in rows})
    reworded = {row.from_version_id for row in rows if row.from_version_id != row.since_version_id}
    brought = _brought(connection, reworded)
    return {
        row.id: Words(
            texts.get(row.clause_id, "")[row.start : row.end],
            _listed(row.headings),
            _listed(row.objects),
            brought.get(row.from_version_id) if row.from_version_id in reworded else None,
        )
        for row in rows
    }


def quoted(found: Sequence[Profile], words: Mapping[int, Words]) -> list[Profile]:
    """The profiles with words, headings and objects."""
    return [
        replace(profile, cells={key: _quoted_cell(cell, words) for key, cell in profile.cells.items()})
        for profile in found
    ]


def _quoted_cell(cell: Cell, words: Mapping[int, Words]) -> Cell:
    return Cell(cell.aspect, tuple(_quoted(one, words.get(one.id)) for one in cell.held), cell.read)


def _quoted(one: Held, words: Words | None) -> Held:
    if words is None:
        return one
    # Not dataclasses.replace: a page of the table shows a thousand of them.
    return Held(
        one.key, one.aspect, one.stance, words.quote, one.since, one.since_version_id, one.from_first, one.change_id,
        one.version_id, one.clause, words.headings, words.objects, one.id, one.begun, words.change_id, one.starts,
    )  # fmt: skip


class _Cells(Mapping[str, Cell]):
    """A service's cells by their aspects; one is made when it is looked at."""

    __slots__ = ("_keys", "_made", "_rows", "_starts")

    def __init__(
        self, rows: Mapping[str, Sequence[Row[Any]]], keys: Mapping[int, TermsKey], starts: Mapping[int, date]
    ) -> None:
        self._rows = rows
        self._keys = keys
        self._starts = starts
        self._made: dict[str, Cell] = {}

    def __getitem__(self, aspect: str) -> Cell:
        made = self._made.get(aspect)
        if made is None:
            made = cell_of(aspect, [_held_from(row, self._keys, self._starts) for row in self._rows[aspect]])
            self._made[aspect] = made
        return made

    def __contains__(self, aspect: object) -> bool:
        return aspect in self._rows

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


def _sources(connection: Connection, services: Sequence[str] | None, at: datetime | None) -> list[tuple[int, Source]]:
    """The documents that profiles are read from, by service and type, as they stood; each with its id."""
    columns = (t.terms.c.id, t.service.c.key, t.service.c.name, t.terms.c.type)
    standing = t.version.alias("standing")
    query = select(*columns, standing.c.id, standing.c.at, t.profiled.c.language, t.profiled.c.unread)
    query = query.select_from(t.profiled).join(standing, standing.c.id == _version_at(at))
    query = query.join(t.terms, t.terms.c.id == t.profiled.c.terms_id)
    query = query.join(t.service, t.service.c.id == t.terms.c.service_id)
    if services is not None:
        query = query.where(t.service.c.key.in_(services))
    rows = connection.execute(query.order_by(func.lower(t.service.c.name), t.terms.c.type))
    return [
        (id_, Source(TermsKey(key, type), name, version_id, seen, language, _topics(unread)))
        for id_, key, name, type, version_id, seen, language, unread in rows
    ]


def _version_at(at: datetime | None) -> Any:
    """The id of the version that stands, or stood at an instant."""
    if at is None:
        return t.profiled.c.version_id
    # One look into the index for each document: grouping all versions by document took four times as long.
    return (
        select(t.version.c.id)
        .where(t.version.c.terms_id == t.profiled.c.terms_id, t.version.c.at <= at)
        .order_by(t.version.c.at.desc(), t.version.c.id.desc())
        .limit(1)
        .correlate(t.profiled)
        .scalar_subquery()
    )


@lru_cache(maxsize=256)
def _topics(written: str) -> frozenset[str]:
    return frozenset(json.loads(written))


_COLUMNS = (
    t.stance.c.id,
    t.stance.c.terms_id,
    t.stance.c.aspect,
    t.stance.c.stance,
    type_coerce(t.stance.c.since_at, Text).label("since"),
    t.stance.c.since_version_id,
    t.stance.c.from_first,
    t.stance.c.change_id,
    t.stance.c.from_version_id,
    t.stance.c.place,
    type_coerce(t.stance.c.from_at, Text).label("begun"),
)
_TERMS, _ASPECT = 1, 2
_NO_DAYS: Mapping[int, date] = {}
_SHOWN = (ChangeState.TOLD.value, ChangeState.WITHDRAWN.value, ChangeState.HISTORIC.value)
_PROMISES = sorted({stance.value for stance in Stance for aspect in BY_KEY if is_promise(aspect, stance)})


def _standing(at: datetime | None, terms_ids: Sequence[int] | None, aspects: frozenset[str] | None) -> Select[Any]:
    query = select(*_COLUMNS)
    if terms_ids is not None:
        query = query.where(t.stance.c.terms_id.in_(terms_ids))
    if aspects is not None:
        query = query.where(t.stance.c.aspect.in_(sorted(aspects)))
    if at is None:
        return query.where(t.stance.c.until_at.is_(None))
    return query.where(t.stance.c.from_at <= at, or_(t.stance.c.until_at.is_(None), t.stance.c.until_at > at))


def _held_from(row: Row[Any], keys: Mapping[int, TermsKey], starts: Mapping[int, date] = _NO_DAYS) -> Held:
    id_, terms_id, aspect, stance, since, since_id, first, change_id, version_id, place, begun = row[: len(_COLUMNS)]
    return Held(
        keys[terms_id], aspect, _STANCES[stance], "", _instant(since), since_id, first, change_id, version_id, place,
        (), (), id_, None if version_id == since_id else _instant(begun), None,
        None if change_id is None or first else starts.get(change_id),
    )  # fmt: skip


_STANCES = {stance.value: stance for stance in Stance}
_instant = lru_cache(maxsize=50_000)(datetime.fromisoformat)  # many stances begin with the same version


@lru_cache(maxsize=4096)
def _listed(written: str) -> tuple[str, ...]:
    return tuple(json.loads(written))
