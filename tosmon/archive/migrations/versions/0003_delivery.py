"""Bundled notifications, hooks and pinned sentences."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("notification", sa.Column("bundle", sa.Text(), nullable=False, server_default=""))
    op.add_column("notification", sa.Column("lead_id", sa.Integer()))
    op.add_column("notification", sa.Column("refused", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index("ix_notification_recipient", "notification", ["recipient", "sent_at"])
    op.create_index("ix_notification_lead", "notification", ["lead_id"])
    op.add_column("terms", sa.Column("told_at", sa.Text()))
    op.add_column("terms", sa.Column("announced", sa.Date()))
    told = "FROM change WHERE change.terms_id = terms.id AND change.state = 'told'"
    op.execute(f"UPDATE terms SET told_at = (SELECT max(at) {told}), announced = (SELECT max(effective_date) {told})")
    _enter_profile_feeds()
    op.create_table(
        "pin",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("terms_id", sa.Integer(), nullable=False),
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.Column("seen", sa.Integer(), nullable=False),
        sa.Column("gone_id", sa.Integer()),
        sa.ForeignKeyConstraint(["terms_id"], ["terms.id"], name="fk_pin_terms_id_terms"),
        sa.ForeignKeyConstraint(["version_id"], ["version.id"], name="fk_pin_version_id_version"),
        sa.ForeignKeyConstraint(["gone_id"], ["change.id"], name="fk_pin_gone_id_change"),
        sa.PrimaryKeyConstraint("id", name="pk_pin"),
        sa.UniqueConstraint("terms_id", "sentence", "recipient", name="uq_pin_terms_id_sentence_recipient"),
    )


_PROFILE_TOPICS = ("ai_training", "content_license")
_WAYS = {"worse": ("worse",), "better": ("better",), "mixed": ("worse", "better")}


def _enter_profile_feeds() -> None:
    """Put what was told already into the feeds of changed profiles."""
    connection = op.get_bind()
    rows = []
    for alert_id, body in connection.execute(sa.text("SELECT id, body FROM alert")):
        feeds = {
            f"topic/{flag['topic']}/{way}"
            for flag in json.loads(body).get("flags", ())
            if flag.get("topic") in _PROFILE_TOPICS
            for way in _WAYS.get(flag.get("direction"), ())
        }
        rows += [{"feed": feed, "alert": alert_id} for feed in sorted(feeds | ({"profile"} if feeds else set()))]
    if rows:
        connection.execute(sa.text("INSERT INTO feed_entry (feed, alert_id) VALUES (:feed, :alert)"), rows)
