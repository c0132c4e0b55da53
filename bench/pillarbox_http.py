"""Pillarbox: durable, HTTP in → relay. The program as installed, nothing tuned."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast

import uvloop

from bench.contender import LIMIT_SECONDS, Contender
from bench.django_post_office import own_postgres
from bench.message import HTML, RECIPIENT, SENDER, SUBJECT, TEXT
from bench.sink import Sink, sink
from support.program import Program, new_program

MESSAGES = 5000
CLIENTS = 20
CONNECTIONS = 20


@contextmanager
def on_sqlite() -> Iterator[Contender]:
    """One process, on a file."""
    with tempfile.TemporaryDirectory() as folder, sink() as there:
        program = new_program(Path(folder))
        try:
            program.start()
            add_relay(program, there, CONNECTIONS)
            yield http_in("Pillarbox, durable, SQLite", program, there)
        finally:
            program.kill9()


@contextmanager
def on_postgresql() -> Iterator[Contender]:
    """One process; the database server is charged too."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        there = stack.enter_context(sink())
        server = stack.enter_context(own_postgres())
        program = new_program(folder, PILLARBOX_DATABASE_URL=asyncio.run(server.create()))
        stack.callback(program.kill9)
        program.start()
        add_relay(program, there, CONNECTIONS)
        contender = http_in("Pillarbox, durable, PostgreSQL", program, there)
        yield replace(contender, beside=(server.pid,))


def http_in(name: str, program: Program, there: Sink, messages: int = MESSAGES) -> Contender:
    request = post(program, program.new_key("bench"))

    def hand_over(count: int) -> None:
        all_clients(program.http_port, request, count)

    return Contender(name, messages, program.pid, there, hand_over)


def add_relay(program: Program, there: Sink, connections: int) -> None:
    """The sink as the default relay, with as many connections as the others have."""
    relay = ["relay", "add", "sink", "--host", "127.0.0.1", "--port", str(there.port)]
    bare = ["--tls", "none", "--auth", "none", "--default"]
    program.run_json(*relay, *bare, "--set", f"max_connections={connections}")


def post(program: Program, key: str, **more: object) -> bytes:
    """The request every client sends, complete."""
    message = {"from": SENDER, "to": [RECIPIENT], "subject": SUBJECT, "text": TEXT, "html": HTML}
    body = json.dumps(message | more).encode()
    head = (
        f"POST /v1/messages HTTP/1.1\r\nHost: 127.0.0.1:{program.http_port}\r\n"
        f"Authorization: Bearer {key}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def all_clients(port: int, request: bytes, messages: int, clients: int = CLIENTS) -> None:
    """Each client has its connection, and waits for its 202 before it goes on."""
    uvloop.run(_all_clients(port, request, messages, clients))


async def _all_clients(port: int, request: bytes, messages: int, clients: int) -> None:
    loop, left = asyncio.get_running_loop(), iter(range(messages))
    async with asyncio.timeout(LIMIT_SECONDS):
        made = [
            await loop.create_connection(lambda: Client(request, left), "127.0.0.1", port)
            for _ in range(clients)
        ]
        await asyncio.gather(*(client.done for _, client in made))


class Client(asyncio.Protocol):
    """Speaks just enough HTTP to be cheap: it runs on the same two cores."""

    def __init__(self, request: bytes, left: Iterator[int]) -> None:
        self._request = request
        self._left = left
        self._arrived = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._next()

    def data_received(self, data: bytes) -> None:
        self._arrived += data
        head, found, body = self._arrived.partition(b"\r\n\r\n")
        if not found or len(body) < _length(head):
            return
        if b" 202 " not in head[:16]:
            self._end(RuntimeError(self._arrived.decode()))
            return
        self._arrived = b""
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(exc or ConnectionError("the server hung up"))

    def _next(self) -> None:
        if next(self._left, None) is None:
            self._end(None)
        else:
            self._transport.write(self._request)

    def _end(self, failure: Exception | None) -> None:
        if not self.done.done():
            if failure is None:
                self.done.set_result(None)
            else:
                self.done.set_exception(failure)
        self._transport.close()


def _length(head: bytes) -> int:
    return int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
