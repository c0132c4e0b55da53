"""
API keys: `pb_<id>_<secret>`, shown once, kept as a SHA-256.

The secret has 256 random bits, so a fast digest is enough: there is nothing to guess.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Column, Connection, String, Table, insert, select, update

from pillarbox.access.principal import Principal, PrincipalKind
from pillarbox.base.clock import Clock
from pillarbox.base.db.database import Database
from pillarbox.base.db.schema import Moment, metadata
from pillarbox.base.errors import Invalid, NotFound, Unauthenticated
from pillarbox.base.ids import Ids, token
from pillarbox.journal import journal
from pillarbox.journal.events import KeyCreated, KeyRevoked

MAX_NAME = 80  # characters

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("name", String(MAX_NAME), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("revoked_at", Moment),
    Column("tenant", String(40)),  # the id of the tenant it acts for; NULL is the system
)

Known = dict[str, tuple[str, str | None]]
"""Key id → (digest, tenant)."""


@dataclass(frozen=True, slots=True)
class Key:
    """An API key without its secret."""

    id: str
    name: str
    created_at: datetime
    revoked_at: datetime | None
    tenant: str | None = None


class Keys:
    """Every key that may be used, known without asking the database."""

    def __init__(self, database: Database, clock: Clock, ids: Ids) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
        self._digests: Known = {}

    async def load(self) -> None:
        """Read the keys that are in force."""
        self._digests = await self._database.read(_digests)

    async def refresh(self) -> None:
        """Notice what other processes changed. A change made here meanwhile is newer."""
        before = self._digests
        found = await self._database.read(_digests)
        if self._digests is before:
            self._digests = found

    async def create(
        self, name: str, principal: Principal, *, tenant: str | None = None
    ) -> tuple[Key, str]:
        """
        A new key and its text, for whoever asked and nobody else. Raises Invalid.

        tenant is the id of the tenant whose mail the key is for; it never changes.
        """
        name = name.strip()
        if not name or len(name) > MAX_NAME or not name.isprintable():
            raise Invalid(f"a key's name is 1 to {MAX_NAME} printable characters", field="name")
        key = Key(self._ids.new("key"), name, self._clock.now(), None, tenant)
        text = f"pb_{key.id.removeprefix('key_')}_{token()}"
        digest = _digest(text)

        def store(connection: Connection) -> None:
            row = {"id": key.id, "name": name, "digest": digest, "tenant": tenant}
            connection.execute(insert(api_keys), row | {"created_at": key.created_at})
            event = KeyCreated(principal=str(principal), key=key.id)
            journal.write(connection, [(key.created_at, event)])

        await self._database.write(store)
        self._digests = self._digests | {key.id: (digest, tenant)}
        return key, text

    async def revoke(self, key_id: str, principal: Principal) -> Key:
        """From now on the key opens nothing. Raises NotFound."""
        now = self._clock.now()

        def mark(connection: Connection) -> None:
            changed = connection.execute(
                update(api_keys)
                .where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
                .values(revoked_at=now)
            )
            if changed.rowcount:
                event = KeyRevoked(principal=str(principal), key=key_id)
                journal.write(connection, [(now, event)])

        await self._database.write(mark)
        self._digests = {each: it for each, it in self._digests.items() if each != key_id}
        return await self.get(key_id)

    async def get(self, key_id: str) -> Key:
        """Raises NotFound."""
        for key in await self.all():
            if key.id == key_id:
                return key
        raise NotFound(f"there is no key {key_id}")

    async def all(self) -> list[Key]:
        """All keys, revoked ones too, newest first."""
        return await self._database.read(_all)

    def authenticate(self, text: str) -> Principal:
        """Whose key this is. Raises Unauthenticated, the same way for every wrong key."""
        key_id = f"key_{text.split('_')[1]}" if text.count("_") >= 2 else ""
        stored, tenant = self._digests.get(key_id, ("", None))
        if not hmac.compare_digest(stored, _digest(text)):
            raise Unauthenticated("this key is not known, or was revoked")
        return Principal(PrincipalKind.KEY, key_id, tenant)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()


def keys_of_tenant(connection: Connection, tenant: str) -> list[str]:
    """The ids of its keys that are in force."""
    columns = api_keys.c
    query = select(columns.id).where(columns.tenant == tenant, columns.revoked_at.is_(None))
    return list(connection.scalars(query.order_by(columns.id)))


def _digests(connection: Connection) -> Known:
    columns = api_keys.c
    query = select(columns.id, columns.digest, columns.tenant)
    rows = connection.execute(query.where(columns.revoked_at.is_(None)))
    return {row.id: (row.digest, row.tenant) for row in rows}


def _all(connection: Connection) -> list[Key]:
    columns = api_keys.c
    query = select(columns.id, columns.name, columns.created_at, columns.revoked_at, columns.tenant)
    return [Key(*row) for row in connection.execute(query.order_by(columns.id.desc()))]
