"""The access token of a relay, for whoever opens a session with it. Most relays need none."""

from __future__ import annotations

from pillarbox.base import dial
from pillarbox.base.clock import Clock
from pillarbox.base.secret import Secret
from pillarbox.oauth.server import AuthorizationServer
from pillarbox.oauth.tokens import Tokens, Wanted
from pillarbox.oauth.troubles import Fault, noticed
from pillarbox.relays.registry import Registry
from pillarbox.relays.relay import Auth, RelaySettings, Secrets
from pillarbox.relays.token_client import SYSTEM, client_of, use_of
from pillarbox.relays.versions import Relay


class AccessTokens:
    """Tokens of saved relays, kept and renewed; and of settings that somebody has just typed."""

    def __init__(
        self,
        registry: Registry,
        tokens: Tokens,
        clock: Clock,
        resolver: dial.Resolver = dial.system_resolver,
    ) -> None:
        self._registry = registry
        self._tokens = tokens
        self._clock = clock
        self._resolver = resolver

    async def of(self, relay: Relay, *, instead_of: Secret | None = None) -> Secret | None:
        """
        A token that is good now, None for a relay that needs none. instead_of is one that the
        relay has just refused: then another one comes, by one forced refresh for everybody.

        Raises NoToken, and Unusable when a secret stays shut.
        """
        if relay.settings.auth is not Auth.OAUTH2:
            return None
        return await self._tokens.access(self._wanted(relay, instead_of=instead_of))

    async def keep_alive(self, relay: Relay) -> None:
        """Use the refresh token, because one that is never used dies. Raises as `of` does."""
        await self._tokens.access(self._wanted(relay, is_keeping_alive=True))

    async def of_typed(self, settings: RelaySettings, secrets: Secrets) -> Secret | None:
        """
        For settings that are not saved: what an application gets by itself. Nothing is kept.

        Raises NoToken; where a person has to consent, the settings are saved first.
        """
        if settings.auth is not Auth.OAUTH2:
            return None
        client = client_of(settings, secrets, SYSTEM)
        if not client.grant.is_app_only:
            raise noticed(Fault.NOT_CONNECTED, "the settings are not saved, so nobody consented")
        server = AuthorizationServer(client, self._clock, self._resolver)
        return (await server.issue()).access_token

    def _wanted(
        self, relay: Relay, *, instead_of: Secret | None = None, is_keeping_alive: bool = False
    ) -> Wanted:
        return Wanted(
            use=use_of(relay.settings, relay.id),
            client=client_of(relay.settings, self._registry.secrets(relay), SYSTEM),
            instead_of=instead_of,
            is_keeping_alive=is_keeping_alive,
        )
