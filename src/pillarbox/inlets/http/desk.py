"""Everything that a request may need, in one place: the counter that requests come to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from pillarbox.accept.accept import Acceptance
from pillarbox.accept.scopes import Scopes
from pillarbox.access.keys import Keys
from pillarbox.access.rate import Rate
from pillarbox.access.tenants import Tenants
from pillarbox.base.clock import Clock
from pillarbox.base.config import Config
from pillarbox.base.db.database import Database
from pillarbox.base.secret import Secret
from pillarbox.delivery.tally import SessionTally
from pillarbox.diagnosis.diagnose import Diagnosis
from pillarbox.queue.depth import Depth
from pillarbox.queue.queue import Queue
from pillarbox.relays.connecting import Connecting
from pillarbox.relays.registry import Registry
from pillarbox.senders.domains import SenderDomains


@dataclass(frozen=True, kw_only=True)
class Desk:
    """
    What app.py has built, for the routes.

    operator_token opens everything to whoever can read the home folder. is_ready says
    whether mail is being carried.
    """

    config: Config
    clock: Clock
    queue: Queue
    registry: Registry
    keys: Keys
    tenants: Tenants
    senders: SenderDomains
    acceptance: Acceptance
    diagnosis: Diagnosis
    connecting: Connecting
    database: Database
    operator_token: Secret
    is_ready: Callable[[], bool]
    sessions: SessionTally = field(default_factory=SessionTally)

    @cached_property
    def scopes(self) -> Scopes:
        """Which relays whose mail may go by."""
        return Scopes(self.registry, self.tenants.get)

    @cached_property
    def depth(self) -> Depth:
        """How much waits, counted seldom."""
        return Depth(self.database, self.clock)

    @cached_property
    def trials(self) -> Rate:
        """How often a key may have a relay tried."""
        return Rate(self.clock)
