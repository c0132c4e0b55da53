"""
What a tenant's key may ask of the API: one table. What is not in it is refused.

The system's keys and the operator may do everything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Reach(Enum):
    """How far a route goes for a tenant."""

    OWN = "it answers with the tenant's own things only"
    MESSAGE = "it is about one message, which must be the tenant's"


OF_TENANTS: Mapping[tuple[str, str], Reach] = {
    ("POST", "/v1/messages"): Reach.OWN,
    ("POST", "/v1/messages/batch"): Reach.OWN,
    ("GET", "/v1/messages"): Reach.OWN,
    ("GET", "/v1/messages/{message_id}"): Reach.MESSAGE,
    ("GET", "/v1/messages/{message_id}/content"): Reach.MESSAGE,
    ("PATCH", "/v1/messages/{message_id}"): Reach.MESSAGE,
    ("POST", "/v1/messages/{message_id}/cancel"): Reach.MESSAGE,
    ("POST", "/v1/messages/{message_id}/hold"): Reach.MESSAGE,
    ("POST", "/v1/messages/{message_id}/release"): Reach.MESSAGE,
    ("POST", "/v1/messages/{message_id}/retry"): Reach.MESSAGE,
    ("POST", "/v1/messages/{message_id}/resend"): Reach.MESSAGE,
}


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave to use a route; message_id is what it is about, if it is about a message."""

    reach: Reach
    message_id: str | None = None


def permit(method: str, path: str) -> Permit | None:
    """What a tenant's key may do there, or None: nothing."""
    for (allowed, pattern), reach in _PATTERNS.items():
        if allowed == method and (found := pattern.fullmatch(path)):
            return Permit(reach, found.groupdict().get("message_id"))
    return None


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template))


_PATTERNS = {
    (method, _pattern(template)): reach for (method, template), reach in OF_TENANTS.items()
}
