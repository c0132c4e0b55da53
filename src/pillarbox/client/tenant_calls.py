"""The calls of the Python API about tenants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from pillarbox.client.answers import Page, read, read_page
from pillarbox.client.calls import Calls
from pillarbox.client.connection import Call
from pillarbox.client.tenant_answers import Tenant


class Tenants(Calls):
    """Organisations on one installation, each with its own keys and its own mail."""

    async def add(
        self, name: str, *, system_relays: str | None = None, senders: Sequence[str] | None = None
    ) -> Tenant:
        """
        A new tenant. system_relays is allowed or forbidden; senders are addresses and domains.

        Raises Rejected, Conflict.
        """
        body = _fields(name, system_relays, senders)
        return read(Tenant, await self._json(Call("POST", "/v1/tenants", body=body)))

    async def list(self) -> Page[Tenant]:
        """All of them, by name."""
        return read_page(Tenant, await self._json(Call("GET", "/v1/tenants")))

    async def get(self, tenant: str) -> Tenant:
        """One, by name or id. Raises NotFound."""
        return read(Tenant, await self._json(Call("GET", _tenant(tenant))))

    async def set(
        self,
        tenant: str,
        *,
        name: str | None = None,
        system_relays: str | None = None,
        senders: Sequence[str] | None = None,
    ) -> Tenant:
        """Change what is given. Raises NotFound, Rejected, Conflict."""
        body = _fields(name, system_relays, senders)
        return read(Tenant, await self._json(Call("PATCH", _tenant(tenant), body=body)))

    async def remove(self, tenant: str) -> None:
        """Raises NotFound, and Conflict while it has keys. Its mail is carried."""
        await self._json(Call("DELETE", _tenant(tenant)))


def _fields(
    name: str | None, system_relays: str | None, senders: Sequence[str] | None
) -> dict[str, Any]:
    said = {
        "name": name,
        "system_relays": system_relays,
        "senders": None if senders is None else list(senders),
    }
    return {field: value for field, value in said.items() if value is not None}


def _tenant(tenant: str) -> str:
    return f"/v1/tenants/{quote(tenant, safe='')}"
