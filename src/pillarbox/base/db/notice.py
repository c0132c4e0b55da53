"""Telling the workers of other processes, from within a transaction, that there is work."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

CHANNEL = "pillarbox_work"


def ring_on_commit(connection: Connection) -> None:
    """
    PostgreSQL keeps the notice until the transaction commits, and drops it with a rollback.
    On SQLite nobody else listens.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_notify(CHANNEL, "")))
