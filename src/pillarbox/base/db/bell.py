"""
A bell: somebody stored work, whoever waits for work should look.

Only ever a hint. Who hears it looks in the database; who misses it looks when its timer ends.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable


class Bell:
    """Rings in this process, and where the database can tell others, in theirs too."""

    def __init__(self, tell_others: Callable[[], None] | None = None) -> None:
        self._rung = asyncio.Event()
        self._tell_others = tell_others

    def ring(self) -> None:
        """There is work. Costs nothing to do often."""
        self._rung.set()
        if self._tell_others is not None:
            self._tell_others()

    def hear(self) -> None:
        """Another process rang."""
        self._rung.set()

    async def wait(self, timeout_seconds: float) -> None:
        """Return when the bell has rung since the last wait, or after the timeout."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await self._rung.wait()
        self._rung.clear()
