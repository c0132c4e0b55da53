"""
One page of the web, from an address that was made of what somebody typed.

The name is resolved once and only checked addresses are connected to, as in base/dial.py.
Nothing is followed, nothing is unpacked, and there is an end to time and size.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from functools import cache

import httpx2

from pillarbox.base import dial

MAX_PAGE = 64 * 1024  # octets


class Unfetched(Exception):
    """There is no page. `cause` is a sentence without its full stop."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """
    Where it is: always by https. seconds are for everything together.

    authorities is PEM text to believe instead of the system's, for tests.
    """

    host: str
    path: str
    port: int = 443
    policy: dial.Policy = dial.Policy()
    seconds: float = 5.0
    authorities: str | None = None

    @property
    def place(self) -> str:
        port = "" if self.port == 443 else f":{self.port}"
        return f"{self.host}{port}"


async def fetch(page: Page, resolver: dial.Resolver = dial.system_resolver) -> bytes:
    """The content of a 200. Raises Unfetched for everything else."""
    try:
        async with asyncio.timeout(page.seconds):
            destination = dial.Destination(host=page.host, port=page.port, policy=page.policy)
            found = await dial.find(destination, resolver)
            return await _get(page, str(found[0]))
    except dial.DialError as error:
        raise Unfetched(error.cause) from None
    except TimeoutError:
        raise Unfetched(f"{page.host} did not answer in {page.seconds:g} seconds") from None
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise Unfetched(f"{page.host} cannot be asked: {error or 'it hung up'}") from None


async def _get(page: Page, ip: str) -> bytes:
    """From this address, as the host that was asked for: in Host, SNI and certificate."""
    url = httpx2.URL(scheme="https", host=ip, port=page.port, path=page.path)
    headers = {"host": page.place, "accept-encoding": "identity", "accept": "text/xml, */*"}
    async with httpx2.AsyncClient(verify=_trust(page.authorities), trust_env=False) as client:
        request = client.build_request(
            "GET",
            url,
            headers=headers,
            timeout=page.seconds,
            extensions={"sni_hostname": page.host},
        )
        response = await client.send(request, stream=True)
        try:
            return await _content(response, page.host)
        finally:
            await response.aclose()


async def _content(response: httpx2.Response, host: str) -> bytes:
    if response.status_code != 200:
        raise Unfetched(f"{host} answers {response.status_code}")
    content = bytearray()
    async for piece in response.aiter_raw():  # a packed page could unfold without end
        content += piece
        if len(content) > MAX_PAGE:
            raise Unfetched(f"{host} answers with more than {MAX_PAGE} octets")
    return bytes(content)


@cache
def _trust(authorities: str | None) -> ssl.SSLContext:
    """Made once: reading the system's authorities takes longer than asking."""
    return ssl.create_default_context(cadata=authorities)
