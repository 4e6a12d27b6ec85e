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
# `pending_change_id` waits for a second look, `undone_change_id` was told and is taken back by the latest text.
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

# The outbox: one delivery of one alert to one recipient.
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
    UniqueConstraint("alert_id", "channel", "recipient"),
    Index("ix_notification_state_not_before", "state", "not_before"),
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
