"""
One connection that hears the bells of other processes, rings theirs, and tells the time.

NOTIFY is a hint and may be lost with the connection: whoever waits looks by itself after a
second, and after every reconnect the bell rings here.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import asyncpg

from pillarbox.base import log
from pillarbox.base.db.bell import Bell
from pillarbox.base.db.clock import DatabaseClock
from pillarbox.base.db.dsn import Dsn
from pillarbox.base.db.notice import CHANGES, WORK
from pillarbox.base.db.trouble import TROUBLE, words

_MEASURE_SECONDS = 5.0
_RECONNECT_SECONDS = 1.0
_GOODBYE_SECONDS = 1.0
_AT_MOST_EVERY = 0.01  # seconds between two notices: a burst is one
_PRECISE_SECONDS = 0.5  # a slower answer says too little about when it was true

_log = log.logger("database")


class Listener:
    """Runs from start to stop and reconnects by itself."""

    def __init__(self, dsn: Dsn, clock: DatabaseClock) -> None:
        self._dsn = dsn
        self._clock = clock
        self._has_news = asyncio.Event()
        self.bell = Bell(self._has_news.set)
        self.changes = Bell()
        self._running: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Return when the clock is set. Raises what asyncpg raises."""
        connection = await self._connect()
        self._running = asyncio.create_task(self._run(connection), name="database listener")

    async def stop(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    async def _connect(self) -> asyncpg.Connection:
        # A notice needs no disk: whoever misses it looks by itself.
        connection = await self._dsn.connect(synchronous_commit="off")
        try:
            connection.add_termination_listener(lambda _: self._has_news.set())
            await connection.add_listener(WORK, self._heard)
            await connection.add_listener(CHANGES, self._heard)
            await self._measure(connection)
        except BaseException:
            connection.terminate()
            raise
        return connection

    def _heard(self, connection: Any, sender: int, channel: str, payload: str) -> None:
        if sender != connection.get_server_pid():
            (self.changes if channel == CHANGES else self.bell).hear()

    async def _run(self, first: asyncpg.Connection) -> None:
        await self._serve_or_say_why(first)
        while True:
            await self._clock.sleep(_RECONNECT_SECONDS)
            with contextlib.suppress(*TROUBLE):
                connection = await self._connect()
                self.bell.hear()  # they may have rung meanwhile
                self.changes.hear()
                _log.info("hearing other processes again")
                await self._serve_or_say_why(connection)

    async def _serve_or_say_why(self, connection: asyncpg.Connection) -> None:
        try:
            await self._serve(connection)
        except TROUBLE as error:
            _log.warning("not hearing other processes for a moment", cause=words(error))
        finally:
            with contextlib.suppress(*TROUBLE):
                await connection.close(timeout=_GOODBYE_SECONDS)

    async def _serve(self, connection: asyncpg.Connection) -> None:
        """Until the connection breaks."""
        measured_at = self._clock.monotonic()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_MEASURE_SECONDS):
                    await self._has_news.wait()
            if self._has_news.is_set():
                self._has_news.clear()
                await connection.execute(f"NOTIFY {WORK}")
                await self._clock.sleep(_AT_MOST_EVERY)
            if self._clock.monotonic() - measured_at >= _MEASURE_SECONDS:
                measured_at = self._clock.monotonic()
                await self._measure(connection)

    async def _measure(self, connection: asyncpg.Connection) -> None:
        before = self._clock.monotonic()
        now = await connection.fetchval("SELECT clock_timestamp()")
        after = self._clock.monotonic()
        if after - before <= _PRECISE_SECONDS or not self._clock.is_set:
            self._clock.set(now, (before + after) / 2)
