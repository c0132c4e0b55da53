"""Whether more mail can be taken: asked first, so that nothing is begun that cannot be ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

from pillarbox.base.clock import Clock
from pillarbox.base.config import MAX_WAITING
from pillarbox.base.errors import DiskFull, QueueFull, Unavailable
from pillarbox.queue.queue import Queue

_RECOUNT_SECONDS = 2.0  # at a full queue, between two counts
_NO_ROOM = "the disk is nearly full, so nothing was stored. Mail is taken again when there is room"
_NO_PLACE = "{count:,} deliveries are waiting, as many as are kept; nothing was stored"
_LATER = timedelta(seconds=30)


class Capacity:
    """
    Room on the disk and places in the queue.

    Places are counted by what is taken in, which can only be too many: deliveries come to
    their end unseen. Only when that number reaches the limit are the rows counted, so a
    count costs nothing until the queue is nearly full.
    """

    def __init__(
        self,
        queue: Queue,
        clock: Clock,
        *,
        has_room: Callable[[], bool] = lambda: True,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._queue = queue
        self._clock = clock
        self._has_room = has_room
        self._max_waiting = max_waiting
        self._at_most: int | None = None  # None until counted
        self._counted_at = 0.0
        self._counting = asyncio.Lock()

    async def shortage(self) -> Unavailable | None:
        """Why nothing can be taken now, or None."""
        if not self._has_room():
            return DiskFull(_NO_ROOM, retry_after=_LATER)
        if self._at_most is not None and self._at_most < self._max_waiting:
            return None
        waiting = await self._counted()
        if waiting < self._max_waiting:
            return None
        return QueueFull(_NO_PLACE.format(count=waiting), retry_after=_LATER)

    def took(self, deliveries: int) -> None:
        """So many more are waiting."""
        if self._at_most is not None:
            self._at_most += deliveries

    async def _counted(self) -> int:
        async with self._counting:  # whoever waits here meanwhile takes the same number
            now = self._clock.monotonic()
            if self._at_most is None or now - self._counted_at >= _RECOUNT_SECONDS:
                self._at_most = await self._queue.waiting()
                self._counted_at = now
            return self._at_most
