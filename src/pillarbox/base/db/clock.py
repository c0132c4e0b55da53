"""
The time by the database's clock, for processes that share a database.

A lease is written by one process and judged by another, so both must go by one clock. It is
asked now and then; in between, this machine's monotonic clock counts on. So whatever happens
to this machine's wall clock, no lease ends early or late by it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from pillarbox.base.clock import Clock


class DatabaseClock:
    """Tells the time that `set` was told last, counted on."""

    def __init__(self, own: Clock) -> None:
        self._own = own
        self._then = own.now()
        self._counted_from = own.monotonic()
        self.is_set = False

    def set(self, now: datetime, monotonic: float) -> None:
        """It was `now` there when the own clock's monotonic() was that."""
        self._then, self._counted_from, self.is_set = now, monotonic, True

    def now(self) -> datetime:
        return self._then + timedelta(seconds=self._own.monotonic() - self._counted_from)

    def monotonic(self) -> float:
        return self._own.monotonic()

    async def sleep(self, seconds: float) -> None:
        await self._own.sleep(seconds)
