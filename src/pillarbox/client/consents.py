"""How a relay's consent does, as a value of the API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """
    Whether a relay has tokens. state is none, waiting for consent, working, expires soon or
    broken; then cause and fix say why, and said is the provider's own word. authorize_url is
    told once, to whoever began. ends has what ends by itself: `{"what", "at", "soon"}`.
    """

    relay: str = ""
    state: str = ""
    redirect_uri: str = ""
    provider: str | None = None
    grant: str | None = None
    account: str | None = None
    authorize_url: str | None = None
    user_code: str | None = None
    verification_uri: str | None = None
    waiting_until: datetime | None = field(default=None, metadata={"read": datetime.fromisoformat})
    cause: str | None = None
    fix: str | None = None
    said: str | None = None
    ends: tuple[Mapping[str, Any], ...] = field(default=(), metadata={"read": tuple})
    json: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def is_waiting(self) -> bool:
        """Whether a person has still to sign in."""
        return self.waiting_until is not None
