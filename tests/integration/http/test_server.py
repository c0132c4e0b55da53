"""The server on a real port: it starts, bounds what it holds, and stops without losing anything."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from pillarbox.base.config import Listen
from pillarbox.base.errors import Unusable
from pillarbox.inlets.http import body, gate
from pillarbox.inlets.http.server import Server
from pillarbox.queue.message import Parcel, Receipt
from pillarbox.queue.queue import Queue
from support.desk import HELLO, Counter


@asynccontextmanager
async def running(counter: Counter) -> AsyncIterator[Server]:
    server = Server(counter.app, Listen("127.0.0.1", 0))
    task = asyncio.create_task(server.run())
    try:
        yield server
    finally:
        server.stop()
        await task


async def test_a_request_over_a_real_connection(counter: Counter) -> None:
    """With a date and without the name of our libraries."""
    async with running(counter) as server, httpx2.AsyncClient() as client:
        headers = {"authorization": f"Bearer {counter.key}"}
        url = f"http://127.0.0.1:{server.port}"
        got = await client.post(f"{url}/v1/messages", json=HELLO, headers=headers)
        page = await client.get(url)

    assert (got.status_code, page.status_code) == (202, 200)
    assert "server" not in got.headers
    assert await counter.count() == 1


async def test_a_taken_port_is_told() -> None:
    """With what to do; the program does not just end."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Unusable, match="cannot be listened on"):
            Server(None, Listen("127.0.0.1", port))  # type: ignore[arg-type]


async def test_a_body_that_drips_is_given_up(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many pieces it comes in, a slow sender does not hold us for ever."""
    monkeypatch.setattr(body, "PATIENCE_SECONDS", 0.05)

    async def drip() -> Any:
        yield b"{"
        while True:
            await asyncio.sleep(0.01)
            yield b" "

    headers = {"authorization": f"Bearer {counter.key}", "content-type": "application/json"}
    got = await counter.client.post("/v1/messages", content=drip(), headers=headers)

    assert got.status_code == 400
    assert "in time" in got.json()["detail"]


async def test_bodies_never_fill_the_memory(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond what fits at one moment large ones wait, or are sent away; small ones pass."""
    monkeypatch.setattr(body, "WAIT_SECONDS", 0.3)
    large = json.dumps(HELLO | {"text": "x" * (3 * 1024 * 1024)}).encode()
    headers = {"authorization": f"Bearer {counter.key}", "content-type": "application/json"}
    may_end = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield large[:-1]
        await may_end.wait()
        yield large[-1:]

    async def send(content: Any) -> httpx2.Response:
        return await counter.client.post("/v1/messages", content=content, headers=headers)

    slow = asyncio.create_task(send(slowly()))  # of unknown size: it gets all the room
    await asyncio.sleep(0.1)
    refused = await send(large)
    middling = await counter.ask("POST", "/v1/messages", HELLO | {"text": "x" * 200_000})
    waiting = asyncio.create_task(send(large))
    await asyncio.sleep(0.1)
    may_end.set()

    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    assert middling.status_code == 202
    assert ((await slow).status_code, (await waiting).status_code) == (202, 202)
    assert (await send(large)).status_code == 202  # nothing was kept back


async def test_large_bodies_are_worked_at_one_by_one(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parsing and storing takes several times their octets."""
    at_once, most = 0, 0
    enqueue = Queue.enqueue

    async def counted(queue: Queue, parcel: Parcel) -> Receipt:
        nonlocal at_once, most
        at_once, most = at_once + 1, max(most, at_once + 1)
        try:
            await asyncio.sleep(0.01)
            return await enqueue(queue, parcel)
        finally:
            at_once -= 1

    monkeypatch.setattr(Queue, "enqueue", counted)
    large = HELLO | {"text": ("x" * 76 + "\n") * (13 * 1024 * 1024 // 77)}

    answers = await asyncio.gather(*(counter.ask("POST", "/v1/messages", large) for _ in range(4)))

    assert [each.status_code for each in answers] == [202] * 4
    assert most == 1


async def test_requests_are_bounded(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one too many is told at once; whether we live can always be asked."""
    monkeypatch.setattr(gate, "MAX_ACTIVE", 0)

    got = await counter.ask("GET", "/v1/relays")

    assert (got.status_code, got.json()["code"]) == (503, "too_many_requests_at_once")
    assert (await counter.ask("GET", "/livez")).status_code == 200


async def test_a_request_under_way_is_finished(counter: Counter) -> None:
    """Stopping takes no new ones and answers those that have begun."""
    async with running(counter) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        octets = json.dumps(HELLO).encode()
        head = (
            f"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {counter.key}"
            f"\r\nContent-Type: application/json\r\nContent-Length: {len(octets)}\r\n\r\n"
        )
        writer.write(head.encode() + octets[:10])
        await writer.drain()
        while not counter.app.middleware_stack:  # built when the first request has come
            await asyncio.sleep(0.01)
        server.stop()
        writer.write(octets[10:])
        line = await reader.readline()
        writer.close()

    assert b"202" in line
    assert await counter.count() == 1
