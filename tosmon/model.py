"""The field's vocabulary as types: what flows from declaring terms to telling people.

Everything here is an immutable value without behaviour beyond the obvious, so that every step of the
flow (declare, check, fetch, extract, record, compare, judge, publish, deliver, browse) can be a function
from these to these. Knows nothing of HTTP, HTML, SQL or the clock. All times are aware, in UTC.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum

# --- declare -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Range:
    """All that stands between two elements (the first match of each selector) of a document.

    `startBefore` and `endAfter` of Open Terms Archive include the element, `startAfter` and `endBefore` leave it out.
    """

    start: str
    end: str
    start_included: bool
    end_included: bool


Selector = str | Range
"""A CSS selector, or a range between two of them."""


@dataclass(frozen=True, slots=True)
class Filter:
    """A named step that mends a page before extraction; `argument` is what the declaration gives it."""

    name: str
    argument: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SourceDocument:
    """One URL, and what to take from it. An empty `select` means: find the main text by yourself."""

    url: str
    select: tuple[Selector, ...] = ()
    remove: tuple[Selector, ...] = ()
    filters: tuple[Filter, ...] = ()
    browser: bool = False


@dataclass(frozen=True, slots=True)
class Form:
    """How terms were to be read until a date (inclusive); `None` for the form in force."""

    sources: tuple[SourceDocument, ...]
    valid_until: datetime | None = None


@dataclass(frozen=True, slots=True, order=True)
class TermsKey:
    """What a document is known by for ever: the service's key (not its name) and the type of terms."""

    service: str
    type: str

    def __str__(self) -> str:
        return f"{self.service} / {self.type}"


@dataclass(frozen=True, slots=True)
class Terms:
    """One document of one type of a service, as declared."""

    key: TermsKey
    service_name: str
    form: Form
    earlier_forms: tuple[Form, ...] = ()
    interval: timedelta = timedelta(hours=1)
    tags: tuple[str, ...] = ()
    language: str | None = None
    paused: bool = False

    @property
    def url(self) -> str:
        """The address people are shown: that of the first source document."""
        return self.form.sources[0].url

    def form_at(self, at: datetime) -> Form:
        """The form that was valid at a time: the earlier one that ended first after it, else the form in force."""
        ended_later = [form for form in self.earlier_forms if form.valid_until is not None and form.valid_until >= at]
        return min(ended_later, key=lambda form: form.valid_until or at, default=self.form)


# --- fetch -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Validators:
    """What the server gave to ask "has it changed?" with."""

    etag: str | None = None
    last_modified: str | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """An answer as received: body decoded from its transfer and content encodings, but not to text.

    `url` is what was asked for, `final_url` what answered after `redirects`; header names are kept as sent.
    `rendered` is true when a browser produced the body from a page that needed one.
    """

    url: str
    final_url: str
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    at: datetime
    request_headers: tuple[tuple[str, str], ...] = ()
    redirects: tuple[str, ...] = ()
    rendered: bool = False

    def header(self, name: str) -> str | None:
        """The first header of that name, whatever its letter case."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), None)

    @property
    def validators(self) -> Validators:
        return Validators(self.header("etag"), self.header("last-modified"))


class Verdict(StrEnum):
    """What an observation is worth. Only `OK` makes a version; each other one opens an incident."""

    OK = "ok"
    UNREACHABLE = "unreachable"  # no answer at all: see errors.FetchProblem in the detail
    BLOCKED = "blocked"  # challenge, captcha, 403, 429, 503, consent wall
    LOGIN = "login"
    GONE = "gone"  # 404, 410, 451 and other honest error statuses
    SOFT_404 = "soft 404"  # an error page served with 200
    EMPTY = "empty"
    SELECTOR_LOST = "selector lost"
    MOVED = "moved elsewhere"
    WRONG_LANGUAGE = "wrong language"
    COLLAPSED = "collapsed"
    UNREADABLE = "unreadable"  # a scan, a broken PDF, control characters: bytes without text


@dataclass(frozen=True, slots=True)
class Reading:
    """What extraction made of the responses of one document: Markdown, and how it was had.

    `text` is empty when nothing was found. `missing` are selectors of the form that matched nothing; `form` says
    which one was used: "declared", "earlier until 2023-05-01" or "without selectors".
    """

    text: str
    title: str = ""
    missing: tuple[str, ...] = ()
    form: str = "declared"
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """What a look at a document returned: a verdict with its reason and, when `OK`, the text."""

    verdict: Verdict
    detail: str = ""
    reading: Reading | None = None


# --- record ------------------------------------------------------------------------------------------------------


class ClauseKind(StrEnum):
    HEADING = "heading"
    PARAGRAPH = "paragraph"
    ITEM = "item"
    ROW = "row"


@dataclass(frozen=True, slots=True)
class Clause:
    """A paragraph, list item, heading or table row: the unit of storage, comparison and search.

    The version's Markdown is the concatenation of `lead + text + tail` of its clauses. `lead` holds indentation and
    the marker that opens the clause, `tail` what parts it from the next: both belong to the version, so that a
    renumbering makes no new clause. `level` is a heading's (1-6), else a list item's depth (1…), else 0.
    """

    text: str
    lead: str = ""
    tail: str = ""
    kind: ClauseKind = ClauseKind.PARAGRAPH
    level: int = 0


@dataclass(frozen=True, slots=True)
class Version:
    """The extracted text of terms from a time on. `at` is when it was first seen, `id` 0 before it is stored.

    `technical` marks a version that differs because tosmon reads differently, not because the platform wrote
    differently. `form` and `extractor` say how it was read. `digest` is the SHA-256 of the text in UTF-8.
    """

    clauses: tuple[Clause, ...]
    at: datetime
    digest: bytes
    canonical_digest: bytes
    words: int
    technical: bool = False
    form: str = "declared"
    extractor: str = ""
    language: str | None = None
    source: str = ""
    id: int = 0


class Outcome(StrEnum):
    """What a check came to."""

    FIRST = "first version"
    UNCHANGED = "unchanged"
    CHANGED = "changed"
    QUIET = "changed, nobody told"
    TECHNICAL = "read anew"
    FAILED = "failed"


# --- compare -----------------------------------------------------------------------------------------------------


class ClauseChangeKind(StrEnum):
    ADDED = "added"
    REMOVED = "removed"
    MODIFIED = "modified"
    MOVED = "moved"  # stands elsewhere, same canonical text
    COSMETIC = "cosmetic"  # same place, same canonical text, other bytes
    RENUMBERED = "renumbered"  # the same but for the marker that opens it


@dataclass(frozen=True, slots=True)
class ClauseChange:
    """What became of one clause. `before` and `after` are positions in the two versions; one is `None` if it has none."""

    kind: ClauseChangeKind
    before: int | None
    after: int | None


class EditKind(StrEnum):
    SAME = "same"
    ADDED = "added"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Edit:
    """A run of words of a modified clause; the `SAME` and `ADDED` runs joined give the new text."""

    kind: EditKind
    text: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """How one list of clauses became another.

    `pairs` holds every (before, after) position that stayed in place, in order, changed in itself or not; `changes`
    is in reading order of the new version, a removal standing where its clause stood. Unchanged clauses have no change.
    """

    before: tuple[Clause, ...]
    after: tuple[Clause, ...]
    changes: tuple[ClauseChange, ...]

    def of(self, *kinds: ClauseChangeKind) -> tuple[ClauseChange, ...]:
        return tuple(change for change in self.changes if change.kind in kinds)


# --- judge -------------------------------------------------------------------------------------------------------


class Actor(StrEnum):
    PROVIDER = "provider"
    THIRD_PARTY = "third_party"
    USER = "user"


class Stance(StrEnum):
    MAY = "may"
    MAY_UNLESS_OPT_OUT = "may_unless_opt_out"
    ONLY_IF_OPT_IN = "only_if_opt_in"
    MAY_NOT = "may_not"
    GRANTS = "grants"
    USER_KEEPS = "user_keeps"
    LIMITS = "limits"
    PROVIDER_OWNS = "provider_owns"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one clause says on a topic. `clause_text[start:end] == quote`, always. `rule` is the id of the rule at work."""

    topic: str
    actor: Actor | None
    stance: Stance | None
    quote: str
    start: int
    end: int
    attributes: frozenset[str] = frozenset()
    objects: frozenset[str] = frozenset()
    rule: str = ""


class Direction(StrEnum):
    """Which way a flag goes, for the user whose work or data it is."""

    WORSE = "worse"
    BETTER = "better"
    MIXED = "mixed"
    NEUTRAL = "neutral"


class Severity(StrEnum):
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"

    @property
    def rank(self) -> int:
        """The graver, the higher."""
        return _SEVERITY_RANKS[self]


_SEVERITY_RANKS = {Severity.LOW: 0, Severity.MEDIUM: 1, Severity.HIGH: 2}


@dataclass(frozen=True, slots=True)
class Quote:
    """Words of a version: `clauses[clause].text[start:end] == text`; `headings` is the path above them."""

    text: str
    clause: int
    start: int
    end: int
    headings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Flag:
    """What a change does to the findings on one topic. `what` is a short sentence; `rules` and `why` explain it."""

    topic: str
    direction: Direction
    what: str
    before: tuple[Quote, ...] = ()
    after: tuple[Quote, ...] = ()
    rules: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a change means for people. `substantive`: people would be told, judged from that pair of texts alone.

    `telling` are the clause changes that are the reason for telling; the others are the page's own noise.
    """

    substantive: bool
    reason: str
    severity: Severity
    headline: str
    flags: tuple[Flag, ...] = ()
    effective_date: date | None = None
    date_only: bool = False
    silent: bool = False
    summary: str = ""
    telling: tuple[ClauseChange, ...] = ()


class ChangeState(StrEnum):
    """Whether people are told of a change."""

    PENDING = "pending"  # waits for a second look
    TOLD = "told"
    SUPPRESSED = "suppressed"  # kept, and the reason with it
    GONE = "gone"  # was no longer there at the second look: nobody was told, and nobody knows that text
    WITHDRAWN = "withdrawn"  # told, then taken back by the platform
    HISTORIC = "historic"  # real, but found in an imported history: nobody was told


# --- incidents ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class IncidentEvent:
    """That a document could not be read any more, or can be read again, as it was known at that moment.

    `verdict` and `detail` are those the incident opened with; `last_whole_at` is when the document had last been seen
    whole then, `None` for never. `looks` is how many looks failed: 1 when it opened.
    """

    incident: int
    closed: bool
    at: datetime
    key: TermsKey
    verdict: Verdict
    detail: str
    opened_at: datetime
    last_whole_at: datetime | None
    looks: int = 1


# --- publish and deliver -----------------------------------------------------------------------------------------


class AlertKind(StrEnum):
    CHANGE = "change"
    UNCONFIRMED = "unconfirmed"
    CORRECTION = "correction"
    WITHDRAWN = "withdrawn"
    REMINDER = "reminder"


@dataclass(frozen=True, slots=True)
class Passage:
    """A changed clause as people are shown it: marked words under its headings."""

    kind: ClauseChangeKind
    edits: tuple[Edit, ...]
    headings: tuple[str, ...] = ()
    clause: int | None = None


@dataclass(frozen=True, slots=True)
class Alert:
    """A change that people are told, complete: feeds and mails are rendered from this and nothing else.

    Stored as it was told and never edited; a correction is a new alert whose `corrects` is the first one's `uid`.
    `at` is when what it tells happened (the event), never when something was rendered: the change was seen, its day came,
    it was taken back. `seen_at` is when the change was seen, where that was before `at`; `stands_since` from when the
    earlier text stands again, of which `version_id` then is a version. `id` is 0 before it is stored.
    """

    uid: str
    kind: AlertKind
    at: datetime
    service: str
    service_name: str
    type: str
    url: str
    headline: str
    severity: Severity
    summary: str = ""
    effective_date: date | None = None
    flags: tuple[Flag, ...] = ()
    passages: tuple[Passage, ...] = ()
    passages_left_out: int = 0
    tags: tuple[str, ...] = ()
    change_id: int = 0
    version_id: int = 0
    evidence: tuple[str, ...] = ()
    corrects: str | None = None
    silent: bool = False
    id: int = field(default=0, compare=False)
    seen_at: datetime | None = None
    stands_since: datetime | None = None


MAIL = "email"
"""The channel of mails: the name under which they stand in the outbox."""


@dataclass(frozen=True, slots=True)
class Addressee:
    """Who gets an alert, and over which channel.

    `due` is when it may go, `None`: at once. All that waits for one recipient with the same `bundle` goes in one mail (a
    digest); an alert without one is a mail of its own.
    """

    channel: str
    recipient: str
    due: datetime | None = None
    bundle: str = ""


class NotificationState(StrEnum):
    PENDING = "pending"
    CLAIMED = "claimed"
    SENT = "sent"
    DEAD = "dead"
    DROPPED = "dropped"  # by the operator: neither sent nor kept for that


FLOOD = "flood"
"""What the bundle of alerts begins with that came too many at a time."""


@dataclass(frozen=True, slots=True)
class Notification:
    """One delivery over one channel to one recipient. `message_id` never changes between attempts.

    With a `bundle` it is a digest: `alert` is its first and `more` are the others, in the order they were told.
    """

    id: int
    alert: Alert
    channel: str
    recipient: str
    message_id: str
    attempts: int
    created_at: datetime
    bundle: str = ""
    more: tuple[Alert, ...] = ()

    @property
    def alerts(self) -> tuple[Alert, ...]:
        return (self.alert, *self.more)

    @property
    def is_flood(self) -> bool:
        """Whether it bundles alerts that came too many at a time, and not those of a day or week."""
        return self.bundle.startswith(FLOOD)


# --- subscribe ---------------------------------------------------------------------------------------------------


class Frequency(StrEnum):
    """How often a subscriber wants mail: each alert at once, or all of a day or a week in one digest."""

    IMMEDIATE = "immediate"
    DAILY = "daily"
    WEEKLY = "weekly"


class SubscriberState(StrEnum):
    """Where a subscription stands. Only who is `CONFIRMED` is told anything."""

    ASKED = "asked"  # somebody gave the address; its owner has not said yes so far
    CONFIRMED = "confirmed"
    LEFT = "left"
    SUSPENDED = "suspended"  # the mailbox refused for good, several times


@dataclass(frozen=True, slots=True)
class Choices:
    """What a subscriber wants to be told, and when. An empty filter lets everything through.

    A digest goes at `hour` (0-23) of the time zone `zone` (a name of the IANA database), a weekly one on `weekday`
    (0 is Monday).
    """

    services: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    severity: Severity = Severity.LOW
    frequency: Frequency = Frequency.IMMEDIATE
    hour: int = 8
    weekday: int = 0
    zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Subscriber:
    """Someone who asked to be told by mail. `handle` is what links name them by: made by chance, never the address.

    `settled_at` is when they last said yes or left: what was asked before then is void.
    """

    id: int
    handle: str
    address: str
    state: SubscriberState
    choices: Choices
    asked_at: datetime
    confirmed_at: datetime | None = None
    settled_at: datetime | None = None
    paused: bool = False
    muted: frozenset[TermsKey] = frozenset()


class LetterKind(StrEnum):
    """Mails to a subscriber that are no alerts."""

    CONFIRM = "confirm"  # is this address yours?
    CHOICES = "choices"  # the link to their choices, asked for again
    COPY = "copy"  # what is kept about them


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail to one subscriber that is no alert. `uid` is by chance and never changes between attempts.

    `choices` are those that a confirmation is asked for; else the subscriber's own.
    """

    id: int
    uid: str
    kind: LetterKind
    subscriber: Subscriber
    choices: Choices
    created_at: datetime
    attempts: int = 0
