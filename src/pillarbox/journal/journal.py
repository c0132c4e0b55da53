"""The journal: events in the order they were committed, each beside the change it tells of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Connection,
    Index,
    Integer,
    String,
    Table,
    func,
    select,
    text,
)

from pillarbox.base.db.notice import CHANGES, ring_on_commit
from pillarbox.base.db.pruning import drop_older
from pillarbox.base.db.rows import Rows, as_json, microseconds
from pillarbox.base.db.schema import Moment, metadata
from pillarbox.journal.events import Event, catalogue

events = Table(
    "events",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("at", Moment, nullable=False),
    Column("name", String(40), nullable=False),
    Column("message_id", String(40)),
    Column("delivery_id", String(40)),
    Column("relay_id", String(40)),
    Column("principal", String(80)),
    Column("facts", JSON, nullable=False),
)

_about_message = events.c.message_id.is_not(None)
Index(
    "events_by_message",
    events.c.message_id,
    sqlite_where=_about_message,
    postgresql_where=_about_message,
)
Index("events_by_at", events.c.at)

_ABOUT_MAIL = ("message.", "delivery.")
_IN_FLIGHT = timedelta(hours=1)  # longer than a transaction may be open, an application's too

# Who writes into a table has this lock from before its first row until the transaction ends.
_WRITERS = text(
    "SELECT virtualtransaction FROM pg_locks WHERE relation = 'events'::regclass "
    "AND mode = 'RowExclusiveLock' AND database = "
    "(SELECT oid FROM pg_database WHERE datname = current_database())"
)

LEAP = 1_000_000_000  # more events than happen between a backup and the loss

_COMMON = tuple(field.name for field in fields(Event))
_FACTS = {  # what only this kind of event says
    kind: tuple(field.name for field in fields(kind) if field.name not in _COMMON)
    for kind in catalogue().values()
}
_EVENTS = Rows(events, "at", "name", *_COMMON, "facts")


@dataclass(frozen=True, slots=True)
class Entry:
    """An event as the journal keeps it. id counts up and is the cursor for readers."""

    id: int
    at: datetime
    name: str
    message_id: str | None
    delivery_id: str | None
    relay_id: str | None
    principal: str | None
    facts: dict[str, Any]


def write(connection: Connection, happened: Sequence[tuple[datetime, Event]]) -> None:
    """
    In the caller's transaction: a change and its event are committed together or not at all.

    What is not about mail is about settings: other processes are told to look at them.
    """
    _EVENTS.store(connection, [_row(at, event) for at, event in happened])
    if not all(event.name.startswith(_ABOUT_MAIL) for _, event in happened):
        ring_on_commit(connection, CHANGES)


def of_message(connection: Connection, message_id: str) -> list[Entry]:
    """The timeline of a message, oldest first."""
    query = select(events).where(events.c.message_id == message_id).order_by(events.c.id)
    return [Entry(*row) for row in connection.execute(query)]


def after(connection: Connection, cursor: int, *, limit: int) -> list[Entry]:
    """Entries with an id above cursor, oldest first. Readers with a cursor ask feed.py."""
    query = select(events).where(events.c.id > cursor).order_by(events.c.id).limit(limit)
    return [Entry(*row) for row in connection.execute(query)]


def first_gap(found: Sequence[Entry], cursor: int, now: datetime) -> int | None:
    """The place of the first entry behind ids that may still appear, or None."""
    ids = [cursor, *(each.id for each in found)]
    for place, (left, right) in enumerate(pairwise(ids)):
        if right > left + 1 and found[place].at > now - _IN_FLIGHT:
            return place
    return None


def writers(connection: Connection) -> frozenset[str]:
    """Transactions on PostgreSQL that may have written an event and are not at their end."""
    return frozenset(connection.scalars(_WRITERS))


def before(connection: Connection, cursor: int, *, limit: int) -> list[Entry]:
    """The last entries with an id below cursor, oldest first."""
    query = select(events).where(events.c.id < cursor).order_by(events.c.id.desc()).limit(limit)
    return [Entry(*row) for row in connection.execute(query)][::-1]


def newest(connection: Connection) -> int:
    """The id of the latest entry; 0 when there is none."""
    return connection.scalar(select(func.max(events.c.id))) or 0


def forget_before(connection: Connection, moment: datetime, most: int) -> int:
    """Drop entries older than moment, about so many at most; return how many."""
    return drop_older(connection, events.c.at, moment, most)


def row_of(at: datetime, event: Event) -> dict[str, Any]:
    """The event as its row, without an id."""
    row = {name: getattr(event, name) for name in _COMMON}
    facts = {name: getattr(event, name) for name in _FACTS[type(event)]}
    return {"at": at, "name": event.name, **row, "facts": facts}


def _row(at: datetime, event: Event) -> tuple[Any, ...]:
    """The same for _EVENTS."""
    facts = [f'"{name}": {as_json(getattr(event, name))}' for name in _FACTS[type(event)]]
    return (
        microseconds(at),
        event.name,
        event.message_id,
        event.delivery_id,
        event.relay_id,
        event.principal,
        f"{{{', '.join(facts)}}}",
    )
