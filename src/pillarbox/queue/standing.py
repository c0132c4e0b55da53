"""
Standing orders: mail that a worker has claimed in the very commit that stores it.

A worker that has room and knows of nothing else that is due leaves a standing order. What is
accepted for its relay is then stored as claimed, and handed over when it is on stable storage.
The database stays the truth: if we die in between, the lease ends like any other.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from pillarbox.queue.claim import TRAVELS_ALONG
from pillarbox.queue.message import Claim, ClaimedDelivery, Parcel


class Taker(Protocol):
    """Who carries the mail of one relay."""

    @property
    def room(self) -> int:
        """How many more messages it takes; 0 while it must not, or others go first."""
        ...

    def take(self, claim: Claim) -> None:
        """It is stored, and the lease is yours."""
        ...

    def nudge(self) -> None:
        """There may be something to claim."""
        ...


class StandingOrder:
    """One taker's. promised counts what is being stored for it at this moment."""

    def __init__(self, taker: Taker) -> None:
        self._taker = taker
        self._is_withdrawn = False
        self.promised = 0

    def promise(self) -> bool:
        """Whether there is room for one more, which is then kept for it."""
        is_kept = self.promised < self._taker.room
        self.promised += is_kept
        return is_kept

    def keep(self, claim: Claim) -> bool:
        """Hand over what was promised. False when nobody is there any more to take it."""
        self.promised -= 1
        if not self._is_withdrawn:
            self._taker.take(claim)
        return not self._is_withdrawn

    def break_off(self) -> None:
        """What was promised was not stored."""
        self.promised -= 1
        self.pass_by()

    def pass_by(self) -> None:
        """Something was stored that the order does not hold for."""
        if not self._is_withdrawn:
            self._taker.nudge()

    def withdraw(self) -> None:
        self._is_withdrawn = True


class StandingOrders:
    """The orders of this process, one for each relay at most."""

    def __init__(self) -> None:
        self._orders: dict[str, StandingOrder] = {}

    def place(self, relay_id: str, taker: Taker) -> StandingOrder:
        """Until it is cancelled."""
        order = self._orders[relay_id] = StandingOrder(taker)
        return order

    def cancel(self, relay_id: str) -> None:
        """What is promised and comes later is given back to the queue."""
        if order := self._orders.pop(relay_id, None):
            order.withdraw()

    def promise(self, parcel: Parcel) -> StandingOrder | None:
        """The order that gets this message; None: it waits in the queue like any other."""
        order = self.of(parcel)
        if order is None or parcel.is_scheduled or parcel.content.size > TRAVELS_ALONG:
            return None
        return order if order.promise() else None

    def of(self, parcel: Parcel) -> StandingOrder | None:
        """The order for the one relay that carries it. None also where others may stand in."""
        for each in parcel.destinations:
            if each.relay_id != parcel.relay_id or each.stand_ins is not None:
                return None
        return self._orders.get(parcel.relay_id)


def claim_of(parcel: Parcel, now: datetime) -> Claim:
    """The claim on a message that was stored with a lease."""
    paths = zip(parcel.delivery_ids, parcel.envelope.forward_paths, strict=True)
    content = parcel.content
    return Claim(
        message_id=parcel.id,
        relay_id=parcel.relay_id,
        stream=parcel.stream,
        envelope=parcel.envelope,
        size=content.size,
        is_eight_bit=content.is_eight_bit,
        needs_smtputf8=content.needs_smtputf8,
        claimed_at=now,
        deliveries=tuple(
            [
                ClaimedDelivery(
                    id=delivery_id,
                    forward_path=str(path),
                    fence=1,
                    attempts=0,
                    tries=1,
                    in_doubt=False,
                    expires_at=parcel.expires_at,
                )
                for delivery_id, path in paths
            ]
        ),
        octets=content.octets,
    )
