"""The calls of the API about relays. blocking.py is generated from this file too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from pillarbox.base.errors import Unavailable
from pillarbox.client.answers import (
    Certificates,
    Message,
    Page,
    Proposals,
    Relay,
    RelayVersion,
    Report,
    read,
    read_page,
)
from pillarbox.client.calls import Calls
from pillarbox.client.connection import Call
from pillarbox.client.consents import Consent
from pillarbox.client.fields import settings_as_json

_LOOK_SECONDS = 1.0  # between looks at a consent


class Relays(Calls):
    """Where mail goes. A relay is named by its id or its name."""

    async def list(self) -> Page[Relay]:
        """All relays."""
        return read_page(Relay, await self._json(Call("GET", "/v1/relays")))

    async def get(self, relay: str) -> Relay:
        """One relay, with every setting in `json`. Raises NotFound."""
        return read(Relay, await self._json(Call("GET", _relay(relay))))

    async def add(self, name: str, **settings: Any) -> Relay:
        """
        A new relay: host, port, tls, auth, username, password, from_, preset, default, …

        Raises Rejected with every problem, each with its field.
        """
        body = {"name": name, **settings_as_json(settings)}
        return read(Relay, await self._json(Call("POST", "/v1/relays", body=body)))

    async def set(self, relay: str, **settings: Any) -> Relay:
        """Change these settings and no others. None goes back to the default."""
        call = Call("PATCH", _relay(relay), body=settings_as_json(settings))
        return read(Relay, await self._json(call))

    async def history(self, relay: str) -> Page[RelayVersion]:
        """Every version, newest first, with what it changed. Raises NotFound."""
        return read_page(RelayVersion, await self._json(Call("GET", _relay(relay, "/versions"))))

    async def undo(self, relay: str, version: int | None = None, **secrets: str) -> Relay:
        """
        Take back what this version changed, or the last one, and nothing else.

        secrets are those that do not come back by themselves. Raises NotFound, Rejected when
        one is asked for again, Conflict when a later version stands in the way.
        """
        body: dict[str, Any] = dict(secrets)
        if version is None:
            version = body["version"] = (await self.get(relay)).version
        call = Call("POST", _relay(relay, f"/versions/{version}/undo"), body=body)
        return read(Relay, await self._json(call))

    async def export(self, relay: str) -> Mapping[str, Any]:
        """Its settings without its secrets, as `import_` takes them. Raises NotFound."""
        told: Mapping[str, Any] = await self._json(Call("GET", _relay(relay, "/export")))
        return told

    async def import_(
        self, settings: Mapping[str, Any] | str, *, system: str = "pillarbox", **fields: Any
    ) -> tuple[Relay, tuple[str, ...]]:
        """
        A new relay from settings of another system, and what behaves differently here.

        system is pillarbox, umbraco, bold-bi, thingsboard, logto, nodemailer or url; fields
        win over the settings: the name, and secrets. Raises Rejected with every problem.
        """
        body = {"format": system, "settings": settings, **settings_as_json(fields)}
        told = await self._json(Call("POST", "/v1/relays/import", body=body))
        return read(Relay, told["relay"]), tuple(told["notes"])

    async def certificates(self, relay: str | None = None, **pem: str) -> Certificates:
        """
        What the certificates of a relay are, or, without one, those given: authorities,
        client_certificate, client_key, client_key_passphrase. Raises NotFound, Rejected.
        """
        if relay is not None:
            call = Call("GET", _relay(relay, "/certificates"))
        else:
            call = Call("POST", "/v1/relays/certificates", body=dict(pem))
        return read(Certificates, await self._json(call))

    async def remove(self, relay: str) -> None:
        """Mail that waits for it is held. Raises NotFound."""
        await self._json(Call("DELETE", _relay(relay)))

    async def resume(self, relay: str) -> Relay:
        """End a rest or a slowdown now: one delivery probes it. Raises NotFound."""
        return read(Relay, await self._json(Call("POST", _relay(relay, "/resume"))))

    async def diagnose(self, relay: str | None = None, **options: Any) -> Report:
        """
        Try a saved relay, or, without one, the settings among the options, step by step.

        `to` and `from_` are the addresses to try; with `send=True` a test mail goes to `to`.
        A relay that does not work is a Report that is not ok, never an error.
        """
        path = _relay(relay, "/diagnose") if relay else "/v1/relays/diagnose"
        call = Call("POST", path, body=settings_as_json(options), patient=True)
        return read(Report, await self._json(call))

    async def propose(self, address: str) -> Proposals:
        """Settings for a mail address, the best first: each `change` may be given to `add`."""
        body = {"address": address}
        call = Call("POST", "/v1/relays/propose", body=body, patient=True)
        return read(Proposals, await self._json(call))

    async def connect(self, relay: str, *, refresh_token: str | None = None) -> Consent:
        """
        Begin a consent: a person opens authorize_url, or types user_code at verification_uri.
        An application that needs nobody is connected at once, and so is a refresh_token that
        somebody has already.

        Raises NotFound, Conflict when the provider refuses or the relay takes no tokens.
        """
        body = None if refresh_token is None else {"refresh_token": refresh_token}
        call = Call("POST", _relay(relay, "/consent"), body=body)
        return read(Consent, await self._json(call))

    async def consent(self, relay: str) -> Consent:
        """Whether a relay has tokens, what ends when, what is wrong. Raises NotFound, Conflict."""
        return read(Consent, await self._json(Call("GET", _relay(relay, "/consent"))))

    async def wait_for_consent(
        self, relay: str, *, timeout_seconds: float | None = None
    ) -> Consent:
        """The consent when nobody is waited for any more. Raises Unavailable after the timeout."""
        clock = self._connection.clock
        started = clock.monotonic()
        while (consent := await self.consent(relay)).is_waiting:
            if timeout_seconds is not None and clock.monotonic() - started >= timeout_seconds:
                raise Unavailable(f"nobody has consented after {timeout_seconds:g} seconds")
            await clock.sleep(_LOOK_SECONDS)
        return consent

    async def disconnect(self, relay: str) -> None:
        """Drop its tokens, and take the consent back at the provider. Raises NotFound, Conflict."""
        await self._json(Call("DELETE", _relay(relay, "/consent")))

    async def test_message(self, relay: str, to: str) -> Message:
        """Send a test message through this relay, like any other."""
        call = Call("POST", _relay(relay, "/test-message"), body={"to": to})
        return read(Message, await self._json(call))


def _relay(relay: str, action: str = "") -> str:
    return f"/v1/relays/{quote(relay, safe='')}{action}"
