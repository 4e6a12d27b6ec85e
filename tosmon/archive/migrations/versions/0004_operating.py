"""What the operator and the memory of a document decide: volatile parts, pauses, versions read anew."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "volatile_part",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("terms_id", sa.Integer(), nullable=False),
        sa.Column("above", sa.LargeBinary(), nullable=False),
        sa.Column("below", sa.LargeBinary(), nullable=False),
        sa.Column("words", sa.Integer(), nullable=False),
        sa.Column("contents", sa.Integer(), nullable=False),
        sa.Column("sample", sa.Text(), nullable=False),
        sa.Column("steady", sa.LargeBinary(), nullable=False),
        sa.Column("since", sa.Text(), nullable=False),
        sa.Column("last_at", sa.Text(), nullable=False),
        sa.Column("change_id", sa.Integer()),
        sa.Column("shown", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["terms_id"], ["terms.id"], name="fk_volatile_part_terms_id_terms"),
        sa.ForeignKeyConstraint(["change_id"], ["change.id"], name="fk_volatile_part_change_id_change"),
        sa.PrimaryKeyConstraint("id", name="pk_volatile_part"),
        sa.UniqueConstraint("terms_id", "above", "below", name="uq_volatile_part_terms_id_above_below"),
    )
    op.create_table(
        "pause",
        sa.Column("terms_id", sa.Integer(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["terms_id"], ["terms.id"], name="fk_pause_terms_id_terms"),
        sa.PrimaryKeyConstraint("terms_id", name="pk_pause"),
    )
    op.create_table(
        "reread",
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.Column("extractor", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["version_id"], ["version.id"], name="fk_reread_version_id_version"),
        sa.PrimaryKeyConstraint("version_id", name="pk_reread"),
    )
