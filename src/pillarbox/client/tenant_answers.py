"""What the API answers about tenants, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """An organisation on a shared installation, and what it may use of the system's."""

    id: str = ""
    name: str = ""
    system_relays: str = ""
    senders: tuple[str, ...] = field(default=(), metadata={"read": tuple})
    created_at: datetime | None = field(default=None, metadata={"read": datetime.fromisoformat})
    json: Json = field(default_factory=dict, repr=False, compare=False)
