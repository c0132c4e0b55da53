"""Telling other processes, from within a transaction, that there is work or another setting."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

WORK = "pillarbox_work"
CHANGES = "pillarbox_changes"


def ring_on_commit(connection: Connection, channel: str = WORK) -> None:
    """
    PostgreSQL keeps the notice until the transaction commits, and drops it with a rollback.
    On SQLite nobody else listens.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_notify(channel, "")))
