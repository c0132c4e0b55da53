"""What `serve` holds: idle, with 100,000 messages waiting, while 50 of 20 MB pass."""

from __future__ import annotations

import asyncio
import base64
import json
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.goals import Goal, Range, at_most
from bench.message import HTML, RECIPIENT, SENDER, SUBJECT, TEXT
from bench.pillarbox_http import add_relay, all_clients, post
from bench.race import MEBIBYTE
from bench.sink import sink
from bench.usage import forget_peak, peak, usage
from support.program import Program, new_program

WAITING, AT_ONCE = 100_000, 100
LARGE, LARGE_CLIENTS, LARGE_OCTETS = 50, 4, 20_000_000
_ATTACHED = LARGE_OCTETS * 3 // 4  # base64 makes it the size it has on the way


def measure() -> list[Goal]:
    """MiB; what 100,000 add is over idle."""
    with tempfile.TemporaryDirectory() as folder, sink() as there:
        program = new_program(Path(folder))
        try:
            program.start()
            add_relay(program, there, 5)
            key = program.new_key("bench")
            idle = usage(program.pid).octets
            _pass_large(program, key)
            there.wait(LARGE, seconds=120)
            large = peak(program.pid)
            program.restart()
            before = usage(program.pid).octets
            asyncio.run(_fill(program, key))
            waiting = usage(program.pid).octets - before
        finally:
            program.kill9()
    about = f"memory while {LARGE} × 20 MB pass, {LARGE_CLIENTS} at once"
    return [
        at_most("memory of serve, idle", _mebibytes(idle), 120, 80, "MiB"),
        at_most("memory that 100,000 waiting add", _mebibytes(waiting), 50, 20, "MiB"),
        at_most(about, _mebibytes(large), 250, 150, "MiB"),
    ]


def _mebibytes(octets: int) -> Range:
    value = octets / MEBIBYTE
    return Range(value, value, value)


def _pass_large(program: Program, key: str) -> None:
    forget_peak(program.pid)
    content = base64.b64encode(bytes(_ATTACHED)).decode()
    attachment = {"filename": "large.bin", "content": content}
    request = post(program, key, attachments=[attachment])
    all_clients(program.http_port, request, LARGE, LARGE_CLIENTS)


async def _fill(program: Program, key: str) -> None:
    """Mail for tomorrow, so that it waits."""
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    one = {"from": SENDER, "to": [RECIPIENT], "subject": SUBJECT, "text": TEXT, "html": HTML}
    body = json.dumps({"messages": [one | {"send_at": tomorrow}] * AT_ONCE}).encode()
    head = (
        f"POST /v1/messages/batch HTTP/1.1\r\nHost: 127.0.0.1:{program.http_port}\r\n"
        f"Authorization: Bearer {key}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", program.http_port)
    for _ in range(WAITING // AT_ONCE):
        writer.write(head + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = answer.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        told = await reader.readexactly(int(length))
        if b" 200 " not in answer[:16]:
            raise RuntimeError((answer + told).decode())
    writer.close()
