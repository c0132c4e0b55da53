"""
The front half of a message's life: check, compose, store. Then, and only then, a receipt.

Steps 2 and 3 of docs/life-of-a-message.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from pillarbox.accept.capacity import Capacity
from pillarbox.accept.prepare import parcel_of
from pillarbox.accept.resend import Original, Resend, again
from pillarbox.accept.rules import Checked, send_at_problems
from pillarbox.accept.scopes import Scopes, nobody
from pillarbox.accept.submission import Submission
from pillarbox.base.clock import Clock
from pillarbox.base.errors import PillarboxError, Rejected, Unavailable
from pillarbox.base.ids import Ids
from pillarbox.mail.dkim import Signer, signed
from pillarbox.queue.message import Parcel, Receipt
from pillarbox.queue.queue import Queue
from pillarbox.relays.registry import Registry

Signers = Callable[[str], Sequence[Signer]]
"""Given the domain in From, in lower case, who signs for it."""


def _nobody(domain: str) -> Sequence[Signer]:
    return ()


class Acceptance:
    """Takes responsibility for submissions, or says everything that is wrong with them."""

    def __init__(
        self,
        queue: Queue,
        registry: Registry,
        clock: Clock,
        ids: Ids,
        capacity: Capacity | None = None,
    ) -> None:
        self._queue = queue
        self._capacity = capacity or Capacity(queue, clock)
        self._registry = registry
        self._clock = clock
        self._ids = ids
        self._signers: Signers = _nobody
        self._scopes = Scopes(registry, nobody)

    def sign_by(self, signers: Signers) -> None:
        """Sign what is accepted from now on, by whoever signs for the domain in From."""
        self._signers = signers

    def keep_apart(self, scopes: Scopes) -> None:
        """Hold tenants to their policies from now on; until then their mail is refused."""
        self._scopes = scopes

    async def shortage(self) -> Unavailable | None:
        """Why nothing new can be taken now, or None. To ask before a large body is read."""
        return await self._capacity.shortage()

    async def accept(self, submission: Submission) -> Receipt:
        """
        Returns when the message is on stable storage.

        Raises Rejected with every problem and its field, TooLarge, or Mismatch when the
        idempotency key came with another request before; DiskFull and QueueFull when no
        more can be taken, Unavailable when it could not be stored. Nothing is stored then.
        """
        now = self._clock.now()
        try:
            checked = self._checked(submission, now)
        except Rejected as nowhere:
            return await self._earlier_receipt(submission, nowhere)
        if checked.problems:
            return await self._earlier_receipt(submission, Rejected(checked.problems))
        if shortage := await self._capacity.shortage():
            return await self._earlier_receipt(submission, shortage)
        parcel = parcel_of(submission, checked, now, self._ids)
        del submission, checked  # its files are in the parcel, and need not be held twice
        return await self._store(self._signed(parcel))

    def preview(self, submission: Submission) -> bytes:
        """The octets that would be sent; nothing is stored. Raises as `accept` does."""
        now = self._clock.now()
        checked = self._checked(submission, now)
        return self._signed(parcel_of(submission, checked, now, self._ids)).content.octets

    async def resend(self, wish: Resend) -> Receipt:
        """
        Store the message again as a new one, for the relays it went to: accept/destinations.py.

        Raises NotFound, Rejected, Conflict, and what `accept` raises when it cannot be stored.
        """
        if wish.idempotency is not None:
            key = wish.idempotency
            receipt = await self._queue.find_key(key.scope, key.key, key.fingerprint)
            if receipt is not None:
                return receipt
        message = await self._queue.message(wish.message_id)
        octets = await self._queue.content_of(message.id)
        roster = self._scopes.roster(message.tenant)
        parcel = again(Original(message, octets, roster), wish, self._clock.now(), self._ids)
        if shortage := await self._capacity.shortage():
            raise shortage
        return await self._store(self._signed(parcel))

    async def reschedule(self, message_id: str, principal: str, send_at: datetime | None) -> int:
        """
        Send it at another moment, None for now; how many deliveries that concerns.

        Raises NotFound, Rejected or Invalid for a moment that is none, Conflict when it is
        too late for that.
        """
        if problems := list(send_at_problems(send_at, self._clock.now())):
            raise Rejected(problems)
        return await self._queue.reschedule(message_id, principal, send_at)

    def _checked(self, submission: Submission, now: datetime) -> Checked:
        """Raises Rejected for a tenant whose mail may go nowhere."""
        tenant = submission.principal.tenant
        checked = Checked(submission, self._scopes.roster(tenant), now)
        if tenant is not None:
            checked.problems += self._scopes.sender_problems(tenant, submission.draft)
        return checked

    def _signed(self, parcel: Parcel) -> Parcel:
        """Under the signatures of its author's domain. The octets are fixed after that."""
        signers = self._signers(_domain(parcel.from_header))
        if not signers or not self._scopes.may_be_signed(parcel):
            return parcel
        return parcel._replace(content=signed(parcel.content, signers, parcel.accepted_at))

    async def _store(self, parcel: Parcel) -> Receipt:
        receipt = await self._queue.enqueue(parcel)
        self._capacity.took(len(parcel.delivery_ids))
        return receipt

    async def _earlier_receipt(self, submission: Submission, error: PillarboxError) -> Receipt:
        """What was accepted stays accepted when its send_at has passed, or the disk is full."""
        known = submission.idempotency
        if known is not None:
            receipt = await self._queue.find_key(known.scope, known.key, known.fingerprint)
            if receipt is not None:
                return receipt
        raise error


def _domain(from_header: str) -> str:
    """Of the address that a From field ends with: `Ann <ann@b.example>`."""
    return from_header.rpartition("@")[2].rstrip("> ").lower()
