"""Take due deliveries for one relay: a lease so that no one else does, a fence so that it holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import (
    Connection,
    Row,
    bindparam,
    exists,
    func,
    select,
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

_columns = deliveries.c
_is_due = (
    _columns.relay_id == bindparam("wanted_relay"),
    _columns.priority == bindparam("wanted_priority"),
    _columns.due_at.is_not(None),
    _columns.due_at <= bindparam("at"),
)
_is_alive = _columns.expires_at > bindparam("at")
_HAS_DUE = select(exists().where(*_is_due))
# Who claims holds the message's row for that moment: of two processes, one gets all of its
# recipients and the other none of them.
_PICK = (
    select(messages.c.id)
    .join(deliveries, _columns.message_id == messages.c.id)
    .where(*_is_due, _is_alive)
    .order_by(_columns.due_at)
    .limit(bindparam("at_most"))
    .with_for_update(of=messages, key_share=True, skip_locked=True)
)
# By message, whatever the planner thinks: an index over all that is due would grow with the
# backlog. coalesce keeps it from those, and is false for NULL.
_LEASE = (
    update(deliveries)
    .where(
        _columns.message_id.in_(bindparam("messages", expanding=True)),
        _columns.relay_id == bindparam("wanted_relay"),
        _columns.priority == bindparam("wanted_priority"),
        func.coalesce(_columns.due_at, bindparam("until")) <= bindparam("at"),
        func.coalesce(_columns.expires_at, bindparam("at")) > bindparam("at"),
    )
    .values(
        state=DeliveryState.SENDING.value,
        due_at=None,
        lease_until=bindparam("until"),
        pointed_at=None,
        fence=_columns.fence + 1,
        tries=_columns.tries + 1,
        changed_at=bindparam("at"),
    )
    .returning(deliveries)
)
# For a relay that stands in for another: what names it. Mail in doubt stays with its relay.
_is_listed = _columns.stand_ins == bindparam("wanted_list")
_is_certain = _columns.in_doubt.is_(False)
_PICK_LISTED = (
    select(messages.c.id)
    .join(deliveries, _columns.message_id == messages.c.id)
    .where(*_is_due, _is_listed, _is_alive, _is_certain)
    .order_by(_columns.due_at)
    .limit(bindparam("at_most"))
    .with_for_update(of=messages, key_share=True, skip_locked=True)
)
_LEASE_LISTED = _LEASE.where(_is_listed, _is_certain)
_HAS_LISTED = select(exists().where(*_is_due, _is_listed, _is_certain))
_NEXT_LIST = select(func.min(_columns.stand_ins)).where(
    _columns.relay_id == bindparam("wanted_relay"),
    _columns.due_at.is_not(None),
    _columns.stand_ins > bindparam("after"),
)
_CLAIMED_MESSAGES = (
    select(messages, contents.c.octets)
    .outerjoin(
        contents, (contents.c.message_id == messages.c.id) & (messages.c.size <= _TRAVELS_ALONG)
    )
    .where(messages.c.id.in_(bindparam("ids", expanding=True)))
)
_is_held = (
    tuple_(_columns.id, _columns.fence).in_(bindparam("tickets", expanding=True)),
    _columns.state == DeliveryState.SENDING.value,
)
_PASS_THE_POINT = (
    update(deliveries)
    .where(*_is_held, _is_alive)
    .values(lease_until=bindparam("until"), pointed_at=bindparam("at"))
    .returning(_columns.id, _columns.fence)
)
_STEP_BACK = (
    update(deliveries).where(*_is_held).values(lease_until=bindparam("until"), pointed_at=None)
)
_RENEW = (
    update(deliveries)
    .where(*_is_held, _columns.pointed_at.is_(None))
    .values(lease_until=bindparam("until"))
    .returning(_columns.id, _columns.fence)
)


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """
    How many messages of which relay a worker can take now. With stand_ins, those that have
    exactly these: another relay takes them in its stead.
    """

    relay_id: str
    limit: int
    now: datetime
    stand_ins: str | None = None


def claim(connection: Connection, requests: Sequence[ClaimRequest]) -> list[list[Claim]]:
    """For each request, the claims it got, those of the most urgent stream first."""
    return [_claim(connection, request) for request in requests]


def point_of_no_return(
    connection: Connection, asked: Sequence[tuple[tuple[Ticket, ...], datetime]]
) -> list[bool]:
    """
    Note, before the final dot, that it may be sent; and lease until its answer must be here.

    False for whoever no longer holds every lease, and for what is dead by now: the dot must
    not be sent.
    """
    tickets = [ticket for wanted, _ in asked for ticket in wanted]
    now = max(now for _, now in asked)
    asked_for = {"tickets": tickets, "at": now, "until": now + FINAL_LEASE}
    held = {(row.id, row.fence) for row in connection.execute(_PASS_THE_POINT, asked_for)}
    may_send = [held.issuperset(wanted) for wanted, _ in asked]
    in_vain = [wanted for (wanted, _), may in zip(asked, may_send, strict=True) if not may]
    if stranded := held.intersection(ticket for wanted in in_vain for ticket in wanted):
        # Their dot is not sent: nothing about them is uncertain.
        connection.execute(_STEP_BACK, {"tickets": list(stranded), "until": now + LEASE})
    return may_send


def renew(connection: Connection, tickets: Sequence[Ticket], now: datetime) -> set[Ticket]:
    """Lengthen leases; the tickets whose lease holds. Past the dot it is long enough already."""
    asked_for = {"tickets": tickets, "until": now + LEASE}
    return {(row.id, row.fence) for row in connection.execute(_RENEW, asked_for)}


def due_relays(connection: Connection, relay_ids: Sequence[str], now: datetime) -> set[str]:
    """Those of the relays that have something to claim. Costs the same however much waits."""
    return {relay_id for relay_id in relay_ids if _has_due(connection, relay_id, now)}


def due_lists(
    connection: Connection, relay_ids: Sequence[str], now: datetime
) -> list[tuple[str, str]]:
    """Relay and stand-ins of what is due. Costs a look for each list there is."""
    return [
        (relay_id, stand_ins)
        for relay_id in relay_ids
        for stand_ins in _lists(connection, relay_id)
        if _has_due(connection, relay_id, now, stand_ins)
    ]


def _lists(connection: Connection, relay_id: str) -> Iterator[str]:
    after = ""
    while found := connection.scalar(_NEXT_LIST, {"wanted_relay": relay_id, "after": after}):
        yield found
        after = found


def content_of(connection: Connection, message_id: str) -> bytes | None:
    """The octets that every attempt sends, or None once retention has dropped them."""
    query = select(contents.c.octets).where(contents.c.message_id == message_id)
    return connection.scalar(query)


def _has_due(
    connection: Connection, relay_id: str, now: datetime, stand_ins: str | None = None
) -> bool:
    asked: dict[str, Any] = {"wanted_relay": relay_id, "at": now}
    query = _HAS_DUE
    if stand_ins is not None:
        asked, query = asked | {"wanted_list": stand_ins}, _HAS_LISTED
    return any(
        connection.scalar(query, asked | {"wanted_priority": stream.priority})
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
    asked = {
        "wanted_relay": request.relay_id,
        "wanted_priority": priority,
        "at": request.now,
        "until": request.now + LEASE,
        "at_most": limit,
    }
    pick, lease = _PICK, _LEASE
    if request.stand_ins is not None:
        asked, pick, lease = asked | {"wanted_list": request.stand_ins}, _PICK_LISTED, _LEASE_LISTED
    picked = list(dict.fromkeys(connection.scalars(pick, asked)))
    if not picked:
        return []
    return connection.execute(lease, asked | {"messages": picked}).all()


def _claims(connection: Connection, rows: Iterable[Row[Any]], now: datetime) -> Iterable[Claim]:
    """One claim a message: its deliveries travel together."""
    together = sorted(rows, key=lambda row: (row.priority, row.message_id, row.id))
    wanted = {row.message_id for row in together}
    known = {row.id: row for row in connection.execute(_CLAIMED_MESSAGES, {"ids": list(wanted)})}
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
