"""
When the clock was set back: what waits keeps the length of its wait, not its hour.

Otherwise mail that was due at once, by a clock that was an hour fast, would wait that hour.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, select, update

from pillarbox.queue.state import WAITING, DeliveryState
from pillarbox.queue.tables import deliveries

_TOLERANCE = timedelta(seconds=10)  # clocks are slewed all the time
_WAITS = [state.value for state in WAITING if state is not DeliveryState.SCHEDULED]
_MOVE = (
    update(deliveries)
    .where(deliveries.c.id == bindparam("key"))
    .values(due_at=bindparam("due"), changed_at=bindparam("at"))
)


def follow(connection: Connection, now: datetime) -> int:
    """Bring back what was last changed in what is the future now; how many deliveries."""
    columns = deliveries.c
    ahead = select(columns.id, columns.due_at, columns.changed_at).where(
        columns.changed_at > now + _TOLERANCE,
        columns.state.in_(_WAITS),
        columns.due_at.is_not(None),
    )
    moved = [
        {"key": row.id, "due": now + max(row.due_at - row.changed_at, timedelta(0)), "at": now}
        for row in connection.execute(ahead)
    ]
    if moved:
        connection.execute(_MOVE, moved)
    return len(moved)


def was_set_back(wall: timedelta, true: timedelta) -> bool:
    """Whether the clock on the wall went on by less than the time that has passed."""
    return true - wall > _TOLERANCE
