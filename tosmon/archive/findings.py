"""What each clause says, kept once for the rules in force; the profiles and the new judgements that follow from it.

Judging stays a pure function of texts and rules: what is stored here can be thrown away and made again. It is kept so
that a profile is a few rows to read, at any past date too, and so that a new rule costs the distinct clauses: a change
is judged again only where its clauses say something else under the new rules than under the old ones.

A document is studied (`studying`: read, judged, nothing written) and the study is kept in one transaction, so a kill
leaves whole documents behind.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Engine, Integer, Row, delete, func, insert, or_, select, update

from tosmon.archive import schema as t
from tosmon.archive.coding import flag_from_json, flag_to_json
from tosmon.archive.packing import unpack_ids
from tosmon.archive.profiles import Words, history_of, profiles_at, quoted, words_of
from tosmon.archive.rows import ChangeRow
from tosmon.archive.store import clause_texts
from tosmon.archive.studying import (
    Layouts,
    Study,
    add_rules,
    findings_from,
    findings_to,
    kept_findings,
    known_rules,
    pairs_of,
    studied,
)
from tosmon.judge.profile import Held, Profile, Run
from tosmon.judge.rules import Rules
from tosmon.model import Finding, Flag, Judgement, Severity, TermsKey

_TABLES = 12  # instants whose table is kept: a table of 300 services takes a few megabytes


class Outcome(StrEnum):
    """What judging a recorded change again came to."""

    FOUND_LATER = "found later"  # it had no flag when it was told
    ALTERED = "judged otherwise"
    NO_LONGER = "no longer flagged"


@dataclass(frozen=True, slots=True)
class Rejudged:
    """A recorded change that the rules in force judge otherwise, and the judgement that takes the old one's place."""

    change: ChangeRow
    judgement: Judgement

    @property
    def outcome(self) -> Outcome:
        if not self.judgement.flags:
            return Outcome.NO_LONGER
        return Outcome.ALTERED if self.change.flags else Outcome.FOUND_LATER


@dataclass(frozen=True, slots=True)
class RejudgedRow:
    """A new judgement as recorded: when, and what the change's headline, severity and flags were before."""

    id: int
    change_id: int
    key: TermsKey
    service_name: str
    seen_at: datetime
    at: datetime
    outcome: Outcome
    headline: str
    headline_before: str
    severity_before: Severity
    flags_before: tuple[Flag, ...]


class Findings:
    """Findings, profiles and new judgements of an archive."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        # What the latest tables asked for were made of, these, and the words of their stances.
        self._made_of: tuple[Any, ...] | None = None
        self._tables: OrderedDict[tuple[datetime | None, frozenset[str] | None], list[Profile]] = OrderedDict()
        self._words: dict[int, Words] = {}

    def _read(self) -> Connection:
        return self._engine.connect().execution_options(reads=True)

    # --- keeping profiles up -----------------------------------------------------------------------------------------

    def stale(self) -> list[int]:
        """The documents (their ids) with versions that no profile knows yet, or whose last one was not settled."""
        behind = or_(
            t.profiled.c.terms_id.is_(None),
            t.profiled.c.version_id != t.terms.c.latest_version_id,
            t.profiled.c.versions != _count_of_versions(),
        )
        query = (
            select(t.terms.c.id)
            .outerjoin(t.profiled, t.profiled.c.terms_id == t.terms.c.id)
            .where(t.terms.c.latest_version_id.is_not(None), behind)
            .order_by(t.terms.c.id)
        )
        with self._read() as connection:
            return list(connection.execute(query).scalars())

    def refresh(
        self,
        rules: Rules,
        now: datetime,
        *,
        judged: bool = False,
        stop: Callable[[], bool] = lambda: False,
        done: Callable[[TermsKey], None] = lambda key: None,
    ) -> int:
        """Bring the profiles of all documents up to their latest versions; how many were behind.

        A document that nothing came to is not looked at, whatever rules it was read by: see `unjudged`. `judged` says that
        the recorded changes were judged by these very rules (an import has just done so).
        """
        count = 0
        for terms_id in self.stale():
            if stop():
                break
            study = self.study(terms_id, rules, now)
            if study is not None and self.keep(study, now, judged=judged):
                count += 1
                done(study.key)
        return count

    def unjudged(self, rules: Rules, now: datetime, service: str | None = None) -> list[int]:
        """The documents whose profile or changes are not by these rules yet, by service and type."""
        rules_id = self._rules_id(rules, now)
        query = (
            select(t.terms.c.id)
            .join(t.service, t.service.c.id == t.terms.c.service_id)
            .outerjoin(t.profiled, t.profiled.c.terms_id == t.terms.c.id)
            .where(
                t.terms.c.latest_version_id.is_not(None),
                or_(
                    t.profiled.c.terms_id.is_(None),
                    t.profiled.c.rules_id != rules_id,
                    t.profiled.c.judged_rules_id.is_(None),
                    t.profiled.c.judged_rules_id != rules_id,
                    t.profiled.c.version_id != t.terms.c.latest_version_id,
                    t.profiled.c.versions != _count_of_versions(),
                ),
            )
            .order_by(func.lower(t.service.c.name), t.terms.c.type)
        )
        if service is not None:
            query = query.where(t.service.c.key == service)
        with self._read() as connection:
            return list(connection.execute(query).scalars())

    def outdated(self, rules: Rules) -> int:
        """How many documents' profiles were read by other rules: what `rejudge` is for."""
        with self._read() as connection:
            known = known_rules(connection, rules)
            query = select(func.count()).select_from(t.profiled)
            if known is not None:
                query = query.where(t.profiled.c.rules_id != known)
            return connection.execute(query).scalar_one()

    def study(self, terms_id: int, rules: Rules, now: datetime, *, changes: bool = False) -> Study | None:
        """Read what a document's versions say; with `changes` also which of its changes may have to be judged again.

        `None` when it has no version. Where nothing stands in the way, only the versions since the last time are read.
        """
        rules_id = self._rules_id(rules, now)
        with self._read() as connection:
            return studied(connection, terms_id, rules, rules_id, changes=changes)

    def keep(self, study: Study, now: datetime, *, judged: bool = False, rejudged: Sequence[Rejudged] = ()) -> bool:
        """Write a study, in one transaction; False when another process has written one meanwhile.

        `judged`: the document's changes are by these rules now; `rejudged` are those that came out otherwise.
        """
        with self._engine.begin() as connection:
            row = connection.execute(select(t.profiled).where(t.profiled.c.terms_id == study.terms_id)).one_or_none()
            if (None if row is None else (row.rules_id, row.version_id)) != study.kept_before:
                return False
            _keep_findings(connection, study)
            _keep_runs(connection, study)
            for one in rejudged:
                _keep_rejudged(connection, one, study.rules_id, now)
            values = {
                "rules_id": study.rules_id,
                "judged_rules_id": study.rules_id if judged else study.judged_rules_id,
                "version_id": study.version_id,
                "versions": study.versions,
                "settled": study.settled,
                "language": study.language,
                "unread": json.dumps(sorted(study.unread)),
            }
            if row is None:
                connection.execute(insert(t.profiled), [values | {"terms_id": study.terms_id}])
            else:
                connection.execute(update(t.profiled).where(t.profiled.c.terms_id == study.terms_id).values(values))
        return True

    def forget_unused(self) -> None:
        """Drop the findings of rules that no document stands by any more."""
        used = select(t.profiled.c.rules_id).union(
            select(t.profiled.c.judged_rules_id).where(t.profiled.c.judged_rules_id.is_not(None))
        )
        with self._engine.begin() as connection:
            connection.execute(delete(t.finding).where(t.finding.c.rules_id.not_in(used)))

    def _rules_id(self, rules: Rules, now: datetime) -> int:
        with self._read() as connection:  # no write lock for what is known: every document asks
            known = known_rules(connection, rules)
        if known is not None:
            return known
        with self._engine.begin() as connection:
            return add_rules(connection, rules, now)

    # --- reading ------------------------------------------------------------------------------------------------------

    def findings_of(self, version_id: int) -> list[tuple[int, Finding]]:
        """What a version's clauses say by the rules its document stands by: (position, finding), in reading order."""
        with self._read() as connection:
            row = connection.execute(
                select(t.version.c.clauses, t.profiled.c.rules_id)
                .join(t.profiled, t.profiled.c.terms_id == t.version.c.terms_id)
                .where(t.version.c.id == version_id)
            ).one_or_none()
            if row is None:
                return []
            pairs = pairs_of(unpack_ids(row.clauses), Layouts(connection))
            known = kept_findings(connection, row.rules_id, {pair[0] for pair in pairs if pair is not None})
            texts = clause_texts(connection, {clause_id for clause_id, _ in known})
        return [
            (place, finding)
            for place, pair in enumerate(pairs)
            if pair is not None and pair in known
            for finding in findings_from(known[pair][1], texts[pair[0]])
        ]

    def mark(self) -> tuple[Any, ...]:
        """What is different whenever any profile is: for whoever keeps what was made of them."""
        columns = t.profiled.c
        kept = select(
            func.count(),
            func.sum(columns.version_id),
            func.sum(columns.rules_id),
            func.sum(columns.settled.cast(Integer)),
        )
        with self._read() as connection:
            names = tuple(connection.execute(select(t.service.c.name).order_by(t.service.c.id)).scalars())
            return (*connection.execute(kept).one(), names)

    def profiles(
        self, *, service: str | None = None, at: datetime | None = None, today: date | None = None
    ) -> list[Profile]:
        """The profile of each service (or of one), by name, as its documents stand, or as they stood at an instant.

        With `today` it tells what is announced for a later day.
        """
        with self._read() as connection:
            found = profiles_at(connection, None if service is None else [service], at, today=today)
            return quoted(found, words_of(connection, _ids(found)))

    def table(
        self, at: datetime | None = None, aspects: frozenset[str] | None = None, today: date | None = None
    ) -> Sequence[Profile]:
        """All profiles without their words, with some aspects only, or with all: `whole` makes a few of them whole.

        Made once for each of the latest instants asked for, and again when anything came to the archive.
        """
        mark = (*self.mark(), today)
        if self._made_of != mark:
            self._tables, self._words, self._made_of = OrderedDict(), {}, mark
        tables = self._tables
        wanted = (at, None if at is None else aspects)  # today's table is asked for all the time: whole at once
        if wanted not in tables:
            with self._read() as connection:
                tables[wanted] = profiles_at(connection, None, *wanted, today)
            while len(tables) > _TABLES:
                tables.popitem(last=False)
        return tables[wanted]

    def whole(self, found: Sequence[Profile], at: datetime | None = None) -> list[Profile]:
        """Profiles of the table of that instant, with all their aspects and words. Words are fetched once for a table."""
        words = self._words
        with self._read() as connection:
            if at is not None:
                places = {one.service: number for number, one in enumerate(found)}
                every = profiles_at(connection, list(places), at)
                found = sorted(every, key=lambda one: places[one.service])
            missing = [one for one in _ids(found) if one not in words]
            if missing:
                words |= words_of(connection, missing)
        return quoted(found, words)

    def history(self, service: str) -> list[tuple[Held, datetime, datetime | None]]:
        """Every stance that a service's documents ever took: (in its first words, since when, until when), oldest first."""
        query = select(t.terms.c.id, t.terms.c.type).join(t.service, t.service.c.id == t.terms.c.service_id)
        with self._read() as connection:
            rows = connection.execute(query.where(t.service.c.key == service))
            return history_of(connection, {id_: TermsKey(service, type) for id_, type in rows})

    def rejudged(
        self, *, service: str | None = None, change_id: int | None = None, before_id: int | None = None, limit: int = 50
    ) -> list[RejudgedRow]:
        """What was judged otherwise after the fact, the latest first; `before_id` continues a listing."""
        query = (
            select(
                t.rejudgement,
                t.change.c.at.label("seen_at"),
                t.change.c.headline,
                t.service.c.key,
                t.service.c.name,
                t.terms.c.type,
            )
            .join(t.change, t.change.c.id == t.rejudgement.c.change_id)
            .join(t.terms, t.terms.c.id == t.change.c.terms_id)
            .join(t.service, t.service.c.id == t.terms.c.service_id)
            .order_by(t.rejudgement.c.id.desc())
            .limit(limit)
        )
        if service is not None:
            query = query.where(t.service.c.key == service)
        if change_id is not None:
            query = query.where(t.rejudgement.c.change_id == change_id)
        if before_id is not None:
            query = query.where(t.rejudgement.c.id < before_id)
        with self._read() as connection:
            return [_rejudged_row(row) for row in connection.execute(query)]


def _ids(found: Sequence[Profile]) -> list[int]:
    return [one.id for profile in found for cell in profile.cells.values() for one in cell.held]


def _count_of_versions() -> Any:
    return select(func.count()).where(t.version.c.terms_id == t.terms.c.id).scalar_subquery()


# --- keeping a study --------------------------------------------------------------------------------------------------


def _keep_findings(connection: Connection, study: Study) -> None:
    kept = kept_findings(connection, study.rules_id, {clause_id for clause_id, _ in study.said})
    rows = [
        {
            "rules_id": study.rules_id,
            "clause_id": pair[0],
            "stem_id": pair[1],
            "digest": digest,
            "body": findings_to(found),
        }
        for pair, (digest, found) in study.said.items()
        if pair not in kept
    ]
    if rows:
        connection.execute(insert(t.finding), rows)


def _keep_runs(connection: Connection, study: Study) -> None:
    mine = [t.stance.c.terms_id == study.terms_id]
    if study.goes_on:
        mine.append(t.stance.c.until_version_id.is_(None))
    connection.execute(delete(t.stance).where(*mine))
    rows = [_run_row(run, study) for run in study.runs]
    if rows:
        connection.execute(insert(t.stance), rows)


def _run_row(run: Run, study: Study) -> dict[str, Any]:
    return {
        "terms_id": study.terms_id,
        "aspect": run.aspect,
        "stance": run.stance.value,
        "clause_id": run.basis.clause,
        "stem_id": run.basis.stem,
        "start": run.basis.start,
        "end": run.basis.end,
        "place": run.basis.place,
        "headings": json.dumps(study.headings[run.begun.version, run.basis.place], ensure_ascii=False),
        "objects": json.dumps(run.basis.objects),
        "since_version_id": run.since.version,
        "since_at": run.since.at,
        "from_first": run.since.version == study.first_version_id,
        "change_id": study.brought_by.get(run.since.version),
        "from_version_id": run.begun.version,
        "from_at": run.begun.at,
        "until_version_id": run.until.version if run.until else None,
        "until_at": run.until.at if run.until else None,
    }


def _keep_rejudged(connection: Connection, one: Rejudged, rules_id: int, now: datetime) -> None:
    """The new judgement takes the place of the old one in the archive; what people were told stays as it was told."""
    change, judgement = one.change, one.judgement
    before = {
        "headline": change.headline,
        "severity": change.severity.value,
        "summary": change.summary,
        "flags": [json.loads(flag_to_json(flag)) for flag in change.flags],
    }
    body = json.dumps(before, ensure_ascii=False)
    values = {"change_id": change.id, "rules_id": rules_id, "at": now, "outcome": one.outcome.value, "body": body}
    connection.execute(insert(t.rejudgement), [values])
    connection.execute(delete(t.flag).where(t.flag.c.change_id == change.id))
    rows = [
        {"change_id": change.id, "topic": flag.topic, "direction": flag.direction.value, "body": flag_to_json(flag)}
        for flag in judgement.flags
    ]
    if rows:
        connection.execute(insert(t.flag), rows)
    connection.execute(
        update(t.change)
        .where(t.change.c.id == change.id)
        .values(headline=judgement.headline, severity=judgement.severity.value, summary=judgement.summary)
    )


def _rejudged_row(row: Row[Any]) -> RejudgedRow:
    before = json.loads(row.body)
    return RejudgedRow(
        row.id,
        row.change_id,
        TermsKey(row.key, row.type),
        row.name,
        row.seen_at,
        row.at,
        Outcome(row.outcome),
        row.headline,
        before["headline"],
        Severity(before["severity"]),
        tuple(flag_from_json(json.dumps(flag)) for flag in before["flags"]),
    )
