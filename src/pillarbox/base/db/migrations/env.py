"""Alembic's entry: it is handed a connection and runs the files in versions/ on it."""

from __future__ import annotations

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    render_as_batch=True,
    transactional_ddl=False,  # upgrade.py holds one transaction around all of it
)
context.run_migrations()
