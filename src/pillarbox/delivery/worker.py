"""
The back half of a message's life for one relay: what to claim, and how many sessions to use.

Step 4 of docs/life-of-a-message.md; the couriers do what comes after.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from datetime import timedelta

from pillarbox.base.errors import Unavailable
from pillarbox.delivery.courier import Courier, Office, interrupted
from pillarbox.delivery.equipment import Equipment
from pillarbox.delivery.pace import LocalPace, Pace, SharedPace
from pillarbox.delivery.recording import Recording
from pillarbox.delivery.reputation import Reputation
from pillarbox.delivery.sessions import SessionPool
from pillarbox.queue.claim import Ticket
from pillarbox.queue.message import Claim
from pillarbox.queue.standing import StandingOrder
from pillarbox.relays.routing import is_out
from pillarbox.relays.versions import Relay

_SYSTEM = "system:pillarbox"
_LINGER_SECONDS = 0.5
_AHEAD = 4  # claims a session may have waiting behind the one it carries


class Worker:
    """Carries the mail of one relay, on as many sessions as the relay allows."""

    def __init__(self, relay_id: str, equipment: Equipment) -> None:
        self._relay_id = relay_id
        self._queue = equipment.queue
        self._registry = equipment.registry
        self._clock = equipment.clock
        self._equipment = equipment
        self._pool = SessionPool(equipment.clock)
        self._reputation = Reputation()
        self._recording = Recording(equipment.queue, equipment.clock)
        self._office = Office(equipment, self._pool, self._reputation, self._recording, self, set())
        sharing = equipment.sharing
        self._pace: Pace = SharedPace(sharing) if sharing else LocalPace(equipment.clock)
        self._waiting: deque[Claim] = deque()
        self._begun: dict[str, Claim] = {}  # by the id of a delivery, until it is recorded
        self._couriers: dict[asyncio.Task[None], Courier] = {}
        self._order: StandingOrder | None = None
        self.stands_in_for: tuple[tuple[str, str], ...] = ()  # (relay id, stand-ins of its mail)
        self._sessions = 0  # allowed at the last look
        self._looked_at: tuple[Relay, int | None] | None = None
        self._may_have_more = True  # in the database, than was claimed
        self._progress = asyncio.Event()
        self._is_stopping = False

    @property
    def tickets(self) -> list[Ticket]:
        """The leases that this worker holds."""
        claims = (*self._waiting, *self._begun.values())
        return [ticket for claim in claims for ticket in claim.tickets]

    def nudge(self) -> None:
        """There may be more to claim."""
        self._may_have_more = True
        self._progress.set()

    # What its standing order asks and tells it.

    @property
    def room(self) -> int:
        """For mail that has just been accepted: none while older mail may wait."""
        if self._may_have_more or self._is_stopping or self._looked_at is None:
            return 0
        relay, _ = self._looked_at
        if relay.rest is not None or relay.settings.messages_per_minute is not None:
            return 0
        return self._sessions * (1 + _AHEAD) - len(self._couriers) - len(self._waiting)

    def take(self, claim: Claim) -> None:
        """Mail that was accepted a moment ago and is ours."""
        self._waiting.append(claim)
        if len(self._couriers) < self._sessions:
            self._send_courier()

    # Its own life.

    async def run(self) -> None:
        """Until nothing that this relay may carry has been due for a moment."""
        self._order = self._queue.standing.place(self._relay_id, self)
        self._may_have_more = True
        try:
            while await self._look():
                pass
        finally:
            self._queue.standing.cancel(self._relay_id)

    async def _look(self) -> bool:
        """Claim, and begin what may begin; return when something has changed. False to end."""
        progress = self._progress
        progress.clear()
        if self._relay_id not in self._registry:
            await self._leave_removed_relay()
            return False
        relay = self._registry.get(self._relay_id)
        sessions = await self._sessions_granted(relay)
        if sessions < self._sessions:
            self._pool.keep(sessions - len(self._couriers))
        self._sessions = sessions
        self._looked_at = relay, self._reputation.proven_version
        await self._refill(relay, sessions)
        for _ in range(min(len(self._waiting), sessions - len(self._couriers))):
            self._send_courier()
        if self._is_busy:
            await progress.wait()
            return True
        return sessions > 0 and (await self._lingers() or self._is_busy)

    @property
    def _is_busy(self) -> bool:
        is_promised = self._order is not None and self._order.promised > 0
        return bool(self._couriers or self._waiting or self._begun) or is_promised

    async def _leave_removed_relay(self) -> None:
        """What was begun ends; what came back meanwhile is held, as the rest was at the removal."""
        self._queue.standing.cancel(self._relay_id)
        while self._couriers or self._begun:
            await self._progress.wait()
            self._progress.clear()
        await self._give_back_waiting(timedelta(0))
        await self._queue.hold_of_relay(self._relay_id, _SYSTEM)

    async def _lingers(self) -> bool:
        """Wait a moment for more, which is cheaper than to begin anew. False when none came."""
        try:
            async with asyncio.timeout(_LINGER_SECONDS):
                await self._progress.wait()
        except TimeoutError:
            return False
        return True

    async def stop(self, grace_seconds: float) -> None:
        """Give back what was not begun, and let what was begun come to its end."""
        self._is_stopping = True
        self._queue.standing.cancel(self._relay_id)
        self._progress.set()
        with contextlib.suppress(Unavailable):  # the leases run out by themselves
            await self._give_back_waiting(timedelta(0))
        if self._couriers:
            await asyncio.wait(self._couriers, timeout=grace_seconds)
        await self._recording.stop(grace_seconds)
        await self._pool.close()
        with contextlib.suppress(Unavailable):
            await self.settle_share()

    def close_idle(self) -> None:
        """Let go of sessions that nobody has used for a while."""
        self._pool.close_idle()

    def _sessions_allowed(self, relay: Relay) -> int:
        """
        None while it rests; one until it has carried something; then as many as it takes.

        A wrong password is so tried once, and not once a session.
        """
        if self._is_stopping:
            return 0
        now = self._clock.now()
        if relay.rest is not None:
            return 1 if relay.rest.is_over(now) else 0
        return relay.connections(now) if self._reputation.proven_version == relay.version else 1

    async def _sessions_granted(self, relay: Relay) -> int:
        """Of those that are allowed, what other processes leave us."""
        wanted = self._sessions_allowed(relay)
        return await self._pace.sessions(relay, wanted, len(self._couriers) + len(self._pool))

    async def settle_share(self) -> None:
        """Where processes share a relay: keep what is in use, let others have the rest."""
        if self._equipment.sharing is None or self._relay_id not in self._registry:
            return
        relay = self._registry.get(self._relay_id)
        wanted = self._sessions_allowed(relay) if self.tickets else 0
        await self._pace.sessions(relay, wanted, len(self._couriers) + len(self._pool))

    async def _refill(self, relay: Relay, sessions: int) -> None:
        if sessions == 0:
            await self._give_back_waiting(timedelta(0))
            return
        if not self._may_have_more or len(self._waiting) > sessions:
            return
        wanted = 1 if relay.rest is not None else sessions * (1 + _AHEAD)
        limit = wanted - len(self._couriers) - len(self._waiting)
        if limit > 0:
            limit = await self._pace.messages(relay, limit, len(self._waiting))
            if limit > 0:
                await self._claim(limit, alone=relay.rest is not None)

    async def _claim(self, limit: int, *, alone: bool) -> None:
        """
        Our own mail first, then that of relays that are out. alone: a probe takes its own.

        Only a claim that comes back with nothing says that there is nothing.
        """
        self._may_have_more = False
        own = await self._queue.claim(self._relay_id, limit)
        self._waiting.extend(own)
        limit -= len(own)
        self._may_have_more |= bool(own)
        for relay_id, stand_ins in () if alone else self.stands_in_for:
            if limit > 0 and self._is_out(relay_id):
                others = await self._queue.claim(relay_id, limit, stand_ins=stand_ins)
                self._waiting.extend(others)
                limit -= len(others)
        if limit <= 0:
            self._may_have_more = True

    def _is_out(self, relay_id: str) -> bool:
        """It may have come back since the supervisor looked."""
        known = relay_id in self._registry
        return known and is_out(self._registry.get(relay_id).rest, self._clock.now())

    async def _give_back_waiting(self, wait: timedelta) -> None:
        while self._waiting:
            await self._queue.release(self._waiting.popleft().tickets, wait=wait)
            self._may_have_more = True

    def _send_courier(self) -> None:
        courier = Courier(self._office)
        task = asyncio.create_task(courier.run())
        self._couriers[task] = courier
        task.add_done_callback(self._came_back)

    def _came_back(self, task: asyncio.Task[None]) -> None:
        courier = self._couriers.pop(task)
        self._progress.set()
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            for claim in courier.claims:
                self.let_go(claim)
                interrupted(claim, error)

    # What its couriers ask and tell it.

    def next(self) -> tuple[Claim, Relay] | None:
        """The next claim. None: there is nothing, or much has changed since the last look."""
        if len(self._waiting) <= self._sessions and self._may_have_more:
            self._progress.set()
        if not self._waiting or self._looked_at is None:
            return None
        relay, _ = self._looked_at
        if len(self._couriers) > self._sessions or not self.still_holds(relay):
            return None
        claim = self._waiting.popleft()
        self._begun[claim.deliveries[0].id] = claim
        self._pace.begin()
        return claim, relay

    def still_holds(self, relay: Relay) -> bool:
        """Whether what the last look found of the relay is still so."""
        if self._looked_at is None or self._relay_id not in self._registry:
            return False
        looked_at, proven_version = self._looked_at
        current = self._registry.get(self._relay_id)
        if current is not looked_at:
            self._progress.set()  # some relay has changed: look whether this one did
        is_same = _are_equal(relay, looked_at) and _are_equal(relay, current)
        return is_same and proven_version == self._reputation.proven_version

    def give_back(self, claim: Claim) -> None:
        """It goes first when somebody is free again."""
        del self._begun[claim.deliveries[0].id]
        self._waiting.appendleft(claim)
        self._pace.put_back()
        self._progress.set()

    def let_go(self, claim: Claim) -> None:
        """It is recorded, or back in the queue, or its lease runs out."""
        self._begun.pop(claim.deliveries[0].id, None)
        if not self._begun:
            self._progress.set()


def _are_equal(one: Relay, other: Relay) -> bool:
    return one is other or one == other
