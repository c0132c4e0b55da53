"""The calls of the API, by what they are about. blocking.py is generated from this file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

from pillarbox.base import ids
from pillarbox.base.errors import PillarboxError, Unavailable
from pillarbox.client.answers import (
    Event,
    Key,
    Message,
    Page,
    Provider,
    RouteList,
    read,
    read_page,
)
from pillarbox.client.connection import Call, Connection
from pillarbox.client.domain_answers import Readiness, SenderDomain
from pillarbox.client.fields import Addresses, as_json
from pillarbox.client.following import page
from pillarbox.client.problems import read_result

_LOOK_SECONDS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.0)  # between looks at a message; the last repeats


class Calls:
    """Calls over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def _json(self, call: Call) -> Any:
        return await self._connection.json(call)


class Messages(Calls):
    """Mail that was handed over."""

    async def send(self, fields: Mapping[str, Any]) -> Message:
        """
        Hand over a message, fields as in MessageFields. It is stored when this returns.

        Raises Rejected with every problem, Unavailable when it could not be stored; then
        nothing was, or the same idempotency_key gives the answer that went missing.
        """
        body = as_json(fields)
        key = body.pop("idempotency_key", None) or ids.token()
        call = Call("POST", "/v1/messages", body=body, idempotency_key=key)
        return read(Message, await self._json(call))

    async def send_many(
        self, messages: Sequence[Mapping[str, Any]], *, idempotency_key: str | None = None
    ) -> Sequence[Message | PillarboxError]:
        """
        Hand over up to 100 messages in one request: for each, in order, the message as it is
        stored or the error that sending it alone would have raised. One bad message keeps no
        other from being stored.

        Raises Rejected for more than 100, Unavailable when nothing could be stored. A
        message may have an idempotency_key of its own; idempotency_key is for the others,
        by their places.
        """
        body = {"messages": [as_json(each) for each in messages]}
        key = idempotency_key or ids.token()
        call = Call("POST", "/v1/messages/batch", body=body, idempotency_key=key)
        return [read_result(each) for each in (await self._json(call))["data"]]

    async def list(
        self,
        *,
        state: str | None = None,
        limit: int | None = None,
        after: str | None = None,
        before: str | None = None,
        relay: str | None = None,
    ) -> Page[Message]:
        """Messages, newest first. after: older than this id; before: newer. limit is 1 to 100."""
        place = {"limit": limit, "after": after, "before": before}
        query = {"state": state, "relay": relay, **place}
        return read_page(Message, await self._json(Call("GET", "/v1/messages", query)))

    async def get(self, message_id: str) -> Message:
        """One message with every attempt. Raises NotFound."""
        return read(Message, await self._json(Call("GET", _message(message_id))))

    async def content(self, message_id: str) -> bytes:
        """The octets that every attempt sends (RFC 5322). Raises NotFound."""
        return (await self._connection.ask(Call("GET", _message(message_id, "/content")))).content

    async def cancel(self, message_id: str) -> Message:
        """Withdraw what is not relayed yet. Raises NotFound, and Conflict when it is too late."""
        return read(Message, await self._json(Call("POST", _message(message_id, "/cancel"))))

    async def retry(self, message_id: str) -> Message:
        """Try again now what waits or has failed. Raises NotFound, Conflict."""
        return read(Message, await self._json(Call("POST", _message(message_id, "/retry"))))

    async def hold(self, message_id: str) -> Message:
        """Keep what waits until it is released. Raises NotFound, Conflict."""
        return read(Message, await self._json(Call("POST", _message(message_id, "/hold"))))

    async def release(self, message_id: str) -> Message:
        """Let go what is held, now or at its send_at. Raises NotFound, Conflict."""
        return read(Message, await self._json(Call("POST", _message(message_id, "/release"))))

    async def reschedule(self, message_id: str, send_at: datetime | str | None) -> Message:
        """
        Send it at another moment, None for now; until the first attempt.

        Raises NotFound, Rejected, and Conflict when it is too late.
        """
        body = {"send_at": None} | as_json({"send_at": send_at})
        return read(Message, await self._json(Call("PATCH", _message(message_id), body=body)))

    async def resend(
        self, message_id: str, *, to: Addresses | None = None, idempotency_key: str | None = None
    ) -> Message:
        """
        Send it again as a new message, to all its recipients or to these of them.

        Raises NotFound, Rejected, Conflict when its content is no longer kept.
        """
        key = idempotency_key or ids.token()
        path = _message(message_id, "/resend")
        call = Call("POST", path, body=as_json({"to": to}), idempotency_key=key)
        return read(Message, await self._json(call))

    async def follow(self, message_id: str) -> AsyncIterator[Message]:
        """The message now and after each change, until nothing more happens by itself."""
        clock, looks, seen = self._connection.clock, 0, None
        while True:
            message = await self.get(message_id)
            if message != seen:
                yield message
                seen, looks = message, 0
            if message.has_ended:
                return
            await clock.sleep(_LOOK_SECONDS[min(looks, len(_LOOK_SECONDS) - 1)])
            looks += 1

    async def wait(self, message_id: str, *, timeout_seconds: float | None = None) -> Message:
        """The message when nothing more happens by itself. Raises Unavailable after the timeout."""
        clock = self._connection.clock
        started = clock.monotonic()
        looks = 0
        while not (message := await self.get(message_id)).has_ended:
            if timeout_seconds is not None and clock.monotonic() - started >= timeout_seconds:
                raise Unavailable(
                    f"{message_id} is still {message.state} after {timeout_seconds:g} seconds"
                )
            await clock.sleep(_LOOK_SECONDS[min(looks, len(_LOOK_SECONDS) - 1)])
            looks += 1
        return message


class Routes(Calls):
    """Which relay carries what, and who stands in: rules, read from the top."""

    async def get(self) -> RouteList:
        """The rules and their version."""
        return read(RouteList, await self._json(Call("GET", "/v1/routes")))

    async def set(
        self, rules: Sequence[Mapping[str, Any]], *, version: int | None = None
    ) -> RouteList:
        """
        These rules instead of all there are: `{"when": {…}, "relays": ["first", "second"]}`.

        Raises Rejected with every mistake, Conflict when version is not the one there is.
        """
        body: dict[str, Any] = {"rules": list(rules)}
        if version is not None:
            body["version"] = version
        return read(RouteList, await self._json(Call("PUT", "/v1/routes", body=body)))


class Domains(Calls):
    """Domains that mail is signed for (DKIM), and whether senders will be believed."""

    async def list(self) -> Page[SenderDomain]:
        """All of them, by name."""
        return read_page(SenderDomain, await self._json(Call("GET", "/v1/sender-domains")))

    async def get(self, domain: str) -> SenderDomain:
        """One domain with the records to publish. Raises NotFound."""
        return read(SenderDomain, await self._json(Call("GET", _domain(domain))))

    async def add(
        self, domain: str, *, kind: str | None = None, selector: str | None = None
    ) -> SenderDomain:
        """A domain with a new key: rsa, ed25519 or both. Raises Rejected, Conflict."""
        asked = {"domain": domain, "kind": kind, "selector": selector}
        body = {name: value for name, value in asked.items() if value is not None}
        return read(SenderDomain, await self._json(Call("POST", "/v1/sender-domains", body=body)))

    async def rotate(self, domain: str, *, selector: str | None = None) -> SenderDomain:
        """A new key that signs when its record has been seen. Raises NotFound, Conflict."""
        body = {} if selector is None else {"selector": selector}
        call = Call("POST", _domain(domain, "/rotate"), body=body)
        return read(SenderDomain, await self._json(call))

    async def remove(self, domain: str) -> None:
        """Its mail is signed no more, and its keys are gone. Raises NotFound."""
        await self._json(Call("DELETE", _domain(domain)))

    async def check(
        self, from_: str, *, relay: str | None = None, selectors: Sequence[str] = ()
    ) -> Readiness:
        """Whether mail from this address will be believed; published keys sign from then on."""
        body: dict[str, Any] = {"from": from_}
        if relay is not None:
            body["relay"] = relay
        if selectors:
            body["selectors"] = list(selectors)
        call = Call("POST", "/v1/sender-domains/check", body=body, patient=True)
        return read(Readiness, await self._json(call))


class Keys(Calls):
    """Keys for the API."""

    async def create(self, name: str, *, tenant: str | None = None) -> Key:
        """
        A new key, for the system or for this tenant (name or id). Its text is in this answer
        and never again.
        """
        body = {"name": name} if tenant is None else {"name": name, "tenant": tenant}
        return read(Key, await self._json(Call("POST", "/v1/keys", body=body)))

    async def list(self) -> Page[Key]:
        """All keys, revoked ones too."""
        return read_page(Key, await self._json(Call("GET", "/v1/keys")))

    async def revoke(self, key_id: str) -> None:
        """From now on it opens nothing. Raises NotFound."""
        await self._json(Call("DELETE", f"/v1/keys/{quote(key_id, safe='')}"))


class Journal(Calls):
    """What happened."""

    async def list(self, *, after: int | None = None, limit: int = 100) -> Page[Event]:
        """Events after the one with this id, or the last ones; oldest first, up to 1000."""
        return read_page(Event, await page(self._connection, after, limit))


class Restored(Calls):
    """Mail that is held because its database was put back from a backup."""

    async def held(self) -> int:
        """How many deliveries a restore holds."""
        return int((await self._json(Call("GET", "/v1/restored")))["held"])

    async def release(self) -> int:
        """Let all of them go; how many. What was sent since the backup is sent again."""
        return int((await self._json(Call("POST", "/v1/restored/release")))["released"])


class Providers(Calls):
    """Providers whose relays we know."""

    async def list(self) -> Page[Provider]:
        """All of them."""
        return read_page(Provider, await self._json(Call("GET", "/v1/providers")))


def _message(message_id: str, action: str = "") -> str:
    return f"/v1/messages/{quote(message_id, safe='')}{action}"


def _domain(domain: str, action: str = "") -> str:
    return f"/v1/sender-domains/{quote(domain, safe='')}{action}"
