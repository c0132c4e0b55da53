"""
Tenants: organisations on one installation, each with its own keys and its own mail.

The system is the root scope and no tenant. What a tenant may use of the system's is its policy;
the policy counts from the moment it is stored, on every process.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from enum import Enum
from typing import Any

from sqlalchemy import JSON, Column, Connection, String, Table, delete, insert, select, update

from pillarbox.access.keys import keys_of_tenant
from pillarbox.access.principal import Principal
from pillarbox.base.clock import Clock
from pillarbox.base.db.database import Database
from pillarbox.base.db.schema import Moment, metadata
from pillarbox.base.errors import Conflict, Invalid, NotFound
from pillarbox.base.ids import Ids
from pillarbox.journal import journal
from pillarbox.journal.events import TenantAdded, TenantChanged, TenantRemoved

MAX_NAME = 80  # characters

tenants = Table(
    "tenants",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("name", String(MAX_NAME), nullable=False, unique=True),
    Column("system_relays", String(10), nullable=False),
    Column("senders", JSON, nullable=False),
    Column("created_at", Moment, nullable=False),
)


class Permission(Enum):
    """Whether a tenant may use something."""

    ALLOWED = "allowed"
    FORBIDDEN = "forbidden"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """
    An organisation and its policy.

    system_relays: whether its mail may go by the system's default relay. senders are the
    addresses and domains that it may send from, as in `ann@example.org`, `example.org` and
    `*.example.org`; with none it may send from any, and nothing of it is signed by us.
    """

    id: str
    name: str
    system_relays: Permission = Permission.ALLOWED
    senders: tuple[str, ...] = ()
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantChange:
    """What is to be different; None keeps what there is."""

    name: str | None = None
    system_relays: Permission | None = None
    senders: tuple[str, ...] | None = None

    def wishes(self) -> dict[str, Any]:
        """What is not to be kept, by field. Raises Invalid for a name that is none."""
        found = {each.name: getattr(self, each.name) for each in fields(self)}
        if self.name is not None:
            found["name"] = _checked_name(self.name)
        return {name: value for name, value in found.items() if value is not None}


class Tenants:
    """Every tenant, known without asking the database."""

    def __init__(self, database: Database, clock: Clock, ids: Ids) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
        self._known: Mapping[str, Tenant] = {}

    async def load(self) -> None:
        """Read them, also when another process may have changed them."""
        self._known = await self._database.read(_all)

    def all(self) -> list[Tenant]:
        """By name."""
        return sorted(self._known.values(), key=lambda each: each.name)

    def get(self, reference: str) -> Tenant:
        """A tenant by id or name. Raises NotFound."""
        if reference in self._known:
            return self._known[reference]
        for each in self._known.values():
            if each.name == reference:
                return each
        raise NotFound(f"there is no tenant “{reference}”", field="tenant")

    async def add(self, change: TenantChange, principal: Principal) -> Tenant:
        """Raises Invalid, and Conflict when there is one of this name."""
        now = self._clock.now()
        if change.name is None:
            raise Invalid("give the tenant a name", field="name")
        new = Tenant(id=self._ids.new("tnt"), created_at=now, **change.wishes())
        event = TenantAdded(principal=str(principal), tenant_id=new.id, tenant=new.name)

        def store(connection: Connection) -> Mapping[str, Tenant]:
            _refuse_taken_name(connection, new)
            row = {"id": new.id, "created_at": now} | _written(new)
            connection.execute(insert(tenants), row)
            journal.write(connection, [(now, event)])
            return _all(connection)

        self._known = await self._database.write(store)
        return self._known[new.id]

    async def change(self, reference: str, change: TenantChange, principal: Principal) -> Tenant:
        """Raises NotFound, Invalid, and Conflict when there is another of this name."""
        old, now = self.get(reference), self._clock.now()
        wishes = change.wishes()
        new = replace(old, **wishes)
        told = tuple(name for name in wishes if getattr(old, name) != getattr(new, name))
        event = TenantChanged(
            principal=str(principal), tenant_id=old.id, tenant=new.name, fields=told
        )

        def store(connection: Connection) -> Mapping[str, Tenant]:
            _refuse_taken_name(connection, new)
            changed = {name: value for name, value in _written(new).items() if name in wishes}
            row = update(tenants).where(tenants.c.id == old.id)
            if changed and not connection.execute(row.values(changed)).rowcount:
                raise NotFound(f"somebody removed the tenant “{old.name}” just now")
            if told:
                journal.write(connection, [(now, event)])
            return _all(connection)

        self._known = await self._database.write(store)
        return self._known[old.id]

    async def remove(self, reference: str, principal: Principal) -> None:
        """Raises NotFound, and Conflict while it has keys. Its mail stays and is carried."""
        old, now = self.get(reference), self._clock.now()
        event = TenantRemoved(principal=str(principal), tenant_id=old.id, tenant=old.name)

        def drop(connection: Connection) -> Mapping[str, Tenant]:
            if keys := keys_of_tenant(connection, old.id):
                listed = ", ".join(keys)
                raise Conflict(f"the tenant “{old.name}” has keys: {listed}. Revoke them first")
            connection.execute(delete(tenants).where(tenants.c.id == old.id))
            journal.write(connection, [(now, event)])
            return _all(connection)

        self._known = await self._database.write(drop)


def _refuse_taken_name(connection: Connection, tenant: Tenant) -> None:
    same = select(tenants.c.id).where(tenants.c.name == tenant.name, tenants.c.id != tenant.id)
    if connection.scalar(same) is not None:
        raise Conflict(f"there is a tenant named “{tenant.name}” already", field="name")


def _checked_name(name: str) -> str:
    name = name.strip()
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise Invalid(f"a tenant's name is 1 to {MAX_NAME} printable characters", field="name")
    if name.startswith("tnt_"):
        raise Invalid("a name that begins with tnt_ would be taken for an id", field="name")
    return name


def _written(tenant: Tenant) -> dict[str, Any]:
    return {
        "name": tenant.name,
        "system_relays": tenant.system_relays.value,
        "senders": list(tenant.senders),
    }


def _all(connection: Connection) -> dict[str, Tenant]:
    return {
        row.id: Tenant(
            id=row.id,
            name=row.name,
            system_relays=Permission(row.system_relays),
            senders=tuple(row.senders),
            created_at=row.created_at,
        )
        for row in connection.execute(select(tenants))
    }
