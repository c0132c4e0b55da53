"""Open carriers of one relay, kept for the next message while they are young and well."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from pillarbox.base.clock import Clock
from pillarbox.delivery.carriers import Carrier
from pillarbox.relays.versions import Relay

_IDLE_SECONDS = 20  # servers close idle sessions; we are gone before they are


@dataclass(frozen=True, slots=True, eq=False)
class _Idle:
    carrier: Carrier
    version: int
    since: float


class SessionPool:
    """
    Carriers that wait for work. Every one belongs to a version of the relay: after a change
    the old ones are closed at the next borrow.

    Nobody waits for a goodbye: some servers never answer QUIT, and mail must not stand behind
    that. `close` alone sees the last ones out.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._idle: list[_Idle] = []
        self._leaving: set[asyncio.Task[None]] = set()

    def borrow(self, relay: Relay) -> Carrier | None:
        """The most recently used carrier that may still be used."""
        while self._idle:
            idle = self._idle.pop()
            is_rested = self._clock.monotonic() - idle.since < _IDLE_SECONDS
            if idle.version == relay.version and is_rested and self._is_young(idle.carrier, relay):
                return idle.carrier
            self.say_goodbye(idle.carrier)
        return None

    def give_back(self, carrier: Carrier, relay: Relay) -> None:
        """Keep it for the next message, or close it when it is worn."""
        if self._is_young(carrier, relay):
            self._idle.append(_Idle(carrier, relay.version, self._clock.monotonic()))
        else:
            self.say_goodbye(carrier)

    def may_go_on(self, carrier: Carrier, relay: Relay) -> bool:
        """Whether it is not worn, by messages or by time."""
        settings = relay.settings
        return (
            carrier.transactions < settings.messages_per_connection
            and self._clock.monotonic() - carrier.opened_at < settings.connection_age_seconds
        )

    def __len__(self) -> int:
        """How many sessions stand idle."""
        return len(self._idle)

    def keep(self, at_most: int) -> None:
        """Let go of those that have waited longest."""
        surplus = max(0, len(self._idle) - max(0, at_most))
        self._part_with(self._idle[:surplus])

    def close_idle(self) -> None:
        """Let go of what has waited long enough."""
        edge = self._clock.monotonic() - _IDLE_SECONDS
        self._part_with([idle for idle in self._idle if idle.since <= edge])

    def say_goodbye(self, carrier: Carrier) -> None:
        """Close a carrier while others go on."""
        leaving = asyncio.create_task(carrier.close())
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)

    async def close(self) -> None:
        """Say goodbye on every session; return when all have gone."""
        self._part_with(self._idle)
        await asyncio.gather(*self._leaving, return_exceptions=True)

    def _part_with(self, some: list[_Idle]) -> None:
        self._idle = [idle for idle in self._idle if idle not in some]
        for idle in some:
            self.say_goodbye(idle.carrier)

    def _is_young(self, carrier: Carrier, relay: Relay) -> bool:
        return carrier.is_usable and self.may_go_on(carrier, relay)
