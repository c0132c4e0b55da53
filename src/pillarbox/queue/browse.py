"""Reading the queue: lists, one message with all that happened to it, and counts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Row, Select, exists, func, select

from pillarbox.base.errors import NotFound
from pillarbox.queue.message import Delivery, Message
from pillarbox.queue.state import DeliveryState
from pillarbox.queue.tables import attempts, deliveries, messages, sessions


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Which messages to list, newest first. after and before are message ids."""

    limit: int = 20
    after: str | None = None  # older than this one
    before: str | None = None  # newer than this one
    state: DeliveryState | None = None
    relay_id: str | None = None
    recipient: str | None = None
    tenant: str | None = None  # whose, by id; None: of everybody


@dataclass(frozen=True, slots=True, kw_only=True)
class PastAttempt:
    """One try as it was recorded; transcript is what was said, without secrets."""

    id: str
    delivery_id: str
    number: int
    relay_id: str
    relay_version: int
    session_id: str | None
    started_at: datetime
    ended_at: datetime
    outcome: str
    stage: str | None
    blame: str | None
    permanent: bool | None
    code: int | None
    enhanced: str | None
    answer: str
    advice: str | None
    transcript: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PastSession:
    """The connection that attempts were made on."""

    id: str
    relay_id: str
    relay_version: int
    opened_at: datetime
    host: str
    address: str
    tls: dict[str, str] | None
    mechanism: str | None
    transcript: str


@dataclass(frozen=True, slots=True)
class History:
    """
    All that was tried for a message, in order, the sessions it was tried on, and the ids of
    the messages that repeat it.
    """

    attempts: tuple[PastAttempt, ...]
    sessions: tuple[PastSession, ...]
    resent_as: tuple[str, ...] = ()

    def in_confidence(self) -> History:
        """
        Without what was said on the way and to whom: sessions carry mail of many senders, and
        the host, the login and the extensions of a relay are its owner's business.
        """
        tried = tuple(replace(each, transcript="", session_id=None) for each in self.attempts)
        return replace(self, attempts=tried, sessions=())


def message(connection: Connection, message_id: str) -> Message:
    """Raises NotFound."""
    found = _read(connection, select(messages).where(messages.c.id == message_id))
    if not found:
        raise NotFound(f"there is no message {message_id}")
    return found[0]


def check_owner(connection: Connection, message_id: str, tenant: str) -> None:
    """Raises NotFound for a message of somebody else, as for one that there is not."""
    if connection.scalar(select(messages.c.tenant).where(messages.c.id == message_id)) != tenant:
        raise NotFound(f"there is no message {message_id}")


def list_messages(connection: Connection, page: Page) -> tuple[list[Message], bool]:
    """A page, newest first, and whether there is more in the same direction."""
    query = _filtered(select(messages), page)
    if page.before is not None:
        query = query.where(messages.c.id > page.before).order_by(messages.c.id)
    else:
        query = query.order_by(messages.c.id.desc())
    if page.after is not None:
        query = query.where(messages.c.id < page.after)
    found = _read(connection, query.limit(page.limit + 1))
    has_more = len(found) > page.limit
    found = found[: page.limit]
    return sorted(found, key=lambda each: each.id, reverse=True), has_more


def history(connection: Connection, message_id: str) -> History:
    """Every attempt of a message, oldest first."""
    query = (
        select(attempts)
        .join(deliveries, deliveries.c.id == attempts.c.delivery_id)
        .where(deliveries.c.message_id == message_id)
        .order_by(attempts.c.started_at, attempts.c.id)
    )
    tried = tuple(PastAttempt(**row._mapping) for row in connection.execute(query))
    ids = {each.session_id for each in tried if each.session_id}
    used = select(sessions).where(sessions.c.id.in_(ids)).order_by(sessions.c.opened_at)
    on = tuple(PastSession(**row._mapping) for row in connection.execute(used))
    return History(tried, on, tuple(_resent_as(connection, message_id)))


def depth(connection: Connection) -> dict[tuple[str, DeliveryState], int]:
    """How many deliveries each relay has in each state."""
    columns = deliveries.c
    query = select(columns.relay_id, columns.state, func.count()).group_by(
        columns.relay_id, columns.state
    )
    return {
        (relay_id, DeliveryState(state)): count
        for relay_id, state, count in connection.execute(query)
    }


def waiting(connection: Connection) -> int:
    """How many deliveries are not at their end."""
    query = select(func.count()).where(deliveries.c.expires_at.is_not(None))
    return connection.scalar(query) or 0


def oldest_due(connection: Connection, now: datetime) -> datetime | None:
    """Since when the delivery that waits longest has been due."""
    due_at = select(func.min(deliveries.c.due_at)).where(deliveries.c.due_at <= now)
    moment: datetime | None = connection.scalar(due_at)
    return moment


def _filtered(query: Select[Any], page: Page) -> Select[Any]:
    matching = exists().where(deliveries.c.message_id == messages.c.id)
    if page.state is not None:
        query = query.where(matching.where(deliveries.c.state == page.state.value))
    if page.recipient is not None:
        query = query.where(matching.where(deliveries.c.forward_path == page.recipient))
    if page.tenant is not None:
        query = query.where(messages.c.tenant == page.tenant)
    if page.relay_id is not None:
        query = query.where(messages.c.relay_id == page.relay_id)
    return query


def _read(connection: Connection, query: Select[Any]) -> list[Message]:
    rows = connection.execute(query).all()
    children = select(deliveries).where(deliveries.c.message_id.in_([row.id for row in rows]))
    ordered = children.order_by(deliveries.c.message_id, deliveries.c.id)
    by_message = groupby(connection.execute(ordered), key=lambda row: row.message_id)
    paths = {message_id: tuple(_deliveries(group)) for message_id, group in by_message}
    return [_message(row, paths.get(row.id, ())) for row in rows]


def _message(row: Row[Any], paths: tuple[Delivery, ...]) -> Message:
    return Message(
        id=row.id,
        accepted_at=row.accepted_at,
        inlet=row.inlet,
        principal=row.principal,
        stream=row.stream,
        relay_id=row.relay_id,
        reverse_path=row.reverse_path,
        from_header=row.from_header,
        subject=row.subject,
        message_id_header=row.message_id_header,
        size=row.size,
        send_at=row.send_at,
        expires_at=row.expires_at,
        tags=tuple(row.tags),
        metadata=row.metadata,
        deliveries=paths,
        resent_from=row.resent_from,
        tenant=row.tenant,
    )


def _deliveries(rows: Iterable[Row[Any]]) -> Iterable[Delivery]:
    for row in rows:
        yield Delivery(
            id=row.id,
            to=row.forward_path,
            state=DeliveryState(row.state),
            relay_id=row.relay_id,
            attempts=row.attempts,
            tries=row.tries,
            due_at=row.due_at,
            changed_at=row.changed_at,
            answer=row.answer,
            advice=row.advice,
            possible_duplicate=row.in_doubt,
        )


def _resent_as(connection: Connection, message_id: str) -> list[str]:
    """The ids of the messages that repeat this one, oldest first."""
    columns = messages.c
    query = select(columns.id).where(columns.resent_from == message_id).order_by(columns.id)
    return list(connection.scalars(query))
