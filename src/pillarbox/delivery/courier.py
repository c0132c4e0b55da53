"""
One session at work: connect, transact, and on with the next message.

Steps 5 to 7 of docs/life-of-a-message.md. A courier ends when there is nothing to take, or
when its worker must look at the relay anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple, Protocol

from pillarbox.base import log, trace
from pillarbox.base.errors import Invalid, NotFound, Unavailable, Unusable
from pillarbox.base.ids import chance
from pillarbox.delivery.carriers import Carried, Carrier, Errand, Unopened, was_stale
from pillarbox.delivery.door import open_with_token
from pillarbox.delivery.equipment import Equipment
from pillarbox.delivery.judge import Judged, judge
from pillarbox.delivery.recording import Recording
from pillarbox.delivery.reputation import Reputation
from pillarbox.delivery.sessions import SessionPool
from pillarbox.mail.content import Content
from pillarbox.mail.outcome import Blame, Failed, Loss, Lost, Relayed, Stage
from pillarbox.queue.message import Attempt, Claim, SessionFacts
from pillarbox.queue.record import answer_of
from pillarbox.relays.suspension import Trouble
from pillarbox.relays.versions import Relay

_PUT_BACK = timedelta(seconds=1)  # until what could not be sent for our own sake is due again
_log = log.logger("delivery")
_TOLD = ("message", "delivery", "attempt", "relay", "outcome", "answer")
_say_attempt = log.frequent("delivery", "attempt", _TOLD)
_say_old_attempt = log.frequent("delivery", "attempt of an old lease, not recorded", _TOLD)


class Work(Protocol):
    """Where couriers get what they carry."""

    def next(self) -> tuple[Claim, Relay] | None:
        """The next claim, and the relay as it is now that carries it. None: come home."""
        ...

    def still_holds(self, relay: Relay) -> bool:
        """Whether the relay is as it was, and couriers may go on with it."""
        ...

    def give_back(self, claim: Claim) -> None:
        """It was taken and not tried."""
        ...

    def let_go(self, claim: Claim) -> None:
        """It is recorded, or back in the queue."""
        ...


@dataclass(frozen=True, slots=True)
class Office:
    """What the couriers of one relay share. told holds ids of sessions that are on record."""

    equipment: Equipment
    pool: SessionPool
    reputation: Reputation
    recording: Recording
    work: Work
    told: set[str]


class Courier:
    """Takes one message after another to the relay."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._work = office.work
        self._queue = office.equipment.queue
        self._clock = office.equipment.clock
        self._carrier: Carrier | None = None  # on which `_following` is begun
        self._following: tuple[Errand, Relay] | None = None
        self.claims: list[Claim] = []
        """What it has in hand at this moment: one, and perhaps the one that comes behind it."""

    async def run(self) -> None:
        while (taken := self._take()) is not None:
            claim, relay = taken
            with trace.span("attempt", message=claim.message_id, relay=relay.name):
                await self._deliver(claim, relay)
            self.claims.remove(claim)

    def _take(self) -> tuple[Claim, Relay] | None:
        if self._following is not None:
            errand, relay = self._following
            if self._work.still_holds(relay):
                return errand.claim, relay
            self._turn_back(errand)
        taken = self._work.next()
        if taken is not None:
            self.claims.append(taken[0])
        return taken

    def _turn_back(self, errand: Errand) -> None:
        """The relay changed or has trouble: what was begun behind the last message is let go."""
        if self._carrier is not None:
            self._carrier.drop()
        self._carrier = self._following = None
        self.claims.remove(errand.claim)
        self._work.give_back(errand.claim)

    async def _deliver(self, claim: Claim, relay: Relay) -> None:
        started_at = self._clock.now()
        if claim.is_dead_at(started_at) and self._following is None:
            await self._queue.release(claim.tickets, wait=timedelta(0))
            self._work.let_go(claim)
            return
        try:
            carrier, carried = await self._with_content(claim, relay)
        except Unavailable as error:
            await self._put_back(claim, error)
            return
        facts = None if isinstance(carrier, Unopened) else carrier.facts
        judged = self._judged(claim, carried, relay, started_at)
        trouble = self._office.reputation.learn(relay, judged)
        if trouble is not None or relay.rest is not None:
            await self._heed(relay, trouble)
        self._record(_Ended(claim, relay, judged, carried.transcript, facts, started_at))

    async def _with_content(self, claim: Claim, relay: Relay) -> tuple[Carrier | Unopened, Carried]:
        """A large content is read when there is room for it, and let go when it was carried."""
        if self._following is not None:
            return await self._carry(self._following[0], relay)
        if claim.octets is not None:
            return await self._carry(self._errand(claim, claim.octets), relay)
        async with self._office.equipment.room.hold(claim.size):
            octets = await self._queue.content_of(claim.message_id)
            if octets is None:
                raise NotFound(f"the content of {claim.message_id} is gone")
            return await self._carry(self._errand(claim, octets), relay)

    def _errand(self, claim: Claim, octets: bytes) -> Errand:
        content = Content(octets, claim.is_eight_bit, claim.needs_smtputf8)
        return Errand(claim, content, partial(self._queue.point_of_no_return, claim.tickets))

    def _behind(self, carrier: Carrier, relay: Relay) -> Errand | None:
        """What goes on the same session next. What is special in any way waits for its turn."""
        office = self._office
        is_proven = office.reputation.proven_version == relay.version
        if not is_proven or not office.pool.may_go_on(carrier, relay):
            return None
        taken = self._work.next()
        if taken is None:
            return None
        claim, now_relay = taken
        is_plain = claim.octets is not None and not claim.is_dead_at(self._clock.now())
        if not is_plain or now_relay is not relay:
            self._work.give_back(claim)
            return None
        assert claim.octets is not None
        self.claims.append(claim)
        errand = self._errand(claim, claim.octets)
        self._following = errand, relay
        return errand

    def _judged(
        self, claim: Claim, carried: Carried, relay: Relay, began_at: datetime
    ) -> list[Judged]:
        carries = self._office.reputation.carries(relay)
        stands_in = claim.relay_id != relay.id
        return [
            judge(
                carried.outcomes[path],
                relay,
                began_at=began_at,
                carries=carries,
                stands_in=stands_in,
            )
            for path in claim.envelope.forward_paths
        ]

    async def _heed(self, relay: Relay, trouble: Trouble | None) -> None:
        """Before anybody begins anything else: a relay with trouble rests, one that works may."""
        recording, registry = self._office.recording, self._office.equipment.registry
        if trouble is not None:
            await recording.until_stored(partial(registry.rest, trouble))
        elif self._office.reputation.proven_version == relay.version:
            await recording.until_stored(partial(registry.resume, relay))

    async def _put_back(self, claim: Claim, error: Unavailable) -> None:
        """The point of no return could not be stored, so the dot was not sent."""
        _log.error("delivery put back: the database is away", cause=str(error))
        give_back = partial(self._queue.release, claim.tickets, wait=_PUT_BACK)
        await self._office.recording.until_stored(give_back)
        self._work.let_go(claim)

    async def _carry(self, errand: Errand, relay: Relay) -> tuple[Carrier | Unopened, Carried]:
        carrier, self._carrier, self._following = self._carrier, None, None
        carrier = carrier or self._office.pool.borrow(relay)
        if carrier is not None:
            carried = await self._carry_on(carrier, errand, relay)
            if not was_stale(carrier, carried):
                return carrier, carried
            self._office.pool.say_goodbye(carrier)
        fresh = await self._open(relay)
        if isinstance(fresh, Unopened):
            failed = dict.fromkeys(errand.claim.envelope.forward_paths, fresh.failure)
            return fresh, Carried(failed, fresh.transcript)
        return fresh, await self._carry_on(fresh, errand, relay)

    async def _carry_on(self, carrier: Carrier, errand: Errand, relay: Relay) -> Carried:
        """Afterwards the session is ours for what was begun on it, or anybody's."""
        carried = await carrier.carry(errand, partial(self._behind, carrier, relay))
        if self._following is not None and carrier.is_usable:
            self._carrier = carrier
        elif not was_stale(carrier, carried):
            self._office.pool.give_back(carrier, relay)
        return carried

    async def _open(self, relay: Relay) -> Carrier | Unopened:
        """Settings that cannot be used, such as a secret that stays shut, are the relay's fault."""
        equipment = self._office.equipment
        try:
            carrier = await open_with_token(relay, equipment)
            if not isinstance(carrier, Unopened):
                equipment.sessions.open(relay.id, carrier)
            return carrier
        except (Unusable, Invalid) as error:
            lost = Lost(Loss.UNUSABLE_SETTINGS, str(error))
            failed = Failed(Stage.CONFIGURATION, Blame.RELAY, permanent=False, answer=lost)
            return Unopened(failed, f"*: {error}")

    def _record(self, ended: _Ended) -> None:
        """Nobody waits for it: the session is free for the next message."""
        trace.note("outcome", type(ended.judged[0].outcome).__name__.lower())
        attempts = self._attempts(ended)
        self._office.recording.begin(attempts, partial(self._recorded, ended, attempts))

    def _recorded(
        self, ended: _Ended, attempts: list[Attempt], recorded: Sequence[bool] | BaseException
    ) -> None:
        self._work.let_go(ended.claim)
        if isinstance(recorded, BaseException):
            interrupted(ended.claim, recorded)
            return
        if ended.session is not None and any(recorded):
            self._office.told.add(ended.session.id)
        for attempt, is_ours in zip(attempts, recorded, strict=True):
            _tell(attempt, ended.relay, is_ours=is_ours)

    def _attempts(self, ended: _Ended) -> list[Attempt]:
        claim, relay, session = ended.claim, ended.relay, ended.session
        is_told = session is None or session.id in self._office.told
        ended_at = self._clock.now()
        return [
            Attempt(
                id=self._office.equipment.ids.new("att"),
                message_id=claim.message_id,
                delivery=delivery,
                stream=claim.stream,
                relay_id=relay.id,
                relay_version=relay.version,
                session_id=session.id if session else None,
                started_at=ended.started_at,
                ended_at=ended_at,
                outcome=judged.outcome,
                advice=judged.advice,
                transcript=ended.transcript,
                chance=0.0 if isinstance(judged.outcome, Relayed) else chance(),
                session=None if is_told else session,
            )
            for delivery, judged in zip(claim.deliveries, ended.judged, strict=True)
        ]


def interrupted(claim: Claim, error: BaseException) -> None:
    """The lease runs out by itself, and the delivery comes back."""
    about = {"message": claim.message_id, "relay": claim.relay_id}
    _log.error("delivery interrupted", **about, exc_info=error)


class _Ended(NamedTuple):
    """What a transaction, or the try to begin one, came to."""

    claim: Claim
    relay: Relay
    judged: list[Judged]  # one for each forward path, in order
    transcript: str
    session: SessionFacts | None
    started_at: datetime


def _tell(attempt: Attempt, relay: Relay, *, is_ours: bool) -> None:
    outcome = type(attempt.outcome).__name__.lower()
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
