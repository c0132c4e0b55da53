"""
How much waits, counted seldom enough that counting never matters.

A count of a long queue takes a while. Whoever asks gets the last one, unless it is some
seconds old and fifty times older than it took: counting so costs a fiftieth of one reader.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, func, select

from pillarbox.base.clock import Clock
from pillarbox.base.db.database import Database
from pillarbox.queue import lanes
from pillarbox.queue.lanes import Turns
from pillarbox.queue.state import FINAL, DeliveryState
from pillarbox.queue.tables import deliveries

_FRESH_SECONDS = 5.0
_PATIENCE = 50  # a count is repeated when so many times its own duration has passed
_OPEN = [state.value for state in DeliveryState if state not in FINAL]
_columns = deliveries.c
_DUE_SINCE = lanes.due_since()


@dataclass(frozen=True, slots=True)
class Counts:
    """Deliveries that have not ended by (relay id, state); since when each relay has some due."""

    open: Mapping[tuple[str, DeliveryState], int] = field(default_factory=dict)
    due_since: Mapping[str, datetime] = field(default_factory=dict)


class Depth:
    """The depth of one queue."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._counts = Counts()
        self._counted_at: float | None = None
        self._took = 0.0
        self._counting = asyncio.Lock()

    async def look(self, relay_ids: list[str]) -> Counts:
        """What waits. The counts may be some seconds old; the times are of this moment."""
        async with self._counting:
            if self._is_old():
                await self._count()
        now = self._clock.now()
        since = await self._database.read(lambda connection: due_since(connection, relay_ids, now))
        return Counts(self._counts.open, since)

    def _is_old(self) -> bool:
        if self._counted_at is None:
            return True
        age = self._clock.monotonic() - self._counted_at
        return age >= max(_FRESH_SECONDS, _PATIENCE * self._took)

    async def _count(self) -> None:
        begun = self._clock.monotonic()
        self._counts = Counts(await self._database.read(count_open))
        self._counted_at = self._clock.monotonic()
        self._took = self._counted_at - begun


def count_open(connection: Connection) -> dict[tuple[str, DeliveryState], int]:
    """How many deliveries each relay has in each state that is not final."""
    query = (
        select(_columns.relay_id, _columns.state, func.count())
        .where(_columns.state.in_(_OPEN))
        .group_by(_columns.relay_id, _columns.state)
    )
    rows = connection.execute(query)
    return {(relay_id, DeliveryState(state)): count for relay_id, state, count in rows}


def due_since(connection: Connection, relay_ids: list[str], now: datetime) -> dict[str, datetime]:
    """Since when each relay has something due. Costs the same however much waits."""
    turns, found = Turns(), {}
    for relay_id in relay_ids:
        asked = {"wanted_relay": relay_id, "at": now, **turns.after(relay_id)}
        since: datetime | None = connection.scalar(_DUE_SINCE, asked)
        if since is not None:
            found[relay_id] = since
    return found
