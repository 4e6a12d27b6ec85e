"""Study a document: read its versions by a set of rules, and say what they said from when until when. Writes nothing.

A finding depends on the clause and on the clause that introduces its list, so both are its key. Versions are read as
lists of such keys, so that a history of thousands costs its distinct clauses, and their words are read once.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from functools import cache, lru_cache
from importlib import resources
from typing import Any

from sqlalchemy import Connection, Row, insert, select
from sqlalchemy.sql import Select

from tosmon.archive import schema as t
from tosmon.archive.packing import unpack_ids
from tosmon.archive.store import chunks, clause_texts
from tosmon.clauses import plain, stems
from tosmon.judge.finding import findings, statements
from tosmon.judge.profile import Basis, Ledger, Point, Run, Turn, answers, unread_topics
from tosmon.judge.rules import Pattern, Rules
from tosmon.model import Actor, ChangeState, Clause, ClauseKind, Finding, Stance, TermsKey

_QUIET = frozenset({ChangeState.SUPPRESSED.value, ChangeState.GONE.value})
_SHOWN = (ChangeState.TOLD.value, ChangeState.WITHDRAWN.value, ChangeState.HISTORIC.value)

Pair = tuple[int, int]
"""A clause and the clause that introduces its list (0: none), by their ids: what a finding depends on."""


@dataclass(frozen=True, slots=True)
class Study:
    """One document studied under a set of rules, not yet kept. `suspects` are the changes that may be judged otherwise.

    `runs` are all of the document's, or with `goes_on` those that stand or ended since it was kept last.
    """

    terms_id: int
    key: TermsKey
    rules_id: int
    judged_rules_id: int | None
    version_id: int
    versions: int
    settled: bool
    language: str | None
    unread: frozenset[str]
    runs: tuple[Run, ...]
    goes_on: bool
    first_version_id: int
    said: Mapping[Pair, tuple[bytes, tuple[Finding, ...]]]
    headings: Mapping[tuple[int, int], tuple[str, ...]]
    brought_by: Mapping[int, int]
    suspects: tuple[int, ...] = ()
    kept_before: tuple[int, int] | None = None


# --- the rules in force -----------------------------------------------------------------------------------------------


@lru_cache(maxsize=16)  # Rules are equal to themselves only
def rules_digest(rules: Rules) -> bytes:
    """What a set of rules is known by: all its packs, people's own among them, and the code that reads with them."""
    whole = hashlib.sha256()
    for pack in rules.packs:
        _take_in(whole, pack)
    whole.update(_code())
    return whole.digest()[:16]


@cache  # the code that runs is the code that was loaded
def _code() -> bytes:
    whole = hashlib.sha256()
    folder = resources.files("tosmon.judge")
    for name in sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".py")):
        if name not in ("profile.py", "catalogue.py"):
            whole.update((folder / name).read_bytes())
    whole.update((resources.files("tosmon") / "language.py").read_bytes())
    return whole.digest()


def _take_in(whole: Any, value: object) -> None:
    """Everything of a pack that findings depend on: not where its file lies."""
    if isinstance(value, Pattern):
        whole.update(value.written.encode() + b"\x00")
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            if field.name not in ("origin", "matches", "misses"):
                whole.update(field.name.encode() + b"\x01")
                _take_in(whole, getattr(value, field.name))
    elif isinstance(value, frozenset):
        _take_in(whole, sorted(value))
    elif isinstance(value, tuple | list):
        for inner in value:
            _take_in(whole, inner)
        whole.update(b"\x02")
    else:
        whole.update(repr(value).encode() + b"\x00")


def known_rules(connection: Connection, rules: Rules) -> int | None:
    """The id of a set of rules, `None` when nothing was read by it yet."""
    digest = rules_digest(rules)
    found: int | None = connection.execute(select(t.rule_set.c.id).where(t.rule_set.c.digest == digest)).scalar()
    return found


def add_rules(connection: Connection, rules: Rules, now: datetime) -> int:
    """The id of a set of rules, which may be new."""
    known = known_rules(connection, rules)
    if known is not None:
        return known
    made = connection.execute(insert(t.rule_set).values(digest=rules_digest(rules), made_at=now)).inserted_primary_key
    assert made is not None
    return int(made[0])


# --- studying a document ------------------------------------------------------------------------------------------------


class Layouts:
    """The kind and level of clauses by their layout, as clauses without words: enough to tell what introduces a list."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._shells: dict[int, Clause] = {}

    def shells(self, rows: Sequence[tuple[int, int]]) -> list[Clause]:
        missing = {layout_id for _, layout_id in rows} - self._shells.keys()
        for part in chunks(sorted(missing)):
            for row in self._connection.execute(select(t.layout).where(t.layout.c.id.in_(part))):
                self._shells[row.id] = Clause("", row.lead, row.tail, ClauseKind(row.kind), row.level)
        return [self._shells[layout_id] for _, layout_id in rows]


def pairs_of(rows: Sequence[tuple[int, int]], layouts: Layouts) -> list[Pair | None]:
    """What each clause of a version is judged by; `None` for headings, which say nothing by themselves."""
    shells = layouts.shells(rows)
    return [
        None if shell.kind is ClauseKind.HEADING else (row[0], 0 if stem is None else rows[stem][0])
        for row, shell, stem in zip(rows, shells, stems(shells), strict=True)
    ]


@dataclass(slots=True)
class _Read:
    """A version of the document being studied; `pairs` are numbers of pairs in the order of the text, -1 for headings."""

    turn: Turn
    pairs: array[int]
    quiet: bool


def _rows(connection: Connection, query: Select[Any]) -> Sequence[Row[Any]]:
    return connection.execute(query).all()


def studied(connection: Connection, terms_id: int, rules: Rules, rules_id: int, *, changes: bool) -> Study | None:
    terms = connection.execute(
        select(t.service.c.key, t.terms.c.type)
        .join(t.service, t.service.c.id == t.terms.c.service_id)
        .where(t.terms.c.id == terms_id)
    ).one()
    mine = t.version.c.terms_id == terms_id
    in_time = (t.version.c.at, t.version.c.id)
    heads = _rows(
        connection, select(t.version.c.id, t.version.c.at, t.version.c.language).where(mine).order_by(*in_time)
    )
    if not heads:
        return None
    known = connection.execute(select(t.profiled).where(t.profiled.c.terms_id == terms_id)).one_or_none()
    recorded = _rows(
        connection,
        select(t.change.c.id, t.change.c.before_id, t.change.c.after_id, t.change.c.state)
        .where(t.change.c.terms_id == terms_id)
        .order_by(t.change.c.id),
    )
    goes_on = not changes and known is not None and known.rules_id == rules_id and _only_later(known, heads)
    layouts = Layouts(connection)
    numbers: dict[Pair, int] = {}
    query = select(t.version.c.id, t.version.c.at, t.version.c.clauses).where(mine).order_by(*in_time)
    if known is not None and goes_on:
        query = query.offset(known.versions)
    quiet = _quiet(recorded)
    read = [
        _Read(Turn(row.id, row.at), _numbered(pairs_of(unpack_ids(row.clauses), layouts), numbers), row.id in quiet)
        for row in connection.execute(query)
    ]
    said = _said(connection, numbers, rules, rules_id)
    ledger = Ledger({}, [])
    if goes_on:
        ledger.standing = _standing_runs(connection, terms_id)
    _write_up(ledger, read, numbers, said)
    runs = ledger.runs()
    last = heads[-1]
    return Study(
        terms_id=terms_id,
        key=TermsKey(terms.key, terms.type),
        rules_id=rules_id,
        judged_rules_id=_judged_by(known, recorded, rules_id),
        version_id=last.id,
        versions=len(heads),
        settled=last.id not in quiet and all(row.state != ChangeState.PENDING.value for row in recorded[-3:]),
        language=last.language,
        unread=unread_topics(last.language, rules),
        runs=tuple(runs),
        goes_on=goes_on,
        first_version_id=heads[0].id,
        said=said,
        headings=_headings(connection, {(run.begun.version, run.basis.place) for run in runs}, layouts),
        brought_by=_brought(recorded),
        suspects=_suspects(connection, read, recorded, numbers, said, known) if changes else (),
        kept_before=None if known is None else (known.rules_id, known.version_id),
    )


def _judged_by(known: Row[Any] | None, recorded: Sequence[Row[Any]], rules_id: int) -> int | None:
    """The rules that the document's changes were judged by; of changes older than this book-keeping nobody knows."""
    if known is not None:
        judged: int | None = known.judged_rules_id
        return judged
    return None if recorded else rules_id


def _only_later(known: Row[Any], heads: Sequence[Row[Any]]) -> bool:
    """Whether the versions that came since are all later than those that are written up, and nothing is in doubt."""
    return bool(known.settled) and known.versions <= len(heads) and heads[known.versions - 1].id == known.version_id


def _quiet(recorded: Sequence[Row[Any]]) -> set[int]:
    """The versions that were no news: all that is recorded of them is a change that nobody was told of."""
    loud = {row.after_id for row in recorded if row.state not in _QUIET}
    return {row.after_id for row in recorded} - loud


def _brought(recorded: Sequence[Row[Any]]) -> dict[int, int]:
    """The change that brought each version: one that people were told of, if there is one."""
    brought: dict[int, int] = {}
    for told in (False, True):
        brought |= {row.after_id: row.id for row in recorded if told is (row.state in _SHOWN)}
    return brought


def _numbered(pairs: Sequence[Pair | None], numbers: dict[Pair, int]) -> array[int]:
    return array("i", [-1 if pair is None else numbers.setdefault(pair, len(numbers)) for pair in pairs])


def _said(
    connection: Connection, numbers: Mapping[Pair, int], rules: Rules, rules_id: int
) -> dict[Pair, tuple[bytes, tuple[Finding, ...]]]:
    """What each pair says, for those that say something; what is not kept yet is judged."""
    kept = kept_findings(connection, rules_id, {clause_id for clause_id, _ in numbers})
    texts = clause_texts(connection, {one for pair in numbers for one in pair if one})
    said = {}
    for pair in numbers:
        if pair in kept:
            said[pair] = kept[pair][0], findings_from(kept[pair][1], texts[pair[0]])
            continue
        clause, stem = Clause(texts[pair[0]]), texts[pair[1]] if pair[1] else ""
        found = findings(clause, rules, stem=stem)
        if found:
            said[pair] = _digest_of(clause, rules, stem), found
    return said


def _digest_of(clause: Clause, rules: Rules, stem: str) -> bytes:
    """Stands for all that flags are made of: every sentence's statement, with the rule that made it."""
    whole = hashlib.sha256()
    for one in statements(clause, rules, stem=stem):
        found = one.finding
        read = (found.topic, found.actor, found.stance, found.rule, sorted(found.attributes), sorted(found.objects))
        whole.update(repr((*read, found.start, found.end, one.start, one.end)).encode())
    return whole.digest()[:8]


def _write_up(
    ledger: Ledger,
    read: Sequence[_Read],
    numbers: Mapping[Pair, int],
    said: Mapping[Pair, tuple[bytes, tuple[Finding, ...]]],
) -> None:
    """Take the versions into the ledger. Neighbours differ little, so what the same clauses say is put together once."""
    spoken = {numbers[pair]: tuple(_answers(pair, found)) for pair, (_, found) in said.items()}
    for version in read:
        said_here: dict[Point, list[Basis]] = {}
        for place, number in enumerate(version.pairs):
            if number in spoken:
                for point, basis in spoken[number]:
                    said_here.setdefault(point, []).append(_placed(basis, place))
        ledger.turn(said_here, version.turn, quiet=version.quiet)


def _answers(pair: Pair, found: Sequence[Finding]) -> Iterator[tuple[Point, Basis]]:
    for point, finding in answers(found):
        objects = tuple(sorted(finding.objects))
        yield point, Basis(*pair, finding.start, finding.end, 0, len(finding.attributes) + len(objects), objects)


def _placed(basis: Basis, place: int) -> Basis:
    return Basis(basis.clause, basis.stem, basis.start, basis.end, place, basis.weight, basis.objects)


def _suspects(
    connection: Connection,
    read: Sequence[_Read],
    recorded: Sequence[Row[Any]],
    numbers: Mapping[Pair, int],
    said: Mapping[Pair, tuple[bytes, tuple[Finding, ...]]],
    known: Row[Any] | None,
) -> tuple[int, ...]:
    """The changes that may be judged otherwise now. All others are judged as they were, and need not be compared again.

    Flags come from clauses that only one of both texts has, so where none of these says anything and no flag was raised,
    none is now; and where no clause of both texts says anything else than under the rules it was judged by, the flags
    are the same.
    """
    judged_by = None if known is None else known.judged_rules_id
    before = {} if judged_by is None else kept_findings(connection, judged_by, {clause_id for clause_id, _ in numbers})
    altered = {pair for pair in said.keys() | before.keys() if _old(before, pair) != _new(said, pair)}
    speaking = frozenset(numbers[pair] for pair in said)
    altered_numbers = frozenset(numbers[pair] for pair in altered if pair in numbers)
    telling = speaking | altered_numbers
    texts = {version.turn.version: telling.intersection(version.pairs) for version in read}
    changes = [row for row in recorded if row.state in _SHOWN]
    flagged = _flagged(connection, [row.id for row in changes])
    suspects = []
    for row in changes:
        old, new = texts.get(row.before_id, frozenset()), texts.get(row.after_id, frozenset())
        if judged_by is not None and (old | new).isdisjoint(altered_numbers):
            continue
        if row.id in flagged or not speaking.isdisjoint(old ^ new):
            suspects.append(row.id)
    return tuple(suspects)


def _old(kept: Mapping[Pair, tuple[bytes, str]], pair: Pair) -> bytes:
    return kept[pair][0] if pair in kept else b""


def _new(said: Mapping[Pair, tuple[bytes, tuple[Finding, ...]]], pair: Pair) -> bytes:
    return said[pair][0] if pair in said else b""


def _flagged(connection: Connection, changes: Sequence[int]) -> set[int]:
    flagged: set[int] = set()
    for part in chunks(changes):
        flagged |= set(connection.execute(select(t.flag.c.change_id).where(t.flag.c.change_id.in_(part))).scalars())
    return flagged


def _standing_runs(connection: Connection, terms_id: int) -> dict[Point, Run]:
    query = select(t.stance).where(t.stance.c.terms_id == terms_id, t.stance.c.until_version_id.is_(None))
    standing = {}
    for row in connection.execute(query):
        run = Run(
            row.aspect,
            Stance(row.stance),
            Turn(row.since_version_id, row.since_at),
            Turn(row.from_version_id, row.from_at),
            Basis(row.clause_id, row.stem_id, row.start, row.end, row.place, 0, tuple(json.loads(row.objects))),
        )
        standing[Point(run.aspect, run.stance)] = run
    return standing


def _headings(
    connection: Connection, wanted: Iterable[tuple[int, int]], layouts: Layouts
) -> dict[tuple[int, int], tuple[str, ...]]:
    """The headings above a place of a version, by (version, place)."""
    places: dict[int, list[int]] = {}
    for version_id, place in wanted:
        places.setdefault(version_id, []).append(place)
    above: dict[tuple[int, int], list[int]] = {}
    for part in chunks(sorted(places)):
        for row in connection.execute(select(t.version.c.id, t.version.c.clauses).where(t.version.c.id.in_(part))):
            rows = unpack_ids(row.clauses)
            path: list[tuple[int, int]] = []
            asked = set(places[row.id])
            for place, (one, shell) in enumerate(zip(rows, layouts.shells(rows), strict=True)):
                if place in asked:
                    above[row.id, place] = [clause_id for _, clause_id in path]
                if shell.kind is ClauseKind.HEADING:
                    while path and path[-1][0] >= shell.level:
                        path.pop()
                    path.append((shell.level, one[0]))
    titles = clause_texts(connection, {clause_id for path_ in above.values() for clause_id in path_})
    return {place: tuple(plain(titles[clause_id]) for clause_id in path_) for place, path_ in above.items()}


# --- findings as they are kept ------------------------------------------------------------------------------------------


def kept_findings(connection: Connection, rules_id: int, clause_ids: Iterable[int]) -> dict[Pair, tuple[bytes, str]]:
    kept: dict[Pair, tuple[bytes, str]] = {}
    for part in chunks(sorted(clause_ids)):
        query = select(t.finding).where(t.finding.c.rules_id == rules_id, t.finding.c.clause_id.in_(part))
        for row in connection.execute(query):
            kept[row.clause_id, row.stem_id] = bytes(row.digest), row.body
    return kept


def findings_to(found: Sequence[Finding]) -> str:
    """Without the quotes, which are words of the clause."""
    return json.dumps(
        [
            [
                one.topic,
                one.actor,
                one.stance,
                one.start,
                one.end,
                sorted(one.attributes),
                sorted(one.objects),
                one.rule,
            ]
            for one in found
        ],
        separators=(",", ":"),
    )


def findings_from(body: str, text: str) -> tuple[Finding, ...]:
    return tuple(
        Finding(
            topic,
            Actor(actor) if actor else None,
            Stance(stance) if stance else None,
            text[start:end],
            start,
            end,
            frozenset(attributes),
            frozenset(objects),
            rule,
        )
        for topic, actor, stance, start, end, attributes, objects, rule in json.loads(body)
    )
