"""What people and time may do to deliveries: cancel, hold, release, retry, expire."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, select, update

from pillarbox.base.errors import Conflict, Invalid, NotFound
from pillarbox.journal import journal
from pillarbox.journal.events import (
    DeliveryCancelled,
    DeliveryExpired,
    DeliveryHeld,
    DeliveryReleased,
    DeliveryRetried,
    Event,
    MessageRescheduled,
)
from pillarbox.queue.state import (
    CANCEL,
    CANCELLED,
    EXPIRE,
    EXPIRED,
    HELD,
    HOLD,
    QUEUED,
    RELEASE,
    RESCHEDULE,
    RETRY,
    SCHEDULED,
    SENDING,
    UNCERTAIN,
    DeliveryState,
)
from pillarbox.queue.streams import STREAMS
from pillarbox.queue.tables import contents, deliveries, messages

_BATCH = 500  # rows a sweep changes in one transaction, so that nobody waits long for it
# Said so that no database looks for the others by their state: there may be a million of them.
_NOT_EXPIRED = [state.value for state in DeliveryState if state not in EXPIRE.before]


@dataclass(frozen=True, slots=True)
class Wish:
    """What a principal asks for a message."""

    message_id: str
    principal: str
    now: datetime
    relay_id: str | None = None  # where it shall go from now on, when not where it went


def cancel(connection: Connection, wish: Wish) -> int:
    """
    Withdraw every delivery that has not left; return how many.

    Raises NotFound, and Conflict when there is nothing left to withdraw.
    """
    rows = _deliveries_of(connection, wish.message_id)
    cancellable = [row for row in rows if CANCEL.takes(row.state)]
    if not cancellable:
        raise Conflict(_too_late({DeliveryState(row.state) for row in rows}))
    values = {"state": CANCELLED.value, "due_at": None, "expires_at": None}
    return _change(connection, cancellable, wish, values, DeliveryCancelled)


def hold(connection: Connection, wish: Wish) -> int:
    """
    Keep everything that waits until somebody releases it; return how many.

    Raises NotFound, and Conflict when nothing waits.
    """
    rows = _deliveries_of(connection, wish.message_id)
    waiting = [row for row in rows if _waits(row)]
    if not waiting:
        raise Conflict(f"there is nothing to hold: {_states(rows)}")
    values = {"state": HELD.value, "due_at": None}
    held = partial(DeliveryHeld, cause="somebody holds it")
    return _change(connection, waiting, wish, values, held)


def release(connection: Connection, wish: Wish) -> int:
    """
    Let go what is held, due now or at its send_at; return how many.

    Raises NotFound, and Conflict when nothing is held.
    """
    rows = _deliveries_of(connection, wish.message_id)
    held = [row for row in rows if RELEASE.takes(row.state)]
    if not held:
        raise Conflict(f"there is nothing to release: {_states(rows)}")
    if not _has_content(connection, wish.message_id):
        raise Conflict("the content of this message is no longer kept; it can only be cancelled")
    values = _moved(connection, wish) | _first_step(held[0].send_at, wish.now)
    return _change(connection, held, wish, values, DeliveryReleased)


def retry(connection: Connection, wish: Wish) -> int:
    """
    Put failed, expired, held, deferred and uncertain deliveries back in the queue, due now.

    A message whose time is over gets its stream's lifetime again, unless it is worthless by
    then, as a code is. Raises NotFound, and Conflict when nothing can be tried again.
    """
    rows = _deliveries_of(connection, wish.message_id)
    retryable = [row for row in rows if RETRY.takes(row.state)]
    if not retryable:
        raise Conflict(f"there is nothing to try again: {_states(rows)}")
    if not _has_content(connection, wish.message_id):
        raise Conflict("the content of this message is no longer kept; send it again instead")
    values: dict[str, Any] = {
        "state": QUEUED.value,
        "due_at": wish.now,
        "expires_at": _extended(connection, retryable[0], wish),
    }
    values |= _moved(connection, wish)
    return _change(connection, retryable, wish, values, DeliveryRetried)


def reschedule(connection: Connection, wish: Wish, send_at: datetime | None) -> int:
    """
    Send it at another moment, None for now; return how many deliveries that concerns.

    An expires_at that followed from the stream's lifetime moves along. Raises NotFound,
    Conflict once it was tried or ended, and Invalid when it would be dead by then.
    """
    rows = _deliveries_of(connection, wish.message_id)
    if any(row.tries or not RESCHEDULE.takes(row.state) for row in rows):
        raise Conflict(f"send_at can be changed until the first attempt: {_states(rows)}")
    due_at = max(send_at or wish.now, wish.now)
    expires_at = _following(rows[0], due_at)
    if expires_at <= due_at:
        raise Invalid("expires_at is before send_at; nothing would be sent", field="send_at")
    change = update(messages).where(messages.c.id == wish.message_id)
    connection.execute(change.values(send_at=send_at, expires_at=expires_at))
    shared = {"expires_at": expires_at, "changed_at": wish.now, "fence": deliveries.c.fence + 1}
    _set(connection, [row.id for row in rows], shared)
    moving = [row.id for row in rows if row.state != HELD.value]
    _set(connection, moving, _first_step(send_at, wish.now))
    told = MessageRescheduled(
        message_id=wish.message_id,
        relay_id=rows[0].relay_id,
        principal=wish.principal,
        send_at=send_at.isoformat() if send_at else None,
    )
    journal.write(connection, [(wish.now, told)])
    return len(rows)


def expire(connection: Connection, now: datetime) -> int:
    """End what waited past its time; return how many, at most one batch."""
    columns = deliveries.c
    overdue = (
        select(columns.id, columns.message_id, columns.relay_id, columns.state, columns.answer)
        .where(columns.expires_at <= now, columns.state.not_in(_NOT_EXPIRED))
        .limit(_BATCH)
        .with_for_update(skip_locked=True)
    )
    rows: list[Row[Any]] = list(connection.execute(overdue))
    doubted = [row.id for row in rows if row.state == UNCERTAIN.value]
    if doubted:  # it may have arrived: "expired" would say more than we know
        _set(connection, doubted, {"due_at": None, "expires_at": None})
    ended = [row for row in rows if row.state != UNCERTAIN.value]
    values = {"state": EXPIRED.value, "due_at": None, "expires_at": None, "changed_at": now}
    _set(connection, [row.id for row in ended], values)
    journal.write(connection, [(now, _expired(row)) for row in ended])
    return len(rows)


def hold_of_relay(connection: Connection, relay_id: str, wish_of: str, now: datetime) -> int:
    """Hold what waits for a relay that is going away, for the principal wish_of; how many."""
    columns = deliveries.c
    is_left_to_a_person = (columns.state == UNCERTAIN.value) & columns.due_at.is_(None)
    held = (
        update(deliveries)
        .where(columns.relay_id == relay_id, columns.state.in_(HOLD.rows), ~is_left_to_a_person)
        .values(state=HELD.value, due_at=None, changed_at=now)
        .returning(columns.id, columns.message_id)
    )
    told = [
        DeliveryHeld(
            message_id=row.message_id,
            delivery_id=row.id,
            relay_id=relay_id,
            principal=wish_of,
            cause="its relay was removed",
        )
        for row in connection.execute(held)
    ]
    journal.write(connection, [(now, each) for each in told])
    return len(told)


_NEXT_RELAY = select(func.min(deliveries.c.relay_id)).where(
    deliveries.c.due_at.is_not(None), deliveries.c.relay_id > bindparam("after")
)


def relays_waited_for(connection: Connection) -> set[str]:
    """The ids of all relays that mail waits for. Costs a look for each, however much waits."""
    found: set[str] = set()
    relay_id = ""
    while next_id := connection.scalar(_NEXT_RELAY, {"after": relay_id}):
        relay_id = next_id
        found.add(relay_id)
    return found


def _deliveries_of(connection: Connection, message_id: str) -> list[Row[Any]]:
    """With what their message says about time. Nobody claims them until we have committed."""
    said = messages.c
    query = (
        select(
            deliveries,
            said.stream,
            said.accepted_at,
            said.send_at,
            said.expires_at.label("dies_at"),
        )
        .join(messages)
        .where(deliveries.c.message_id == message_id)
        .order_by(deliveries.c.id)
        .with_for_update(of=deliveries)
    )
    rows = list(connection.execute(query).all())
    if not rows:
        raise NotFound(f"there is no message {message_id}")
    return rows


def _waits(row: Row[Any]) -> bool:
    """By itself, that is: what is in doubt may be left to a person already."""
    return HOLD.takes(row.state) and row.due_at is not None


def _first_step(send_at: datetime | None, now: datetime) -> dict[str, Any]:
    """Where a delivery begins that is to be sent then."""
    if send_at is not None and send_at > now:
        return {"state": SCHEDULED.value, "due_at": send_at}
    return {"state": QUEUED.value, "due_at": now}


def _moved(connection: Connection, wish: Wish) -> dict[str, Any]:
    if wish.relay_id is None:
        return {}
    change = update(messages).where(messages.c.id == wish.message_id)
    connection.execute(change.values(relay_id=wish.relay_id))
    return {"relay_id": wish.relay_id, "stand_ins": None}


def _extended(connection: Connection, row: Row[Any], wish: Wish) -> datetime:
    """Until when it is tried. Raises Conflict for what is worthless when its time is over."""
    dies_at: datetime = row.dies_at
    if dies_at > wish.now:
        return dies_at
    stream = STREAMS[row.stream]
    if not stream.outlives:
        raise Conflict(
            f"its time was over at {dies_at:%H:%M:%S} UTC, and a {stream.name} is never sent after "
            "that; ask for a new one"
        )
    dies_at = wish.now + stream.lifetime
    change = update(messages).where(messages.c.id == wish.message_id)
    connection.execute(change.values(expires_at=dies_at))
    return dies_at


def _following(row: Row[Any], due_at: datetime) -> datetime:
    """The end of a lifetime moves with its beginning; a moment that somebody named does not."""
    lifetime = STREAMS[row.stream].lifetime
    dies_at: datetime = row.dies_at
    is_lifetime = dies_at == (row.send_at or row.accepted_at) + lifetime
    return due_at + lifetime if is_lifetime else dies_at


def _states(rows: list[Row[Any]]) -> str:
    if any(row.state == SENDING.value for row in rows):
        return "it is being sent at this moment"
    return f"its deliveries are {', '.join(sorted({row.state for row in rows}))}"


def _too_late(states: set[DeliveryState]) -> str:
    if SENDING in states:
        return "it is being sent at this moment; it can no longer be withdrawn"
    words = ", ".join(sorted(state.value for state in states))
    return f"it can no longer be withdrawn: its deliveries are {words}"


def _has_content(connection: Connection, message_id: str) -> bool:
    query = select(contents.c.message_id).where(contents.c.message_id == message_id)
    return connection.scalar(query) is not None


def _change(
    connection: Connection,
    rows: list[Row[Any]],
    wish: Wish,
    values: dict[str, Any],
    event: Callable[..., Event],
) -> int:
    """Also raises the fence, so that a worker with an old claim cannot end the delivery."""
    ids = [row.id for row in rows]
    _set(connection, ids, {**values, "changed_at": wish.now, "fence": deliveries.c.fence + 1})
    told = [
        event(
            message_id=row.message_id,
            delivery_id=row.id,
            relay_id=row.relay_id,
            principal=wish.principal,
        )
        for row in rows
    ]
    journal.write(connection, [(wish.now, each) for each in told])
    return len(rows)


def _set(connection: Connection, ids: list[str], values: dict[str, Any]) -> None:
    if ids:
        connection.execute(update(deliveries).where(deliveries.c.id.in_(ids)).values(values))


def _expired(row: Row[Any]) -> DeliveryExpired:
    return DeliveryExpired(
        message_id=row.message_id,
        delivery_id=row.id,
        relay_id=row.relay_id,
        answer=row.answer,
    )
