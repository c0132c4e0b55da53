"""
What a consent leaves with us: the tokens of each relay, sealed, and how they do.

Rows are written by tokens.py and consents.py. Tokens are bound to where they may be used, so a
changed relay cannot open them. Times are by the clock that all processes share.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    LargeBinary,
    String,
    Table,
    Text,
    delete,
    insert,
    or_,
    select,
    update,
)

from pillarbox.base.db.schema import Moment, metadata
from pillarbox.base.sealing import Keyring
from pillarbox.base.secret import Secret
from pillarbox.oauth.answers import Issued
from pillarbox.oauth.troubles import TokenRefusal

LEASE = timedelta(seconds=45)  # longer than one request may take

oauth_grants = Table(
    "oauth_grants",
    metadata,
    Column("relay_id", String(40), primary_key=True),
    Column("bound_to", String(64), nullable=False),  # a digest of where the tokens may be used
    Column("refresh_token", LargeBinary),  # sealed
    Column("access_token", LargeBinary),  # sealed
    Column("access_expires_at", Moment),
    Column("access_refresh_at", Moment),
    Column("refresh_expires_at", Moment),
    Column("refreshed_at", Moment),  # the last time that the provider gave a token
    Column("connected_at", Moment, nullable=False),
    Column("principal", String(80), nullable=False),
    Column("account", Text),
    Column("scopes", Text),
    Column("refusal", JSON(none_as_null=True)),  # of the last try; null while all is well
    Column("failed_at", Moment),
    Column("is_broken", Boolean, nullable=False),  # asking again without a person is useless
    Column("warned_at", Moment),
    Column("lease_holder", String(40)),
    Column("lease_until", Moment),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """Which tokens: those of a relay, for exactly this destination (relays/binding.py)."""

    relay_id: str
    bound_to: bytes

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.bound_to).hexdigest()

    def of(self, what: str) -> bytes:
        """What a token is sealed with: its kind, and where it may be used."""
        return what.encode() + b"\0" + self.bound_to


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantRow:
    """A row, its tokens still sealed."""

    relay_id: str
    bound_to: str
    refresh_token: bytes | None = None
    access_token: bytes | None = None
    access_expires_at: datetime | None = None
    access_refresh_at: datetime | None = None
    refresh_expires_at: datetime | None = None
    refreshed_at: datetime | None = None
    connected_at: datetime
    principal: str
    account: str | None = None
    scopes: str | None = None
    refusal: dict[str, Any] | None = None
    failed_at: datetime | None = None
    is_broken: bool = False
    warned_at: datetime | None = None
    lease_holder: str | None = None
    lease_until: datetime | None = None

    @property
    def trouble(self) -> TokenRefusal | None:
        """Why the last try gave no token, if it did not."""
        return TokenRefusal.from_json(self.refusal) if self.refusal else None

    def refresh_ends_at(self, unused_days: int | None) -> datetime | None:
        """When the refresh token dies: as the provider said, or after so long without use."""
        if self.refresh_token is None:
            return None
        if self.refresh_expires_at or unused_days is None or self.refreshed_at is None:
            return self.refresh_expires_at
        return self.refreshed_at + timedelta(days=unused_days)


def grants(connection: Connection) -> dict[str, GrantRow]:
    """All of them, by relay."""
    return {row.relay_id: GrantRow(**row._mapping) for row in connection.execute(_ALL)}


def grant_of(connection: Connection, use: Use) -> GrantRow | None:
    """The grant, if it is for this destination."""
    query = _ALL.where(_OF.relay_id == use.relay_id, _OF.bound_to == use.digest)
    row = connection.execute(query).one_or_none()
    return GrantRow(**row._mapping) if row else None


def exists(connection: Connection, relay_id: str) -> bool:
    """Whether a consent would be lost. One that is broken is no loss."""
    query = select(_OF.relay_id).where(
        _OF.relay_id == relay_id, _OF.refresh_token.is_not(None), _OF.is_broken.is_(False)
    )
    return connection.scalar(query) is not None


def forget(connection: Connection, relay_id: str) -> bool:
    """Drop a relay's tokens; whether there were any."""
    gone = connection.execute(delete(oauth_grants).where(_OF.relay_id == relay_id))
    return bool(gone.rowcount)


def connect(connection: Connection, row: GrantRow) -> None:
    """A new consent: what was there before it is gone."""
    forget(connection, row.relay_id)
    connection.execute(insert(oauth_grants), _columns(row))


def take_lease(connection: Connection, use: Use, holder: str, now: datetime) -> bool:
    """Whether this holder alone may ask the provider now."""
    is_free = or_(_OF.lease_until.is_(None), _OF.lease_until <= now)
    taken = update(oauth_grants).where(
        _OF.relay_id == use.relay_id, _OF.bound_to == use.digest, is_free
    )
    values = {"lease_holder": holder, "lease_until": now + LEASE}
    return bool(connection.execute(taken.values(values)).rowcount)


def renew(connection: Connection, row: GrantRow, holder: str) -> bool:
    """
    Store what the holder of the lease learnt, and end the lease.

    False when somebody else has it by now, or the consent is gone: then nothing is stored.
    """
    ours = update(oauth_grants).where(
        _OF.relay_id == row.relay_id, _OF.bound_to == row.bound_to, _OF.lease_holder == holder
    )
    values = _columns(replace(row, lease_holder=None, lease_until=None))
    return bool(connection.execute(ours.values(values)).rowcount)


def note_warning(connection: Connection, relay_id: str, now: datetime) -> None:
    """Remember that people were told that something ends soon."""
    warned = update(oauth_grants).where(_OF.relay_id == relay_id)
    connection.execute(warned.values(warned_at=now))


def with_issued(row: GrantRow, issued: Issued, use: Use, keyring: Keyring) -> GrantRow:
    """
    The grant with what was given now. A refresh token that did not come back stays as it is.

    Raises nothing: sealing takes any secret.
    """
    rotated = issued.refresh_token
    return replace(
        row,
        access_token=keyring.seal(issued.access_token, use.of("access")),
        access_expires_at=issued.access_expires_at,
        access_refresh_at=issued.access_refresh_at,
        refresh_token=keyring.seal(rotated, use.of("refresh")) if rotated else row.refresh_token,
        refresh_expires_at=issued.refresh_expires_at
        or (None if rotated else row.refresh_expires_at),
        scopes=issued.scopes or row.scopes,
        account=issued.account or row.account,
        refusal=None,
        failed_at=None,
        is_broken=False,
    )


def with_refusal(
    row: GrantRow, refusal: TokenRefusal, now: datetime, *, is_broken: bool
) -> GrantRow:
    """The grant after a try that gave nothing. With one that is broken nobody asks again."""
    return replace(row, refusal=refusal.to_json(), failed_at=now, is_broken=is_broken)


def opened(row: GrantRow, what: str, use: Use, keyring: Keyring) -> Secret | None:
    """A token of the row. Raises CannotOpen when it was sealed with a lost key."""
    sealed = row.refresh_token if what == "refresh" else row.access_token
    return keyring.open(sealed, use.of(what)) if sealed is not None else None


def _columns(row: GrantRow) -> dict[str, Any]:
    return {column.name: getattr(row, column.name) for column in oauth_grants.columns}


_OF = oauth_grants.c
_ALL = select(oauth_grants)
