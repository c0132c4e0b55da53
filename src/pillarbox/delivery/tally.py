"""How many sessions relays have been opened for, and how many are open. Plain numbers."""

from __future__ import annotations

from collections import Counter, defaultdict
from weakref import WeakSet

from pillarbox.delivery.carriers import Carrier


class SessionTally:
    """Sessions of this process by relay id. One that is closed or forgotten counts no more."""

    def __init__(self) -> None:
        self.opened: Counter[str] = Counter()
        self._carriers: defaultdict[str, WeakSet[Carrier]] = defaultdict(WeakSet)

    def open(self, relay_id: str, carrier: Carrier) -> None:
        """Carriers without a session, such as the sandbox, are not counted."""
        if carrier.facts is not None:
            self.opened[relay_id] += 1
            self._carriers[relay_id].add(carrier)

    def now_open(self, relay_id: str) -> int:
        return sum(carrier.is_usable for carrier in self._carriers[relay_id])
