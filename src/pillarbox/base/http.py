"""
Asking over HTTP: another server, or an ASGI application in this process.

`Http` talks to the place it was made for. `post` sends one form to an address that somebody
typed: the name is resolved once and only checked addresses are connected to (base/dial.py).

Every answer has a deadline and a size limit. Redirects are not followed: whoever asks names
the place, and a key never travels to another one.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import httpx2

from pillarbox.base import dial
from pillarbox.base.errors import Unavailable

MAX_ANSWER = 64 * 1024 * 1024  # octets; the largest content we keep fits, JSON is far smaller
_PLAIN_JSON = {"accept": "application/json", "accept-encoding": "identity"}
_MAX_LINE = 1024 * 1024  # characters
_CONNECT_SECONDS = 10.0
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
IN_PROCESS = "http://pillarbox.invalid"  # RFC 6761 §6.4: no such host can exist


class Unanswered(Unavailable):
    """No answer came. `was_sent` says whether the request may have arrived all the same."""

    code = "unanswered"

    def __init__(self, message: str, *, was_sent: bool) -> None:
        super().__init__(message)
        self.was_sent = was_sent


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request. timeout_seconds is the longest silence; query leaves out what is None."""

    method: str
    path: str
    query: Mapping[str, object] | None = None
    body: Any = None
    headers: Mapping[str, str] | None = None
    timeout_seconds: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """
    A form for an address that somebody typed. The URL is https, or http to this machine.

    seconds are for everything together, longest is in octets. The fields may hold secrets.
    """

    url: str
    fields: Mapping[str, str] = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    policy: dial.Policy = dial.Policy()
    seconds: float = 20.0
    longest: int = 64 * 1024


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What came back. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        """The content as JSON, or None when it is something else."""
        if "json" not in self.headers.get("content-type", ""):
            return None
        try:
            return json.loads(self.content)
        except ValueError:
            return None


class Http:
    """Requests to one place. `asgi` answers in this process instead of the network."""

    def __init__(
        self, url: str, *, headers: Mapping[str, str] | None = None, asgi: Any = None
    ) -> None:
        self.url = url
        self.can_stream = asgi is None
        """Whether answers come while they are made; in this process they come whole."""
        is_loopback = urlsplit(url).hostname in _LOOPBACK
        self._client = httpx2.AsyncClient(
            base_url=url,
            headers=dict(headers or {}),
            transport=None if asgi is None else httpx2.ASGITransport(asgi),
            verify=_trust(url),
            trust_env=not is_loopback,  # a proxy knows nothing of this machine's own ports
        )

    async def ask(self, ask: Ask) -> HttpAnswer:
        """Raises Unanswered when nothing comes back, Unavailable when it is too long."""
        try:
            return await self._ask(ask)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.UnsupportedProtocol) as error:
            raise Unanswered(
                f"{self.url} cannot be reached: {_reason(error)}", was_sent=False
            ) from None
        except httpx2.TransportError as error:
            raise Unanswered(
                f"{self.url} did not answer: {_reason(error)}", was_sent=True
            ) from None

    @asynccontextmanager
    async def stream(self, ask: Ask) -> AsyncIterator[HttpAnswer | AsyncIterator[str]]:
        """
        The lines of an answer without end, or the answer itself when it is a refusal.

        Raises Unanswered when nothing comes for timeout_seconds, and when it breaks off.
        """
        try:
            response = await self._client.send(self._request(ask), stream=True)
            try:
                if response.status_code == 200:
                    yield _lines(response)
                else:
                    content = await self._read(response)
                    yield HttpAnswer(response.status_code, dict(response.headers), content)
            finally:
                await response.aclose()
        except httpx2.TransportError as error:
            raise Unanswered(f"{self.url} broke off: {_reason(error)}", was_sent=True) from None

    async def close(self) -> None:
        await self._client.aclose()

    async def _ask(self, ask: Ask) -> HttpAnswer:
        response = await self._client.send(self._request(ask), stream=True)
        try:
            content = await self._read(response)
        finally:
            await response.aclose()
        return HttpAnswer(response.status_code, dict(response.headers), content)

    def _request(self, ask: Ask) -> httpx2.Request:
        return self._client.build_request(
            ask.method,
            ask.path,
            params={k: str(v) for k, v in (ask.query or {}).items() if v is not None} or None,
            json=ask.body,
            headers=dict(ask.headers or {}),
            timeout=httpx2.Timeout(ask.timeout_seconds, connect=_CONNECT_SECONDS),
        )

    async def _read(self, response: httpx2.Response) -> bytes:
        content = bytearray()
        async for piece in response.aiter_bytes():
            content += piece
            if len(content) > MAX_ANSWER:
                raise Unavailable(f"{self.url} answered with more than {MAX_ANSWER} octets")
        return bytes(content)


async def post(form: Form, resolver: dial.Resolver = dial.system_resolver) -> HttpAnswer:
    """
    The answer to a form. A redirect is an answer like any other: it is not followed.

    Raises Unanswered when nothing usable comes back in time, Unavailable when it is too long.
    """
    host = urlsplit(form.url).hostname or ""
    try:
        async with asyncio.timeout(form.seconds):
            return await _post(form, host, resolver)
    except dial.DialError as error:
        raise Unanswered(f"{host} cannot be reached: {error.cause}", was_sent=False) from None
    except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
        raise Unanswered(f"{host} cannot be reached: {_reason(error)}", was_sent=False) from None
    except httpx2.HTTPError as error:
        raise Unanswered(f"{host} did not answer: {_reason(error)}", was_sent=True) from None
    except TimeoutError:
        cause = f"{host} did not answer within {form.seconds:g} seconds"
        raise Unanswered(cause, was_sent=True) from None


async def _post(form: Form, host: str, resolver: dial.Resolver) -> HttpAnswer:
    url = httpx2.URL(form.url)
    port = url.port or (443 if url.scheme == "https" else 80)
    found = await dial.find(dial.Destination(host=host, port=port, policy=form.policy), resolver)
    client = httpx2.AsyncClient(verify=_trust_of(url.scheme), trust_env=False)
    async with client:
        for address in found[:-1]:
            try:
                return await _post_to(client, url.copy_with(host=str(address)), form, host)
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                continue  # nothing was said there
        return await _post_to(client, url.copy_with(host=str(found[-1])), form, host)


async def _post_to(
    client: httpx2.AsyncClient, url: httpx2.URL, form: Form, host: str
) -> HttpAnswer:
    """To this address, as the host that was asked for: in Host, in SNI and in the certificate."""
    request = client.build_request(
        "POST",
        url,
        data=dict(form.fields),
        headers={**_PLAIN_JSON, **form.headers, "host": urlsplit(form.url).netloc},
        timeout=httpx2.Timeout(form.seconds, connect=_CONNECT_SECONDS / 2),
        extensions={"sni_hostname": host},
    )
    response = await client.send(request, stream=True)
    try:
        content = bytearray()
        async for piece in response.aiter_raw():  # a packed answer could unfold without end
            content += piece
            if len(content) > form.longest:
                raise Unavailable(f"{host} answered with more than {form.longest} octets")
    finally:
        await response.aclose()
    return HttpAnswer(response.status_code, dict(response.headers), bytes(content))


@cache
def _trust_of(scheme: str) -> ssl.SSLContext | bool:
    """Made once: reading the system's authorities takes longer than asking."""
    if scheme == "https":
        return ssl.create_default_context()
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


async def _lines(response: httpx2.Response) -> AsyncIterator[str]:
    """Lines without their ends. Raises Unanswered when one is longer than any of ours."""
    rest = ""
    async for piece in response.aiter_text():
        *whole, rest = (rest + piece).split("\n")
        for line in whole:
            yield line
        if len(rest) > _MAX_LINE:
            raise Unanswered("a line of the stream is too long", was_sent=True)


def _trust(url: str) -> ssl.SSLContext | bool:
    """The system's authorities; for plain HTTP a context that trusts nobody, made at once."""
    return True if url.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _reason(error: Exception) -> str:
    if isinstance(error, httpx2.TimeoutException):
        return "it took too long"
    return str(error) or "the connection was closed"
