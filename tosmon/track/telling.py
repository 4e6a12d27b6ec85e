"""Tell people: turn a change into an alert with its addressees and feeds, for the archive to write in one go."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from tosmon import judge, publish
from tosmon.archive import ChangeRow, Envelope, Telling, VersionRow
from tosmon.compare import compare
from tosmon.errors import ArchiveError
from tosmon.model import Alert, AlertKind, Comparison, Judgement, Terms
from tosmon.track.alerts import compose, reminder_headline
from tosmon.track.world import World

_AT_SIGHT = (AlertKind.CHANGE, AlertKind.UNCONFIRMED)


def judged(comparison: Comparison, terms: Terms, rules: judge.Rules, at: datetime) -> Judgement:
    return judge.judge(comparison, rules, service_name=terms.service_name, type=terms.key.type, at=at.date())


def telling(
    change: ChangeRow,
    terms: Terms,
    world: World,
    kind: AlertKind = AlertKind.CHANGE,
    at: datetime | None = None,
    headline: str | None = None,
    *,
    turn: int = 0,
    stands: VersionRow | None = None,
) -> Telling:
    """How to tell of a recorded change; it is compared and judged again, from the stored versions.

    `turn` tells one alert of a kind on one change from the next: an operator may change their mind. `stands` is the
    version with the earlier text that stands again.
    """
    browse = world.archive.browse
    comparison = compare(browse.clauses(change.before_id), browse.clauses(change.after_id))
    judgement = judged(comparison, terms, world.rules, change.at)
    evidence = tuple(sha for kept in browse.evidence(change.after_id) for sha in kept["body_sha256"])
    corrects = None
    if kind is not AlertKind.CHANGE:
        corrects = next((alert.uid for alert in browse.alerts_of(change.id)), None)
    return telling_of(
        kind, comparison, judgement, terms, world, at or change.at, evidence, corrects, headline, turn=turn,
        seen_at=None if kind in _AT_SIGHT else change.at, stands=stands,
    )  # fmt: skip


def telling_of(
    kind: AlertKind,
    comparison: Comparison,
    judgement: Judgement,
    terms: Terms,
    world: World,
    at: datetime,
    evidence: tuple[str, ...] = (),
    corrects: str | None = None,
    headline: str | None = None,
    *,
    turn: int = 0,
    seen_at: datetime | None = None,
    stands: VersionRow | None = None,
) -> Telling:
    def tell(change_id: int, version_id: int) -> tuple[Alert, list[Envelope], list[str]]:
        uid = publish.alert_uid(world.identity.authority, world.identity.started, change_id, kind)
        uid = f"{uid}/{turn}" if turn else uid
        alert = compose(
            kind, uid, terms, comparison, judgement, at=at, change_id=change_id,
            version_id=stands.id if stands else version_id, evidence=evidence, corrects=corrects, headline=headline,
            seen_at=seen_at, stands_since=stands.at if stands else None,
        )  # fmt: skip
        envelopes = [
            Envelope(to, publish.message_id(world.identity.authority, uid, to.recipient))
            for to in world.addressees(alert)
        ]
        return alert, envelopes, [feed.path for feed in publish.feeds_for(alert)]

    return tell


def remind(declared: Sequence[Terms], world: World, today: date) -> list[Alert]:
    """Tell people of announced changes whose day has come; each once, whoever calls this how often ever."""
    by_key = {terms.key: terms for terms in declared}
    told: list[Alert] = []
    for change in world.archive.browse.unreminded(today):
        terms = by_key.get(change.key)
        if terms is None or change.effective_date is None:
            continue
        headline = reminder_headline(change.headline, change.effective_date)
        reminder = telling(change, terms, world, AlertKind.REMINDER, world.clock(), headline)
        alert = world.archive.tell(change, reminder, world.clock())
        told += [alert] if alert is not None else []
    return told


def recorded_change(world: World, change_id: int) -> ChangeRow:
    change = world.archive.browse.change(change_id)
    if change is None:
        raise ArchiveError(f"change {change_id} is missing from the archive; restore a backup")
    return change
