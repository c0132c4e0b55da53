"""
An access token whenever one is needed: kept, renewed early, by one caller at a time.

Within a process callers share one task for each relay; between processes a lease in the
database decides. No transaction spans the question to the provider. What the provider gave is
stored before anybody uses it, because a refresh token that was rotated and lost cannot be had
again (RFC 9700 §4.14.2).
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, replace
from datetime import timedelta

from pillarbox.base import dial, log
from pillarbox.base.clock import Clock
from pillarbox.base.db.database import Database
from pillarbox.base.errors import Unavailable
from pillarbox.base.ids import Ids
from pillarbox.base.sealing import CannotOpen, Keyring
from pillarbox.base.secret import Secret
from pillarbox.oauth import grants
from pillarbox.oauth.answers import Issued
from pillarbox.oauth.client import Client
from pillarbox.oauth.grants import GrantRow, Use
from pillarbox.oauth.server import AuthorizationServer
from pillarbox.oauth.troubles import Fault, NoToken, noticed

_LOOK_SECONDS = 0.2  # between looks at what another process is getting
_LOOKS = 300
_STORE_TRIES, _STORE_SECONDS = 600, 1.0  # what a provider gave is had once only

_log = log.logger("oauth")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Whose token. instead_of is one that a relay has just refused: it is not given again."""

    use: Use
    client: Client
    instead_of: Secret | None = None
    is_keeping_alive: bool = False  # get a new one even though the old one is good


class Tokens:
    """The tokens of this installation."""

    def __init__(
        self,
        database: Database,
        keyring: Keyring,
        clock: Clock,
        ids: Ids,
        resolver: dial.Resolver = dial.system_resolver,
    ) -> None:
        self._database = database
        self._keyring = keyring
        self._ids = ids
        self._clock = clock
        self._resolver = resolver
        self._renewing: dict[str, asyncio.Task[Secret]] = {}
        self._is_closing = False

    async def access(self, wanted: Wanted) -> Secret:
        """
        An access token that is good for some minutes at least. Raises NoToken.

        While a token is still good, trouble with getting the next one is nobody's trouble yet.
        """
        row = await self._row(wanted.use)
        if row is not None and (fresh := self._usable(row, wanted)) is not None:
            return fresh
        try:
            return await self._renewed(wanted)
        except NoToken as refused:
            still_good = self._still_good(row, wanted) if row is not None else None
            if still_good is None or not refused.refusal.is_passing:
                raise
            _log.warning("token not renewed yet", relay=wanted.use.relay_id, cause=str(refused))
            return still_good

    async def close(self) -> None:
        """What a provider is giving at this moment is stored before we go, if it can be."""
        self._is_closing = True
        await asyncio.gather(*self._renewing.values(), return_exceptions=True)

    async def _renewed(self, wanted: Wanted) -> Secret:
        """Shared by everybody in this process who wants it now; nobody's end cuts it off."""
        key = wanted.use.relay_id + wanted.use.digest
        task = self._renewing.get(key)
        if task is None:
            task = asyncio.create_task(self._renew(wanted), name="token renewal")
            self._renewing[key] = task
            task.add_done_callback(lambda done: self._forget_task(key, done))
        return await asyncio.shield(task)

    def _forget_task(self, key: str, done: asyncio.Task[Secret]) -> None:
        self._renewing.pop(key, None)
        if not done.cancelled():
            done.exception()  # whoever waited has been told

    async def _renew(self, wanted: Wanted) -> Secret:
        """Ask the provider, or wait for another process that is asking."""
        holder = self._ids.new("lse")
        for _ in range(_LOOKS):
            row = await self._row(wanted.use)
            if row is None:
                row = await self._begun(wanted)
            if (fresh := self._usable(row, wanted)) is not None:
                return fresh
            if row.is_broken and row.trouble is not None:
                raise NoToken(row.trouble)  # never in a loop: a person has to act
            if await self._takes_lease(wanted.use, holder):
                return await self._ask(wanted, holder)
            await self._clock.sleep(_LOOK_SECONDS)
        raise noticed(Fault.BUSY, "another process has been asking for a minute")

    async def _takes_lease(self, use: Use, holder: str) -> bool:
        now = self._clock.now()
        return await self._database.write(
            lambda connection: grants.take_lease(connection, use, holder, now)
        )

    async def _ask(self, wanted: Wanted, holder: str) -> Secret:
        """With the lease. The row is read again: it may have changed until we got it."""
        row = await self._row(wanted.use)
        if row is None:
            raise noticed(Fault.NOT_CONNECTED)
        if (fresh := self._usable(row, wanted)) is not None:
            await self._store(row, holder)
            return fresh
        try:
            issued = await self._issued(wanted, row)
        except NoToken as refused:
            refusal, now = refused.refusal, self._clock.now()
            is_broken = refusal.needs_consent and not wanted.client.grant.is_app_only
            failed = grants.with_refusal(row, refusal, now, is_broken=is_broken)
            await self._store(failed, holder)
            raise
        renewed = grants.with_issued(row, issued, wanted.use, self._keyring)
        if not await self._until_stored(_renewed_now(renewed, self._clock), holder):
            raise noticed(Fault.BUSY, "the consent was changed at this moment")
        return issued.access_token

    async def _issued(self, wanted: Wanted, row: GrantRow) -> Issued:
        server = AuthorizationServer(wanted.client, self._clock, self._resolver)
        if wanted.client.grant.is_app_only:
            return await server.issue()
        refresh_token = self._open(row, "refresh", wanted.use)
        if refresh_token is None:
            raise noticed(Fault.NOT_CONNECTED)
        return await server.refresh(refresh_token)

    async def _begun(self, wanted: Wanted) -> GrantRow:
        """An application that needs nobody's consent begins by itself; anybody else cannot."""
        if not wanted.client.grant.is_app_only:
            raise noticed(Fault.NOT_CONNECTED)
        row = GrantRow(
            relay_id=wanted.use.relay_id,
            bound_to=wanted.use.digest,
            connected_at=self._clock.now(),
            principal="system:pillarbox",
        )
        await self._database.write(lambda connection: grants.connect(connection, row))
        return row

    async def _row(self, use: Use) -> GrantRow | None:
        return await self._database.read(lambda connection: grants.grant_of(connection, use))

    async def _store(self, row: GrantRow, holder: str) -> bool:
        return await self._database.write(lambda connection: grants.renew(connection, row, holder))

    async def _until_stored(self, row: GrantRow, holder: str) -> bool:
        """
        Try until the database takes it: the refresh token that it has may be worth nothing now.

        Raises Unavailable when it does not for too long, or when we are to end.
        """
        for _ in range(_STORE_TRIES):
            with contextlib.suppress(Unavailable):
                return await self._store(row, holder)
            if self._is_closing:
                break
            await self._clock.sleep(_STORE_SECONDS)
        return await self._store(row, holder)

    def _usable(self, row: GrantRow, wanted: Wanted) -> Secret | None:
        """The token there is, unless it should be renewed by now."""
        now = self._clock.now()
        if row.access_refresh_at is None or row.access_refresh_at <= now:
            return None
        if wanted.is_keeping_alive and not _is_just_renewed(row, self._clock):
            return None
        found = self._open(row, "access", wanted.use)
        return None if found == wanted.instead_of else found

    def _still_good(self, row: GrantRow, wanted: Wanted) -> Secret | None:
        if row.access_expires_at is None or row.access_expires_at <= self._clock.now():
            return None
        found = self._open(row, "access", wanted.use)
        return None if found == wanted.instead_of else found

    def _open(self, row: GrantRow, what: str, use: Use) -> Secret | None:
        try:
            return grants.opened(row, what, use, self._keyring)
        except CannotOpen as shut:
            raise noticed(Fault.UNREADABLE, str(shut)) from None


def _renewed_now(row: GrantRow, clock: Clock) -> GrantRow:
    return replace(row, refreshed_at=clock.now())


def _is_just_renewed(row: GrantRow, clock: Clock) -> bool:
    last = row.refreshed_at
    return last is not None and clock.now() - last < timedelta(minutes=1)
