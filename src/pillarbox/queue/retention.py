"""
Forgetting: content and history of mail that has ended are dropped when they are old enough.

A batch is bounded in rows and in octets. Whoever writes meanwhile waits for one batch, and a
batch of attachments must not become one transaction of gigabytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Row,
    Select,
    case,
    delete,
    exists,
    func,
    select,
)

from pillarbox.base.db.pruning import drop_older
from pillarbox.journal import journal
from pillarbox.queue.state import FINAL
from pillarbox.queue.tables import (
    attempts,
    contents,
    deliveries,
    idempotency_keys,
    messages,
    sessions,
)

BATCH = 500  # rows of a kind
BATCH_OCTETS = 16 * 1024 * 1024

_FINISHED = [state.value for state in FINAL]
_is_open = exists().where(
    deliveries.c.message_id == messages.c.id, deliveries.c.state.not_in(_FINISHED)
)
_transcripts = (
    select(func.coalesce(func.sum(func.length(attempts.c.transcript)), 0))
    .select_from(attempts)
    .join(deliveries)
    .where(deliveries.c.message_id == messages.c.id)
    .scalar_subquery()
)

_first_part = (contents.c.message_id == messages.c.id) & (contents.c.part == 0)


@dataclass(frozen=True, slots=True)
class Retention:
    """How long finished mail is kept: its content for resending, its history for questions."""

    content: timedelta = timedelta(days=30)
    history: timedelta = timedelta(days=90)


def forget(connection: Connection, now: datetime, kept: Retention) -> int:
    """Drop a batch of what has been kept long enough; how many rows. Again until it says 0."""
    old_content, old = now - kept.content, now - kept.history
    dropped = (
        _forget_content(connection, old_content),
        _forget_messages(connection, old),
        drop_older(connection, idempotency_keys.c.created_at, old_content, BATCH),
        drop_older(connection, sessions.c.opened_at, old, BATCH),
        journal.forget_before(connection, old, BATCH),
    )
    return sum(dropped)


def _forget_content(connection: Connection, before: datetime) -> int:
    old = _old(messages.c.size, before).join(contents, _first_part)
    return _drop(connection, contents.c.message_id, _bounded(connection.execute(old)))


def _forget_messages(connection: Connection, before: datetime) -> int:
    """With their deliveries and attempts, of which the transcripts weigh most."""
    kept_content = case((contents.c.message_id.is_not(None), messages.c.size), else_=0)
    old = _old(kept_content + _transcripts, before).outerjoin(contents, _first_part)
    return _drop(connection, messages.c.id, _bounded(connection.execute(old)))


def _old(octets: ColumnElement[int], before: datetime) -> Select[str, int]:
    return (
        select(messages.c.id, octets.label("octets"))
        .select_from(messages)
        .where(~_is_open, messages.c.accepted_at < before)
        .limit(BATCH)
    )


def _bounded(rows: Iterable[Row[Any]]) -> list[str]:
    """As many as weigh no more than a batch may, and at least one."""
    taken: list[str] = []
    octets = 0
    for row in rows:
        octets += row.octets
        if taken and octets > BATCH_OCTETS:
            break
        taken.append(row.id)
    return taken


def _drop(connection: Connection, key: Column[Any], ids: list[str]) -> int:
    return connection.execute(delete(key.table).where(key.in_(ids))).rowcount if ids else 0
