"""
What consents need while nobody looks: device codes are asked about, refresh tokens are used
before they die of disuse, and people are told before something ends.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import timedelta

from sqlalchemy import Connection

from pillarbox.base import log
from pillarbox.base.clock import Clock
from pillarbox.base.db.database import Database
from pillarbox.base.errors import PillarboxError, Unavailable
from pillarbox.journal import journal
from pillarbox.journal.events import RelayConsentExpiring
from pillarbox.oauth import consents, grants
from pillarbox.oauth.consents import Pending
from pillarbox.oauth.troubles import NoToken
from pillarbox.relays.access_tokens import AccessTokens
from pillarbox.relays.connecting import Connecting
from pillarbox.relays.consent_status import ConsentStatus, needs_use
from pillarbox.relays.registry import Registry
from pillarbox.relays.token_answers import trouble_of
from pillarbox.relays.versions import Relay

_LOOK_SECONDS = 2.0  # for device codes; most of the time there are none
_ROUND = timedelta(hours=1)
_TELL_AGAIN = timedelta(days=3)

_log = log.logger("oauth")


class Upkeep:
    """Runs until it is cancelled, in every process; what it does is done by one of them."""

    def __init__(
        self,
        database: Database,
        registry: Registry,
        access: AccessTokens,
        connecting: Connecting,
        clock: Clock,
    ) -> None:
        self._database = database
        self._clock = clock
        self._registry = registry
        self._access = access
        self._connecting = connecting

    async def run(self) -> None:
        """Devices every few seconds, everything else every hour."""
        due = self._clock.now()
        while True:
            try:
                await self.ask_about_devices()
                if self._clock.now() >= due:
                    due = self._clock.now() + _ROUND
                    await self.look_after()
            except Unavailable as error:
                _log.warning("consents are looked after later", cause=str(error))
            except Exception as error:  # noqa: BLE001  a loop that must not end: it logs
                _log.error("looking after consents failed; once more later", exc_info=error)
            await self._clock.sleep(_LOOK_SECONDS)

    async def ask_about_devices(self) -> None:
        """Each device code whose time to be asked about has come."""
        now = self._clock.now()
        for pending in await self._database.read(consents.devices):
            with _logged(pending.relay_id):
                if pending.ask_at is not None and pending.ask_at <= now:
                    await self._connecting.ask_about(pending)
                if pending.expires_at <= now:
                    await self._end(pending)

    async def _end(self, pending: Pending) -> None:
        await self._database.write(lambda connection: consents.end(connection, pending))

    async def look_after(self) -> None:
        """Keep alive what would die, and say what ends soon."""
        for relay_id, status in (await self._connecting.statuses()).items():
            with _logged(relay_id):
                relay = self._registry.get(relay_id)
                await self._tell(relay, status)
                await self._keep_alive(relay, status)

    async def _keep_alive(self, relay: Relay, status: ConsentStatus) -> None:
        grant = status.grant
        if grant is None or not needs_use(relay.settings, grant, self._clock.now()):
            return
        try:
            await self._access.keep_alive(relay)
        except NoToken as refused:
            if not refused.refusal.is_passing:
                await self._registry.rest(trouble_of(relay, refused.refusal))
            _log.warning("consent not kept alive", relay=relay.name, cause=str(refused))

    async def _tell(self, relay: Relay, status: ConsentStatus) -> None:
        now, grant = self._clock.now(), status.grant
        near = [end for end in status.ends if end.is_near(now)]
        if grant is None or not near:
            return
        if grant.warned_at is not None and now < grant.warned_at + _TELL_AGAIN:
            return
        events = [
            RelayConsentExpiring(
                relay_id=relay.id, relay=relay.name, what=end.what, at=end.at.isoformat()
            )
            for end in near
        ]

        def tell(connection: Connection) -> None:
            grants.note_warning(connection, relay.id, now)
            journal.write(connection, [(now, event) for event in events])

        await self._database.write(tell)


@contextlib.contextmanager
def _logged(relay_id: str) -> Iterator[None]:
    """One relay that was removed meanwhile, or whose secret stays shut, stops no other."""
    try:
        yield
    except PillarboxError as error:
        _log.warning("a consent could not be looked after", relay=relay_id, cause=str(error))
    except Exception as error:  # noqa: BLE001  a loop that must not end: it logs
        _log.error("looking after a consent failed", relay=relay_id, exc_info=error)
