"""What the archive hands out and takes in: rows as immutable values. No SQL leaves this package, no row tuple either."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from tosmon.archive.snapshots import Snapshot
from tosmon.gates.volatile import Part
from tosmon.model import (
    Addressee,
    Alert,
    ChangeState,
    Comparison,
    Direction,
    Flag,
    Judgement,
    Outcome,
    Severity,
    TermsKey,
    Validators,
    Verdict,
    Version,
)


@dataclass(frozen=True, slots=True)
class VersionRow:
    """A version without its text; `previous_id` and `next_id` are its neighbours in time, `None` at the ends."""

    id: int
    key: TermsKey
    at: datetime
    digest: bytes
    canonical_digest: bytes
    words: int
    technical: bool
    form: str
    extractor: str
    language: str | None
    source: str
    previous_id: int | None = None
    next_id: int | None = None


@dataclass(frozen=True, slots=True)
class OpenIncident:
    """What keeps a document from being read; `fingerprint` is that of the last observation that was not ok."""

    verdict: Verdict
    detail: str
    opened_at: datetime
    looks: int
    fingerprint: bytes | None


@dataclass(frozen=True, slots=True)
class OpenChange:
    """A change that is not settled yet, by its ids; `at` is when it was first seen."""

    id: int
    before_id: int
    after_id: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a document before a look at it, and the lease under which to look.

    `body_digest` and `fingerprint` are those of the last whole observation, `missing` the selectors that matched
    nothing then. `pending` is the change that waits for a second look, `undone` one that people were told of and that
    the latest text takes back. `told_at` is when people were last told of the document, `announced` the latest day that
    it announced.
    """

    terms_id: int
    key: TermsKey
    lease: str
    due_at: datetime
    failures: int
    latest: VersionRow | None
    body_digest: bytes | None
    fingerprint: bytes | None
    missing: tuple[str, ...]
    final_urls: tuple[str, ...]
    validators: Mapping[str, Validators]
    last_whole_at: datetime | None
    incident: OpenIncident | None = None
    pending: OpenChange | None = None
    undone: OpenChange | None = None
    told_at: datetime | None = None
    announced: date | None = None


Telling = Callable[[int, int], tuple[Alert, Sequence["Envelope"], Sequence[str]]]
"""Given the ids of a change and of its new version: the alert, who gets it, and the feeds it stands in."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """Whom an alert goes to, with the Message-ID that it keeps over all attempts."""

    to: Addressee
    message_id: str


@dataclass(frozen=True, slots=True)
class NewChange:
    """A change to be recorded with the version that makes it; `tell` is given when people are told at once.

    `before_id` is the version it was compared with, `None` for the technical one of the same recording.
    """

    before_id: int | None
    judgement: Judgement
    comparison: Comparison
    state: ChangeState
    reason: str
    tell: Telling | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of an open change: told (with `tell`), suppressed, or withdrawn (with `tell`)."""

    change_id: int
    state: ChangeState
    reason: str
    tell: Telling | None = None


@dataclass(frozen=True, slots=True)
class Recording:
    """Everything one check leaves behind; the archive writes all of it in one transaction, or nothing.

    `technical` comes before `version`: the same observation as read before, read anew. `seen` tells that the
    observation was whole, so that the validators, digests, missing selectors and addresses in here replace the known ones.
    `undone_change_id` is the told change that the latest text takes back, `None` when it takes none back. `volatile` are
    the parts that were found to change by themselves.
    """

    standing: Standing
    at: datetime
    finished_at: datetime
    verdict: Verdict
    outcome: Outcome
    detail: str
    due_at: datetime
    failures: int
    status: int | None = None
    snapshot: Snapshot | None = None
    technical: Version | None = None
    version: Version | None = None
    change: NewChange | None = None
    settled: tuple[Settled, ...] = ()
    undone_change_id: int | None = None
    seen: bool = False
    body_digest: bytes | None = None
    fingerprint: bytes | None = None
    missing: tuple[str, ...] = ()
    final_urls: tuple[str, ...] = ()
    validators: Mapping[str, Validators] = field(default_factory=dict)
    volatile: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a recording made: ids of new rows, `None` where nothing was; and what the check came to."""

    check_id: int
    verdict: Verdict
    outcome: Outcome
    detail: str = ""
    version_id: int | None = None
    change_id: int | None = None
    alert: Alert | None = None
    incident_opened: bool = False
    incident_closed: bool = False


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """A service, with counts for people to choose by."""

    key: str
    name: str
    terms: int
    changes_told: int
    last_change_at: datetime | None


@dataclass(frozen=True, slots=True)
class TermsRow:
    """A document as it stands. `last_whole_at` is when it was last seen whole; `verdict` that of an open incident."""

    id: int
    key: TermsKey
    service_name: str
    url: str
    tags: tuple[str, ...]
    declared: bool
    paused: bool
    due_at: datetime
    last_checked_at: datetime | None
    last_whole_at: datetime | None
    latest_version_id: int | None
    versions: int
    changes_told: int
    incident: Verdict | None
    incident_detail: str


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """A change as recorded, with its flags. `at` is when it was first seen."""

    id: int
    key: TermsKey
    service_name: str
    url: str
    before_id: int
    after_id: int
    at: datetime
    state: ChangeState
    reason: str
    severity: Severity
    headline: str
    summary: str
    effective_date: date | None
    date_only: bool
    silent: bool
    added: int
    removed: int
    modified: int
    moved: int
    flags: tuple[Flag, ...]


@dataclass(frozen=True, slots=True)
class CheckRow:
    at: datetime
    key: TermsKey
    verdict: Verdict
    outcome: Outcome
    detail: str
    status: int | None
    version_id: int | None


@dataclass(frozen=True, slots=True)
class IncidentRow:
    id: int
    key: TermsKey
    service_name: str
    url: str
    verdict: Verdict
    detail: str
    opened_at: datetime
    last_at: datetime
    looks: int
    closed_at: datetime | None
    last_whole_at: datetime | None


@dataclass(frozen=True, slots=True)
class NotificationRow:
    """A delivery as the operator sees it. `lead_id` is the first notification of the digest it goes in, if it does.

    `settled_at` is when it was sent or given up.
    """

    id: int
    alert_uid: str
    headline: str
    channel: str
    recipient: str
    state: str
    attempts: int
    not_before: datetime
    error: str
    bundle: str
    lead_id: int | None
    refused: bool
    created_at: datetime
    settled_at: datetime | None
    message_id: str


@dataclass(frozen=True, slots=True)
class Pin:
    """A sentence that stood in a version and that someone wants to hear of; `gone_id` is the change that took it away.

    Without a `recipient` it is the operator's.
    """

    id: int
    key: TermsKey
    service_name: str
    version_id: int
    sentence: str
    recipient: str
    created_at: datetime
    gone_id: int | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """What stands in the outbox for one channel: `since` is when the oldest was written, `due` when the next goes."""

    channel: str
    waiting: int
    dead: int
    since: datetime
    due: datetime


@dataclass(frozen=True, slots=True)
class Listed:
    """A document as it stands in a list of all; `incident` is the verdict of an open one."""

    key: TermsKey
    service_name: str
    tags: tuple[str, ...]
    incident: Verdict | None


@dataclass(frozen=True, slots=True)
class VersionMark:
    """A version as a point on a time line."""

    id: int
    at: datetime
    words: int
    technical: bool


@dataclass(frozen=True, slots=True)
class ChangeMark:
    """A change as a point on a time line; `directions` are those of its flags, each once."""

    id: int
    before_id: int
    after_id: int
    at: datetime
    state: ChangeState
    severity: Severity
    headline: str
    directions: tuple[Direction, ...]


@dataclass(frozen=True, slots=True)
class Activity:
    """How many changes of one severity people were told of on one day (UTC)."""

    on: date
    severity: Severity
    changes: int


@dataclass(frozen=True, slots=True)
class Pulse:
    """What tells whether the monitor is alive. `next_due_at` lies in the past when documents wait for a look.

    `documents` are those that are looked at, of so many `services`, `unread` how many of them have an open incident.
    """

    documents: int
    last_checked_at: datetime | None
    next_due_at: datetime | None
    open_incidents: int
    unread: int = 0
    services: int = 0
