"""The one table of transitions, and what a message is called."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.base.errors import Conflict
from pillarbox.base.retry import RetrySchedule
from pillarbox.queue.state import (
    FINAL,
    TRANSITIONS,
    WAITING,
    DeliveryState,
    check_transition,
    summary,
)
from pillarbox.queue.streams import STREAMS

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_every_state_has_its_row() -> None:
    assert set(TRANSITIONS) == set(DeliveryState)


def test_what_is_relayed_or_cancelled_stays_so() -> None:
    for end in (DeliveryState.RELAYED, DeliveryState.CANCELLED):
        assert TRANSITIONS[end] == frozenset()


def test_only_a_worker_relays() -> None:
    """No road leads to `relayed` but from `sending`."""
    roads = [old for old, new in TRANSITIONS.items() if DeliveryState.RELAYED in new]

    assert roads == [DeliveryState.SENDING]


def test_what_waits_can_be_sent_and_withdrawn() -> None:
    for state in WAITING:
        assert {DeliveryState.SENDING, DeliveryState.CANCELLED} <= TRANSITIONS[state]


def test_a_forbidden_step_names_both_states() -> None:
    with pytest.raises(Conflict, match="relayed cannot become queued"):
        check_transition(DeliveryState.RELAYED, DeliveryState.QUEUED)


@given(st.sets(st.sampled_from(DeliveryState), min_size=1))
def test_a_message_is_called_final_only_when_all_of_it_is(states: set[DeliveryState]) -> None:
    assert (summary(states) in FINAL) == (states <= FINAL)


@given(st.integers(1, 60), st.floats(0, 1, exclude_max=True), st.sampled_from(list(STREAMS)))
def test_the_next_attempt_is_later_and_within_its_jitter(
    attempts: int, chance: float, name: str
) -> None:
    schedule = STREAMS[name].schedule

    due = schedule.next_attempt(now=NOW, attempts=attempts, chance=chance)
    wait = schedule.waits[min(attempts, len(schedule.waits)) - 1]

    assert wait * 0.5 <= due - NOW <= wait * 1.5 + timedelta(microseconds=1)


def test_the_last_wait_repeats() -> None:
    schedule = RetrySchedule((timedelta(minutes=1), timedelta(minutes=5)), jitter=0)

    assert schedule.next_attempt(now=NOW, attempts=9, chance=0) == NOW + timedelta(minutes=5)
