"""
The back half of a message's life: claim, connect, transact, record.

Steps 4 to 7 of docs/life-of-a-message.md, for one relay.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from pillarbox.base import log, trace
from pillarbox.base.errors import Invalid, NotFound, Unavailable, Unusable
from pillarbox.base.ids import chance
from pillarbox.delivery.carriers import Carried, Carrier, Unopened, was_stale
from pillarbox.delivery.door import open_with_token
from pillarbox.delivery.equipment import Equipment
from pillarbox.delivery.judge import Judged, judge, silent
from pillarbox.delivery.pace import LocalPace, Pace, SharedPace
from pillarbox.delivery.sessions import SessionPool
from pillarbox.mail.content import Content
from pillarbox.mail.outcome import Blame, Failed, Loss, Lost, Stage, Unknown
from pillarbox.queue.claim import Ticket
from pillarbox.queue.message import Attempt, Claim, ClaimedDelivery, SessionFacts
from pillarbox.queue.record import answer_of
from pillarbox.relays.routing import is_out
from pillarbox.relays.suspension import Trouble
from pillarbox.relays.versions import Relay

_SYSTEM = "system:pillarbox"
_SILENT_ENDS = 3  # transactions without an answer after the dot, until the relay rests
_LINGER_SECONDS = 0.5
_AHEAD = 4  # claims a session may have waiting behind the one it carries
_STORING_TRIES, _STORING_PAUSE_SECONDS = 600, 1.0  # as long as the lease past the final dot
_log = log.logger("delivery")
_TOLD = ("message", "delivery", "attempt", "relay", "outcome", "answer")
_say_attempt = log.frequent("delivery", "attempt", _TOLD)
_say_old_attempt = log.frequent("delivery", "attempt of an old lease, not recorded", _TOLD)

T = TypeVar("T")


class Worker:
    """Carries the mail of one relay, on as many sessions as the relay allows."""

    def __init__(self, relay_id: str, equipment: Equipment) -> None:
        self._relay_id = relay_id
        self._queue = equipment.queue
        self._registry = equipment.registry
        self._clock = equipment.clock
        self._equipment = equipment
        self._pool = SessionPool(equipment.clock)
        sharing = equipment.sharing
        self._pace: Pace = SharedPace(sharing) if sharing else LocalPace(equipment.clock)
        self._waiting: deque[Claim] = deque()
        self._under_way: dict[asyncio.Task[None], Claim] = {}
        self.stands_in_for: tuple[tuple[str, str], ...] = ()  # (relay id, stand-ins of its mail)
        self._carrying = 0
        self._sessions = 0  # allowed at the last look
        self._progress = asyncio.Event()
        self._told: set[str] = set()
        self._proven_version: int | None = None
        self._silent_ends = 0  # in a row
        self._is_stopping = False

    @property
    def tickets(self) -> list[Ticket]:
        """The leases that this worker holds."""
        claims = (*self._waiting, *self._under_way.values())
        return [ticket for claim in claims for ticket in claim.tickets]

    def nudge(self) -> None:
        """There may be more to claim."""
        self._progress.set()

    async def run(self) -> None:
        """Until nothing that this relay may carry has been due for a moment."""
        progress = self._progress
        while True:
            progress.clear()
            if self._relay_id not in self._registry:
                await self._leave_removed_relay(progress)
                return
            relay = self._registry.get(self._relay_id)
            sessions = await self._sessions_granted(relay)
            if sessions < self._sessions:
                self._pool.keep(sessions - self._carrying)
            self._sessions = sessions
            await self._refill(relay, sessions)
            while self._waiting and self._carrying < sessions:
                self._start(self._waiting.popleft(), relay, progress)
            if self._under_way or self._waiting:
                await progress.wait()
            elif sessions == 0 or not await self._lingers(progress):
                return

    async def _leave_removed_relay(self, progress: asyncio.Event) -> None:
        """What was begun ends; what came back meanwhile is held, as the rest was at the removal."""
        while self._under_way:
            await progress.wait()
            progress.clear()
        await self._give_back_waiting(timedelta(0))
        await self._queue.hold_of_relay(self._relay_id, _SYSTEM)

    async def _lingers(self, progress: asyncio.Event) -> bool:
        """Wait a moment for more, which is cheaper than to begin anew. False when none came."""
        try:
            async with asyncio.timeout(_LINGER_SECONDS):
                await progress.wait()
        except TimeoutError:
            return False
        return True

    async def stop(self, grace_seconds: float) -> None:
        """Give back what was not begun, and let what was begun come to its end."""
        self._is_stopping = True
        self._progress.set()
        with contextlib.suppress(Unavailable):  # the leases run out by themselves
            await self._give_back_waiting(timedelta(0))
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=grace_seconds)
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
        if relay.rest is not None:
            return 1 if relay.rest.is_over(self._clock.now()) else 0
        return relay.connections(self._clock.now()) if self._proven_version == relay.version else 1

    async def _sessions_granted(self, relay: Relay) -> int:
        """Of those that are allowed, what other processes leave us."""
        wanted = self._sessions_allowed(relay)
        return await self._pace.sessions(relay, wanted, self._carrying + len(self._pool))

    async def settle_share(self) -> None:
        """Where processes share a relay: keep what is in use, let others have the rest."""
        if self._equipment.sharing is None or self._relay_id not in self._registry:
            return
        relay = self._registry.get(self._relay_id)
        wanted = self._sessions_allowed(relay) if self.tickets else 0
        await self._pace.sessions(relay, wanted, self._carrying + len(self._pool))

    async def _refill(self, relay: Relay, sessions: int) -> None:
        if sessions == 0:
            await self._give_back_waiting(timedelta(0))
            return
        wanted = 1 if relay.rest is not None else sessions * (1 + _AHEAD)
        limit = wanted - self._carrying - len(self._waiting)
        if limit > 0 and len(self._waiting) <= sessions:
            limit = await self._pace.messages(relay, limit, len(self._waiting))
            if limit > 0:
                await self._claim(limit, alone=relay.rest is not None)

    async def _claim(self, limit: int, *, alone: bool) -> None:
        """Our own mail first, then that of relays that are out. alone: a probe takes its own."""
        own = await self._queue.claim(self._relay_id, limit)
        self._waiting.extend(own)
        limit -= len(own)
        for relay_id, stand_ins in () if alone else self.stands_in_for:
            if limit > 0 and self._is_out(relay_id):
                others = await self._queue.claim(relay_id, limit, stand_ins=stand_ins)
                self._waiting.extend(others)
                limit -= len(others)

    def _is_out(self, relay_id: str) -> bool:
        """It may have come back since the supervisor looked."""
        known = relay_id in self._registry
        return known and is_out(self._registry.get(relay_id).rest, self._clock.now())

    async def _give_back_waiting(self, wait: timedelta) -> None:
        while self._waiting:
            await self._queue.release(self._waiting.popleft().tickets, wait=wait)

    def _start(self, claim: Claim, relay: Relay, progress: asyncio.Event) -> None:
        self._carrying += 1
        self._pace.begin()
        task = asyncio.create_task(self._attempted(claim, relay, progress))
        self._under_way[task] = claim
        task.add_done_callback(lambda done: self._ended(done, progress))

    def _ended(self, task: asyncio.Task[None], progress: asyncio.Event) -> None:
        claim = self._under_way.pop(task)
        progress.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            # The lease runs out by itself, and the delivery comes back.
            about = {"message": claim.message_id, "relay": self._relay_id}
            _log.error("delivery interrupted", **about, exc_info=error)

    async def _attempted(self, claim: Claim, relay: Relay, progress: asyncio.Event) -> None:
        with trace.span("attempt", message=claim.message_id, relay=relay.name):
            await self._deliver(claim, relay, progress)

    async def _deliver(self, claim: Claim, relay: Relay, progress: asyncio.Event) -> None:
        """After a good end the session is free before the outcome is recorded, not after."""
        started_at = self._clock.now()
        is_free = False
        try:
            if claim.is_dead_at(started_at):
                await self._queue.release(claim.tickets, wait=timedelta(0))
                return
            try:
                carrier, carried = await self._with_content(claim, relay)
            except Unavailable as error:
                await self._put_back(claim, error)
                return
            if not isinstance(carrier, Unopened):
                self._pool.give_back(carrier, relay)
            carries = bool(relay.checked_well) or self._proven_version == relay.version
            judged = [
                judge(
                    carried.outcomes[path],
                    relay,
                    began_at=started_at,
                    carries=carries,
                    stands_in=claim.relay_id != relay.id,
                )
                for path in claim.envelope.forward_paths
            ]
            is_free = not any(each.trouble for each in judged)
            if is_free:
                self._free_session(progress)
            facts = None if isinstance(carrier, Unopened) else carrier.facts
            ended = _Ended(judged, carried.transcript, facts, started_at)
            await self._settle(claim, relay, ended)
        finally:
            if not is_free:
                self._free_session(progress)

    async def _put_back(self, claim: Claim, error: Unavailable) -> None:
        """The point of no return could not be stored, so the dot was not sent."""
        _log.error("delivery put back: the database is away", cause=str(error))
        again = timedelta(seconds=_STORING_PAUSE_SECONDS)
        await self._until_stored(lambda: self._queue.release(claim.tickets, wait=again))

    def _free_session(self, progress: asyncio.Event) -> None:
        self._carrying -= 1
        progress.set()

    async def _with_content(self, claim: Claim, relay: Relay) -> tuple[Carrier | Unopened, Carried]:
        """A large content is read when there is room for it, and let go when it was carried."""
        if claim.octets is not None:
            return await self._carry(claim, await self._content(claim), relay)
        async with self._equipment.room.hold(claim.size):
            return await self._carry(claim, await self._content(claim), relay)

    async def _content(self, claim: Claim) -> Content:
        octets = claim.octets
        if octets is None:
            octets = await self._queue.content_of(claim.message_id)
        if octets is None:
            raise NotFound(f"the content of {claim.message_id} is gone")
        return Content(octets, claim.is_eight_bit, claim.needs_smtputf8)

    async def _carry(
        self, claim: Claim, content: Content, relay: Relay
    ) -> tuple[Carrier | Unopened, Carried]:
        carrier = self._pool.borrow(relay)
        if carrier is not None:
            carried = await self._transact(carrier, claim, content)
            if not was_stale(carrier, carried):
                return carrier, carried
            self._pool.say_goodbye(carrier)
        fresh = await self._open(relay)
        if isinstance(fresh, Unopened):
            failed = dict.fromkeys(claim.envelope.forward_paths, fresh.failure)
            return fresh, Carried(failed, fresh.transcript)
        return fresh, await self._transact(fresh, claim, content)

    async def _transact(self, carrier: Carrier, claim: Claim, content: Content) -> Carried:
        async def may_send() -> bool:
            return await self._queue.point_of_no_return(claim.tickets)

        return await carrier.carry(claim, content, may_send)

    async def _open(self, relay: Relay) -> Carrier | Unopened:
        """Settings that cannot be used, such as a secret that stays shut, are the relay's fault."""
        equipment = self._equipment
        try:
            carrier = await open_with_token(relay, equipment)
            if not isinstance(carrier, Unopened):
                equipment.sessions.open(relay.id, carrier)
            return carrier
        except (Unusable, Invalid) as error:
            lost = Lost(Loss.UNUSABLE_SETTINGS, str(error))
            failed = Failed(Stage.CONFIGURATION, Blame.RELAY, permanent=False, answer=lost)
            return Unopened(failed, f"*: {error}")

    async def _settle(self, claim: Claim, relay: Relay, ended: _Ended) -> None:
        trouble = next((each.trouble for each in ended.judged if each.trouble is not None), None)
        trouble = trouble or self._silence(relay, ended)
        if trouble is not None:
            if trouble.complaint is None:
                self._proven_version = None
            await self._until_stored(lambda: self._registry.rest(trouble))
        elif self._silent_ends == 0:
            self._proven_version = relay.version
            if relay.rest is not None:
                await self._until_stored(lambda: self._registry.resume(relay))
        pairs = zip(claim.deliveries, ended.judged, strict=True)
        attempts = [self._attempt(claim, relay, ended, *pair) for pair in pairs]
        recorded = await asyncio.gather(*map(self._record, attempts))
        if ended.session is not None and any(recorded):
            self._told.add(ended.session.id)
        for attempt, is_ours in zip(attempts, recorded, strict=True):
            _tell(attempt, relay, is_ours=is_ours)

    def _silence(self, relay: Relay, ended: _Ended) -> Trouble | None:
        """No answer after the dot proves nothing; again and again it is the relay's trouble."""
        outcomes = [each.outcome for each in ended.judged]
        if not all(isinstance(outcome, Unknown) for outcome in outcomes):
            self._silent_ends = 0
            return None
        self._silent_ends += 1
        return silent(relay) if self._silent_ends >= _SILENT_ENDS else None

    async def _record(self, attempt: Attempt) -> bool:
        return await self._until_stored(lambda: self._queue.record(attempt))

    async def _until_stored(self, write: Callable[[], Awaitable[T]]) -> T:
        """What the relay answered is known only here: keep it until the database takes it."""
        for _ in range(_STORING_TRIES):
            with contextlib.suppress(Unavailable):
                return await write()
            if self._is_stopping:
                break
            await self._clock.sleep(_STORING_PAUSE_SECONDS)
        return await write()

    def _attempt(
        self, claim: Claim, relay: Relay, ended: _Ended, delivery: ClaimedDelivery, judged: Judged
    ) -> Attempt:
        session = ended.session
        is_told = session is None or session.id in self._told
        return Attempt(
            id=self._equipment.ids.new("att"),
            message_id=claim.message_id,
            delivery=delivery,
            stream=claim.stream,
            relay_id=relay.id,
            relay_version=relay.version,
            session_id=session.id if session else None,
            started_at=ended.started_at,
            ended_at=self._clock.now(),
            outcome=judged.outcome,
            advice=judged.advice,
            transcript=ended.transcript,
            chance=chance(),
            session=None if is_told else session,
        )


@dataclass(frozen=True, slots=True)
class _Ended:
    """What a transaction, or the try to begin one, came to."""

    judged: list[Judged]  # one for each forward path, in order
    transcript: str
    session: SessionFacts | None
    started_at: datetime


def _tell(attempt: Attempt, relay: Relay, *, is_ours: bool) -> None:
    outcome = type(attempt.outcome).__name__.lower()
    trace.note("outcome", outcome)
    say = _say_attempt if is_ours else _say_old_attempt
    say(
        attempt.ended_at,
        attempt.message_id,
        attempt.delivery.id,
        attempt.id,
        relay.name,
        outcome,
        answer_of(attempt),
    )
