"""What each clause says, by the rules in force, and the profiles and new judgements made of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "rule_set",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_rule_set"),
        sa.UniqueConstraint("digest", name="uq_rule_set_digest"),
    )
    op.create_table(
        "finding",
        sa.Column("rules_id", sa.Integer(), nullable=False),
        sa.Column("clause_id", sa.Integer(), nullable=False),
        sa.Column("stem_id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["rules_id"], ["rule_set.id"], name="fk_finding_rules_id_rule_set"),
        sa.ForeignKeyConstraint(["clause_id"], ["clause.id"], name="fk_finding_clause_id_clause"),
        sa.PrimaryKeyConstraint("rules_id", "clause_id", "stem_id", name="pk_finding"),
    )
    op.create_table(
        "stance",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("terms_id", sa.Integer(), nullable=False),
        sa.Column("aspect", sa.Text(), nullable=False),
        sa.Column("stance", sa.Text(), nullable=False),
        sa.Column("clause_id", sa.Integer(), nullable=False),
        sa.Column("stem_id", sa.Integer(), nullable=False),
        sa.Column("start", sa.Integer(), nullable=False),
        sa.Column("end", sa.Integer(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("headings", sa.Text(), nullable=False),
        sa.Column("objects", sa.Text(), nullable=False),
        sa.Column("since_version_id", sa.Integer(), nullable=False),
        sa.Column("since_at", sa.Text(), nullable=False),
        sa.Column("from_first", sa.Boolean(), nullable=False),
        sa.Column("change_id", sa.Integer()),
        sa.Column("from_version_id", sa.Integer(), nullable=False),
        sa.Column("from_at", sa.Text(), nullable=False),
        sa.Column("until_version_id", sa.Integer()),
        sa.Column("until_at", sa.Text()),
        sa.ForeignKeyConstraint(["terms_id"], ["terms.id"], name="fk_stance_terms_id_terms"),
        sa.ForeignKeyConstraint(["clause_id"], ["clause.id"], name="fk_stance_clause_id_clause"),
        sa.PrimaryKeyConstraint("id", name="pk_stance"),
    )
    op.create_index("ix_stance_terms", "stance", ["terms_id"])
    op.create_index("ix_stance_until_at_from_at", "stance", ["until_at", "from_at"])
    op.create_table(
        "profiled",
        sa.Column("terms_id", sa.Integer(), nullable=False),
        sa.Column("rules_id", sa.Integer(), nullable=False),
        sa.Column("judged_rules_id", sa.Integer()),
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.Column("versions", sa.Integer(), nullable=False),
        sa.Column("settled", sa.Boolean(), nullable=False),
        sa.Column("language", sa.Text()),
        sa.Column("unread", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["terms_id"], ["terms.id"], name="fk_profiled_terms_id_terms"),
        sa.ForeignKeyConstraint(["rules_id"], ["rule_set.id"], name="fk_profiled_rules_id_rule_set"),
        sa.ForeignKeyConstraint(["judged_rules_id"], ["rule_set.id"], name="fk_profiled_judged_rules_id_rule_set"),
        sa.PrimaryKeyConstraint("terms_id", name="pk_profiled"),
    )
    op.create_table(
        "rejudgement",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("change_id", sa.Integer(), nullable=False),
        sa.Column("rules_id", sa.Integer(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["change_id"], ["change.id"], name="fk_rejudgement_change_id_change"),
        sa.ForeignKeyConstraint(["rules_id"], ["rule_set.id"], name="fk_rejudgement_rules_id_rule_set"),
        sa.PrimaryKeyConstraint("id", name="pk_rejudgement"),
    )
    op.create_index("ix_rejudgement_change", "rejudgement", ["change_id"])
