"""What every worker of a process works with."""

from __future__ import annotations

from dataclasses import dataclass, field

from pillarbox.base.clock import Clock
from pillarbox.base.ids import Ids
from pillarbox.delivery.tally import SessionTally
from pillarbox.queue.queue import Queue
from pillarbox.relays.registry import Registry
from pillarbox.relays.sharing import Sharing


@dataclass(frozen=True, slots=True)
class Equipment:
    """sharing is there where other processes work on this database too."""

    queue: Queue
    registry: Registry
    clock: Clock
    ids: Ids
    ehlo_name: str
    sharing: Sharing | None = None
    sessions: SessionTally = field(default_factory=SessionTally)
