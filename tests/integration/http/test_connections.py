"""Clients that are slow at something, and more of them than there are places."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from pillarbox.base.config import Listen
from pillarbox.inlets.http import connection
from pillarbox.inlets.http.server import Server
from support.desk import Counter

LIVEZ = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
async def port(counter: Counter) -> AsyncIterator[int]:
    server = Server(counter.app, Listen("127.0.0.1", 0))
    task = asyncio.create_task(server.run())
    yield server.port
    server.stop()
    await task


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, port: int) -> Client:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def say(self, octets: bytes) -> None:
        self.writer.write(octets)
        await self.writer.drain()

    async def status(self) -> str:
        """The first line of what comes next; "" when the connection has ended."""
        async with asyncio.timeout(10):
            line = (await self.reader.readline()).decode().strip()
        return line.removeprefix("HTTP/1.1 ")

    async def rest(self) -> bytes:
        """Everything until the server closes."""
        async with asyncio.timeout(10):
            return await self.reader.read()

    async def alive(self) -> bool:
        """Whether it is served."""
        await self.say(LIVEZ)
        return await self.is_answered()

    async def is_answered(self) -> bool:
        """With 200; the whole answer is read."""
        is_good, length = await self.status() == "200 OK", 0
        while line := (await self.reader.readline()).decode().strip().lower():
            if line.startswith("content-length:"):
                length = int(line.partition(":")[2])
        await self.reader.readexactly(length)
        return is_good


@pytest.mark.parametrize("said", [b"", b"POST /v1/mess", LIVEZ[:-2]])
async def test_a_head_that_does_not_end_is_given_up(
    port: int, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    """Nothing at all, a piece of it, and all but its end."""
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.1)
    client = await Client.connect(port)

    await client.say(said)

    assert await client.status() == "408 Request Timeout"
    assert await client.rest() == b"content-length: 0\r\nconnection: close\r\n\r\n"


async def test_a_drip_buys_no_time(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also on a connection that has been answered before."""
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.3)
    client = await Client.connect(port)
    assert await client.alive()

    async def drip() -> None:
        for octet in LIVEZ * 100:
            await client.say(bytes([octet]))
            await asyncio.sleep(0.02)

    dripping = asyncio.create_task(drip())
    told = await client.rest()
    dripping.cancel()
    await asyncio.gather(dripping, return_exceptions=True)

    assert b"HTTP/1.1 408 " in told
    assert told.count(b"HTTP/1.1 200") == 0


async def test_who_is_in_time_keeps_the_connection(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The deadline is one for each head, not one for the connection."""
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.2)
    client = await Client.connect(port)
    for _ in range(4):
        await client.say(LIVEZ[:20])
        await asyncio.sleep(0.1)
        await client.say(LIVEZ[20:])
        assert await client.is_answered()


async def test_a_head_has_an_end(port: int) -> None:
    """One header after the other, as fast as it goes."""
    client = await Client.connect(port)
    await client.say(b"GET /livez HTTP/1.1\r\n")
    said = 0
    with contextlib.suppress(ConnectionError):
        while said < 100_000_000 and not client.reader.at_eof():
            await client.say(b"x: %b\r\n" % (b"y" * 1000))
            said += 1005

    assert said < 10_000_000  # the buffers in between


async def test_the_rest_of_a_body_that_was_refused_is_no_head(port: int) -> None:
    """The answer is there to be read, and the connection stays good."""
    client = await Client.connect(port)
    head = b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"

    await client.say(head % 1_000_000)
    refused = await client.is_answered()
    for _ in range(10):
        await client.say(b"x" * 100_000)

    assert not refused  # nobody said who is asking
    assert await client.alive()


async def test_an_answer_that_nobody_reads_is_given_up(
    counter: Counter, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could not be written is let go, and the connection with it."""
    monkeypatch.setattr(connection, "READING_SECONDS", 0.2)
    body = {"from": "a@b.test", "to": "c@d.test", "text": "x\n" * 6_000_000}
    sent = await counter.ask("POST", "/v1/messages", body)
    client = await Client.connect(port)
    path = f"/v1/messages/{sent.json()['id']}/content"
    head = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {counter.key}\r\n\r\n"

    await client.say(head.encode())
    await asyncio.sleep(1)

    with contextlib.suppress(ConnectionResetError):
        assert len(await client.rest()) < 6_000_000


async def test_a_newcomer_takes_the_place_of_whoever_waits_longest(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clients that never say anything keep nobody out."""
    monkeypatch.setattr(connection, "MAX_CONNECTIONS", 20)
    silent = [await Client.connect(port) for _ in range(20)]
    for each in silent:
        await each.say(b"GET")

    assert await (await Client.connect(port)).alive()
    assert await silent[0].status() == "503 Service Unavailable"
    assert b"retry-after: 5\r\n" in await silent[0].rest()


async def test_who_is_being_answered_keeps_the_place(
    counter: Counter, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When all are, the one too many is refused, with a time to come back."""
    monkeypatch.setattr(connection, "MAX_CONNECTIONS", 2)
    head = (
        f"POST /v1/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {counter.key}\r\n"
        "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n"
    )
    busy = [await Client.connect(port) for _ in range(2)]
    for each in busy:
        await each.say(head.encode())
    await asyncio.sleep(0.1)

    newcomer = await Client.connect(port)

    assert await newcomer.status() == "503 Service Unavailable"
    await busy[0].say(b"{}" + b" " * 98)
    assert (await busy[0].status()).startswith("422")


def test_half_of_few_descriptors_are_for_other_things(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection.resource, "getrlimit", lambda _: (256, 4096))

    assert connection.places() == 128
