"""Pillarbox: durable, HTTP in → relay. The program as installed, nothing tuned."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

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
        asyncio.run(all_clients(program.http_port, request, count))

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


async def all_clients(port: int, request: bytes, messages: int, clients: int = CLIENTS) -> None:
    """Each client has its connection, and waits for its 202 before it goes on."""
    left = iter(range(messages))
    async with asyncio.timeout(LIMIT_SECONDS):
        await asyncio.gather(*(client(port, request, left) for _ in range(clients)))


async def client(port: int, request: bytes, left: Iterator[int]) -> None:
    """Speaks just enough HTTP to be cheap: it runs on the same two cores."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in left:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        body = await reader.readexactly(int(length))
        if b" 202 " not in head[:16]:
            raise RuntimeError((head + body).decode())
    writer.close()
