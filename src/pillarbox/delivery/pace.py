"""How many transactions a relay may begin: no more in any minute than it allows."""

from __future__ import annotations

from collections import deque

from pillarbox.base.clock import Clock

_MINUTE = 60.0


class Pace:
    """A sliding minute. What is over the limit waits; nothing is refused."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._begun: deque[float] = deque()

    def allowance(self, per_minute: int | None) -> int | None:
        """How many may begin now; None when there is no limit."""
        if per_minute is None:
            return None
        edge = self._clock.monotonic() - _MINUTE
        while self._begun and self._begun[0] <= edge:
            self._begun.popleft()
        return max(per_minute - len(self._begun), 0)

    def begin(self) -> None:
        """Count one."""
        self._begun.append(self._clock.monotonic())
