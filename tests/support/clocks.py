"""Time that a test moves by hand."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from pillarbox.base.clock import SystemClock


class HandClock:
    """Stands still until told otherwise; sleeping only lets others run."""

    def __init__(self, start: datetime = datetime(2026, 11, 20, 12, tzinfo=UTC)) -> None:
        self._now = start

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._now.timestamp()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)

    def move(self, **by: float) -> None:
        self._now += timedelta(**by)


class SetClock(SystemClock):
    """Goes on by itself, and its wall time is as far ahead as a test sets it."""

    ahead = timedelta(0)

    def now(self) -> datetime:
        return super().now() + self.ahead
