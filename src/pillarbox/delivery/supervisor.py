"""
Keeps a worker going for every relay that has something due, and wakes when there is more.

The bell is a hint. Every second or so the supervisor looks by itself, so a missed ring costs
a moment and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import datetime

from pillarbox.base import log
from pillarbox.base.db.bell import Bell
from pillarbox.base.errors import NotFound, Unavailable
from pillarbox.delivery.equipment import Equipment
from pillarbox.delivery.worker import Worker
from pillarbox.relays.routing import is_out
from pillarbox.relays.versions import Relay

_LOOK_SECONDS = 1.0  # the longest that due mail waits for a bell nobody rang
_BREATH_SECONDS = 0.05  # between two looks, however often the bell rings
_RENEW_SECONDS = 20.0  # leases last 60
_STUCK_SECONDS = 15.0  # without a look that found anything out
_GRACE_SECONDS = 30.0  # what a stop allows transactions that are under way

_log = log.logger("delivery")


class Supervisor:
    """The workers of this process."""

    def __init__(self, equipment: Equipment, bell: Bell) -> None:
        self._equipment = equipment
        self._bell = bell
        self._workers: dict[str, Worker] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._is_stopping = False
        self._renewed_at = 0.0
        self._looked_at = 0.0
        self._has_looked = True
        self._beat: float | None = None
        self._has_ended = False
        self._is_finished = asyncio.Event()

    @property
    def is_alive(self) -> bool:
        """Whether mail is being carried; True too where `run` never began, as it is not asked."""
        if self._is_stopping or self._has_ended:
            return False
        now = self._equipment.clock.monotonic()
        return self._beat is None or now - self._beat < _STUCK_SECONDS

    async def run(self, *, alone: bool) -> None:
        """Until stopped. alone: no other process works on this database, nor did a moment ago."""
        self._beat = self._equipment.clock.monotonic()
        has_recovered = False
        try:
            while not self._is_stopping:
                try:
                    has_recovered = has_recovered or await self._recover(alone=alone)
                    await self._look()
                    await self._renew()
                    self._beat = self._equipment.clock.monotonic()
                except Unavailable as error:
                    _log.error("the database is away; nothing new is begun", cause=str(error))
                except Exception as error:  # noqa: BLE001  the worker loop: it logs and goes on
                    _log.error("looking for due mail failed; once more", exc_info=error)
                await self._bell.wait(_LOOK_SECONDS if self._has_looked else _BREATH_SECONDS)
        finally:
            self._has_ended = True
            await self._finish()

    async def drain(self, seconds: float) -> None:
        """Carry what is due now to its end, for as long as that takes and at most `seconds`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while await self._has_due():
                    await self._equipment.clock.sleep(_BREATH_SECONDS)

    async def stop(self) -> None:
        """Begin nothing new; return when what was begun has ended or the grace is over."""
        self._is_stopping = True
        self._bell.ring()
        await self._is_finished.wait()

    async def _finish(self) -> None:
        """Only `run` starts workers, and it has ended: nobody begins anything behind our back."""
        workers = self._workers.values()
        ends = await asyncio.gather(
            *(worker.stop(_GRACE_SECONDS) for worker in workers), return_exceptions=True
        )
        for error in ends:
            if isinstance(error, BaseException):
                _log.error("a worker did not stop in order", cause=str(error))
        running = [task for task in self._running.values() if not task.done()]
        if running:
            await asyncio.wait(running, timeout=_BREATH_SECONDS * 20)
            for task in running:
                task.cancel()
        self._is_finished.set()

    async def _recover(self, *, alone: bool) -> bool:
        recovered = await self._equipment.queue.recover(everything=alone)
        if recovered:
            _log.info("took back deliveries that were under way at the last stop", count=recovered)
        return True

    async def _has_due(self) -> bool:
        """Whether a relay that may be used has something to carry, or is carrying it."""
        if any(worker.tickets for worker in self._workers.values()):
            return True
        usable = [each.id for each in self._equipment.registry.all() if each.rest is None]
        return bool(await self._equipment.queue.due_relays(usable))

    async def _look(self) -> None:
        """Tell workers that run; ask the database for the others, though not at every ring."""
        for relay_id, worker in self._workers.items():
            if self._is_running(relay_id):
                worker.nudge()
        moment = self._equipment.clock.monotonic()
        self._has_looked = moment - self._looked_at >= _BREATH_SECONDS
        if not self._has_looked:
            return
        self._looked_at = moment
        relays = self._equipment.registry.all()
        now = self._equipment.clock.now()
        idle = [
            each.id
            for each in relays
            if not self._is_running(each.id) and (each.rest is None or each.rest.is_over(now))
        ]
        if idle:
            for relay_id in await self._equipment.queue.due_relays(idle):
                self._start(relay_id)
        await self._arrange_stand_ins(relays, now)

    async def _arrange_stand_ins(self, relays: list[Relay], now: datetime) -> None:
        """
        Let others carry what relays that are out have due, where their mail names others.

        When a relay may be probed again, its own worker has the first pick.
        """
        out = {each.id for each in relays if is_out(each.rest, now)}
        to_carry = [
            each.id
            for each in relays
            if each.id in out
            and each.rest
            and (not each.rest.is_over(now) or self._is_running(each.id))
        ]
        lists = await self._equipment.queue.due_lists(to_carry) if to_carry else []
        usable = {each.id for each in relays} - out
        for worker in self._workers.values():
            worker.stands_in_for = ()
        for relay_id, stand_ins in lists:
            found = next((each for each in stand_ins.split(",") if each in usable), None)
            if found is not None:
                self._worker(found).stands_in_for += ((relay_id, stand_ins),)
                if not self._is_running(found):
                    self._start(found)

    def _is_running(self, relay_id: str) -> bool:
        """A worker that runs looks for more by itself."""
        task = self._running.get(relay_id)
        return task is not None and not task.done()

    def _worker(self, relay_id: str) -> Worker:
        return self._workers.setdefault(relay_id, Worker(relay_id, self._equipment))

    def _start(self, relay_id: str) -> None:
        worker = self._worker(relay_id)
        task = asyncio.create_task(worker.run(), name=f"worker of {relay_id}")
        task.add_done_callback(_ended)
        self._running[relay_id] = task

    async def _renew(self) -> None:
        """Lengthen the leases in hand, and let idle sessions go."""
        now = self._equipment.clock.monotonic()
        if now - self._renewed_at < _RENEW_SECONDS:
            return
        self._renewed_at = now
        tickets = [ticket for worker in self._workers.values() for ticket in worker.tickets]
        if tickets:
            await self._equipment.queue.renew(tickets)
        for worker in self._workers.values():
            worker.close_idle()
            await worker.settle_share()
        await self._equipment.registry.recover()


def _ended(task: asyncio.Task[None]) -> None:
    """The next look starts the worker again; a removed relay has nothing left to start it for."""
    if task.cancelled() or (error := task.exception()) is None:
        return
    if isinstance(error, Unavailable):
        _log.error("the database is away; nothing new is begun", cause=str(error))
    elif not isinstance(error, NotFound):
        _log.error("worker stopped", cause=str(error), exc_info=error)
