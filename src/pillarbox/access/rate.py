"""
How often one principal may ask for what reaches out to a host that somebody typed.

A diagnosis connects to any host and port. Without a limit a key would be a port scanner
that runs on our machine.
"""

from __future__ import annotations

from collections import deque
from datetime import timedelta

from pillarbox.access.principal import Principal, PrincipalKind
from pillarbox.base.clock import Clock
from pillarbox.base.errors import TooOften

MOST = 10  # in PER, of each principal, in each process
PER = timedelta(minutes=1)


class Rate:
    """
    A sliding window for each principal. The operator has the machine anyway and is not counted.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._asked: dict[Principal, deque[float]] = {}

    def take(self, principal: Principal) -> None:
        """Count one. Raises TooOften when MOST of them were counted within PER."""
        if principal.kind is PrincipalKind.OPERATOR:
            return
        now = self._clock.monotonic()
        self._forget(now - PER.total_seconds())
        asked = self._asked.setdefault(principal, deque())
        if len(asked) >= MOST:
            wait = timedelta(seconds=asked[0] - now) + PER
            raise TooOften(
                f"this key has tried relays {MOST} times within a minute, as often as it may; "
                "nothing was tried now",
                retry_after=wait,
            )
        asked.append(now)

    def _forget(self, edge: float) -> None:
        """What is out of the window, and who has nothing left in it."""
        for principal, asked in list(self._asked.items()):
            while asked and asked[0] <= edge:
                asked.popleft()
            if not asked:
                del self._asked[principal]
