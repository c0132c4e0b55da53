"""The one table of acts, and what a message is called."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from pillarbox.base.retry import RetrySchedule
from pillarbox.queue.state import (
    ACTS,
    CANCEL,
    CLAIM,
    EXPIRE,
    FINAL,
    RETRY,
    SETTLE,
    TAKE_BACK,
    WAITING,
    DeliveryState,
    summary,
)
from pillarbox.queue.streams import STREAMS

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_only_people_bring_back_what_has_ended() -> None:
    """And what is relayed or cancelled nobody."""
    for act in ACTS:
        assert act is RETRY or not act.before & FINAL
    assert not RETRY.before & {DeliveryState.RELAYED, DeliveryState.CANCELLED}


def test_only_a_worker_relays() -> None:
    """No road leads to `relayed` but from `sending`."""
    roads = [act.before for act in ACTS if DeliveryState.RELAYED in act.after]

    assert roads == [frozenset({DeliveryState.SENDING})]


def test_what_waits_can_be_sent_and_withdrawn() -> None:
    assert CLAIM.before == WAITING
    assert CANCEL.before > WAITING


def test_whatever_is_open_comes_to_an_end() -> None:
    """By itself: no state but the final ones is a dead end, and doubt is left to a person."""
    by_itself = (CLAIM, SETTLE, TAKE_BACK, EXPIRE)
    for state in set(DeliveryState) - FINAL:
        assert any(state in act.before for act in by_itself), state


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
