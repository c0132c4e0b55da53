"""
A relay at a distance: it takes all mail, and each flight of commands is answered a while later.

`python -m bench.slow_sink PORT SECONDS` prints `mesg=N` after each message, as smtp-sink does.
"""

from __future__ import annotations

import asyncio
import sys

_GREETING = b"220 sink.test ESMTP\r\n"
_HELLO = b"250-sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 0\r\n"
_OK, _GO, _BYE = b"250 2.0.0 OK\r\n", b"354 End with a dot\r\n", b"221 2.0.0 Bye\r\n"
_END = b"\r\n.\r\n"


class Conversation(asyncio.Protocol):
    """One client. What arrives together is answered together, `seconds` later."""

    messages = 0

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._arrived = b""
        self._is_content = False
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        self._answer(_GREETING)

    def data_received(self, data: bytes) -> None:
        self._arrived += data
        answers = []
        while answer := self._next():
            answers.append(answer)
        if answers:
            self._answer(b"".join(answers))

    def _next(self) -> bytes:
        """The answer to what has arrived whole; empty when there is nothing more."""
        if self._is_content:
            _, found, rest = self._arrived.partition(_END)
            if not found:
                return b""
            self._arrived, self._is_content = rest, False
            Conversation.messages += 1
            sys.stdout.buffer.write(b"mesg=%d\n" % Conversation.messages)
            sys.stdout.buffer.flush()
            return _OK
        line, found, rest = self._arrived.partition(b"\r\n")
        if not found:
            return b""
        self._arrived = rest
        match line[:4].upper():
            case b"EHLO" | b"HELO":
                return _HELLO
            case b"DATA":
                self._is_content = True
                return _GO
            case b"QUIT":
                return _BYE
        return _OK

    def _answer(self, octets: bytes) -> None:
        assert self._transport is not None
        self._loop.call_later(self._seconds, self._transport.write, octets)


async def serve(port: int, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Conversation(seconds), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2])))
