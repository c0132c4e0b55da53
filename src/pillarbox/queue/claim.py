"""Take due deliveries for one relay: a lease so that no one else does, a fence so that it holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    bindparam,
    exists,
    select,
    true,
    tuple_,
    update,
)

from pillarbox.mail.address import Address
from pillarbox.mail.envelope import Envelope
from pillarbox.queue.message import Claim, ClaimedDelivery
from pillarbox.queue.state import DeliveryState
from pillarbox.queue.streams import STREAMS
from pillarbox.queue.tables import contents, deliveries, messages

LEASE = timedelta(seconds=60)
FINAL_LEASE = timedelta(seconds=660)  # ten minutes for the answer to the dot, and one to spare
_TRAVELS_ALONG = 65_536  # octets; larger contents are read when their turn comes

Ticket = tuple[str, int]
"""(delivery id, fence)."""


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """How many messages of which relay a worker can take now."""

    relay_id: str
    limit: int
    now: datetime


def claim(connection: Connection, requests: Sequence[ClaimRequest]) -> list[list[Claim]]:
    """For each request, the claims it got, those of the most urgent stream first."""
    return [_claim(connection, request) for request in requests]


def point_of_no_return(
    connection: Connection, asked: Sequence[tuple[tuple[Ticket, ...], datetime]]
) -> list[bool]:
    """
    Note, before the final dot, that it may be sent; and lease until its answer must be here.

    False for whoever no longer holds every lease: the dot must not be sent.
    """
    tickets = [ticket for wanted, _ in asked for ticket in wanted]
    now = max(now for _, now in asked)
    held = _renew(connection, tickets, true(), lease_until=now + FINAL_LEASE, pointed_at=now)
    return [all(ticket in held for ticket in wanted) for wanted, _ in asked]


def renew(connection: Connection, tickets: Sequence[Ticket], now: datetime) -> set[Ticket]:
    """Lengthen leases; the tickets whose lease holds. Past the dot it is long enough already."""
    before_the_dot = deliveries.c.pointed_at.is_(None)
    return _renew(connection, tickets, before_the_dot, lease_until=now + LEASE)


def due_relays(connection: Connection, relay_ids: Sequence[str], now: datetime) -> set[str]:
    """Those of the relays that have something to claim. Costs the same however much waits."""
    return {relay_id for relay_id in relay_ids if _has_due(connection, relay_id, now)}


def content_of(connection: Connection, message_id: str) -> bytes | None:
    """The octets that every attempt sends, or None once retention has dropped them."""
    query = select(contents.c.octets).where(contents.c.message_id == message_id)
    return connection.scalar(query)


def _has_due(connection: Connection, relay_id: str, now: datetime) -> bool:
    due = exists().where(
        deliveries.c.relay_id == bindparam("relay_id"),
        deliveries.c.priority == bindparam("priority"),
        deliveries.c.due_at.is_not(None),
        deliveries.c.due_at <= bindparam("now"),
    )
    return any(
        connection.scalar(
            select(due), {"relay_id": relay_id, "priority": stream.priority, "now": now}
        )
        for stream in STREAMS.values()
    )


def _claim(connection: Connection, request: ClaimRequest) -> list[Claim]:
    rows: list[Row[Any]] = []
    for stream in sorted(STREAMS.values(), key=lambda each: each.priority):
        if len(rows) < request.limit:
            rows += _lease(connection, request, stream.priority, request.limit - len(rows))
    return list(_claims(connection, rows, request.now))


def _lease(
    connection: Connection, request: ClaimRequest, priority: int, limit: int
) -> Sequence[Row[Any]]:
    """All that is due of the next messages: recipients of one message travel together."""
    columns = deliveries.c
    is_due = (
        columns.relay_id == request.relay_id,
        columns.priority == priority,
        columns.due_at.is_not(None),
        columns.due_at <= request.now,
        columns.expires_at > request.now,
    )
    next_messages = (
        select(columns.message_id)
        .where(*is_due)
        .order_by(columns.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return connection.execute(
        update(deliveries)
        .where(columns.message_id.in_(next_messages), *is_due)
        .values(
            state=DeliveryState.SENDING.value,
            due_at=None,
            lease_until=request.now + LEASE,
            pointed_at=None,
            fence=columns.fence + 1,
            tries=columns.tries + 1,
            changed_at=request.now,
        )
        .returning(deliveries)
    ).all()


def _claims(connection: Connection, rows: Iterable[Row[Any]], now: datetime) -> Iterable[Claim]:
    """One claim a message: its deliveries travel together."""
    together = sorted(rows, key=lambda row: (row.priority, row.message_id, row.id))
    wanted = {row.message_id: row for row in together}
    known = {
        row.id: row
        for row in connection.execute(
            select(messages, contents.c.octets)
            .outerjoin(
                contents,
                (contents.c.message_id == messages.c.id) & (messages.c.size <= _TRAVELS_ALONG),
            )
            .where(messages.c.id.in_(wanted))
        )
    }
    for message_id, group in groupby(together, key=lambda row: row.message_id):
        message, siblings = known[message_id], list(group)
        yield Claim(
            message_id=message_id,
            relay_id=siblings[0].relay_id,
            stream=STREAMS[message.stream],
            envelope=Envelope(
                _address(message.reverse_path),
                tuple(_stored(row.forward_path) for row in siblings),
            ),
            size=message.size,
            is_eight_bit=message.is_eight_bit,
            needs_smtputf8=message.needs_smtputf8,
            claimed_at=now,
            deliveries=tuple(_delivery(row) for row in siblings),
            octets=message.octets,
        )


def _delivery(row: Row[Any]) -> ClaimedDelivery:
    return ClaimedDelivery(
        id=row.id,
        forward_path=row.forward_path,
        fence=row.fence,
        attempts=row.attempts,
        tries=row.tries,
        in_doubt=row.in_doubt,
        expires_at=row.expires_at,
    )


def _address(path: str | None) -> Address | None:
    return None if path is None else _stored(path)


def _stored(path: str) -> Address:
    """A path as we wrote it: it was checked when it was accepted."""
    local_part, _, domain = path.rpartition("@")
    return Address(local_part, domain)


def _renew(
    connection: Connection,
    tickets: Sequence[Ticket],
    condition: ColumnElement[bool],
    **values: datetime,
) -> set[Ticket]:
    columns = deliveries.c
    renewed = connection.execute(
        update(deliveries)
        .where(
            tuple_(columns.id, columns.fence).in_(tickets),
            columns.state == DeliveryState.SENDING.value,
            condition,
        )
        .values(**values)
        .returning(columns.id, columns.fence)
    )
    return {(row.id, row.fence) for row in renewed}
