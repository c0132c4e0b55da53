"""
How many sessions and messages a worker may begin now: alone, or among other processes.

Alone it is a matter of memory. Where processes share a database they share the relay's
limits: see relays/sharing.py. What is over a limit waits; nothing is refused.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

from pillarbox.base.clock import Clock
from pillarbox.relays.sharing import Ask, Permits, Sharing
from pillarbox.relays.versions import Relay

_MINUTE = 60.0
_ASK_AGAIN = 5.0  # seconds after which a share is settled anew
_ASK_FOR_MORE = 0.5  # seconds before a share that is too small is asked for again
_PERMIT = 50.0  # seconds for which a permit that was not used is good


class Pace(Protocol):
    """The limits of one relay."""

    async def sessions(self, relay: Relay, wanted: int, in_use: int) -> int:
        """How many of the wanted sessions may be open. wanted is 1 for a probe, 0 to leave."""
        ...

    async def messages(self, relay: Relay, wanted: int, waiting: int) -> int:
        """How many more may be claimed; `waiting` were and have not begun."""
        ...

    def begin(self) -> None:
        """Count a message that begins."""
        ...

    def put_back(self) -> None:
        """The last one that began did not after all."""
        ...


class LocalPace:
    """For the only process: a sliding minute, and as many sessions as are wanted."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._begun: deque[float] = deque()

    async def sessions(self, relay: Relay, wanted: int, in_use: int) -> int:
        return wanted

    async def messages(self, relay: Relay, wanted: int, waiting: int) -> int:
        per_minute = relay.settings.messages_per_minute
        if per_minute is None:
            self._begun.clear()
            return wanted
        edge = self._clock.monotonic() - _MINUTE
        while self._begun and self._begun[0] <= edge:
            self._begun.popleft()
        return min(wanted, max(per_minute - len(self._begun), 0) - waiting)

    def begin(self) -> None:
        self._begun.append(self._clock.monotonic())

    def put_back(self) -> None:
        if self._begun:
            self._begun.pop()


class SharedPace:
    """For one process of several: asks the database, but not at every message."""

    def __init__(self, sharing: Sharing) -> None:
        self._sharing = sharing
        self._granted = 0
        self._wanted = 0
        self._asked_at = float("-inf")
        self._permits = 0
        self._permitted_at = float("-inf")

    async def sessions(self, relay: Relay, wanted: int, in_use: int) -> int:
        age = self._sharing.clock.monotonic() - self._asked_at
        is_short = self._granted < wanted and (wanted != self._wanted or age >= _ASK_FOR_MORE)
        if wanted == 0 or is_short or age >= _ASK_AGAIN:
            await self._ask(relay, wanted, in_use)
        return min(self._granted, wanted)

    async def messages(self, relay: Relay, wanted: int, waiting: int) -> int:
        per_minute = relay.settings.messages_per_minute
        if per_minute is None:
            return wanted
        now = self._sharing.clock.monotonic()
        if now - self._permitted_at >= _PERMIT:
            self._permits = waiting  # the others are too old to be used
        free = max(0, self._permits - waiting)
        if free < wanted:
            permits = await self._reserve(relay, wanted - free, per_minute)
            self._permits += permits
            self._permitted_at = now
            free += permits
        return min(wanted, free)

    def begin(self) -> None:
        self._permits = max(0, self._permits - 1)

    def put_back(self) -> None:
        self._permits += 1

    async def _ask(self, relay: Relay, wanted: int, in_use: int) -> None:
        now = self._sharing.clock.now()
        connections = relay.connections(now)
        ask = Ask(
            relay_id=relay.id,
            holder=self._sharing.holder,
            wanted=wanted,
            in_use=in_use,
            most=connections,
            is_proven=wanted == connections and relay.rest is None,
            now=now,
        )
        self._asked_at, self._wanted = self._sharing.clock.monotonic(), wanted
        self._granted = await self._sharing.take(ask)
        if wanted == 0 and self._permits:
            await self._reserve(relay, -self._permits, relay.settings.messages_per_minute or 0)
            self._permits = 0

    async def _reserve(self, relay: Relay, wanted: int, per_minute: int) -> int:
        now = self._sharing.clock.now()
        wish = Permits(relay_id=relay.id, wanted=wanted, per_minute=per_minute, now=now)
        return await self._sharing.reserve(wish)
