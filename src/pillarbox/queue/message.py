"""
What the queue holds and gives out: values, as the other packages see them.

Those that are made for every message are tuples with names: a frozen dataclass costs twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

from pillarbox.mail.content import Content
from pillarbox.mail.envelope import Envelope
from pillarbox.mail.outcome import Outcome
from pillarbox.queue.state import DeliveryState, summary
from pillarbox.queue.streams import Stream

_NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Destination:
    """The relay of one delivery, and who stands in for it: ids in order, commas between."""

    relay_id: str
    stand_ins: str | None = None


class Parcel(NamedTuple):
    """
    A message ready to be stored: checked, composed, its relay chosen.

    subject and from_header are decoded text for lists; the truth is in the content.
    """

    id: str
    accepted_at: datetime
    inlet: str
    principal: str
    stream: Stream
    relay_id: str
    envelope: Envelope
    content: Content
    from_header: str
    subject: str
    message_id_header: str
    expires_at: datetime
    delivery_ids: tuple[str, ...]
    send_at: datetime | None = None
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, str] = _NONE
    idempotency: Idempotency | None = None
    resent_from: str | None = None  # id of the message that this one repeats
    tenant: str | None = None  # whose it is, by id; None is the system's
    destinations: tuple[Destination, ...] = ()  # of each delivery; none: relay_id for all

    def destination(self, number: int) -> Destination:
        """Where the delivery of this number goes."""
        return self.destinations[number] if self.destinations else Destination(self.relay_id)

    @property
    def is_scheduled(self) -> bool:
        return self.send_at is not None and self.send_at > self.accepted_at

    @property
    def first_state(self) -> DeliveryState:
        return DeliveryState.SCHEDULED if self.is_scheduled else DeliveryState.QUEUED

    @property
    def first_due_at(self) -> datetime:
        due_at = self.send_at if self.is_scheduled else None
        return due_at or self.accepted_at


@dataclass(frozen=True, slots=True)
class Idempotency:
    """A caller's key for this request, and a SHA-256 of the request to tell a repeat by."""

    scope: str
    key: str
    fingerprint: str


class ClaimedDelivery(NamedTuple):
    """One forward path in a worker's hands. Only the holder of the fence may end the attempt."""

    id: str
    forward_path: str
    fence: int
    attempts: int  # that counted, before this one
    tries: int  # all, with this one
    in_doubt: bool
    expires_at: datetime


class Claim(NamedTuple):
    """Deliveries of one message to one relay that travel in one transaction."""

    message_id: str
    relay_id: str
    stream: Stream
    envelope: Envelope
    size: int
    is_eight_bit: bool
    needs_smtputf8: bool
    claimed_at: datetime
    deliveries: tuple[ClaimedDelivery, ...]
    octets: bytes | None = None  # None when too large to travel with the claim

    @property
    def tickets(self) -> tuple[tuple[str, int], ...]:
        """(delivery id, fence) of each."""
        return tuple([(delivery.id, delivery.fence) for delivery in self.deliveries])

    def is_dead_at(self, now: datetime) -> bool:
        """Whether the time of any of it is over: then it is not to be sent."""
        return min([delivery.expires_at for delivery in self.deliveries]) <= now


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFacts:
    """The connection that an attempt was made on, told once for all its attempts."""

    id: str
    opened_at: datetime
    host: str
    address: str
    tls: dict[str, str] | None
    mechanism: str | None
    transcript: str


class Attempt(NamedTuple):
    """One try of one delivery, as it ended."""

    id: str
    message_id: str
    delivery: ClaimedDelivery
    stream: Stream
    relay_id: str
    relay_version: int
    session_id: str | None
    started_at: datetime
    ended_at: datetime
    outcome: Outcome
    advice: str | None
    transcript: str
    chance: float  # in [0, 1), spreads the next attempts
    session: SessionFacts | None = None  # set on the first attempt of a session


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A delivery as a reader sees it."""

    id: str
    to: str
    state: DeliveryState
    relay_id: str
    attempts: int
    tries: int
    due_at: datetime | None
    changed_at: datetime
    answer: str | None
    advice: str | None
    possible_duplicate: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message as a reader sees it, without its content."""

    id: str
    accepted_at: datetime
    inlet: str
    principal: str
    stream: str
    relay_id: str
    reverse_path: str | None
    from_header: str
    subject: str
    message_id_header: str
    size: int
    send_at: datetime | None
    expires_at: datetime
    tags: tuple[str, ...]
    metadata: dict[str, str]
    deliveries: tuple[Delivery, ...]
    resent_from: str | None = None
    tenant: str | None = None

    @property
    def state(self) -> DeliveryState:
        return summary({delivery.state for delivery in self.deliveries})


class Receipt(NamedTuple):
    """
    Where a message is stored, and what was stored.

    parcel is None when an earlier request with the same key stored it: time has passed since.
    """

    message_id: str
    parcel: Parcel | None = None

    @property
    def replayed(self) -> bool:
        return self.parcel is None

    @property
    def message(self) -> Message | None:
        """The message as it was the moment after it was stored."""
        return None if self.parcel is None else as_stored(self.parcel)


def as_stored(parcel: Parcel) -> Message:
    """The parcel as a reader sees it the moment after it was stored."""
    state, due_at = parcel.first_state, parcel.first_due_at
    paths = zip(parcel.delivery_ids, parcel.envelope.forward_paths, strict=True)
    reverse_path = parcel.envelope.reverse_path
    return Message(
        id=parcel.id,
        accepted_at=parcel.accepted_at,
        inlet=parcel.inlet,
        principal=parcel.principal,
        stream=parcel.stream.name,
        relay_id=parcel.relay_id,
        reverse_path=None if reverse_path is None else str(reverse_path),
        from_header=parcel.from_header,
        subject=parcel.subject,
        message_id_header=parcel.message_id_header,
        size=parcel.content.size,
        send_at=parcel.send_at,
        expires_at=parcel.expires_at,
        tags=parcel.tags,
        metadata=dict(parcel.metadata),
        resent_from=parcel.resent_from,
        tenant=parcel.tenant,
        deliveries=tuple(
            Delivery(
                id=delivery_id,
                to=str(path),
                state=state,
                relay_id=parcel.destination(number).relay_id,
                attempts=0,
                tries=0,
                due_at=due_at,
                changed_at=parcel.accepted_at,
                answer=None,
                advice=None,
                possible_duplicate=False,
            )
            for number, (delivery_id, path) in enumerate(paths)
        ),
    )
