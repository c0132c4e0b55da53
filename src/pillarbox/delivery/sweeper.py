"""What time does to mail: ends what is overdue, takes back lost leases, forgets what is old."""

from __future__ import annotations

from datetime import timedelta

from pillarbox.base import log
from pillarbox.base.clock import Clock
from pillarbox.base.errors import Unavailable
from pillarbox.queue.clock_step import was_set_back
from pillarbox.queue.queue import Queue
from pillarbox.queue.retention import Retention
from pillarbox.relays.registry import Registry

_SWEEP_SECONDS = 5.0
_FORGET_EVERY = 720  # sweeps; about an hour

_log = log.logger("sweeper")


class Sweeper:
    """One in each process is harmless, one in all is enough."""

    def __init__(self, queue: Queue, registry: Registry, clock: Clock, kept: Retention) -> None:
        self._queue = queue
        self._registry = registry
        self._clock = clock
        self._kept = kept
        self._sweeps = 0
        self._wall, self._true = clock.now(), clock.monotonic()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.sweep()
            except Unavailable as error:
                _log.error("the database is away; sweeping later", cause=str(error))
            except Exception as error:  # noqa: BLE001  a loop that must not end: it logs
                _log.error("sweeping failed; once more later", exc_info=error)
            await self._clock.sleep(_SWEEP_SECONDS)

    async def sweep(self) -> None:
        """One round; each step goes on in batches until it finds nothing."""
        if self._was_set_back() or self._sweeps == 0:
            moved = await self._queue.follow_clock()
            if moved:
                _log.warning("the clock was set back; what waits goes by it", deliveries=moved)
        while await self._queue.expire():
            await self._clock.sleep(0)
        await self._queue.recover(everything=False)
        await self._hold_what_nobody_carries()
        if self._sweeps % _FORGET_EVERY == 0:
            while await self._queue.forget(self._kept):
                await self._clock.sleep(0)
        self._sweeps += 1

    async def _hold_what_nobody_carries(self) -> None:
        """
        Mail for a relay that was removed while it was on its way.

        Who accepts mail knows its relay: what is not known after another look is gone.
        """
        gone = {each for each in await self._queue.relays_waited_for() if not self._knows(each)}
        if gone:
            await self._registry.refresh()
        for relay_id in sorted(gone):
            if not self._knows(relay_id):
                held = await self._queue.hold_of_relay(relay_id, "system:pillarbox")
                _log.warning("mail of a removed relay is held", relay=relay_id, deliveries=held)

    def _knows(self, relay_id: str) -> bool:
        return relay_id in self._registry

    def _was_set_back(self) -> bool:
        """Since the last sweep."""
        wall, true = self._clock.now(), self._clock.monotonic()
        passed = timedelta(seconds=true - self._true)
        is_back = was_set_back(wall - self._wall, passed)
        self._wall, self._true = wall, true
        return is_back
