"""Streams: classes of mail with their own retry schedule, lifetime, priority and doubt policy."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from pillarbox.base.errors import Invalid
from pillarbox.base.retry import RetrySchedule


class Doubt(Enum):
    """What an uncertain delivery does next."""

    RETRY = "retry"  # again later, the same octets; a second copy is possible and flagged
    NEVER = "never"  # at most once; whoever asked for it asks again


@dataclass(frozen=True, slots=True)
class Stream:
    """A class of mail. priority 0 is claimed first."""

    name: str
    priority: int
    lifetime: timedelta
    schedule: RetrySchedule
    doubt: Doubt
    outlives: bool = True  # whether a person may have it sent when its time is over


def _minutes(*minutes: float) -> tuple[timedelta, ...]:
    return tuple(timedelta(minutes=each) for each in minutes)


CODE = Stream(
    "code",
    priority=0,
    lifetime=timedelta(minutes=10),
    schedule=RetrySchedule(_minutes(5 / 60, 15 / 60, 45 / 60, 2, 5)),
    doubt=Doubt.NEVER,
    outlives=False,
)
TRANSACTIONAL = Stream(
    "transactional",
    priority=1,
    lifetime=timedelta(days=5),
    schedule=RetrySchedule(_minutes(1, 5, 15, 30, 60, 120)),
    doubt=Doubt.RETRY,
)
BULK = Stream(
    "bulk",
    priority=2,
    lifetime=timedelta(days=5),
    schedule=RetrySchedule(_minutes(30, 60, 120, 240)),
    doubt=Doubt.RETRY,
)

STREAMS = {stream.name: stream for stream in (TRANSACTIONAL, CODE, BULK)}
UNCERTAIN_WAIT = timedelta(minutes=15)  # before a delivery in doubt is tried again


def stream_named(name: str) -> Stream:
    """Raises Invalid naming the streams there are."""
    if name not in STREAMS:
        raise Invalid(f"there is no stream “{name}”; use {', '.join(STREAMS)}", field="stream")
    return STREAMS[name]
