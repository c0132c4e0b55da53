"""
Outcomes on their way to the database. What a relay answered is known only here, so it is kept
until the database takes it; meanwhile the session goes on with other mail.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from pillarbox.base.clock import Clock
from pillarbox.base.errors import Unavailable
from pillarbox.queue.message import Attempt
from pillarbox.queue.queue import Queue

_TRIES, _PAUSE_SECONDS = 600, 1.0  # as long as the lease past the final dot

T = TypeVar("T")
Then = Callable[[Sequence[bool] | BaseException], None]
"""Told which of the attempts were ours to record, or why none could be."""


class Recording:
    """The attempts of one worker."""

    def __init__(self, queue: Queue, clock: Clock) -> None:
        self._queue = queue
        self._clock = clock
        self._under_way: set[asyncio.Future[Any]] = set()
        self._is_stopping = False

    def begin(self, attempts: Sequence[Attempt], then: Then) -> asyncio.Future[Any]:
        """Record the attempts of one transaction; nobody needs to wait for it."""
        stored: asyncio.Future[Any]
        if len(attempts) == 1:
            try:
                stored = self._queue.record(attempts[0])
            except Unavailable:
                stored = self._insisting(attempts)
        else:
            stored = self._insisting(attempts)
        self._under_way.add(stored)
        stored.add_done_callback(partial(self._ended, attempts, then))
        return stored

    async def until_stored(self, write: Callable[[], Awaitable[T]]) -> T:
        """Try until the database takes it. Raises Unavailable when it does not for too long."""
        for _ in range(_TRIES):
            with contextlib.suppress(Unavailable):
                return await write()
            if self._is_stopping:
                break
            await self._clock.sleep(_PAUSE_SECONDS)
        return await write()

    async def stop(self, grace_seconds: float) -> None:
        """Return when everything is stored or the grace is over."""
        self._is_stopping = True
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=grace_seconds)

    def _insisting(self, attempts: Sequence[Attempt]) -> asyncio.Task[list[bool]]:
        return asyncio.create_task(self._insist(attempts), name="recording")

    async def _insist(self, attempts: Sequence[Attempt]) -> list[bool]:
        writes = [partial(self._record, each) for each in attempts]
        return await asyncio.gather(*map(self.until_stored, writes))

    async def _record(self, attempt: Attempt) -> bool:
        return await self._queue.record(attempt)

    def _ended(self, attempts: Sequence[Attempt], then: Then, stored: asyncio.Future[Any]) -> None:
        self._under_way.discard(stored)
        if stored.cancelled():
            then(asyncio.CancelledError())
        elif (error := stored.exception()) is None:
            result = stored.result()
            then([result] if isinstance(result, bool) else result)
        elif isinstance(error, Unavailable) and not isinstance(stored, asyncio.Task):
            again = self._insisting(attempts)
            self._under_way.add(again)
            again.add_done_callback(partial(self._ended, attempts, then))
        else:
            then(error)
