"""
Talking to an authorization server: one function for each thing that may be asked of it.

Each raises NoToken with the cause when it is refused or cannot be asked.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote_plus, urlencode, urlsplit, urlunsplit

from pillarbox.base import dial
from pillarbox.base.clock import Clock
from pillarbox.base.errors import Unavailable, Unusable
from pillarbox.base.secret import Secret
from pillarbox.oauth.answers import Issued, read_issued, read_object
from pillarbox.oauth.client import Authentication, Client, Grant
from pillarbox.oauth.troubles import Fault, NoToken, noticed, printable

if TYPE_CHECKING:
    from pillarbox.base.http import HttpAnswer

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"  # RFC 8628 §3.4
_BEARER_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"  # RFC 7523 §2.1
_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"  # RFC 7523 §2.2
_SECONDS = 15.0  # for one request, from name lookup to the last octet
_DEVICE_INTERVAL = timedelta(seconds=5)  # RFC 8628 §3.2: when the server does not say
_DEVICE_LIFE = timedelta(minutes=30)  # we wait no longer, whatever the server says


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceCode:
    """RFC 8628 §3.2. The person opens verification_uri and types user_code."""

    device_code: Secret
    user_code: str
    verification_uri: str
    verification_uri_complete: str | None
    expires_in: timedelta
    interval: timedelta


class StillWaiting(Exception):
    """The person has not decided yet. slow_down: ask less often (RFC 8628 §3.5)."""

    def __init__(self, *, slow_down: bool) -> None:
        super().__init__("nobody has decided yet")
        self.slow_down = slow_down


class AuthorizationServer:
    """The server that one client gets its tokens from."""

    def __init__(
        self, client: Client, clock: Clock, resolver: dial.Resolver = dial.system_resolver
    ) -> None:
        self._client = client
        self._clock = clock
        self._resolver = resolver

    def authorize_url(self, *, redirect_uri: str, state: str, challenge: str) -> str:
        """Where the person signs in (RFC 6749 §4.1.1 with RFC 7636 §4.3)."""
        client = self._client
        asked = {
            **dict(client.parameters),
            "response_type": "code",
            "client_id": client.client_id,
            "redirect_uri": redirect_uri,
            "scope": client.scopes,
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        if client.login_hint:
            asked.setdefault("login_hint", client.login_hint)
        parts = urlsplit(client.authorize_url or "")
        own = [pair for pair in parse_qsl(parts.query) if pair[0] not in asked]
        return urlunsplit(parts._replace(query=urlencode([*own, *asked.items()])))

    async def redeem(self, code: str, *, verifier: Secret, redirect_uri: str) -> Issued:
        """The code of a callback for tokens (RFC 6749 §4.1.3). It works once."""
        asked = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier.reveal(),
        }
        return await self._issued(asked, Secret(code), verifier)

    async def refresh(self, refresh_token: Secret) -> Issued:
        """RFC 6749 §6. A refresh token in the answer replaces the one that was sent."""
        asked = {"grant_type": "refresh_token", "refresh_token": refresh_token.reveal()}
        return await self._issued(asked, refresh_token)

    async def issue(self) -> Issued:
        """For an application itself: client credentials, or a signed assertion."""
        client = self._client
        if client.grant is Grant.CLIENT_CREDENTIALS:
            return await self._issued({"grant_type": "client_credentials", "scope": client.scopes})
        from pillarbox.oauth.assertion import account_assertion  # JOSE is for those who sign

        try:
            assertion = account_assertion(client, self._clock.now())
        except Unusable as shut:
            raise noticed(Fault.UNUSABLE_KEY, str(shut)) from None
        asked = {"grant_type": _BEARER_GRANT, "assertion": assertion}
        return await self._issued(asked, Secret(assertion))

    async def begin_device(self) -> DeviceCode:
        """RFC 8628 §3.1."""
        client = self._client
        asked = {"client_id": client.client_id, "scope": client.scopes}
        told = read_object(await self._post(client.device_url or "", asked), client)
        code, user_code = told.get("device_code"), told.get("user_code")
        address = told.get("verification_uri") or told.get("verification_url")  # Google's draft
        if not all(isinstance(each, str) and each for each in (code, user_code, address)):
            raise noticed(Fault.NO_USABLE_TOKEN, "it gave no device code")
        if urlsplit(str(address)).scheme not in ("https", "http"):
            raise noticed(Fault.NO_USABLE_TOKEN, "its verification_uri is not a web address")
        complete = told.get("verification_uri_complete")
        return DeviceCode(
            device_code=Secret(str(code)),
            user_code=printable(str(user_code)),
            verification_uri=printable(str(address)),
            verification_uri_complete=printable(str(complete)) if _is_web(complete) else None,
            expires_in=_within(told.get("expires_in"), _DEVICE_LIFE, _DEVICE_LIFE),
            interval=_within(told.get("interval"), _DEVICE_INTERVAL, timedelta(minutes=1)),
        )

    async def poll_device(self, device_code: Secret) -> Issued:
        """RFC 8628 §3.4. Raises StillWaiting until the person has decided."""
        asked = {"grant_type": DEVICE_GRANT, "device_code": device_code.reveal()}
        try:
            return await self._issued(asked, device_code)
        except NoToken as refused:
            error = refused.refusal.error
            if error in ("authorization_pending", "slow_down"):
                raise StillWaiting(slow_down=error == "slow_down") from None
            raise

    async def revoke(self, refresh_token: Secret) -> bool:
        """RFC 7009, where the provider has an address for it; whether it was taken back there."""
        if self._client.revocation_url is None:
            return False
        asked = {"token": refresh_token.reveal(), "token_type_hint": "refresh_token"}
        try:
            answer = await self._post(self._client.revocation_url, asked)
        except NoToken:
            return False
        return answer.status == 200

    async def _issued(self, asked: Mapping[str, str], *told: Secret) -> Issued:
        client = self._client
        answer = await self._post(client.token_url, asked)
        try:
            return read_issued(answer, client, self._clock.now())
        except NoToken as refused:
            raise NoToken(refused.refusal.without(*told)) from None

    async def _post(self, url: str, asked: Mapping[str, str]) -> HttpAnswer:
        # Its library is slow to import, and a server without OAuth asks nobody.
        from pillarbox.base.http import Form, Unanswered, post

        client = self._client
        try:
            proof, headers = self._proof()
        except Unusable as shut:
            raise noticed(Fault.UNUSABLE_KEY, str(shut)) from None
        form = Form(
            url=url,
            fields={**asked, **proof},
            headers=headers,
            policy=client.policy,
            seconds=_SECONDS,
        )
        try:
            return await post(form, self._resolver)
        except Unanswered as silence:
            raise noticed(Fault.UNREACHABLE, str(silence)) from None
        except Unavailable as flood:
            raise noticed(Fault.NOT_OAUTH, str(flood)) from None

    def _proof(self) -> tuple[dict[str, str], dict[str, str]]:
        """How the client proves itself: fields of the form, and headers (RFC 6749 §2.3)."""
        client, secret = self._client, self._client.client_secret
        match client.authentication:
            case Authentication.BASIC if secret is not None:
                pair = f"{quote_plus(client.client_id)}:{quote_plus(secret.reveal())}"
                basic = base64.b64encode(pair.encode()).decode()
                return {}, {"authorization": f"Basic {basic}"}
            case Authentication.POST if secret is not None:
                return {"client_id": client.client_id, "client_secret": secret.reveal()}, {}
            case Authentication.KEY:
                from pillarbox.oauth.assertion import client_assertion

                proof = client_assertion(client, self._clock.now())
                named = {"client_id": client.client_id, "client_assertion_type": _ASSERTION_TYPE}
                return named | {"client_assertion": proof}, {}
        is_named = client.grant is not Grant.JWT_BEARER  # the assertion says who it is
        return ({"client_id": client.client_id} if is_named else {}), {}


def _is_web(value: object) -> bool:
    return isinstance(value, str) and urlsplit(value).scheme in ("https", "http")


def _within(value: object, usual: timedelta, most: timedelta) -> timedelta:
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        return usual
    return min(timedelta(seconds=value), most)
