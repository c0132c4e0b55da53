"""A relay that takes XOAUTH2 alone, and asks the authorization server about each token."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from support.authorization_server import AuthorizationServer


@dataclass(slots=True)
class TokenRelay:
    """Takes mail from whoever shows a token that the provider calls active."""

    port: int = 0
    taken: int = 0
    refused: list[str] = field(default_factory=list)


@asynccontextmanager
async def token_relay(server: AuthorizationServer) -> AsyncIterator[TokenRelay]:
    """Listen on this machine, in the clear, until the block ends."""
    relay = TokenRelay()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def say(text: str) -> None:
            writer.write(f"{text}\r\n".encode())

        say("220 relay.test")
        while line := (await reader.readline()).decode().rstrip("\r\n"):
            verb = line.split(" ")[0].upper()
            if verb == "EHLO":
                say("250-relay.test\r\n250 AUTH XOAUTH2")
            elif verb == "AUTH":
                shown = base64.b64decode(line.split(" ")[2]).decode()
                token = shown.partition("Bearer ")[2].rstrip("\1")
                told = await asyncio.to_thread(server.introspect, token)
                if not told["active"]:
                    relay.refused.append(token)
                    say("334 " + base64.b64encode(b'{"status":"401"}').decode())
                    await reader.readline()
                    say("535 5.7.8 token refused")
                else:
                    say("235 2.7.0 welcome")
            elif verb == "DATA":
                say("354 go")
                await reader.readuntil(b"\r\n.\r\n")
                relay.taken += 1
                say("250 2.0.0 taken")
            else:
                say("221 bye" if verb == "QUIT" else "250 2.1.0 ok")
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        relay.port = listening.sockets[0].getsockname()[1]
        yield relay
