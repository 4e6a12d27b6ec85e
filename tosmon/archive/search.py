"""The words of all clauses ever: who said this, since when, and who says it no more.

A full-text index beside the clauses (SQLite's FTS5), keyed by clause id. It holds no text, for the archive has it
already, so a clause that is taken out of the archive must be taken out of the index with its text (`forget_clauses`).
What people type is never handed to the database as a query of its own: it is read here, and whatever makes no sense
as words is left out, so that no search can be a wrong one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import CTE, Connection, Select, Text, column, func, literal, select, table, text, tuple_, type_coerce
from sqlalchemy.sql import ColumnElement

from tosmon.archive import schema as t
from tosmon.archive.packing import unpack_ids
from tosmon.archive.schema import Instant
from tosmon.clauses import plain
from tosmon.errors import ArchiveError
from tosmon.model import ChangeState, TermsKey

INDEX = "clause_words"
"""The virtual table; its shadow tables have names that begin like that."""
MOST = 2000
"""So many clauses are looked at for one search: the newest ones that fit. Who finds more has to say more."""
_TERMS, _LETTERS = 12, 300
_CHUNK = 500
_TOLD = (ChangeState.TOLD.value, ChangeState.WITHDRAWN.value, ChangeState.HISTORIC.value)


# --- what people type ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Term:
    """Words that stand side by side in this order; `begins` lets the last one go on ("train*"), `without` excludes."""

    words: tuple[str, ...]
    begins: bool = False
    without: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """All of the terms must be there, in any order, but for those that must not."""

    terms: tuple[Term, ...]

    @property
    def wanted(self) -> tuple[Term, ...]:
        return tuple(term for term in self.terms if not term.without)

    def __bool__(self) -> bool:
        return bool(self.wanted)


_PIECE = re.compile(r'(?P<without>(?<!\S)[-−])?(?:"(?P<phrase>[^"]*)"?|(?P<word>[^\s"]+))(?P<begins>\*)?')
_QUOTES = str.maketrans(dict.fromkeys("“”„‟«»＂", '"'))
_WORD = re.compile(r"[^\W_]+")


def parse(written: str) -> Query:
    """Read a search as people write it: words, "phrases", train* and -without. Never fails."""
    terms: list[Term] = []
    for piece in _PIECE.finditer(_clean(written[:_LETTERS]).translate(_QUOTES)):
        said = piece["phrase"] if piece["phrase"] is not None else piece["word"]
        begins = bool(piece["begins"]) or (piece["word"] or "").endswith("*")
        words = tuple(_WORD.findall(_spaced(said)))
        if words:
            # One letter begins so many words that it says nothing.
            terms.append(Term(words, begins and len(words[-1]) > 1, bool(piece["without"])))
    return Query(tuple(dict.fromkeys(terms))[:_TERMS])


def _clean(written: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in written)


# Scripts that put no space between words: each letter is taken as a word, and a word as a phrase of letters.
_UNSPACED = re.compile(
    "([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u9fff\uf900-\ufaff])"
)


def _spaced(words: str) -> str:
    return words if words.isascii() else _UNSPACED.sub(r" \1 ", words)


# --- other words for the same ---------------------------------------------------------------------------------------

_AI = ("artificial", "intelligence")
_LICENCE = re.compile(r"(licen)([cs])(?=e)")
_IZE = re.compile(r"(?<=\w{3})i[sz](?=(?:e|ed|es|er|ers|ing|able|ations?)$)")
_OTHER_LETTER = {"c": "s", "s": "c"}
_MOST_SPELLINGS = 16


def spellings(term: Term) -> tuple[tuple[str, ...], ...]:
    """The words of a term, then the same in other words: AI written out, licence and license, -ise and -ize."""
    if term.begins:
        return (term.words,)
    found: list[tuple[str, ...]] = [()]
    words = list(term.words)
    while words:
        if tuple(word.casefold() for word in words[:2]) == _AI:
            options: list[tuple[str, ...]] = [tuple(words[:2]), ("AI",)]
            words = words[2:]
        else:
            word = words.pop(0)
            options = [(word,), _AI] if word.casefold() == "ai" else [(one,) for one in _spelled(word)]
        found = [(*said, *option) for option in options for said in found][:_MOST_SPELLINGS]
    return tuple(dict.fromkeys(found))


def _spelled(word: str) -> tuple[str, ...]:
    low = word.casefold()
    other = _LICENCE.sub(lambda hit: hit[1] + _OTHER_LETTER[hit[2]], low)
    other = _IZE.sub(lambda hit: "is" if hit[0] == "iz" else "iz", other)
    return (word,) if other == low else (word, other)


def _match(query: Query) -> str:
    """The query in FTS5's own language, in which only quoted words stand for themselves."""
    wanted = " AND ".join(_quoted(term) for term in query.wanted)
    said = {term.words[0].casefold() for term in query.wanted if len(term.words) == 1 and not term.begins}
    if said >= set(_AI):  # two words in a search are one word to whoever writes "AI"
        rest = [term for term in query.wanted if len(term.words) > 1 or term.words[0].casefold() not in _AI]
        short = " AND ".join(['"AI"', *(_quoted(term) for term in rest)])
        wanted = f"(({wanted}) OR ({short}))"
    without = [_quoted(term) for term in query.terms if term.without]
    return f"({wanted}) NOT ({' OR '.join(without)})" if without else wanted


def _quoted(term: Term) -> str:
    said = " OR ".join(f'"{" ".join(words)}"{"*" if term.begins else ""}' for words in spellings(term))
    return f"({said})" if " OR " in said else said


_MARKED = 20_000  # letters: a platform may write a megabyte without a break, of which a few hundred letters are shown


def marks(query: Query, words: str) -> list[tuple[int, int]]:
    """Where the wanted terms stand in a clause's plain words, in order, none over another; near its start alone."""
    tokens = [(_folded(found[0]), found.start(), found.end()) for found in _tokens(words[:_MARKED])]
    folded = [token for token, _, _ in tokens]
    found: list[tuple[int, int]] = []
    for term, said in [(one, words) for one in query.wanted for words in spellings(one)]:
        *before, last = [_folded(word) for word in said]
        for place, token in enumerate(folded[len(before) :]):
            here = token.startswith(last) if term.begins else token == last
            if here and folded[place : place + len(before)] == before:
                found.append((tokens[place][1], tokens[place + len(before)][2]))
    merged: list[tuple[int, int]] = []
    for start, end in sorted(found):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


_TOKEN = re.compile(rf"{_UNSPACED.pattern}|(?:(?!{_UNSPACED.pattern})[^\W_])+")


def _tokens(words: str) -> Iterable[re.Match[str]]:
    return (_WORD if words.isascii() else _TOKEN).finditer(words)


def _folded(word: str) -> str:
    """As the index sees it: without letter case and accents."""
    if word.isascii():
        return word.lower()
    return "".join(
        letter for letter in unicodedata.normalize("NFKD", word.lower()) if not unicodedata.combining(letter)
    )


# --- the index ----------------------------------------------------------------------------------------------------


def index_clauses(connection: Connection, clauses: Iterable[tuple[int, str]]) -> None:
    """Take new clauses (id, Markdown) into the index, in the transaction that stores them. Each clause once."""
    rows = [(clause_id, _indexed(words)) for clause_id, words in clauses]
    if rows and is_there(connection):
        connection.exec_driver_sql(f"INSERT INTO {INDEX} (rowid, words) VALUES (?, ?)", rows)


def forget_clauses(connection: Connection, clauses: Iterable[tuple[int, str]]) -> None:
    """Take clauses out of the index, with the text they were taken in with: a text that is withdrawn."""
    rows = [("delete", clause_id, _indexed(words)) for clause_id, words in clauses]
    if rows and is_there(connection):
        connection.exec_driver_sql(f"INSERT INTO {INDEX} ({INDEX}, rowid, words) VALUES (?, ?, ?)", rows)


def is_there(connection: Connection) -> bool:
    """Whether this archive has an index: those on SQLite have, where SQLite was built with FTS5."""
    if connection.dialect.name != "sqlite":
        return False
    found = connection.exec_driver_sql("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (INDEX,))
    return found.first() is not None


def fill(
    connection: Connection,
    texts: Callable[[Connection, Sequence[int]], dict[int, str]],
    said: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Index every clause that is stored: what a migration does once. `said` hears (done, total) now and then."""
    total = connection.execute(select(func.count()).select_from(t.clause)).scalar_one()
    done, last = 0, 0
    while ids := list(
        connection.execute(
            select(t.clause.c.id).where(t.clause.c.id > last).order_by(t.clause.c.id).limit(2000)
        ).scalars()
    ):
        found = texts(connection, ids)
        index_clauses(connection, [(clause_id, found[clause_id]) for clause_id in ids if clause_id in found])
        done, last = done + len(ids), ids[-1]
        said(done, total)


def _indexed(markdown: str) -> str:
    # SQLite takes no lone surrogates, and no NUL.
    words = _spaced(plain(markdown))
    return words if words.isascii() else words.encode("utf-8", "replace").decode()


# --- finding ------------------------------------------------------------------------------------------------------


class Order(StrEnum):
    STANDING = "standing"  # what stands now first, then what went last
    FIRST = "first"  # who said it first


@dataclass(frozen=True, slots=True)
class Stand:
    """A clause in one document: when it was first seen there, and when it was gone (`None` while it stands).

    `runs` is how often it came. `version_id` is the latest version that began a run of it, `place` where it stands there
    (from 1, 0 if not looked up). `brought_by` and `removed_by` are the changes at both ends, where there is one.
    """

    key: TermsKey
    service_name: str
    first_at: datetime
    gone_at: datetime | None
    runs: int
    version_id: int
    brought_by: int | None
    removed_by: int | None
    place: int = 0


@dataclass(frozen=True, slots=True)
class Hit:
    """One clause, and where it stands or stood: in `documents` of them, of which `stands` are told."""

    clause_id: int
    text: str
    stands: tuple[Stand, ...]
    documents: int

    @property
    def is_standing(self) -> bool:
        return self.stands[0].gone_at is None


@dataclass(frozen=True, slots=True)
class Found:
    """A part of what was found. `total` is capped at MOST (`more` is set then); `next` is the cursor of the next part."""

    hits: tuple[Hit, ...] = ()
    total: int = 0
    more: bool = False
    next: int | None = None


_words = table(INDEX, column("rowid"))


def find(
    connection: Connection,
    texts: Callable[[Connection, Sequence[int]], dict[int, str]],
    query: Query,
    *,
    service: str | None = None,
    type: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    order: Order = Order.STANDING,
    after: int | None = None,
    limit: int = 20,
    shown: int = 6,
) -> Found:
    """Clauses with those words that stood at some time from `since` until `until`; `after` is a cursor.

    Raises ArchiveError where the archive has no index.
    """
    if not is_there(connection):
        raise ArchiveError("this archive cannot be searched: search wants SQLite with FTS5")
    if not query:
        return Found()
    inside = _documents(service, type)
    candidates = _candidates(connection, query, inside, since, until)
    ranked, more = _ranked(connection, candidates, inside, order)
    start = ranked.index(after) + 1 if after in ranked else 0
    part = ranked[start : start + limit]
    following = part[-1] if start + limit < len(ranked) else None
    return Found(_hits(connection, texts, part, inside, order, shown), len(ranked), more, following)


def _documents(service: str | None, type: str | None) -> Select[tuple[int]] | None:
    if service is None and type is None:
        return None
    query = select(t.terms.c.id).join(t.service, t.service.c.id == t.terms.c.service_id)
    if service is not None:
        query = query.where(t.service.c.key == service)
    return query.where(t.terms.c.type == type) if type is not None else query


def _candidates(
    connection: Connection,
    query: Query,
    inside: Select[tuple[int]] | None,
    since: datetime | None,
    until: datetime | None,
) -> CTE:
    """The newest clauses that match, one more than are looked at. The index hands them out in that order."""
    rowid: ColumnElement[int] = _words.c.rowid
    wanted = select(rowid.label("id")).where(text(f"{INDEX} MATCH :query").bindparams(query=_match(query)))
    stands = select(t.span.c.clause_id).where(t.span.c.clause_id == rowid).correlate(_words)
    if inside is not None:
        terms_ids = list(connection.execute(inside).scalars())
        mine = t.span.c.terms_id.in_(terms_ids)
        # The clauses of a document were recorded together: between the first and the last there are few others.
        low, high = connection.execute(
            select(func.min(t.span.c.clause_id), func.max(t.span.c.clause_id)).where(mine)
        ).one()
        wanted, stands = wanted.where(rowid.between(low or 0, high or 0)), stands.where(mine)
    if since is not None or until is not None:
        stands = _stood(stands, since, until)
    if inside is not None or since is not None or until is not None:
        wanted = wanted.where(stands.exists())
    return wanted.order_by(rowid.desc()).limit(MOST + 1).cte("found")


def _stood(stands: Select[tuple[int]], since: datetime | None, until: datetime | None) -> Select[tuple[int]]:
    """Only runs that began by `until` and had not ended by `since`: a run ends with the version after its last one."""
    if until is not None:
        first = t.version.alias("first")
        stands = stands.join(first, first.c.id == t.span.c.first_version_id).where(first.c.at <= until)
    if since is not None:
        last, following = t.version.alias("last"), t.version.alias("following")
        later = select(following.c.id).where(following.c.terms_id == last.c.terms_id, following.c.at > last.c.at)
        ends = later.where(following.c.at > since).exists() & ~later.where(following.c.at <= since).exists()
        open_ = t.span.c.last_version_id.is_(None)
        stands = stands.outerjoin(last, last.c.id == t.span.c.last_version_id)
        stands = stands.where(open_ | (last.c.at > since) | ends)
    return stands


def _ranked(
    connection: Connection, candidates: CTE, inside: Select[tuple[int]] | None, order: Order
) -> tuple[list[int], bool]:
    """The clauses in the order in which they are shown, and whether more would fit."""
    first, last = t.version.alias("first"), t.version.alias("last")
    # As text: two thousand times need not become datetimes to be put in order.
    runs = (
        select(
            t.span.c.clause_id,
            func.min(type_coerce(first.c.at, Text)),
            func.max(type_coerce(last.c.at, Text)),
            func.max(t.span.c.last_version_id.is_(None)),
        )
        .join(candidates, candidates.c.id == t.span.c.clause_id)
        .join(first, first.c.id == t.span.c.first_version_id)
        .outerjoin(last, last.c.id == t.span.c.last_version_id)
        .group_by(t.span.c.clause_id)
    )
    rows = connection.execute(runs.where(t.span.c.terms_id.in_(inside)) if inside is not None else runs).all()
    more = len(rows) > MOST
    if more:
        rows = sorted(rows)[1:]  # the oldest of them was only looked up to know that there are more
    if order is Order.FIRST:
        return [row[0] for row in sorted(rows, key=lambda row: (row[1], row[0]))], more
    return [row[0] for row in sorted(rows, key=lambda row: (row[3], row[2] or "", row[1], row[0]), reverse=True)], more


def _hits(
    connection: Connection,
    texts: Callable[[Connection, Sequence[int]], dict[int, str]],
    ids: Sequence[int],
    inside: Select[tuple[int]] | None,
    order: Order,
    shown: int,
) -> tuple[Hit, ...]:
    if not ids:
        return ()
    words = texts(connection, ids)
    runs = _runs(connection, ids, inside)
    shown_runs = {clause_id: _shown(found, order)[:shown] for clause_id, found in runs.items()}
    ends = {
        run.last_id: _next_version(connection, run) for found in shown_runs.values() for run in found if run.last_id
    }
    edges = [run.first_id for found in shown_runs.values() for run in found]
    edges += [end[0] for end in ends.values() if end]
    brought = _changes(connection, {run.terms_id for found in shown_runs.values() for run in found}, edges)
    hits = []
    for clause_id in ids:
        stands = []
        for number, run in enumerate(shown_runs[clause_id]):
            end = ends.get(run.last_id) if run.last_id else None
            stands.append(
                Stand(
                    run.key,
                    run.service_name,
                    run.first_at,
                    end[1] if end else None,
                    run.count,
                    run.version_id,
                    brought.get(run.first_id),
                    brought.get(end[0]) if end else None,
                    _place(connection, run.version_id, clause_id) if number == 0 else 0,
                )
            )
        hits.append(Hit(clause_id, words[clause_id], tuple(stands), len(runs[clause_id])))
    return tuple(hits)


@dataclass(slots=True)
class _Run:
    """All runs of a clause in one document, as one: the first one's beginning, the last one's end."""

    key: TermsKey
    service_name: str
    terms_id: int
    first_id: int
    first_at: datetime
    version_id: int
    last_id: int | None
    last_at: datetime | None
    count: int = 1


def _runs(connection: Connection, ids: Sequence[int], inside: Select[tuple[int]] | None) -> dict[int, list[_Run]]:
    first, last = t.version.alias("first"), t.version.alias("last")
    query = (
        select(
            t.span.c.clause_id,
            t.span.c.terms_id,
            first.c.id,
            first.c.at,
            last.c.id,
            last.c.at,
            t.service.c.key,
            t.service.c.name,
            t.terms.c.type,
        )
        .join(first, first.c.id == t.span.c.first_version_id)
        .outerjoin(last, last.c.id == t.span.c.last_version_id)
        .join(t.terms, t.terms.c.id == t.span.c.terms_id)
        .join(t.service, t.service.c.id == t.terms.c.service_id)
        .where(t.span.c.clause_id.in_(ids))
        .order_by(first.c.at, first.c.id)
    )
    query = query.where(t.span.c.terms_id.in_(inside)) if inside is not None else query
    runs: dict[tuple[int, int], _Run] = {}
    for clause_id, terms_id, first_id, first_at, last_id, last_at, key, name, type_ in connection.execute(query).all():
        run = runs.get((clause_id, terms_id))
        if run is None:
            runs[clause_id, terms_id] = _Run(
                TermsKey(key, type_), name, terms_id, first_id, first_at, first_id, last_id, last_at
            )
        else:
            run.version_id, run.last_id, run.last_at, run.count = first_id, last_id, last_at, run.count + 1
    found: dict[int, list[_Run]] = {clause_id: [] for clause_id in ids}
    for (clause_id, _), run in runs.items():
        found[clause_id].append(run)
    return found


def _shown(runs: Sequence[_Run], order: Order) -> list[_Run]:
    """Those that stand first, the oldest on top; then those that are gone, the latest on top. Or who said it first."""
    if order is Order.FIRST:
        return sorted(runs, key=lambda run: run.first_at)
    standing = sorted((run for run in runs if run.last_id is None), key=lambda run: run.first_at)
    gone = sorted((run for run in runs if run.last_at is not None), key=lambda run: str(run.last_at), reverse=True)
    return [*standing, *gone]


def _next_version(connection: Connection, run: _Run) -> tuple[int, datetime] | None:
    """The version that a clause was no longer in: the one after the last that had it."""
    place = tuple_(t.version.c.at, t.version.c.id)
    query = (
        select(t.version.c.id, t.version.c.at)
        .where(t.version.c.terms_id == run.terms_id, place > tuple_(literal(run.last_at, Instant()), run.last_id))
        .order_by(t.version.c.at, t.version.c.id)
        .limit(1)
    )
    row = connection.execute(query).one_or_none()
    return (row.id, row.at) if row else None


def _changes(connection: Connection, terms_ids: set[int], version_ids: Sequence[int]) -> dict[int, int]:
    """The change that brought each version: one that people were told of, if there is one."""
    brought: dict[int, int] = {}
    for part in _chunks(sorted(set(version_ids))):
        # The documents are named for the index on them: there is none on the version that a change made.
        mine = (t.change.c.terms_id.in_(terms_ids), t.change.c.after_id.in_(part))
        query = select(t.change.c.after_id, t.change.c.id, t.change.c.state).where(*mine)
        rows = sorted(connection.execute(query), key=lambda row: (row.state in _TOLD, row.id))
        brought |= {row.after_id: row.id for row in rows}
    return brought


def _place(connection: Connection, version_id: int, clause_id: int) -> int:
    blob = connection.execute(select(t.version.c.clauses).where(t.version.c.id == version_id)).scalar_one()
    ids = (found for found, _ in unpack_ids(blob))
    return next((number for number, found in enumerate(ids, 1) if found == clause_id), 0)


def _chunks(members: Sequence[int]) -> Iterable[Sequence[int]]:
    return (members[start : start + _CHUNK] for start in range(0, len(members), _CHUNK))
