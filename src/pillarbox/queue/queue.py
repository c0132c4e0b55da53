"""The queue as the rest of pillarbox holds it: each verb of this package, on one database."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import datetime, timedelta
from functools import partial

from pillarbox.base import trace
from pillarbox.base.clock import Clock
from pillarbox.base.db.bell import Bell
from pillarbox.base.db.database import Database
from pillarbox.base.errors import Unavailable
from pillarbox.queue import (
    browse,
    claim,
    clock_step,
    contents,
    control,
    enqueue,
    record,
    retention,
)
from pillarbox.queue.claim import ClaimRequest, Ticket
from pillarbox.queue.control import Wish
from pillarbox.queue.lanes import Turns
from pillarbox.queue.message import Attempt, Claim, Message, Parcel, Receipt
from pillarbox.queue.record import Release
from pillarbox.queue.retention import Retention
from pillarbox.queue.standing import StandingOrder, StandingOrders, claim_of
from pillarbox.queue.tally import Tally


class Queue:
    """Messages and deliveries. Every method returns when what it did is on stable storage."""

    def __init__(self, database: Database, clock: Clock, bell: Bell) -> None:
        self._database = database
        self._clock = clock
        self._bell = bell
        self._turns = Turns()
        self.standing = StandingOrders()
        """Who waits for what is accepted next."""
        self._giving_back: set[asyncio.Task[None]] = set()
        self.tally = Tally()
        """What this process has taken in and tried since it started."""

    async def enqueue(self, parcel: Parcel) -> Receipt:
        """
        Store a message, and hand it to the worker that waits for it, or ring.

        Raises Mismatch for a reused idempotency key.
        """
        with trace.span("commit", message=parcel.id, stream=parcel.stream.name):
            order = self.standing.promise(parcel)
            if order is not None:
                receipt = await self._store_for(order, parcel)
            else:
                receipt = await self._database.share(enqueue.enqueue, parcel)
                self._call(parcel)
        if not receipt.replayed:
            self.tally.accept(parcel)
        return receipt

    async def _store_for(self, order: StandingOrder, parcel: Parcel) -> Receipt:
        """A caller who goes away meanwhile does not take the message along."""
        now = self._clock.now()
        told = partial(self._hand_over, order, parcel, now)
        try:
            stored: asyncio.Future[Receipt] = self._database.share(
                enqueue.enqueue_leased, (parcel, now + claim.LEASE), told
            )
        except Unavailable:
            order.break_off()
            raise
        return await stored

    def _hand_over(
        self, order: StandingOrder, parcel: Parcel, now: datetime, stored: Receipt | BaseException
    ) -> None:
        if isinstance(stored, BaseException) or stored.replayed:
            order.break_off()
            return
        claimed = claim_of(parcel, now)
        if not order.keep(claimed):
            task = asyncio.create_task(self._put_back(claimed), name="give back")
            self._giving_back.add(task)
            task.add_done_callback(self._giving_back.discard)

    async def _put_back(self, claimed: Claim) -> None:
        """Nobody is there to carry it any more. If this fails too, its lease runs out."""
        with contextlib.suppress(Unavailable):
            await self.release(claimed.tickets, wait=timedelta(0))
            self._bell.ring()

    def _call(self, parcel: Parcel) -> None:
        """Tell the worker that is at it, or everybody who might be."""
        order = self.standing.of(parcel)
        if order is not None:
            order.pass_by()
        if order is None or self._database.is_shared:
            self._bell.ring()

    async def find_key(self, scope: str, key: str, fingerprint: str) -> Receipt | None:
        """The receipt of the request that used this key. Raises Mismatch for another request."""
        return await self._database.read(
            lambda connection: enqueue.find_key(connection, scope, key, fingerprint)
        )

    async def claim(
        self, relay_id: str, limit: int, *, stand_ins: str | None = None
    ) -> list[Claim]:
        """
        The due deliveries of up to limit messages of a relay, leased to the caller; with
        stand_ins only those that have exactly these.
        """
        request = ClaimRequest(relay_id, limit, self._clock.now(), stand_ins, self._turns)
        return await self._database.share(claim.claim, request)

    def point_of_no_return(self, tickets: tuple[Ticket, ...]) -> asyncio.Future[bool]:
        """Commit that the final dot may be sent now. False: somebody else has the lease."""
        return self._database.share(claim.point_of_no_return, (tickets, self._clock.now()))

    async def renew(self, tickets: list[Ticket]) -> set[Ticket]:
        """Lengthen leases; those that still hold."""
        now = self._clock.now()
        return await self._database.write(lambda connection: claim.renew(connection, tickets, now))

    def record(self, attempt: Attempt) -> asyncio.Future[bool]:
        """Write down how an attempt ended. False: somebody else has the delivery by now."""
        return self._database.share(record.record, attempt, partial(self._count, attempt))

    def _count(self, attempt: Attempt, recorded: bool | BaseException) -> None:
        if recorded is True:
            self.tally.end(attempt)

    async def release(self, tickets: tuple[Ticket, ...], *, wait: timedelta) -> None:
        """Give back deliveries that were claimed and not tried; due again after wait."""
        now = self._clock.now()
        await self._database.share(record.release, Release(tickets, now, now + wait))

    async def recover(self, *, everything: bool) -> int:
        """Take back what a vanished worker held; how many."""
        now = self._clock.now()
        return await self._database.write(
            lambda connection: record.recover(connection, now, everything=everything)
        )

    async def follow_clock(self) -> int:
        """After the clock was set back: make due what only the old clock kept waiting."""
        now = self._clock.now()
        return await self._database.write(lambda connection: clock_step.follow(connection, now))

    async def due_relays(self, relay_ids: list[str]) -> set[str]:
        """Those that have something to claim now."""
        now = self._clock.now()
        return await self._database.read(
            lambda connection: claim.due_relays(connection, relay_ids, now)
        )

    async def due_lists(self, relay_ids: list[str]) -> list[tuple[str, str]]:
        """Of what these relays have due, who would stand in: (relay id, stand_ins)."""
        now = self._clock.now()
        return await self._database.read(
            lambda connection: claim.due_lists(connection, relay_ids, now)
        )

    async def content_of(self, message_id: str) -> bytes | None:
        """The octets that every attempt sends, or None once retention has dropped them."""
        return await self._database.read(
            lambda connection: contents.content_of(connection, message_id)
        )

    async def message(self, message_id: str) -> Message:
        """Raises NotFound."""
        return await self._database.read(lambda connection: browse.message(connection, message_id))

    async def check_owner(self, message_id: str, tenant: str) -> None:
        """Raises NotFound for a message of somebody else, as for one that there is not."""
        await self._database.read(
            lambda connection: browse.check_owner(connection, message_id, tenant)
        )

    async def messages(self, page: browse.Page) -> tuple[list[Message], bool]:
        """A page, newest first, and whether there is more."""
        return await self._database.read(lambda connection: browse.list_messages(connection, page))

    async def history(self, message_id: str) -> browse.History:
        """Every attempt of a message and the sessions they were made on."""
        return await self._database.read(lambda connection: browse.history(connection, message_id))

    async def waiting(self) -> int:
        """How many deliveries are not at their end."""
        return await self._database.read(browse.waiting)

    async def cancel(self, message_id: str, principal: str) -> int:
        """Withdraw what has not left; how many. Raises NotFound, Conflict."""
        wish = Wish(message_id, principal, self._clock.now())
        return await self._database.write(lambda connection: control.cancel(connection, wish))

    async def hold(self, message_id: str, principal: str) -> int:
        """Keep what waits until somebody releases it; how many. Raises NotFound, Conflict."""
        wish = Wish(message_id, principal, self._clock.now())
        return await self._database.write(lambda connection: control.hold(connection, wish))

    async def release_held(
        self, message_id: str, principal: str, *, relay_id: str | None = None
    ) -> int:
        """Let go what is held, by relay_id if given; how many. Raises NotFound, Conflict."""
        wish = Wish(message_id, principal, self._clock.now(), relay_id)
        count = await self._database.write(lambda connection: control.release(connection, wish))
        self._bell.ring()
        return count

    async def reschedule(self, message_id: str, principal: str, send_at: datetime | None) -> int:
        """Send it at another moment, None for now. Raises NotFound, Conflict, Invalid."""
        wish = Wish(message_id, principal, self._clock.now())
        count = await self._database.write(
            lambda connection: control.reschedule(connection, wish, send_at)
        )
        self._bell.ring()
        return count

    async def retry(self, message_id: str, principal: str, *, relay_id: str | None = None) -> int:
        """
        Try again now what can be tried again, by relay_id if one is given; how many.

        Raises NotFound, Conflict.
        """
        wish = Wish(message_id, principal, self._clock.now(), relay_id)
        count = await self._database.write(lambda connection: control.retry(connection, wish))
        self._bell.ring()
        return count

    async def hold_of_relay(self, relay_id: str, principal: str) -> int:
        """Hold what waits for a relay that is gone; how many."""
        now = self._clock.now()
        return await self._database.write(
            lambda connection: control.hold_of_relay(connection, relay_id, principal, now)
        )

    async def relays_waited_for(self) -> set[str]:
        """The ids of all relays that mail waits for, whether they are there or not."""
        return await self._database.read(control.relays_waited_for)

    async def expire(self) -> int:
        """End what waited past its time; how many, at most one batch."""
        now = self._clock.now()
        return await self._database.write(lambda connection: control.expire(connection, now))

    async def forget(self, kept: Retention) -> int:
        """Drop finished mail that has been kept long enough; how many, at most one batch."""
        now = self._clock.now()
        return await self._database.write(
            lambda connection: retention.forget(connection, now, kept)
        )
