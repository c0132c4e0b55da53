"""
Connecting a relay to its provider: from “begin” to tokens that are kept.

The consent is spent before its code is exchanged. Tokens are sealed for the relay as it was when
somebody began; if it is changed meanwhile they are of no use to anybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from pillarbox.base import dial
from pillarbox.base.clock import Clock
from pillarbox.base.db.database import Database
from pillarbox.base.errors import Conflict, Invalid, NotFound, Unusable
from pillarbox.base.sealing import CannotOpen, Keyring
from pillarbox.base.secret import Secret
from pillarbox.journal import journal
from pillarbox.journal.events import RelayConnected, RelayDisconnected
from pillarbox.oauth import consents, grants
from pillarbox.oauth.answers import Issued
from pillarbox.oauth.client import Client, Grant
from pillarbox.oauth.consents import Pending, Spent
from pillarbox.oauth.grants import GrantRow
from pillarbox.oauth.server import AuthorizationServer, StillWaiting
from pillarbox.oauth.troubles import Fault, NoToken, TokenRefusal, noticed, printable
from pillarbox.relays import suspension
from pillarbox.relays.access_tokens import AccessTokens
from pillarbox.relays.consent_status import ConsentStatus, statuses
from pillarbox.relays.registry import Registry
from pillarbox.relays.relay import Auth
from pillarbox.relays.token_client import client_of, use_of
from pillarbox.relays.versions import Relay

CALLBACK_PATH = "/oauth/callback"

_OVER = (
    "this sign-in was finished before, was begun more than ten minutes ago, or another one was"
    " begun after it. Nothing was changed. Begin again: pillarbox relay connect"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """redirect_uri is where providers send people back to: the base URL and CALLBACK_PATH."""

    database: Database
    keyring: Keyring
    clock: Clock
    redirect_uri: str
    resolver: dial.Resolver = dial.system_resolver


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """
    What the person does next: open authorize_url, or type user_code at verification_uri.

    Neither: the relay is connected already, as an application needs nobody's consent.
    """

    relay: Relay
    authorize_url: str | None = None
    user_code: str | None = None
    verification_uri: str | None = None


class Connecting:
    """Begin, finish and end consents."""

    def __init__(self, registry: Registry, access: AccessTokens, around: Surroundings) -> None:
        self._registry = registry
        self._access = access
        self._around = around
        self._database = around.database
        self._clock = around.clock

    @property
    def redirect_uri(self) -> str:
        return self._around.redirect_uri

    async def begin(self, reference: str, principal: str) -> Offer:
        """
        In the way that the relay says. Raises NotFound, Conflict for a relay without tokens,
        Invalid where a token must be pasted, NoToken when the provider refuses.
        """
        relay = self._relay(reference)
        client = self._client(relay)
        match client.grant:
            case Grant.AUTHORIZATION_CODE:
                return await self._by_browser(relay, client, principal)
            case Grant.DEVICE_CODE:
                return await self._by_device(relay, client, principal)
            case Grant.REFRESH_TOKEN:
                raise Invalid(
                    "with the grant refresh_token a token is pasted: say it here",
                    field="refresh_token",
                )
        await self._access.of(relay)
        await self._resume(relay, principal)
        return Offer(relay=relay)

    async def paste(self, reference: str, principal: str, refresh_token: Secret) -> Relay:
        """Keep a refresh token that somebody has. It is used once, to see that it works."""
        relay = self._relay(reference)
        client = self._client(relay)
        if client.grant.is_app_only:
            raise Invalid(
                f"with the grant {client.grant.value} there are no refresh tokens",
                field="refresh_token",
            )
        issued = await self._server(client).refresh(refresh_token)
        await self._keep(relay, issued, principal, refresh_token)
        return relay

    async def finish(self, answer: Mapping[str, str]) -> Relay:
        """
        What the provider sent a person back with (RFC 6749 §4.1.2, RFC 9207).

        Raises Spent for an answer that cannot be used, NoToken when the provider said no.
        """
        now = self._clock.now()
        state = answer.get("state", "")
        pending = await self._spent(state, now)
        relay = self._still_the_same(pending)
        client = self._client(relay)
        consents.refuse_other_issuer(client, answer.get("iss"))
        if "error" in answer:
            raise NoToken(_said_no(answer))
        if not answer.get("code"):
            raise Spent("the provider sent neither a code nor an error. Begin again")
        issued = await self._server(client).redeem(
            answer["code"],
            verifier=pending.opened(self._around.keyring),
            redirect_uri=pending.redirect_uri or "",
        )
        await self._keep(relay, issued, pending.principal)
        return relay

    async def forget(self, reference: str, principal: str) -> bool:
        """
        Drop the tokens, and take the consent back at the provider where that has a way.

        False when it was not taken back there, as when the client's own secret is unreadable.
        """
        relay = self._relay(reference)
        use = use_of(relay.settings, relay.id)
        row = await self._database.read(lambda connection: grants.grant_of(connection, use))
        refresh_token = self._opened(row, relay) if row else None
        server = self._revoker(relay)
        cause = f"disconnected by {principal}"
        event = RelayDisconnected(
            relay_id=relay.id, principal=principal, relay=relay.name, cause=cause
        )

        def drop(connection: Connection) -> None:
            had_consent = consents.drop(connection, relay.id)
            if grants.forget(connection, relay.id) or had_consent:
                journal.write(connection, [(self._clock.now(), event)])

        await self._database.write(drop)
        if refresh_token is None or server is None:
            return False
        return await server.revoke(refresh_token)

    async def statuses(self) -> dict[str, ConsentStatus]:
        """Of every relay that has consents, by id."""
        known, now = self._registry.all(), self._clock.now()
        return await self._database.read(lambda connection: statuses(connection, known, now))

    async def ask_about(self, pending: Pending) -> None:
        """
        Ask once whether a device code was entered (RFC 8628 §3.5). What it comes to is kept.

        Raises nothing for what the provider answers: whoever waits sees it in the status.
        """
        now = self._clock.now()
        if not await self._database.write(
            lambda connection: consents.claim_question(connection, pending, now)
        ):
            return
        try:
            relay = self._still_the_same(pending)
            device_code = pending.opened(self._around.keyring)
            issued = await self._server(self._client(relay)).poll_device(device_code)
        except StillWaiting as wait:
            if wait.slow_down:
                await self._ask_less_often(pending)
            return
        except NoToken as refused:
            if not refused.refusal.is_passing:
                await self._end_device(pending, refused.refusal)
            return
        except (Spent, CannotOpen, Conflict):
            await self._end_device(pending, None)
            return
        if await self._database.write(lambda connection: consents.end(connection, pending)):
            await self._keep_or_tell(relay, issued, pending)

    async def _spent(self, state: str, now: datetime) -> Pending:
        """Anybody may knock here, so nothing is written for a state that was never given out."""
        pending = None
        if await self._database.read(lambda connection: consents.is_known(connection, state)):
            pending = await self._database.write(
                lambda connection: consents.spend(connection, state, now)
            )
        if pending is None:
            raise Spent(_OVER)
        return pending

    async def _by_browser(self, relay: Relay, client: Client, principal: str) -> Offer:
        around, use = self._around, use_of(relay.settings, relay.id)
        now = self._clock.now()
        begun = consents.begin(use, principal, around.redirect_uri, around.keyring, now)
        url = self._server(client).authorize_url(
            redirect_uri=around.redirect_uri, state=begun.state, challenge=begun.challenge
        )
        await self._database.write(lambda connection: consents.store(connection, begun.pending))
        return Offer(relay=relay, authorize_url=url)

    async def _by_device(self, relay: Relay, client: Client, principal: str) -> Offer:
        code = await self._server(client).begin_device()
        use, now = use_of(relay.settings, relay.id), self._clock.now()
        pending = consents.begin_device(use, principal, code, self._around.keyring, now)
        await self._database.write(lambda connection: consents.store(connection, pending))
        return Offer(
            relay=relay, user_code=code.user_code, verification_uri=pending.verification_uri
        )

    async def _keep(
        self, relay: Relay, issued: Issued, principal: str, pasted: Secret | None = None
    ) -> None:
        """Store the tokens, and let the relay go on if it rested for want of them."""
        if issued.refresh_token is None and pasted is None:
            raise noticed(Fault.NO_REFRESH_TOKEN, f"scopes {issued.scopes or 'not told'}")
        keyring, now = self._around.keyring, self._clock.now()
        use = use_of(relay.settings, relay.id)
        row = GrantRow(
            relay_id=relay.id,
            bound_to=use.digest,
            refresh_token=keyring.seal(pasted, use.of("refresh")) if pasted else None,
            refreshed_at=now,
            connected_at=now,
            principal=principal,
        )
        row = grants.with_issued(row, issued, use, keyring)
        event = RelayConnected(
            relay_id=relay.id, principal=principal, relay=relay.name, account=row.account
        )

        def store(connection: Connection) -> None:
            grants.connect(connection, row)
            journal.write(connection, [(now, event)])
            suspension.resume(connection, relay.id, relay.name, now, principal=principal)

        await self._database.write(store)
        await self._registry.refresh()

    async def _resume(self, relay: Relay, principal: str) -> None:
        if relay.rest is not None:
            await self._registry.resume_now(relay.id, principal)

    async def _ask_less_often(self, pending: Pending) -> None:
        now = self._clock.now()

        def slow_down(connection: Connection) -> None:
            current = consents.waiting(connection, now).get(pending.relay_id)
            if current is not None and current.digest == pending.digest:
                consents.claim_question(connection, current, now, slower=True)

        await self._database.write(slow_down)

    async def _end_device(self, pending: Pending, refusal: TokenRefusal | None) -> None:
        """What went wrong stays to be seen, unless an older consent still works."""
        failed = _broken(pending, refusal, self._clock.now()) if refusal else None

        def end(connection: Connection) -> None:
            is_last = consents.end(connection, pending)
            if is_last and failed:
                _show_broken(connection, failed)

        await self._database.write(end)

    async def _keep_or_tell(self, relay: Relay, issued: Issued, pending: Pending) -> None:
        """Nobody waits for a word from here: what cannot be kept is seen in the status."""
        try:
            await self._keep(relay, issued, pending.principal)
        except NoToken as refused:
            failed = _broken(pending, refused.refusal, self._clock.now())
            await self._database.write(lambda connection: _show_broken(connection, failed))

    def _relay(self, reference: str) -> Relay:
        relay = self._registry.get(reference)
        if relay.settings.auth is not Auth.OAUTH2:
            raise Conflict(
                f"“{relay.name}” does not sign in with tokens. Set auth to oauth2, with client_id"
            )
        return relay

    def _still_the_same(self, pending: Pending) -> Relay:
        try:
            relay = self._relay(pending.relay_id)
        except (NotFound, Conflict):
            raise Spent("the relay was removed or changed meanwhile. Nothing was kept") from None
        if use_of(relay.settings, relay.id).digest != pending.bound_to:
            raise Spent("the relay was changed after this was begun. Begin again")
        return relay

    def _client(self, relay: Relay) -> Client:
        return client_of(relay.settings, self._registry.secrets(relay))

    def _server(self, client: Client) -> AuthorizationServer:
        return AuthorizationServer(client, self._clock, self._around.resolver)

    def _revoker(self, relay: Relay) -> AuthorizationServer | None:
        try:
            return self._server(self._client(relay))
        except Unusable:
            return None

    def _opened(self, row: GrantRow, relay: Relay) -> Secret | None:
        try:
            use = use_of(relay.settings, relay.id)
            return grants.opened(row, "refresh", use, self._around.keyring)
        except CannotOpen:
            return None


def _broken(pending: Pending, refusal: TokenRefusal, now: datetime) -> GrantRow:
    """A sign-in that came to nothing."""
    return GrantRow(
        relay_id=pending.relay_id,
        bound_to=pending.bound_to,
        connected_at=now,
        principal=pending.principal,
        refusal=refusal.to_json(),
        failed_at=now,
        is_broken=True,
    )


def _show_broken(connection: Connection, failed: GrantRow) -> None:
    """In the place of no consent at all; an older one stays."""
    if failed.relay_id not in grants.grants(connection):
        grants.connect(connection, failed)


def _said_no(answer: Mapping[str, str]) -> TokenRefusal:
    """An error= callback (RFC 6749 §4.1.2.1)."""
    description = printable(answer.get("error_description", "")) or None
    return TokenRefusal(status=400, error=printable(answer["error"]), description=description)
