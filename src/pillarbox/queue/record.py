"""Write down how attempts ended, once, and only by whoever still holds the fence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import compress
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Connection,
    Integer,
    String,
    Text,
    insert,
    literal_column,
    null,
    select,
    tuple_,
    update,
)

from pillarbox.base.db.fenced import Fenced
from pillarbox.base.db.rows import Rows, microseconds
from pillarbox.journal import journal
from pillarbox.journal.events import DeliveryReturned, DeliveryUncertain, Event
from pillarbox.mail.outcome import Failed, Outcome, Relayed, Unknown
from pillarbox.mail.reply import Reply
from pillarbox.queue.message import Attempt
from pillarbox.queue.settle import Settlement, after_doubt, settle, words
from pillarbox.queue.state import FINAL, DeliveryState
from pillarbox.queue.streams import STREAMS
from pillarbox.queue.tables import attempts, deliveries, messages, sessions

_NO_ANSWER = "no answer was seen after the final dot; the program had stopped"
_STOPPED = "the attempt was cut short before the final dot; nothing was sent"

_SETTLE = Fenced(
    {
        "state": String(),
        "due_at": BigInteger(),
        "expires_at": BigInteger(),
        "counted": Integer(),
        "in_doubt": Boolean(),
        "changed_at": BigInteger(),
        "answer": Text(),
        "advice": String(),
        "key": String(),
        "token": Integer(),
    },
    lambda given: (
        update(deliveries)
        .where(
            deliveries.c.id == given["key"],
            deliveries.c.fence == given["token"],
            deliveries.c.state == literal_column(f"'{DeliveryState.SENDING.value}'"),
        )
        .values(
            state=given["state"],
            due_at=given["due_at"],
            expires_at=given["expires_at"],
            attempts=deliveries.c.attempts + given["counted"],
            in_doubt=given["in_doubt"],
            lease_until=null(),
            pointed_at=null(),
            changed_at=given["changed_at"],
            answer=given["answer"],
            advice=given["advice"],
        )
    ),
)
_ATTEMPTS = Rows(
    attempts,
    "id",
    "delivery_id",
    "number",
    "relay_id",
    "relay_version",
    "session_id",
    "started_at",
    "ended_at",
    "outcome",
    "stage",
    "blame",
    "permanent",
    "code",
    "enhanced",
    "answer",
    "advice",
    "transcript",
)


def record(connection: Connection, ended: Sequence[Attempt]) -> list[bool]:
    """
    Whether each attempt was recorded; False when somebody else holds the delivery by now.

    Attempt, new state and event are one transaction.
    """
    settled = [(each, settle(each)) for each in ended]
    is_ours = _SETTLE.run(connection, [_delivery_row(*pair) for pair in settled])
    if not all(is_ours):
        settled = list(compress(settled, is_ours))
    _ATTEMPTS.store(connection, [_attempt_row(*pair) for pair in settled])
    _tell_sessions(connection, [each for each, _ in settled])
    journal.write(connection, [(each.ended_at, made.event) for each, made in settled])
    return is_ours


@dataclass(frozen=True, slots=True)
class Release:
    """Deliveries that a worker gives back untried."""

    tickets: tuple[tuple[str, int], ...]
    now: datetime
    due_at: datetime


def release(connection: Connection, given_back: Sequence[Release]) -> list[None]:
    """
    Queue again what was claimed and not tried. Nothing happened, so nothing is journalled.

    Who holds the fence knows that the dot was not sent, also where the point of no return is
    stored: its commit was done and the word of it lost, as when the server of the database goes.
    """
    for each in given_back:
        connection.execute(
            update(deliveries)
            .where(
                tuple_(deliveries.c.id, deliveries.c.fence).in_(each.tickets),
                deliveries.c.state == DeliveryState.SENDING.value,
            )
            .values(
                state=DeliveryState.QUEUED.value,
                due_at=each.due_at,
                lease_until=None,
                pointed_at=None,
                tries=deliveries.c.tries - 1,
                changed_at=each.now,
            )
        )
    return [None] * len(given_back)


def recover(connection: Connection, now: datetime, *, everything: bool) -> int:
    """
    Take back deliveries whose worker is gone; return how many.

    Before the point of no return nothing was sent: queued again. After it nobody knows:
    uncertain. everything is for a start that knows itself alone; otherwise only leases that
    have run out are taken.
    """
    columns = deliveries.c
    lost = (
        select(deliveries, messages.c.stream)
        .join(messages)
        .where(columns.lease_until.is_not(None))
        .with_for_update(of=deliveries, skip_locked=True)
    )
    if not everything:
        lost = lost.where(columns.lease_until < now)
    rows = connection.execute(lost).all()
    taken = [_taken_back(row, now) for row in rows]
    if taken:
        _SETTLE.run(connection, [row for row, _ in taken])
        journal.write(connection, [(now, event) for _, event in taken])
    return len(rows)


def _tell_sessions(connection: Connection, current: Sequence[Attempt]) -> None:
    """Each session once, with the first of its attempts that is recorded."""
    told = {each.session.id: _session_row(each) for each in current if each.session is not None}
    if told:
        known = select(sessions.c.id).where(sessions.c.id.in_(told))
        for session_id in connection.scalars(known):
            del told[session_id]
    if told:
        connection.execute(insert(sessions), list(told.values()))


def _delivery_row(attempt: Attempt, made: Settlement) -> tuple[Any, ...]:
    """For _SETTLE."""
    delivery = attempt.delivery
    return (
        made.state.value,
        microseconds(made.due_at),
        microseconds(_expiry(made.state, made.due_at, delivery.expires_at)),
        int(made.counts),
        delivery.in_doubt or made.state is DeliveryState.UNCERTAIN,
        microseconds(attempt.ended_at),
        made.answer,
        attempt.advice,
        delivery.id,
        delivery.fence,
    )


def _expiry(state: DeliveryState, due_at: datetime | None, expires_at: datetime) -> datetime | None:
    """What is final, or left to a person in doubt, must not turn into `expired` later."""
    is_settled = state in FINAL or (state is DeliveryState.UNCERTAIN and due_at is None)
    return None if is_settled else expires_at


def _attempt_row(attempt: Attempt, made: Settlement) -> tuple[Any, ...]:
    """For _ATTEMPTS."""
    outcome = attempt.outcome
    reply = _reply(outcome)
    failed = outcome if isinstance(outcome, Failed) else None
    return (
        attempt.id,
        attempt.delivery.id,
        attempt.delivery.tries,
        attempt.relay_id,
        attempt.relay_version,
        attempt.session_id,
        microseconds(attempt.started_at),
        microseconds(attempt.ended_at),
        type(outcome).__name__.lower(),
        failed.stage.value if failed else None,
        failed.blame.value if failed else None,
        failed.permanent if failed else None,
        reply.code if reply else None,
        _enhanced(reply.code, reply.lines[0].partition(" ")[0]) if reply and reply.lines else None,
        made.answer,
        attempt.advice,
        attempt.transcript,
    )


def _reply(outcome: Outcome) -> Reply | None:
    if isinstance(outcome, Relayed):
        return outcome.reply
    if isinstance(outcome, Failed) and isinstance(outcome.answer, Reply):
        return outcome.answer
    return None


@lru_cache(maxsize=256)
def _enhanced(code: int, status: str) -> str | None:
    """The status that a reply begins with, if it is one. There are few, and each comes often."""
    enhanced = Reply(code, (status,)).enhanced
    return str(enhanced) if enhanced else None


def answer_of(attempt: Attempt) -> str:
    """What was said at the end of an attempt, or why nothing was."""
    match attempt.outcome:
        case Relayed(reply=reply):
            return str(reply)
        case Failed(answer=answer):
            return words(answer)
        case Unknown(cause=cause):
            return cause


def _session_row(attempt: Attempt) -> dict[str, Any]:
    session = attempt.session
    assert session is not None
    return {
        "id": session.id,
        "relay_id": attempt.relay_id,
        "relay_version": attempt.relay_version,
        "opened_at": session.opened_at,
        "host": session.host,
        "address": session.address,
        "tls": session.tls,
        "mechanism": session.mechanism,
        "transcript": session.transcript,
    }


def _taken_back(row: Any, now: datetime) -> tuple[tuple[Any, ...], Event]:
    """For _SETTLE, and what to tell."""
    about = {
        "message_id": row.message_id,
        "delivery_id": row.id,
        "relay_id": row.relay_id,
    }
    is_uncertain = row.pointed_at is not None
    answer = _NO_ANSWER if is_uncertain else _STOPPED
    due_at: datetime | None = now
    event: Event = DeliveryReturned(**about, answer=answer)
    if is_uncertain:
        due_at = after_doubt(STREAMS[row.stream], now, row.expires_at)
        event = DeliveryUncertain(
            **about, answer=answer, next_attempt_at=due_at.isoformat() if due_at else None
        )
    state = DeliveryState.UNCERTAIN if is_uncertain else DeliveryState.QUEUED
    return (
        state.value,
        microseconds(due_at),
        microseconds(_expiry(state, due_at, row.expires_at)),
        int(is_uncertain),
        row.in_doubt or is_uncertain,
        microseconds(now),
        answer,
        None,
        row.id,
        row.fence,
    ), event
