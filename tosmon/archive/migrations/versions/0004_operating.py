"""What the operator and the memory of a document decide: volatile parts, variants, releases."""

from __future__ import annotations

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass
