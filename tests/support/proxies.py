"""An HTTP CONNECT proxy and a SOCKS5 proxy, each a page, for one machine."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field


@dataclass(slots=True)
class Asked:
    """Where the proxy listens, and what it was asked for: `host:port` and `user:password`."""

    port: int = 0
    targets: list[str] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)


@asynccontextmanager
async def http_proxy(*, refuses: bytes = b"") -> AsyncIterator[Asked]:
    """refuses is the status line's end with which it says no, such as `407 no`."""
    asked = Asked()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        request, *headers = head.split("\r\n")
        asked.targets.append(request.split(" ")[1])
        for header in headers:
            if header.startswith("Proxy-Authorization: Basic "):
                asked.logins.append(base64.b64decode(header.split(" ")[2]).decode())
        if refuses:
            writer.write(b"HTTP/1.1 " + refuses + b"\r\n\r\n")
            writer.close()
            return
        writer.write(b"HTTP/1.1 200 Connection established\r\nX: y\r\n\r\n")
        port = int(asked.targets[-1].rpartition(":")[2])
        await _join(reader, writer, port)

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        asked.port = server.sockets[0].getsockname()[1]
        yield asked


@asynccontextmanager
async def socks5_proxy(*, reply: int = 0, wants_login: bool = False) -> AsyncIterator[Asked]:
    """reply is the RFC 1928 §6 code that it answers CONNECT with."""
    asked = Asked()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, count = await reader.readexactly(2)
        methods = await reader.readexactly(count)
        method = 2 if wants_login else 0
        if method not in methods:
            writer.write(b"\5\xff")
            writer.close()
            return
        writer.write(bytes([5, method]))
        if wants_login:
            await reader.readexactly(1)
            name = await reader.readexactly((await reader.readexactly(1))[0])
            word = await reader.readexactly((await reader.readexactly(1))[0])
            asked.logins.append(f"{name.decode()}:{word.decode()}")
            writer.write(b"\1\0")
        await reader.readexactly(4)
        host = await reader.readexactly((await reader.readexactly(1))[0])
        port = int.from_bytes(await reader.readexactly(2), "big")
        asked.targets.append(f"{host.decode()}:{port}")
        writer.write(bytes([5, reply, 0, 1]) + bytes(6))
        if reply:
            writer.close()
            return
        await _join(reader, writer, port)

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        asked.port = server.sockets[0].getsockname()[1]
        yield asked


async def _join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    """Whatever name was asked for, everything here lives on loopback."""
    far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
    await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while octets := await reader.read(65_536):
            writer.write(octets)
            await writer.drain()
    writer.close()
