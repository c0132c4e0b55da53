"""What becomes of a delivery after an attempt: one pure decision, design §6."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from pillarbox.journal.events import (
    DeliveryDeferred,
    DeliveryExpired,
    DeliveryFailed,
    DeliveryRelayed,
    DeliveryReturned,
    DeliveryUncertain,
    Event,
)
from pillarbox.mail.outcome import Answer, Blame, Failed, Relayed, Stage, Unknown
from pillarbox.mail.reply import Reply
from pillarbox.queue.message import Attempt
from pillarbox.queue.state import DeliveryState
from pillarbox.queue.streams import UNCERTAIN_WAIT, Doubt, Stream

_ABOUT_MAIL = frozenset({Stage.MAIL, Stage.RCPT, Stage.DATA, Stage.END_OF_DATA})
_TURNS = tuple(timedelta(seconds=each) for each in (0, 60, 300, 600, 1200))
"""Longer than the relay rests meanwhile: see relays/suspension.py."""


class Settlement(NamedTuple):
    """
    The delivery's next state, when it is due again (None: not by itself), and what to tell.

    answer is what was said at the end of the attempt, or why nothing was.
    """

    state: DeliveryState
    due_at: datetime | None
    counts: bool  # whether the attempt is one of those the schedule counts
    event: Event
    answer: str


def settle(attempt: Attempt) -> Settlement:
    """
    The state after this attempt.

    A failure that is the relay's never fails mail: the delivery is queued again as if
    nothing had been tried. An attempt that the schedule cannot repeat before the message
    expires ends as expired.
    """
    match attempt.outcome:
        case Relayed(reply=reply):
            said = str(reply)
            event = DeliveryRelayed(**_about(attempt), answer=said)
            return Settlement(DeliveryState.RELAYED, None, counts=True, event=event, answer=said)
        case Unknown(cause=cause):
            return _in_doubt(attempt, cause)
        case Failed(blame=Blame.RELAY, answer=answer, stage=stage):
            said = words(answer)
            event_ = DeliveryReturned(**_about(attempt), answer=said)
            due_at = _next_turn(attempt, stage)
            return Settlement(DeliveryState.QUEUED, due_at, counts=False, event=event_, answer=said)
        case Failed(permanent=True, answer=answer, blame=blame):
            said = words(answer)
            failed = DeliveryFailed(**_about(attempt), answer=said, blame=blame.value)
            return Settlement(DeliveryState.FAILED, None, counts=True, event=failed, answer=said)
        case Failed(answer=answer):
            return _again(attempt, words(answer))


def _next_turn(attempt: Attempt, stage: Stage) -> datetime:
    """
    At once, when the session never got to the mail, and the first time that it did. Else after
    others have had their turn: one message that a relay does not like must not be its only
    probe, again and again.
    """
    if stage not in _ABOUT_MAIL:
        return attempt.ended_at
    return attempt.ended_at + _TURNS[min(attempt.delivery.tries, len(_TURNS)) - 1]


def words(answer: Answer) -> str:
    """What the relay said, or why it said nothing."""
    return str(answer) if isinstance(answer, Reply) else answer.cause


def after_doubt(stream: Stream, now: datetime, expires_at: datetime) -> datetime | None:
    """When a delivery in doubt may be tried again, or None when only a person may say so."""
    due_at = now + UNCERTAIN_WAIT
    is_hopeless = stream.doubt is Doubt.NEVER or due_at >= expires_at
    return None if is_hopeless else due_at


def _again(attempt: Attempt, answer: str) -> Settlement:
    due_at = attempt.stream.schedule.next_attempt(
        now=attempt.ended_at, attempts=attempt.delivery.attempts + 1, chance=attempt.chance
    )
    if due_at >= attempt.delivery.expires_at:
        event = DeliveryExpired(**_about(attempt), answer=answer)
        return Settlement(DeliveryState.EXPIRED, None, counts=True, event=event, answer=answer)
    deferred = DeliveryDeferred(
        **_about(attempt), answer=answer, next_attempt_at=due_at.isoformat()
    )
    return Settlement(DeliveryState.DEFERRED, due_at, counts=True, event=deferred, answer=answer)


def _in_doubt(attempt: Attempt, cause: str) -> Settlement:
    due_at = after_doubt(attempt.stream, attempt.ended_at, attempt.delivery.expires_at)
    event = DeliveryUncertain(
        **_about(attempt),
        answer=cause,
        next_attempt_at=due_at.isoformat() if due_at else None,
    )
    return Settlement(DeliveryState.UNCERTAIN, due_at, counts=True, event=event, answer=cause)


def _about(attempt: Attempt) -> dict[str, str]:
    return {
        "message_id": attempt.message_id,
        "delivery_id": attempt.delivery.id,
        "relay_id": attempt.relay_id,
    }
