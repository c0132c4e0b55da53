"""Take due deliveries for one relay: a lease so that no one else does, a fence so that it holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import compress, groupby
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Integer,
    String,
    and_,
    bindparam,
    false,
    func,
    literal_column,
    select,
    tuple_,
    type_coerce,
    update,
)

from pillarbox.base.db.direct import Direct
from pillarbox.base.db.fenced import Fenced
from pillarbox.base.db.rows import microseconds
from pillarbox.base.db.schema import Moment, moment
from pillarbox.mail.address import Address
from pillarbox.mail.envelope import Envelope
from pillarbox.queue import lanes
from pillarbox.queue.lanes import Turns
from pillarbox.queue.message import Claim, ClaimedDelivery
from pillarbox.queue.state import DeliveryState
from pillarbox.queue.streams import STREAMS
from pillarbox.queue.tables import contents, deliveries, messages

LEASE = timedelta(seconds=60)
FINAL_LEASE = timedelta(seconds=660)  # ten minutes for the answer to the dot, and one to spare
TRAVELS_ALONG = 65_536  # octets; larger contents are read when their turn comes

Ticket = tuple[str, int]
"""(delivery id, fence)."""

_columns = deliveries.c
_SENDING: ColumnElement[str] = literal_column(f"'{DeliveryState.SENDING.value}'")
_at = bindparam("at", type_=BigInteger)
_until = bindparam("until", type_=BigInteger)
_wanted_relay = bindparam("wanted_relay", type_=String())
_is_due = (
    _columns.relay_id == _wanted_relay,
    _columns.priority == bindparam("wanted_priority", type_=Integer()),
    _columns.lane == bindparam("wanted_lane", type_=Integer()),
    _columns.due_at.is_not(None),
    _columns.due_at <= _at,
)
_is_alive = _columns.expires_at > _at
_STANDING = Direct(lambda _: lanes.standing())
# Who claims holds the message's row for that moment: of two processes, one gets all of its
# recipients and the other none of them.
_pick = (
    select(messages.c.id)
    .join(deliveries, _columns.message_id == messages.c.id)
    .where(*_is_due, _is_alive)
    .order_by(_columns.due_at)
    .limit(bindparam("at_most"))
    .with_for_update(of=messages, key_share=True, skip_locked=True)
)
# By message, whatever the planner thinks: an index over all that is due would grow with the
# backlog. coalesce keeps it from those, and is false for NULL.
_lease = (
    update(deliveries)
    .where(
        _columns.relay_id == _wanted_relay,
        func.coalesce(_columns.due_at, _until) <= _at,
        func.coalesce(_columns.expires_at, _at) > _at,
    )
    .values(
        state=_SENDING,
        due_at=None,
        lease_until=_until,
        pointed_at=None,
        fence=_columns.fence + literal_column("1"),
        tries=_columns.tries + literal_column("1"),
        changed_at=_at,
    )
    .returning(
        _columns.priority,
        _columns.message_id,
        _columns.id,
        _columns.relay_id,
        _columns.forward_path,
        _columns.fence,
        _columns.attempts,
        _columns.tries,
        _columns.in_doubt,
        type_coerce(_columns.expires_at, BigInteger),
    )
)
_PICK = Direct(lambda _: _pick)
_LEASE = Direct(lambda ids: _lease.where(_columns.message_id.in_(ids)), listed="messages")
# For a relay that stands in for another: what names it. Mail in doubt stays with its relay.
_is_listed = _columns.stand_ins == bindparam("wanted_list")
_is_certain = _columns.in_doubt.is_(false())
_PICK_LISTED = Direct(lambda _: _pick.where(_is_listed, _is_certain))
_LEASE_LISTED = Direct(
    lambda ids: _lease.where(_columns.message_id.in_(ids), _is_listed, _is_certain),
    listed="messages",
)
_STANDING_LISTED = Direct(lambda _: lanes.standing(is_listed=True))
_NEXT_LIST = select(func.min(_columns.stand_ins)).where(
    _columns.relay_id == _wanted_relay,
    _columns.due_at.is_not(None),
    _columns.stand_ins > bindparam("after"),
)
_travels_along = and_(
    contents.c.message_id == messages.c.id,
    contents.c.part == literal_column("0"),
    messages.c.size <= literal_column(str(TRAVELS_ALONG)),
)
_CLAIMED_MESSAGES = Direct(
    lambda ids: (
        select(
            messages.c.id,
            messages.c.stream,
            messages.c.reverse_path,
            messages.c.size,
            messages.c.is_eight_bit,
            messages.c.needs_smtputf8,
            contents.c.octets,
        )
        .select_from(messages.outerjoin(contents, _travels_along))
        .where(messages.c.id.in_(ids))
    ),
    listed="ids",
)
_PASS_THE_POINT = Fenced(
    {"until": BigInteger(), "at": BigInteger(), "key": String(), "token": Integer()},
    lambda given: (
        update(deliveries)
        .where(
            _columns.id == given["key"],
            _columns.fence == given["token"],
            _columns.state == _SENDING,
            _columns.expires_at > given["at"],
        )
        .values(lease_until=given["until"], pointed_at=given["at"])
    ),
)
_is_held = (
    tuple_(_columns.id, _columns.fence).in_(bindparam("tickets", expanding=True)),
    _columns.state == DeliveryState.SENDING.value,
)
_lease_until = bindparam("until", type_=Moment)
_STEP_BACK = update(deliveries).where(*_is_held).values(lease_until=_lease_until, pointed_at=None)
_RENEW = (
    update(deliveries)
    .where(*_is_held, _columns.pointed_at.is_(None))
    .values(lease_until=_lease_until)
    .returning(_columns.id, _columns.fence)
)


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """
    How many messages of which relay a worker can take now. With stand_ins, those that have
    exactly these: another relay takes them in its stead. turns remembers whose turn it is.
    """

    relay_id: str
    limit: int
    now: datetime
    stand_ins: str | None = None
    turns: Turns = field(default_factory=Turns)


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
    at, until = microseconds(now), microseconds(now + FINAL_LEASE)
    hit = _PASS_THE_POINT.run(connection, [(until, at, *ticket) for ticket in tickets])
    if all(hit):
        return [True] * len(asked)
    held = set(compress(tickets, hit))
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


def _has_due(
    connection: Connection, relay_id: str, now: datetime, stand_ins: str | None = None
) -> bool:
    return bool(_standing(connection, ClaimRequest(relay_id, 1, now, stand_ins), most=1))


def _standing(
    connection: Connection, request: ClaimRequest, *, most: int = lanes.MOST
) -> list[tuple[int, int]]:
    """Priority and lane of what is due, in the order of their turns."""
    asked = _asked(request) | request.turns.after(request.relay_id) | {"most": most}
    query = _STANDING if request.stand_ins is None else _STANDING_LISTED
    return [(priority, lane) for priority, lane in query.rows(connection, asked)]


def _asked(request: ClaimRequest) -> dict[str, Any]:
    asked = {"wanted_relay": request.relay_id, "at": microseconds(request.now)}
    return asked if request.stand_ins is None else asked | {"wanted_list": request.stand_ins}


def _claim(connection: Connection, request: ClaimRequest) -> list[Claim]:
    """All that is due of the next messages: recipients of one message travel together."""
    picked = list(_picked(connection, request))
    if not picked:
        return []
    lease = _LEASE if request.stand_ins is None else _LEASE_LISTED
    until = microseconds(request.now + LEASE)
    rows = lease.rows(connection, _asked(request) | {"until": until, "messages": picked})
    return list(_claims(connection, list(map(_Leased._make, rows)), request.now)) if rows else []


def _picked(connection: Connection, request: ClaimRequest) -> Iterator[str]:
    """The ids of the next messages: urgent ones first, and of those each lane its share."""
    pick = _PICK if request.stand_ins is None else _PICK_LISTED
    asked, room = _asked(request), request.limit
    for priority, lane, lanes_left in lanes.served(_standing(connection, request)):
        share = lanes.share(request.limit, room, lanes_left)
        place = {"wanted_priority": priority, "wanted_lane": lane, "at_most": share}
        found = dict.fromkeys(each for (each,) in pick.rows(connection, asked | place))
        request.turns.serve(request.relay_id, priority, lane)
        yield from found
        room -= len(found)
        if room <= 0:
            return


class _Leased(NamedTuple):
    """What _LEASE returns of a delivery."""

    priority: int
    message_id: str
    id: str
    relay_id: str
    forward_path: str
    fence: int
    attempts: int
    tries: int
    in_doubt: bool
    expires_at: int


def _claims(connection: Connection, leased: list[_Leased], now: datetime) -> Iterator[Claim]:
    """One claim a message: its deliveries travel together."""
    leased.sort()  # the most urgent first
    wanted = {"ids": list(dict.fromkeys(each.message_id for each in leased))}
    known = {row[0]: row for row in _CLAIMED_MESSAGES.rows(connection, wanted)}
    for message_id, group in groupby(leased, key=lambda each: each.message_id):
        _, stream, reverse_path, size, is_eight_bit, needs_smtputf8, octets = known[message_id]
        siblings = list(group)
        yield Claim(
            message_id=message_id,
            relay_id=siblings[0].relay_id,
            stream=STREAMS[stream],
            envelope=Envelope(
                _address(reverse_path),
                tuple(_stored(each.forward_path) for each in siblings),
            ),
            size=size,
            is_eight_bit=bool(is_eight_bit),
            needs_smtputf8=bool(needs_smtputf8),
            claimed_at=now,
            deliveries=tuple(map(_delivery, siblings)),
            octets=octets,
        )


def _delivery(row: _Leased) -> ClaimedDelivery:
    return ClaimedDelivery(
        id=row.id,
        forward_path=row.forward_path,
        fence=row.fence,
        attempts=row.attempts,
        tries=row.tries,
        in_doubt=bool(row.in_doubt),
        expires_at=moment(row.expires_at),
    )


def _address(path: str | None) -> Address | None:
    return None if path is None else _stored(path)


def _stored(path: str) -> Address:
    """A path as we wrote it: it was checked when it was accepted."""
    local_part, _, domain = path.rpartition("@")
    return Address(local_part, domain)
