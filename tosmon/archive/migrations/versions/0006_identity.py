"""Services and documents that go by another name or address now; texts withdrawn on request; how texts are packed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "dictionary",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_dictionary"),
    )
    op.create_table(
        "origin",
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["version_id"], ["version.id"], name="fk_origin_version_id_version"),
        sa.PrimaryKeyConstraint("version_id", name="pk_origin"),
    )
    op.create_table(
        "former",
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("terms_id", sa.Integer(), nullable=False),
        sa.Column("until_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["terms_id"], ["terms.id"], name="fk_former_terms_id_terms"),
        sa.PrimaryKeyConstraint("service", "type", name="pk_former"),
    )
    op.create_index("ix_former_terms", "former", ["terms_id"])
    op.create_table(
        "tombstone",
        sa.Column("clause_id", sa.Integer(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["clause_id"], ["clause.id"], name="fk_tombstone_clause_id_clause"),
        sa.PrimaryKeyConstraint("clause_id", name="pk_tombstone"),
    )
    if op.get_bind().dialect.name == "sqlite":
        _keep_spans_in_their_key()


def _keep_spans_in_their_key() -> None:
    """The key is nearly all there is to a span: a table without row ids keeps it once instead of twice."""
    op.drop_index("ix_span_clause", "span")
    op.rename_table("span", "span_before")
    op.create_table(
        "span",
        sa.Column("terms_id", sa.Integer(), nullable=False),
        sa.Column("clause_id", sa.Integer(), nullable=False),
        sa.Column("first_version_id", sa.Integer(), nullable=False),
        sa.Column("last_version_id", sa.Integer()),
        sa.ForeignKeyConstraint(["terms_id"], ["terms.id"], name="fk_span_terms_id_terms"),
        sa.ForeignKeyConstraint(["clause_id"], ["clause.id"], name="fk_span_clause_id_clause"),
        sa.ForeignKeyConstraint(["first_version_id"], ["version.id"], name="fk_span_first_version_id_version"),
        sa.ForeignKeyConstraint(["last_version_id"], ["version.id"], name="fk_span_last_version_id_version"),
        sa.PrimaryKeyConstraint("terms_id", "clause_id", "first_version_id", name="pk_span"),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO span (terms_id, clause_id, first_version_id, last_version_id)"
        " SELECT terms_id, clause_id, first_version_id, last_version_id FROM span_before"
    )
    op.drop_table("span_before")
    op.create_index("ix_span_clause", "span", ["clause_id"])
