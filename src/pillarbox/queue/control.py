"""What people and time may do to deliveries: cancel, retry, expire, forget."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, exists, select, update

from pillarbox.base.errors import Conflict, NotFound
from pillarbox.journal import journal
from pillarbox.journal.events import (
    DeliveryCancelled,
    DeliveryExpired,
    DeliveryHeld,
    DeliveryRetried,
    Event,
)
from pillarbox.queue.state import (
    CANCELLED,
    EXPIRED,
    FAILED,
    HELD,
    QUEUED,
    RELAYED,
    SENDING,
    UNCERTAIN,
    DeliveryState,
    sources,
)
from pillarbox.queue.streams import STREAMS
from pillarbox.queue.tables import contents, deliveries, idempotency_keys, messages, sessions

_BATCH = 500  # rows a sweep changes in one transaction, so that nobody waits long for it


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
    cancellable = [row for row in rows if _may_be_cancelled(row)]
    if not cancellable:
        raise Conflict(_too_late({DeliveryState(row.state) for row in rows}))
    values = {"state": CANCELLED.value, "due_at": None, "expires_at": None}
    return _change(connection, cancellable, wish, values, DeliveryCancelled)


def retry(connection: Connection, wish: Wish) -> int:
    """
    Put failed, expired, deferred and uncertain deliveries back in the queue, due now.

    A message whose time is over gets its stream's lifetime again. Raises NotFound, and
    Conflict when nothing can be tried again.
    """
    rows = _deliveries_of(connection, wish.message_id)
    retryable = [row for row in rows if DeliveryState(row.state) in sources(QUEUED)]
    retryable = [row for row in retryable if row.state != SENDING.value]
    if not retryable:
        states = ", ".join(sorted({row.state for row in rows}))
        raise Conflict(f"there is nothing to try again: its deliveries are {states}")
    if not _has_content(connection, wish.message_id):
        raise Conflict("the content of this message is no longer kept; send it again instead")
    lifetime = STREAMS[retryable[0].stream].lifetime
    values: dict[str, Any] = {
        "state": QUEUED.value,
        "due_at": wish.now,
        "expires_at": wish.now + lifetime,
    }
    if wish.relay_id is not None:
        values["relay_id"] = wish.relay_id
        moved = update(messages).where(messages.c.id == wish.message_id)
        connection.execute(moved.values(relay_id=wish.relay_id))
    return _change(connection, retryable, wish, values, DeliveryRetried)


def expire(connection: Connection, now: datetime) -> int:
    """End what waited past its time; return how many, at most one batch."""
    columns = deliveries.c
    overdue = (
        select(deliveries)
        .where(columns.expires_at <= now, columns.state != SENDING.value)
        .limit(_BATCH)
    )
    rows = connection.execute(overdue).all()
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
    waiting = [state.value for state in sources(HELD) if state is not SENDING]
    held = (
        update(deliveries)
        .where(columns.relay_id == relay_id, columns.state.in_(waiting))
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


@dataclass(frozen=True, slots=True)
class Retention:
    """How long finished mail is kept: its content for resending, its history for questions."""

    content: timedelta = timedelta(days=30)
    history: timedelta = timedelta(days=90)


def forget(connection: Connection, now: datetime, kept: Retention) -> int:
    """Drop content and history of finished mail past its time; return how many, one batch."""
    waiting = exists().where(
        deliveries.c.message_id == messages.c.id,
        deliveries.c.state.not_in([state.value for state in (RELAYED, FAILED, EXPIRED, CANCELLED)]),
    )
    finished = select(messages.c.id).where(~waiting).limit(_BATCH)
    old_content = finished.join(contents).where(messages.c.accepted_at < now - kept.content)
    dropped = connection.execute(delete(contents).where(contents.c.message_id.in_(old_content)))
    old = finished.where(messages.c.accepted_at < now - kept.history)
    gone = connection.execute(delete(messages).where(messages.c.id.in_(old)))
    keys = idempotency_keys.c.created_at < now - kept.content
    connection.execute(delete(idempotency_keys).where(keys))
    connection.execute(delete(sessions).where(sessions.c.opened_at < now - kept.history))
    journal.forget_before(connection, now - kept.history)
    return dropped.rowcount + gone.rowcount


def _deliveries_of(connection: Connection, message_id: str) -> list[Row[Any]]:
    query = (
        select(deliveries, messages.c.stream)
        .join(messages)
        .where(deliveries.c.message_id == message_id)
    )
    rows = list(connection.execute(query).all())
    if not rows:
        raise NotFound(f"there is no message {message_id}")
    return rows


def _may_be_cancelled(row: Row[Any]) -> bool:
    """While a worker holds it only it may end it: the octets may be on their way."""
    return row.state != SENDING.value and DeliveryState(row.state) in sources(CANCELLED)


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
