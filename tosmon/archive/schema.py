"""The tables of the archive, as they stand after the last migration (a test holds the two together).

Clauses are stored once; a version is a packed list of clause ids; spans say when a clause stood in a document.
Times are ISO 8601 text in UTC with microseconds: they sort as they read, in every database.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    false,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator


class Instant(TypeDecorator[datetime]):
    """An aware time, stored as `2026-05-03T12:30:20.000000Z`."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        return None if value is None else datetime.fromisoformat(value)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _id() -> Column[int]:
    return Column("id", Integer, primary_key=True)


def _to(target: str, *, null: bool = False, name: str | None = None) -> Column[int]:
    return Column(name or f"{target}_id", Integer, ForeignKey(f"{target}.id"), nullable=null)


setting = Table(
    "setting",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

service = Table(
    "service",
    metadata,
    _id(),
    Column("key", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
)

# What is known of a document, and when to look next. `latest_version_id` is the text last seen; `claimed_*` is the
# lease of whoever is looking right now; `fingerprint` and `body_digest` are those of the last whole observation;
# `pending_change_id` waits for a second look, `undone_change_id` was told and is taken back by the latest text;
# `told_at` is when people were last told of it, `announced` the latest day that was announced.
terms = Table(
    "terms",
    metadata,
    _id(),
    _to("service"),
    Column("type", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("tags", Text, nullable=False, default="[]"),
    Column("declared", Boolean, nullable=False, default=True),
    Column("paused", Boolean, nullable=False, default=False),
    Column("interval_seconds", Integer, nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("claimed_by", Text),
    Column("claimed_until", Instant),
    Column("failures", Integer, nullable=False, default=0),
    Column("last_checked_at", Instant),
    Column("last_whole_at", Instant),
    Column("latest_version_id", Integer),
    Column("pending_change_id", Integer),
    Column("undone_change_id", Integer),
    Column("told_at", Instant),
    Column("announced", Date),
    Column("body_digest", LargeBinary),
    Column("fingerprint", LargeBinary),
    Column("missing", Text, nullable=False, default="[]"),
    Column("final_urls", Text, nullable=False, default="[]"),
    Column("validators", Text, nullable=False, default="{}"),
    UniqueConstraint("service_id", "type"),
    Index("ix_terms_due", "declared", "paused", "due_at"),
)

check = Table(
    "check",
    metadata,
    _id(),
    _to("terms"),
    Column("at", Instant, nullable=False),
    Column("seconds", Integer, nullable=False, default=0),
    Column("verdict", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("detail", Text, nullable=False, default=""),
    Column("status", Integer),
    Column("version_id", Integer),
    Index("ix_check_terms_at", "terms_id", "at"),
)

# One WARC file, with every request and response of one observation.
snapshot = Table(
    "snapshot",
    metadata,
    _id(),
    _to("terms"),
    _to("check"),
    Column("at", Instant, nullable=False),
    Column("path", Text, nullable=False, unique=True),
    Column("sha256", Text, nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("urls", Text, nullable=False),
    Column("body_sha256", Text, nullable=False),
    Index("ix_snapshot_terms_at", "terms_id", "at"),
)

clause = Table(
    "clause",
    metadata,
    _id(),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("canonical", LargeBinary, nullable=False, index=True),
    Column("text", LargeBinary, nullable=False),
)

# How a clause is set in a version: what leads it, what follows it, its kind and level. A few hundred rows in all.
layout = Table(
    "layout",
    metadata,
    _id(),
    Column("lead", Text, nullable=False),
    Column("tail", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("level", Integer, nullable=False),
    UniqueConstraint("lead", "tail", "kind", "level"),
)

# `chain` is SHA-256 over the chain of the version recorded before (of any document) and this one's key, time and digest.
version = Table(
    "version",
    metadata,
    _id(),
    _to("terms"),
    Column("at", Instant, nullable=False),
    Column("recorded_at", Instant, nullable=False),
    Column("clauses", LargeBinary, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("canonical_digest", LargeBinary, nullable=False),
    Column("words", Integer, nullable=False),
    Column("technical", Boolean, nullable=False, default=False),
    Column("form", Text, nullable=False),
    Column("extractor", Text, nullable=False),
    Column("language", Text),
    Column("source", Text, nullable=False, default=""),
    Column("chain", LargeBinary, nullable=False),
    Index("ix_version_terms_at", "terms_id", "at"),
    Index("ix_version_terms_canonical", "terms_id", "canonical_digest"),
)

# One row for each uninterrupted run of a clause in a document; `last_version_id` is null while it stands.
span = Table(
    "span",
    metadata,
    Column("terms_id", Integer, ForeignKey("terms.id"), primary_key=True),
    Column("clause_id", Integer, ForeignKey("clause.id"), primary_key=True),
    Column("first_version_id", Integer, ForeignKey("version.id"), primary_key=True),
    Column("last_version_id", Integer, ForeignKey("version.id")),
    Index("ix_span_clause", "clause_id"),
    sqlite_with_rowid=False,  # the key is nearly all there is to a row: kept once, the table is half as large
)

change = Table(
    "change",
    metadata,
    _id(),
    _to("terms"),
    _to("version", name="before_id"),
    _to("version", name="after_id"),
    Column("at", Instant, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("headline", Text, nullable=False),
    Column("summary", Text, nullable=False, default=""),
    Column("effective_date", Date),
    Column("date_only", Boolean, nullable=False, default=False),
    Column("silent", Boolean, nullable=False, default=False),
    Column("added", Integer, nullable=False, default=0),
    Column("removed", Integer, nullable=False, default=0),
    Column("modified", Integer, nullable=False, default=0),
    Column("moved", Integer, nullable=False, default=0),
    Index("ix_change_terms_at", "terms_id", "at"),
    Index("ix_change_state_at", "state", "at"),
    Index("ix_change_state_terms_id_at", "state", "terms_id", "at"),
)

flag = Table(
    "flag",
    metadata,
    _id(),
    _to("change"),
    Column("topic", Text, nullable=False),
    Column("direction", Text, nullable=False),
    Column("body", Text, nullable=False),
    Index("ix_flag_change", "change_id"),
    Index("ix_flag_topic", "topic", "direction"),
)

# What people were told, whole (`body` is the alert as JSON), never edited.
alert = Table(
    "alert",
    metadata,
    _id(),
    _to("terms"),
    _to("change"),
    Column("uid", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("recorded_at", Instant, nullable=False),
    Column("severity", Text, nullable=False),
    Column("body", Text, nullable=False),
    Index("ix_alert_change", "change_id", "kind"),
)

# Which feeds an alert stands in ("all", "service/X", "topic/ai_training", …).
feed_entry = Table(
    "feed_entry",
    metadata,
    Column("feed", Text, primary_key=True),
    Column("alert_id", Integer, ForeignKey("alert.id"), primary_key=True),
)

# The outbox: one delivery of one alert to one recipient. With a `bundle` it waits for others of that name, to go with them
# in one mail; from its first attempt on, `lead_id` is the first notification of that mail and nothing joins it any more.
# `refused`: the server said that there will never be such a recipient.
notification = Table(
    "notification",
    metadata,
    _id(),
    _to("alert"),
    Column("channel", Text, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("message_id", Text, nullable=False, unique=True),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("created_at", Instant, nullable=False),
    Column("not_before", Instant, nullable=False),
    Column("claimed_until", Instant),
    Column("sent_at", Instant),
    Column("error", Text, nullable=False, default=""),
    Column("bundle", Text, nullable=False, default="", server_default=""),
    Column("lead_id", Integer),
    Column("refused", Boolean, nullable=False, default=False, server_default=false()),
    UniqueConstraint("alert_id", "channel", "recipient"),
    Index("ix_notification_state_not_before", "state", "not_before"),
    Index("ix_notification_recipient", "recipient", "sent_at"),
    Index("ix_notification_lead", "lead_id"),
)

# One open incident at most for each document (`closed_at` is null while it is open).
incident = Table(
    "incident",
    metadata,
    _id(),
    _to("terms"),
    Column("verdict", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("opened_at", Instant, nullable=False),
    Column("last_at", Instant, nullable=False),
    Column("looks", Integer, nullable=False, default=1),
    Column("fingerprint", LargeBinary),
    Column("closed_at", Instant),
    Index("ix_incident_terms_closed", "terms_id", "closed_at"),
)

# --- pinned sentences (0003) ---

# A sentence that someone wants to hear of when it changes or goes: it stood in `version_id`. `recipient` is a mail
# address, empty for everyone who is told by configuration. `seen` counts the told changes of
# the document since that were looked through for it, `gone_id` is the one that took it away.
pin = Table(
    "pin",
    metadata,
    _id(),
    _to("terms"),
    _to("version"),
    Column("sentence", Text, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("seen", Integer, nullable=False, default=0),
    Column("gone_id", Integer, ForeignKey("change.id")),
    UniqueConstraint("terms_id", "sentence", "recipient"),
)

# --- subscriptions (0002) ---

# Who asked to be told by mail. `address_key` is the address as it is compared; `handle` names a subscriber in links.
subscriber = Table(
    "subscriber",
    metadata,
    _id(),
    Column("handle", Text, nullable=False, unique=True),
    Column("address", Text, nullable=False),
    Column("address_key", Text, nullable=False, unique=True),
    Column("state", Text, nullable=False),
    Column("choices", Text, nullable=False),
    Column("paused", Boolean, nullable=False, default=False),
    Column("asked_at", Instant, nullable=False),
    Column("confirmed_at", Instant),
    Column("settled_at", Instant),
    Index("ix_subscriber_state", "state"),
)

# Documents that a subscriber does not want to hear of.
muted = Table(
    "muted",
    metadata,
    Column("subscriber_id", Integer, ForeignKey("subscriber.id"), primary_key=True),
    Column("terms_id", Integer, ForeignKey("terms.id"), primary_key=True),
)

# Mails to subscribers that are no alerts. `choices` are those that a confirmation asks for.
letter = Table(
    "letter",
    metadata,
    _id(),
    Column("uid", Text, nullable=False, unique=True),
    _to("subscriber"),
    Column("kind", Text, nullable=False),
    Column("choices", Text),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("created_at", Instant, nullable=False),
    Column("not_before", Instant, nullable=False),
    Column("claimed_until", Instant),
    Column("sent_at", Instant),
    Column("error", Text, nullable=False, default=""),
    Index("ix_letter_state_not_before", "state", "not_before"),
    Index("ix_letter_subscriber", "subscriber_id"),
)

# Who asked for a letter lately, to keep strangers from filling mailboxes. `mark` is a keyed digest of an address or of a
# network: neither can be read from it. Kept for a day.
asking = Table(
    "asking",
    metadata,
    _id(),
    Column("mark", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Index("ix_asking_mark_at", "mark", "at"),
    Index("ix_asking_at", "at"),
)

# --- what clauses say, by the rules in force (0005) ---

# The rules that findings were made by: a digest of all packs and of the code that reads with them.
rule_set = Table(
    "rule_set",
    metadata,
    _id(),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("made_at", Instant, nullable=False),
)

# What a clause says, under the clause that introduces its list (`stem_id`, 0: none). A clause that says nothing has no row.
# `digest` stands for every sentence's statement, `body` holds the findings.
finding = Table(
    "finding",
    metadata,
    Column("rules_id", Integer, ForeignKey("rule_set.id"), primary_key=True),
    Column("clause_id", Integer, ForeignKey("clause.id"), primary_key=True),
    Column("stem_id", Integer, primary_key=True, default=0),
    Column("digest", LargeBinary, nullable=False),
    Column("body", Text, nullable=False),
)

# A stance that a document took, as long as it rested on the same words: `since_*` is when it began to stand without a
# break, `from_*` when it came to rest on these words, `until_*` is null while it stands.
stance = Table(
    "stance",
    metadata,
    _id(),
    _to("terms"),
    Column("aspect", Text, nullable=False),
    Column("stance", Text, nullable=False),
    _to("clause"),
    Column("stem_id", Integer, nullable=False, default=0),
    Column("start", Integer, nullable=False),
    Column("end", Integer, nullable=False),
    Column("place", Integer, nullable=False),
    Column("headings", Text, nullable=False, default="[]"),
    Column("objects", Text, nullable=False, default="[]"),
    Column("since_version_id", Integer, nullable=False),
    Column("since_at", Instant, nullable=False),
    Column("from_first", Boolean, nullable=False, default=False),
    Column("change_id", Integer),
    Column("from_version_id", Integer, nullable=False),
    Column("from_at", Instant, nullable=False),
    Column("until_version_id", Integer),
    Column("until_at", Instant),
    Index("ix_stance_terms", "terms_id"),
    Index("ix_stance_until_at_from_at", "until_at", "from_at"),
)

# How far a document's stances are written: by which rules, up to which of its versions and of how many. `judged_rules_id`
# are the rules that its changes were judged by, null when nobody knows. Not `settled`: the next version may alter what
# is written (a change waits for its second look). `unread` are the topics that no rule reads in its language.
profiled = Table(
    "profiled",
    metadata,
    Column("terms_id", Integer, ForeignKey("terms.id"), primary_key=True),
    Column("rules_id", Integer, ForeignKey("rule_set.id"), nullable=False),
    Column("judged_rules_id", Integer, ForeignKey("rule_set.id")),
    Column("version_id", Integer, nullable=False),
    Column("versions", Integer, nullable=False),
    Column("settled", Boolean, nullable=False),
    Column("language", Text),
    Column("unread", Text, nullable=False, default="[]"),
)

# What judging a recorded change again came to, and how it stood before (`body`). Alerts stay as they were told.
rejudgement = Table(
    "rejudgement",
    metadata,
    _id(),
    _to("change"),
    Column("rules_id", Integer, ForeignKey("rule_set.id"), nullable=False),
    Column("at", Instant, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("body", Text, nullable=False),
    Index("ix_rejudgement_change", "change_id"),
)

# --- what the operator and the memory of a document decide (0004) ---

# What stands between two clauses and changes by itself; these are known by their marks (`tosmon.gates.volatile`), `steady`
# is the marks of what mostly stayed in between. `change_id` is given when an operator called that change noise, `shown`
# is true when the operator wants to be told of it all the same.
volatile_part = Table(
    "volatile_part",
    metadata,
    _id(),
    _to("terms"),
    Column("above", LargeBinary, nullable=False),
    Column("below", LargeBinary, nullable=False),
    Column("words", Integer, nullable=False),
    Column("contents", Integer, nullable=False),
    Column("sample", Text, nullable=False),
    Column("steady", LargeBinary, nullable=False),
    Column("since", Instant, nullable=False),
    Column("last_at", Instant, nullable=False),
    _to("change", null=True),
    Column("shown", Boolean, nullable=False, default=False),
    UniqueConstraint("terms_id", "above", "below"),
)

# Documents that the operator does not want looked at for now, whatever the configuration says.
pause = Table(
    "pause",
    metadata,
    Column("terms_id", Integer, ForeignKey("terms.id"), primary_key=True),
    Column("at", Instant, nullable=False),
)

# Versions whose snapshot was read anew, and by which extractor: where to go on after an interruption.
reread = Table(
    "reread",
    metadata,
    Column("version_id", Integer, ForeignKey("version.id"), primary_key=True),
    Column("extractor", Text, nullable=False),
)

# --- where texts come from, other names, what was withdrawn (0006) ---

# Trained on the archive's own clauses, to pack clauses with; a text names its dictionary by a part of its digest.
dictionary = Table(
    "dictionary",
    metadata,
    _id(),
    Column("body", LargeBinary, nullable=False),
)

# A version that came from elsewhere: who recorded it when, and in which words (packed). See `archive.history.Origin`.
origin = Table(
    "origin",
    metadata,
    Column("version_id", Integer, ForeignKey("version.id"), primary_key=True),
    Column("body", LargeBinary, nullable=False),
)

# The key that a document had before: its old addresses lead to it, and the chain names the document as it was named then:
# `until_id` is the last version that was recorded under that key.
former = Table(
    "former",
    metadata,
    Column("service", Text, primary_key=True),
    Column("type", Text, primary_key=True),
    _to("terms"),
    Column("until_id", Integer, nullable=False),
    Index("ix_former_terms", "terms_id"),
)

# A clause whose text was withdrawn on request: its digest stays, so that one can prove what is gone.
tombstone = Table(
    "tombstone",
    metadata,
    Column("clause_id", Integer, ForeignKey("clause.id"), primary_key=True),
    Column("at", Instant, nullable=False),
    Column("reason", Text, nullable=False),
)
