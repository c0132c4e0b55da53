"""The states of a delivery and the only ways between them."""

from __future__ import annotations

from enum import Enum

from pillarbox.base.errors import Conflict


class DeliveryState(Enum):
    """One forward path of one message, as it stands in the database."""

    SCHEDULED = "scheduled"  # waits for its send_at
    QUEUED = "queued"  # due
    SENDING = "sending"  # a worker holds the lease
    DEFERRED = "deferred"  # known not to be accepted; waits for its next attempt
    UNCERTAIN = "uncertain"  # no answer after the final dot
    HELD = "held"  # waits for a person
    RELAYED = "relayed"  # the relay took responsibility
    FAILED = "failed"  # will not be tried again by itself
    EXPIRED = "expired"  # its time ran out first
    CANCELLED = "cancelled"  # withdrawn before it was relayed


SCHEDULED, QUEUED, SENDING, DEFERRED, UNCERTAIN, HELD, RELAYED, FAILED, EXPIRED, CANCELLED = (
    DeliveryState
)

_WITHDRAWN = frozenset({HELD, CANCELLED, EXPIRED})

TRANSITIONS: dict[DeliveryState, frozenset[DeliveryState]] = {
    SCHEDULED: frozenset({SENDING, QUEUED}) | _WITHDRAWN,  # claim when due; another send_at
    QUEUED: frozenset({SENDING, SCHEDULED}) | _WITHDRAWN,  # claim; another send_at
    SENDING: frozenset(
        {RELAYED, DEFERRED, FAILED, UNCERTAIN, QUEUED, EXPIRED, HELD, CANCELLED}
    ),  # record; the relay blamed or the lease over: queued again
    DEFERRED: frozenset({SENDING, QUEUED, FAILED}) | _WITHDRAWN,  # claim; retry now; give up
    UNCERTAIN: frozenset({SENDING, QUEUED, FAILED}) | _WITHDRAWN,  # the stream's policy; a person
    HELD: frozenset({QUEUED, SCHEDULED, CANCELLED, EXPIRED}),  # release, to wait for its send_at
    FAILED: frozenset({QUEUED}),  # retry, by a person
    EXPIRED: frozenset({QUEUED}),  # retry, by a person, with more time
    RELAYED: frozenset(),
    CANCELLED: frozenset(),
}

WAITING = frozenset({SCHEDULED, QUEUED, DEFERRED, UNCERTAIN})
FINAL = frozenset({RELAYED, FAILED, EXPIRED, CANCELLED})


def check_transition(old: DeliveryState, new: DeliveryState) -> None:
    """Raises Conflict naming both states."""
    if new not in TRANSITIONS[old]:
        raise Conflict(f"a delivery that is {old.value} cannot become {new.value}")


def sources(new: DeliveryState) -> tuple[DeliveryState, ...]:
    """The states from which `new` can be reached."""
    return tuple(old for old, reachable in TRANSITIONS.items() if new in reachable)


_LOUDEST = (SENDING, UNCERTAIN, HELD, DEFERRED, QUEUED, SCHEDULED, FAILED, EXPIRED, CANCELLED)


def summary(states: set[DeliveryState]) -> DeliveryState:
    """The one word for a message: the state of its deliveries that matters most to a reader."""
    return next((state for state in _LOUDEST if state in states), RELAYED)
