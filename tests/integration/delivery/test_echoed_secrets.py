"""A relay that repeats our password does not get it into anything that is kept or shown."""

from __future__ import annotations

import asyncio
import base64
import re
from pathlib import Path

import pytest

from support.house import delivering, open_house

CANARY = "hunter2canary"


@pytest.mark.parametrize("coded", [False, True], ids=["as it is", "in base64"])
async def test_an_echoed_password_is_kept_nowhere(
    tmp_path: Path, coded: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    """Some servers quote the line they did not like. Threat A4: a secret never leaves."""

    async def echoing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 echo ESMTP\r\n")
        while line := await reader.readline():
            if line.upper().startswith(b"EHLO"):
                writer.write(b"250-echo\r\n250 AUTH PLAIN\r\n")
            elif line.upper().startswith(b"AUTH"):
                said = line.split()[-1]
                quoted = said if coded else base64.b64decode(said).replace(b"\0", b" ")
                writer.write(b"535 5.7.8 I did not like " + quoted + b"\r\n")
            else:
                writer.write(b"221 bye\r\n")
        writer.close()

    server = await asyncio.start_server(echoing, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, open_house(tmp_path) as house:
        await house.add_relay(
            host="127.0.0.1",
            port=port,
            tls="none",
            auth="password",
            username="ann",
            password=CANARY,
        )
        async with delivering(house):
            sent = await house.send("bob@y.test")
            await house.when(sent, lambda message: message.deliveries[0].answer is not None)

    kept = b"".join(file.read_bytes() for file in tmp_path.glob("pillarbox.db*"))
    printed = "".join(capfd.readouterr())
    assert b"535 5.7.8 I did not like" in kept
    for text in (kept.decode("latin-1"), printed):
        assert CANARY not in text
        for token in re.findall(r"[A-Za-z0-9+/]{16,}", text):
            whole = token[: len(token) // 4 * 4]
            assert CANARY.encode() not in base64.b64decode(whole)
