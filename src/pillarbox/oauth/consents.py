"""
A consent in progress: begun by a principal for one relay, spent once, dead after ten minutes.

The state of the address is the capability (RFC 6749 §10.12). Only its digest is kept, and the
row is deleted before the code is exchanged, so nothing can be spent twice.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import (
    Column,
    Connection,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    delete,
    insert,
    select,
    update,
)

from pillarbox.base.db.schema import Moment, metadata
from pillarbox.base.errors import Refused
from pillarbox.base.ids import token
from pillarbox.base.sealing import Keyring
from pillarbox.base.secret import Secret
from pillarbox.oauth.client import Client
from pillarbox.oauth.grants import Use
from pillarbox.oauth.server import DeviceCode

LIFE = timedelta(minutes=10)
_VERIFIER_OCTETS = 48  # 64 characters; RFC 7636 §4.1 asks for 43 to 128

oauth_consents = Table(
    "oauth_consents",
    metadata,
    Column("digest", String(64), primary_key=True),  # of the state, or of a device code
    Column("relay_id", String(40), nullable=False, unique=True),
    Column("bound_to", String(64), nullable=False),
    Column("principal", String(80), nullable=False),
    Column("secret", LargeBinary, nullable=False),  # sealed: the PKCE verifier or the device code
    Column("redirect_uri", Text),
    Column("began_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("user_code", Text),
    Column("verification_uri", Text),
    Column("interval_seconds", Integer),
    Column("ask_at", Moment),  # a device code: when to ask next whether it was entered
)


class Spent(Refused):
    """A callback whose consent is over: used before, too old, or never begun here."""

    code = "consent_over"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A row. With a user_code it waits for a device code to be entered."""

    digest: str
    relay_id: str
    bound_to: str
    principal: str
    secret: bytes
    began_at: datetime
    expires_at: datetime
    redirect_uri: str | None = None
    user_code: str | None = None
    verification_uri: str | None = None
    interval_seconds: int | None = None
    ask_at: datetime | None = None

    def opened(self, keyring: Keyring) -> Secret:
        """The verifier or the device code. Raises CannotOpen."""
        return keyring.open(self.secret, _sealed_for(self.digest))


def challenge_of(verifier: Secret) -> str:
    """S256 (RFC 7636 §4.2)."""
    digest = hashlib.sha256(verifier.reveal().encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A consent by browser: the row to store, and what the address needs."""

    pending: Pending
    state: str
    challenge: str


def begin(use: Use, principal: str, redirect_uri: str, keyring: Keyring, now: datetime) -> Begun:
    """A new state and verifier, each of 256 random bits or more."""
    state, verifier = token(), Secret(token(_VERIFIER_OCTETS))
    digest = digest_of(state)
    pending = Pending(
        digest=digest,
        relay_id=use.relay_id,
        bound_to=use.digest,
        principal=principal,
        secret=keyring.seal(verifier, _sealed_for(digest)),
        redirect_uri=redirect_uri,
        began_at=now,
        expires_at=now + LIFE,
    )
    return Begun(pending=pending, state=state, challenge=challenge_of(verifier))


def begin_device(
    use: Use, principal: str, code: DeviceCode, keyring: Keyring, now: datetime
) -> Pending:
    """A device code that waits to be entered."""
    digest = digest_of(code.device_code.reveal())
    return Pending(
        digest=digest,
        relay_id=use.relay_id,
        bound_to=use.digest,
        principal=principal,
        secret=keyring.seal(code.device_code, _sealed_for(digest)),
        began_at=now,
        expires_at=now + code.expires_in,
        user_code=code.user_code,
        verification_uri=code.verification_uri_complete or code.verification_uri,
        interval_seconds=max(1, int(code.interval.total_seconds())),
        ask_at=now + code.interval,
    )


def store(connection: Connection, pending: Pending) -> None:
    """One consent for each relay: an older one that nobody finished is over."""
    connection.execute(delete(oauth_consents).where(_OF.relay_id == pending.relay_id))
    connection.execute(delete(oauth_consents).where(_OF.expires_at <= pending.began_at))
    row = {column.name: getattr(pending, column.name) for column in oauth_consents.columns}
    connection.execute(insert(oauth_consents), row)


def is_known(connection: Connection, state: str) -> bool:
    """Whether a consent with this state is waiting."""
    query = select(_OF.digest).where(_OF.digest == digest_of(state))
    return connection.scalar(query) is not None


def spend(connection: Connection, state: str, now: datetime) -> Pending | None:
    """Take the consent with this state, which is over from now on. None when there is none."""
    gone = delete(oauth_consents).where(_OF.digest == digest_of(state), _OF.user_code.is_(None))
    row = connection.execute(gone.returning(*oauth_consents.columns)).one_or_none()
    pending = _pending(row) if row else None
    return pending if pending and now < pending.expires_at else None


def drop(connection: Connection, relay_id: str) -> bool:
    """End what was begun for a relay; whether there was anything."""
    gone = connection.execute(delete(oauth_consents).where(_OF.relay_id == relay_id))
    return bool(gone.rowcount)


def end(connection: Connection, pending: Pending) -> bool:
    """End this one; False when somebody else has ended it, or begun another."""
    gone = connection.execute(delete(oauth_consents).where(_OF.digest == pending.digest))
    return bool(gone.rowcount)


def waiting(connection: Connection, now: datetime) -> dict[str, Pending]:
    """What waits for a person, by relay."""
    found = connection.execute(select(oauth_consents).where(_OF.expires_at > now))
    return {row.relay_id: _pending(row) for row in found}


def devices(connection: Connection) -> list[Pending]:
    """Device codes that somebody may be typing at this moment, the next to ask about first."""
    query = select(oauth_consents).where(_OF.ask_at.is_not(None)).order_by(_OF.ask_at)
    return [_pending(row) for row in connection.execute(query)]


def claim_question(
    connection: Connection, pending: Pending, now: datetime, *, slower: bool = False
) -> bool:
    """Whether we are the one who asks now. slower: by five seconds from now on (RFC 8628 §3.5)."""
    seconds = (pending.interval_seconds or 5) + (5 if slower else 0)
    mine = update(oauth_consents).where(_OF.digest == pending.digest, _OF.ask_at == pending.ask_at)
    values = {"ask_at": now + timedelta(seconds=seconds), "interval_seconds": seconds}
    return bool(connection.execute(mine.values(values)).rowcount)


def refuse_other_issuer(client: Client, iss: str | None) -> None:
    """
    RFC 9207 §2.4: an answer of another authorization server than the one that was asked.

    Where the issuer is not known, one at another host than the sign-in page is another.
    Raises Spent.
    """
    if iss is None:
        return
    expected = client.issuer
    if expected is not None and "{" not in expected and iss == expected:
        return
    if expected is None and _origin(iss) == _origin(client.authorize_url or ""):
        return
    raise Spent(
        "the answer came from another authorization server than the one that was asked, so it "
        "was not used. Begin again; if it happens again, compare issuer with the provider's pages"
    )


def digest_of(state: str) -> str:
    """What is kept of a state: whoever reads the database cannot use it."""
    return hashlib.sha256(state.encode()).hexdigest()


def _sealed_for(digest: str) -> bytes:
    return b"pillarbox consent 1\0" + digest.encode()


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.casefold()


def _pending(row: Any) -> Pending:
    return Pending(**row._mapping)


_OF = oauth_consents.c
