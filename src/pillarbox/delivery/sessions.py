"""Open carriers of one relay, kept for the next message while they are young and well."""

from __future__ import annotations

from dataclasses import dataclass

from pillarbox.base.clock import Clock
from pillarbox.delivery.carriers import Carrier
from pillarbox.relays.versions import Relay

_IDLE_SECONDS = 20  # servers close idle sessions; we are gone before they are


@dataclass(frozen=True, slots=True)
class _Idle:
    carrier: Carrier
    version: int
    since: float


class SessionPool:
    """
    Carriers that wait for work. Every one belongs to a version of the relay: after a change
    the old ones are closed at the next borrow.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._idle: list[_Idle] = []

    async def borrow(self, relay: Relay) -> Carrier | None:
        """The most recently used carrier that may still be used."""
        while self._idle:
            idle = self._idle.pop()
            is_rested = self._clock.monotonic() - idle.since < _IDLE_SECONDS
            if idle.version == relay.version and is_rested and self._is_young(idle.carrier, relay):
                return idle.carrier
            await idle.carrier.close()
        return None

    async def give_back(self, carrier: Carrier, relay: Relay) -> None:
        """Keep it for the next message, or close it when it is worn."""
        if self._is_young(carrier, relay):
            self._idle.append(_Idle(carrier, relay.version, self._clock.monotonic()))
        else:
            await carrier.close()

    def __len__(self) -> int:
        """How many sessions stand idle."""
        return len(self._idle)

    async def keep(self, at_most: int) -> None:
        """Say goodbye on those that have waited longest."""
        surplus = max(0, len(self._idle) - max(0, at_most))
        leaving, self._idle = self._idle[:surplus], self._idle[surplus:]
        for idle in leaving:
            await idle.carrier.close()

    async def close_idle(self) -> None:
        """Close what has waited long enough."""
        edge = self._clock.monotonic() - _IDLE_SECONDS
        old = [idle for idle in self._idle if idle.since <= edge]
        self._idle = [idle for idle in self._idle if idle.since > edge]
        for idle in old:
            await idle.carrier.close()

    async def close(self) -> None:
        """Say goodbye on every session."""
        waiting, self._idle = self._idle, []
        for idle in waiting:
            await idle.carrier.close()

    def _is_young(self, carrier: Carrier, relay: Relay) -> bool:
        settings = relay.settings
        return (
            carrier.is_usable
            and carrier.transactions < settings.messages_per_connection
            and self._clock.monotonic() - carrier.opened_at < settings.connection_age_seconds
        )
