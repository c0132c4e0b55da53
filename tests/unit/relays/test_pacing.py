"""Halve at a complaint, come back slowly: the rule without a database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pillarbox.relays.pacing import (
    RECOVERY,
    Complaint,
    Slowdown,
    after_complaint,
    connections_allowed,
)

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def complaint(began_at: datetime, most: int = 8) -> Complaint:
    return Complaint(
        relay_id="rly_1",
        relay_name="test",
        most=most,
        began_at=began_at,
        cause="too many",
        advice="pace.connections",
    )


def slowed(connections: int, at: datetime = NOON) -> Slowdown:
    after = after_complaint(complaint(at, connections * 2), None, at)
    assert after is not None
    assert after.connections == connections
    return after


def test_each_complaint_halves_and_the_last_session_is_not_halved() -> None:
    """8, 4, 2, 1; then None, which means that the relay rests."""
    moments = [NOON + timedelta(seconds=each) for each in range(4)]
    slowdown: Slowdown | None = None
    seen = []
    for moment in moments:
        slowdown = after_complaint(complaint(moment), slowdown, moment)
        seen.append(slowdown.connections if slowdown else None)

    assert seen == [4, 2, 1, None]


def test_complaints_of_attempts_that_were_under_way_count_once() -> None:
    """Five sessions that are told at once are one complaint, not five."""
    first = slowed(4)

    assert after_complaint(complaint(NOON - timedelta(seconds=1)), first, NOON) is first


def test_sessions_come_back_one_by_one_and_no_more_than_there_were() -> None:
    allowed = [
        connections_allowed(slowed(2), most=4, now=NOON + RECOVERY * each) for each in range(5)
    ]

    assert allowed == [2, 3, 4, 4, 4]


def test_a_complaint_during_recovery_halves_what_is_allowed_then() -> None:
    later = NOON + RECOVERY * 2
    again = after_complaint(complaint(later), slowed(2), later)

    assert again is not None
    assert again.connections == 2
    assert again.since == NOON


def test_a_clock_that_is_set_back_stops_nothing() -> None:
    """There is always one session."""
    assert connections_allowed(slowed(2), most=4, now=NOON - timedelta(days=40)) == 1
