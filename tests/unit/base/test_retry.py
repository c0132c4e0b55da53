"""A backlog that failed together does not come back together."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from pillarbox.base.retry import RetrySchedule
from pillarbox.queue.streams import STREAMS

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
BACKLOG = 2000


def largest_share(moments: list[datetime], width: timedelta) -> float:
    """The largest share of them that falls into any span of this width."""
    moments = sorted(moments)
    most, start = 0, 0
    for end, last in enumerate(moments):
        while last - moments[start] >= width:
            start += 1
        most = max(most, end - start + 1)
    return most / len(moments)


def spread(schedule: RetrySchedule, attempts: int) -> list[datetime]:
    """When a backlog that was deferred at one moment is due again."""
    seed = random.randrange(2**32)
    print("seed", seed)
    chances = random.Random(seed)
    return [
        schedule.next_attempt(now=NOON, attempts=attempts, chance=chances.random())
        for _ in range(BACKLOG)
    ]


@pytest.mark.parametrize("name", STREAMS)
def test_a_backlog_uses_the_whole_width_that_its_jitter_gives(name: str) -> None:
    """No moment is preferred: any tenth of the width has about a tenth of the backlog."""
    schedule = STREAMS[name].schedule
    for attempts, wait in enumerate(schedule.waits, start=1):
        width = 2 * schedule.jitter * wait
        assert largest_share(spread(schedule, attempts), width / 10) <= 0.14


@pytest.mark.parametrize("name", ["transactional", "bulk"])
def test_ten_seconds_get_no_more_than_a_twentieth_of_a_backlog(name: str) -> None:
    """F19, for every wait of five minutes and more."""
    schedule = STREAMS[name].schedule
    for attempts, wait in enumerate(schedule.waits, start=1):
        if wait >= timedelta(minutes=5):
            share = largest_share(spread(schedule, attempts), timedelta(seconds=10))
            assert share <= 0.05
