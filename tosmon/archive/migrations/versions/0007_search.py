"""The words of all clauses ever."""

from __future__ import annotations

import logging
import sqlite3

from alembic import op
from sqlalchemy.exc import OperationalError

from tosmon.archive import search
from tosmon.archive.store import clause_texts
from tosmon.errors import ArchiveError

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_log = logging.getLogger(__name__)
_LONG = 20_000  # clauses: fewer are done in a second, and want no words


def upgrade() -> None:
    connection = op.get_bind()
    # For counting what people were told of, document by document, without reading the changes themselves.
    op.create_index("ix_change_state_terms_id_at", "change", ["state", "terms_id", "at"])
    if connection.dialect.name != "sqlite":
        return
    try:
        # No copy of the text, no lengths: what is asked for is where words stand, never a rank.
        connection.exec_driver_sql(
            "CREATE VIRTUAL TABLE clause_words USING fts5("
            "words, content='', columnsize=0, tokenize='unicode61 remove_diacritics 2')"
        )
    except (OperationalError, ArchiveError, sqlite3.OperationalError) as error:
        if "fts5" not in str(error):
            raise
        _log.warning("this SQLite was built without FTS5: the archive cannot be searched")
        return
    told = 0

    def said(done: int, total: int) -> None:
        nonlocal told
        if total > _LONG and (tenth := done * 10 // total) > told:
            told = tenth
            _log.warning("making the archive searchable, once: %s of %s clauses", f"{done:,}", f"{total:,}")

    search.fill(connection, clause_texts, said)
