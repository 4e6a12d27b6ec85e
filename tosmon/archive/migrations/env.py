"""Alembic's entry: run the migrations on the connection that `tosmon.archive.engine.migrate` hands over."""

from __future__ import annotations

from alembic import context

from tosmon.archive.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transaction_per_migration=False,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
