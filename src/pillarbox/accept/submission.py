"""
What somebody hands over, as an inlet understood it.

An inlet never stops at the first fault: it reads what it can, notes the rest in `faults`,
and accept answers with everything at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple

from pillarbox.access.principal import Principal
from pillarbox.base.errors import Invalid
from pillarbox.queue.message import Idempotency

_NONE: Mapping[str, str] = MappingProxyType({})


class Submission(NamedTuple):
    """
    A message to send, before anybody has agreed to it.

    draft holds the arguments of mail/draft.py's Draft by name; from_ may be missing, then
    the relay's default is used. relay is a name or id; None is the default relay.
    """

    principal: Principal
    inlet: str  # http, smtp, cli, python
    draft: Mapping[str, Any]
    relay: str | None = None
    stream: str = "transactional"
    send_at: datetime | None = None
    expires_at: datetime | None = None
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, str] = _NONE
    idempotency: Idempotency | None = None
    faults: tuple[Invalid, ...] = ()
