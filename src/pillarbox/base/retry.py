"""When to try again. Pure: no clock, no randomness of its own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class RetrySchedule:
    """
    Waits between attempts; the last one repeats (RFC 5321 §4.5.4.1).

    jitter is the share by which a wait may grow or shrink: it spreads a backlog that
    failed together. At a half, any ten seconds get a twentieth of it or less, as soon as the
    wait is five minutes.
    """

    waits: tuple[timedelta, ...]
    jitter: float = 0.5

    def next_attempt(self, *, now: datetime, attempts: int, chance: float) -> datetime:
        """
        The moment of the next attempt after `attempts` that counted (at least one).

        chance is a number in [0, 1) drawn by the caller, so that this stays testable.
        """
        wait = self.waits[min(max(attempts, 1), len(self.waits)) - 1]
        return now + wait * (1 + self.jitter * (2 * chance - 1))
