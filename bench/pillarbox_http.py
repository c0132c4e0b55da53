"""Pillarbox: durable, HTTP in → relay. The program as installed, on SQLite, nothing tuned."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.contender import LIMIT_SECONDS, Contender
from bench.message import HTML, RECIPIENT, SENDER, SUBJECT, TEXT
from bench.sink import sink
from support.program import Program, new_program

MESSAGES = 5000
CLIENTS = 20
CONNECTIONS = 20


@contextmanager
def pillarbox_http() -> Iterator[Contender]:
    with tempfile.TemporaryDirectory() as folder, sink() as there:
        program = new_program(Path(folder))
        try:
            program.start()
            relay = ["relay", "add", "sink", "--host", "127.0.0.1", "--port", str(there.port)]
            program.run_json(
                *relay,
                *("--tls", "none", "--auth", "none", "--default"),
                *("--set", f"max_connections={CONNECTIONS}"),  # as many as the others have
            )
            request = post(program, program.new_key("bench"))

            def hand_over(messages: int) -> None:
                asyncio.run(all_clients(program.http_port, request, messages))

            yield Contender("Pillarbox, durable, HTTP in", MESSAGES, program.pid, there, hand_over)
        finally:
            program.kill9()


def post(program: Program, key: str) -> bytes:
    """The request every client sends, complete."""
    message = {"from": SENDER, "to": [RECIPIENT], "subject": SUBJECT, "text": TEXT, "html": HTML}
    body = json.dumps(message).encode()
    head = (
        f"POST /v1/messages HTTP/1.1\r\nHost: 127.0.0.1:{program.http_port}\r\n"
        f"Authorization: Bearer {key}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def all_clients(port: int, request: bytes, messages: int) -> None:
    """Twenty clients, each with its connection, each waiting for its 202 before it goes on."""
    left = iter(range(messages))
    async with asyncio.timeout(LIMIT_SECONDS):
        await asyncio.gather(*(client(port, request, left) for _ in range(CLIENTS)))


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
