"""What every worker of a process works with."""

from __future__ import annotations

from dataclasses import dataclass, field

from pillarbox.base.allowance import Allowance
from pillarbox.base.clock import Clock
from pillarbox.base.ids import Ids
from pillarbox.delivery.tally import SessionTally
from pillarbox.queue.queue import Queue
from pillarbox.relays.access_tokens import AccessTokens
from pillarbox.relays.registry import Registry
from pillarbox.relays.sharing import Sharing

MAX_CARRIED = 32 * 1024 * 1024  # octets of all large contents that are carried at one moment


@dataclass(frozen=True, slots=True)
class Equipment:
    """
    sharing is there where other processes work on this database too; room is for contents
    that are too large to come with their claim.
    """

    queue: Queue
    registry: Registry
    clock: Clock
    ids: Ids
    ehlo_name: str
    sharing: Sharing | None = None
    tokens: AccessTokens | None = None
    sessions: SessionTally = field(default_factory=SessionTally)
    room: Allowance = field(default_factory=lambda: Allowance(MAX_CARRIED))
