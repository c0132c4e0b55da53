"""A relay that reads its lines from a script, over a real socket."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import groupby


@dataclass(slots=True)
class Heard:
    """Where the relay listens, and every octet it heard, in the order it came."""

    port: int = 0
    octets: bytearray = field(default_factory=bytearray)

    @property
    def lines(self) -> list[str]:
        return self.octets.decode().split("\r\n")[:-1]


@asynccontextmanager
async def scripted_relay(
    script: str | Sequence[tuple[str, str]],
    *,
    octet_by_octet: bool = False,
    implicit_tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Heard]:
    """
    Serve one connection; leaving the block waits for the script to end as it should.

    `S: ` is what the relay says, `C: ` is what it must hear, `.` hangs up:

        S: 220 relay.test ESMTP
        C: EHLO me.test
        S: 421 4.3.2 closing
        .

    After the script it must hear nothing more, except QUIT.
    """
    steps = _steps(script) if isinstance(script, str) else script
    finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    heard = Heard()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _perform(steps, reader, writer, heard, octet_by_octet)
            if not finished.done():
                finished.set_result(None)
        except (AssertionError, OSError) as error:
            if not finished.done():
                finished.set_exception(error)
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=implicit_tls)
    async with server:
        heard.port = server.sockets[0].getsockname()[1]
        yield heard
        async with asyncio.timeout(10):
            await finished


def matches(said: str, line: str) -> bool:
    """A line in the script that ends with an ellipsis stands for all that begin like it."""
    return said.startswith(line[:-1]) if line.endswith("…") else said == line


def _steps(script: str) -> list[tuple[str, str]]:
    lines = [line.strip() for line in script.strip().splitlines()]
    return [(line[0], line[3:]) for line in lines if line]


async def _perform(
    steps: Sequence[tuple[str, str]],
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    heard: Heard,
    octet_by_octet: bool,
) -> None:
    for kind, group in groupby(steps, key=lambda step: step[0]):
        lines = [line for _, line in group]
        if kind == "S":
            await _say("".join(f"{line}\r\n" for line in lines).encode(), writer, octet_by_octet)
        elif kind == "C":
            for line in lines:
                octets = await reader.readline()
                heard.octets += octets
                said = octets.decode().removesuffix("\r\n")
                assert matches(said, line), f"expected {line!r}, heard {said!r}"
        else:
            return
    rest = await _rest(reader)
    heard.octets += rest
    assert rest in (b"", b"QUIT\r\n"), f"heard {rest!r} after the end"


async def _rest(reader: asyncio.StreamReader) -> bytes:
    """What comes after the script, until QUIT or the end; a client may reset when it had enough."""
    heard = b""
    with suppress(ConnectionResetError):
        while heard != b"QUIT\r\n" and (octets := await reader.read(65_536)):
            heard += octets
    return heard


async def _say(octets: bytes, writer: asyncio.StreamWriter, octet_by_octet: bool) -> None:
    size = 1 if octet_by_octet else len(octets)
    with suppress(ConnectionResetError):  # a client may have had enough
        await _write(octets, writer, size)


async def _write(octets: bytes, writer: asyncio.StreamWriter, size: int) -> None:
    for start in range(0, len(octets), size):
        writer.write(octets[start : start + size])
        await writer.drain()
        await asyncio.sleep(0)
