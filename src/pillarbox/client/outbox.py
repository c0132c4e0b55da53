"""
The transactional outbox: mail that is stored by the application's own transaction.

    with engine.begin() as connection:
        connection.execute(insert(orders).values(…))
        enqueue(connection, to="ann@example.org", subject="Your order", text="…")

A commit is order and mail, a rollback is neither. Any process may do this on PostgreSQL. A
SQLite file has one writer, the process that has the box open: see Pillarbox.in_transaction.

Nobody is refused here because the queue is full: to lose an order for that would be worse than
to send its mail late. A disk that is full to the end refuses the whole transaction.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Unpack

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import DBAPIError

from pillarbox.accept.prepare import parcel_of
from pillarbox.accept.rules import Checked
from pillarbox.accept.submission import Submission
from pillarbox.access.principal import OPERATOR
from pillarbox.base.clock import SystemClock
from pillarbox.base.db.notice import ring_on_commit
from pillarbox.base.errors import Conflict, Rejected, Unusable
from pillarbox.base.ids import Ids
from pillarbox.client.answers import Message, read
from pillarbox.client.fields import MessageFields, as_json
from pillarbox.client.portal import T
from pillarbox.inlets.http.answers import show_message
from pillarbox.inlets.http.reading.batch import read_item
from pillarbox.queue import browse
from pillarbox.queue import enqueue as storing
from pillarbox.queue.message import Receipt
from pillarbox.relays.roster import Roster

if TYPE_CHECKING:
    from pillarbox.app import App

OURS = "pillarbox_writer"
"""In the info of a connection: it is the writer that this process keeps for SQLite."""


def enqueue(connection: Connection, **message: Unpack[MessageFields]) -> Message:
    """
    Store a message in the transaction of this connection; it is sent after the commit.

    With an AsyncConnection: `await connection.run_sync(enqueue, to=…, …)`. Nothing is
    committed here. Raises Rejected with every problem, TooLarge, and Mismatch for a reused
    idempotency_key, all before anything is written; Conflict on a SQLite connection that is
    not pillarbox's own; Unusable when the database is not pillarbox's, or not of this version.
    """
    _check_writer(connection)
    roster = _roster(connection)
    submission = read_item(as_json(message), OPERATOR, inlet="python")
    receipt = _stored(connection, submission, roster)
    found = receipt.message or browse.message(connection, receipt.message_id)
    ring_on_commit(connection)
    shown: Any = show_message(found, roster)
    return read(Message, shown)


async def transact(app: App, work: Callable[[Connection], T]) -> T:
    """Run work on the database that this process has open, commit, and wake who carries mail."""

    def ours(connection: Connection) -> T:
        connection.info[OURS] = True
        return work(connection)

    database = app.desk.database
    done = await database.write(ours)
    database.bell.ring()
    return done


def _stored(connection: Connection, submission: Submission, roster: Roster) -> Receipt:
    now = _now(connection)
    checked = Checked(submission, roster, now)
    known = submission.idempotency
    if checked.problems and known is not None:
        receipt = storing.find_key(connection, known.scope, known.key, known.fingerprint)
        if receipt is not None:
            return receipt
    if checked.problems:
        raise Rejected(checked.problems)
    parcel = parcel_of(submission, checked, now, Ids(SystemClock()))
    return storing.enqueue(connection, [parcel])[0]


def _check_writer(connection: Connection) -> None:
    if connection.dialect.name == "sqlite" and not connection.info.get(OURS):
        raise Conflict(
            "a SQLite file has one writer, and this connection is another one. Do it inside "
            "Pillarbox.in_transaction, in the process that has the box open"
        )


def _roster(connection: Connection) -> Roster:
    try:
        return Roster.seen_by(connection)
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        raise Unusable(
            "pillarbox's tables are not here, or not of this version. Use the database that "
            "pillarbox uses, after `pillarbox db upgrade`"
        ) from error


def _now(connection: Connection) -> datetime:
    """By the database's clock where processes share it: theirs may differ."""
    if connection.dialect.name == "postgresql":
        now: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
        return now
    return SystemClock().now()
