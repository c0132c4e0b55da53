"""
A bell: somebody stored work, whoever waits for work should look.

Only ever a hint. Who hears it looks in the database; who misses it looks when its timer ends.
"""

from __future__ import annotations

import asyncio
import contextlib


class Bell:
    """Rings in this process. PostgreSQL's NOTIFY will ring it for others."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        self._rung.set()

    async def wait(self, timeout_seconds: float) -> None:
        """Return when the bell has rung since the last wait, or after the timeout."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await self._rung.wait()
        self._rung.clear()
