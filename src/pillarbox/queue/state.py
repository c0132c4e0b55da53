"""The states of a delivery, and the acts that lead from one to another: the only ways there are."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


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

States = frozenset[DeliveryState]

WAITING: States = frozenset({SCHEDULED, QUEUED, DEFERRED, UNCERTAIN})
FINAL: States = frozenset({RELAYED, FAILED, EXPIRED, CANCELLED})


@dataclass(frozen=True, slots=True)
class Act:
    """What may be done to a delivery: in which states it may be, and what it is afterwards."""

    before: States
    after: States

    def takes(self, state: str) -> bool:
        """Whether it may be done to a delivery in this state, as the row has it."""
        return DeliveryState(state) in self.before

    @property
    def rows(self) -> list[str]:
        """The states in which it finds deliveries, as rows have them."""
        return sorted(state.value for state in self.before)


def _act(before: States, *after: DeliveryState) -> Act:
    return Act(before, frozenset(after))


_UNDER_WAY = frozenset({SENDING})

CLAIM = _act(WAITING, SENDING)
SETTLE = _act(_UNDER_WAY, RELAYED, DEFERRED, FAILED, EXPIRED, UNCERTAIN, QUEUED)  # relay to blame
GIVE_BACK = _act(_UNDER_WAY, QUEUED)  # claimed and not tried
TAKE_BACK = _act(_UNDER_WAY, QUEUED, UNCERTAIN)  # from a worker that is gone
EXPIRE = _act(WAITING | {HELD}, EXPIRED, UNCERTAIN)  # in doubt it stays, and is not tried again
CANCEL = _act(WAITING | {HELD}, CANCELLED)  # while it is being sent only its worker may end it
HOLD = _act(WAITING, HELD)
HOLD_RESTORED = _act(WAITING | _UNDER_WAY, HELD)  # its worker was there before the loss
RELEASE = _act(frozenset({HELD}), QUEUED, SCHEDULED)
RESCHEDULE = _act(frozenset({SCHEDULED, QUEUED, HELD}), QUEUED, SCHEDULED, HELD)
RETRY = _act(frozenset({DEFERRED, UNCERTAIN, HELD, FAILED, EXPIRED}), QUEUED)

ACTS = (
    CLAIM,
    SETTLE,
    GIVE_BACK,
    TAKE_BACK,
    EXPIRE,
    CANCEL,
    HOLD,
    HOLD_RESTORED,
    RELEASE,
    RESCHEDULE,
    RETRY,
)

_LOUDEST = (SENDING, UNCERTAIN, HELD, DEFERRED, QUEUED, SCHEDULED, FAILED, EXPIRED, CANCELLED)


def summary(states: set[DeliveryState]) -> DeliveryState:
    """The one word for a message: the state of its deliveries that matters most to a reader."""
    return next((state for state in _LOUDEST if state in states), RELAYED)
