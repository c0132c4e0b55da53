"""A relay in this process that counts its connections, and turns them away when told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

TOO_MANY = b"421 4.7.0 Error: too many connections from 127.0.0.1\r\n"
OK = b"250 ok\r\n"


@dataclass(slots=True)
class CountingRelay:
    """
    What it is like, and what it saw. is_down: it hangs up at once. most: sessions at a time;
    the others hear 421. to_mail is what it answers to MAIL, given how many came before.
    seconds is how long it thinks about a message.
    """

    is_down: bool = False
    most: int = 1000
    to_mail: Callable[[int], bytes] = lambda before: OK
    seconds: float = 0.0
    port: int = 0
    connections: int = 0
    refused: int = 0
    open: int = 0
    peak: int = 0
    begun: list[float] = field(default_factory=list)  # the loop's time of each MAIL
    recipients: list[str] = field(default_factory=list)  # of messages that it took

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if not self.is_down:
            self.open += 1
            with suppress(ConnectionError):
                await self._talk(reader, writer)
            self.open -= 1
        writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.open > self.most:
            self.refused += 1
            writer.write(TOO_MANY)
            return
        self.peak = max(self.peak, self.open)
        writer.write(b"220 relay.test ESMTP\r\n")
        recipient = ""
        while line := await reader.readline():
            verb = line[:4].upper()
            if verb == b"RCPT":
                recipient = line.partition(b"<")[2].partition(b">")[0].decode()
            if verb == b"DATA":
                writer.write(b"354 go\r\n")
                await reader.readuntil(b"\r\n.\r\n")
                await asyncio.sleep(self.seconds)
                self.recipients.append(recipient)
            writer.write(self._mail() if verb == b"MAIL" else OK)
            if verb == b"QUIT":
                return

    def _mail(self) -> bytes:
        self.begun.append(asyncio.get_running_loop().time())
        return self.to_mail(len(self.begun) - 1)


@asynccontextmanager
async def counting_relay(**like: Any) -> AsyncIterator[CountingRelay]:
    """Listen until the block ends."""
    relay = CountingRelay(**like)
    server = await asyncio.start_server(relay.serve, "127.0.0.1", 0)
    relay.port = server.sockets[0].getsockname()[1]
    try:
        yield relay
    finally:
        server.close()
