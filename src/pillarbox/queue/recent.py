"""Which relays were signed in to lately, by delivery itself."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select

from pillarbox.queue.tables import sessions


def relays_in_use(connection: Connection, since: datetime) -> frozenset[str]:
    """Ids of relays that a session was opened with at that moment or later."""
    query = select(sessions.c.relay_id).where(sessions.c.opened_at >= since).distinct()
    return frozenset(connection.scalars(query))
