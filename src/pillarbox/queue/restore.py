"""
After a restore: nothing leaves by itself, because it may have left since the backup was made.

Nobody can tell what was relayed between the backup and the loss. So everything that waited
is held, and marked as a possible duplicate, until a person lets it go.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from pillarbox.journal import journal
from pillarbox.journal.events import DatabaseRestored, DeliveryHeld, DeliveryReleased
from pillarbox.queue.state import HELD, HOLD_RESTORED, QUEUED, SCHEDULED
from pillarbox.queue.tables import deliveries, messages

CAUSE = "restored from a backup; it may have been sent since that was made"
BATCH = 500

_columns = deliveries.c
_waits = (
    _columns.state.in_(HOLD_RESTORED.rows),
    _columns.due_at.is_not(None) | _columns.lease_until.is_not(None),
)
_is_restored = (_columns.state == HELD.value, _columns.answer == CAUSE)


def hold_waiting(connection: Connection, now: datetime, principal: str) -> int:
    """Hold a batch of what waits or was being sent; how many. Again until it says 0."""
    rows = connection.execute(select(deliveries).where(*_waits).limit(BATCH)).all()
    values = {
        "state": HELD.value,
        "due_at": None,
        "lease_until": None,
        "pointed_at": None,
        "in_doubt": True,
        "fence": _columns.fence + 1,
        "changed_at": now,
        "answer": CAUSE,
        "advice": None,
    }
    _set(connection, rows, values)
    told = [DeliveryHeld(**_about(row), principal=principal, cause=CAUSE) for row in rows]
    journal.write(connection, [(now, each) for each in told])
    return len(rows)


def release_restored(connection: Connection, now: datetime, principal: str) -> int:
    """Let a batch of what a restore holds go, due now or at its send_at; how many."""
    query = select(deliveries, messages.c.send_at).join(messages).where(*_is_restored).limit(BATCH)
    rows = connection.execute(query).all()
    later = [row for row in rows if row.send_at is not None and row.send_at > now]
    for row in later:
        values = {"state": SCHEDULED.value, "due_at": row.send_at, "changed_at": now}
        _set(connection, [row], values | {"answer": None})
    due = [row for row in rows if row not in later]
    values = {"state": QUEUED.value, "due_at": now, "changed_at": now, "answer": None}
    _set(connection, due, values)
    told = [DeliveryReleased(**_about(row), principal=principal) for row in rows]
    journal.write(connection, [(now, each) for each in told])
    return len(rows)


def restored(connection: Connection) -> int:
    """How many deliveries a restore holds."""
    return connection.scalar(select(func.count()).where(*_is_restored)) or 0


def tell_restored(connection: Connection, now: datetime, principal: str, held: int) -> None:
    """
    The event of the restore itself. Its id leaps ahead of all that readers can have seen
    before the loss, so that no cursor from then hides what happens from now on.
    """
    event = DatabaseRestored(principal=principal, held=held)
    leap = journal.newest(connection) + journal.LEAP
    connection.execute(insert(journal.events), [{"id": leap, **journal.row_of(now, event)}])
    if connection.dialect.name == "postgresql":
        sequence = func.pg_get_serial_sequence("events", "id")
        connection.execute(select(func.setval(sequence, leap)))


def _set(connection: Connection, rows: Sequence[Row[Any]], values: dict[str, Any]) -> None:
    if rows:
        named = _columns.id.in_([row.id for row in rows])
        connection.execute(update(deliveries).where(named).values(values))


def _about(row: Row[Any]) -> dict[str, str]:
    return {"message_id": row.message_id, "delivery_id": row.id, "relay_id": row.relay_id}
