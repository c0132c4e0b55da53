"""
The short way for messages: from the parser of HTTP to the gate, and back in one write.

uvicorn makes of every request what ASGI asks for: a scope, events for pieces of a body that
is here already, an answer in two parts. That costs more than storing the message. So a POST
of a message that has arrived whole is answered from here. Whatever is unusual about it, such
as a body that comes in pieces or another request before it, goes the long way; both end in
the same gate and the same route.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from pillarbox.inlets.http.gate import Gate

PATH = "/v1/messages"

_URL = PATH.encode()
_UNUSUAL = frozenset({b"expect", b"transfer-encoding", b"upgrade"})
_DIGITS = 5  # of Content-Length; longer bodies do not arrive in one piece


class Express(HttpToolsProtocol):
    """Callbacks of httptools, in the order in which they come for a request."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._gate: Gate = cast("Any", self.config.app).state.gate
        self._pieces: list[bytes] | None = None  # of a body that may go the short way

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._pieces is not None:  # there is more to come
            self._go_the_long_way()

    def on_message_begin(self) -> None:
        """As uvicorn does, but for the scope: the short way needs none."""
        self.url = b""
        self.expect_100_continue = False
        self.headers = []

    def on_headers_complete(self) -> None:
        if self._may_be_short():
            self._pieces = []
        else:
            self._begin_scope()

    def on_body(self, body: bytes) -> None:
        if self._pieces is None:
            super().on_body(body)
        else:
            self._pieces.append(body)

    def on_message_complete(self) -> None:
        if self._pieces is None:
            super().on_message_complete()
            return
        body, self._pieces = b"".join(self._pieces), None
        exchange = _Exchange(keep_alive=self.parser.should_keep_alive())
        self.cycle = cast("RequestResponseCycle", exchange)
        exchange.task = self.loop.create_task(self._answer(exchange, self.headers, body))
        self.tasks.add(exchange.task)

    def _may_be_short(self) -> bool:
        if self.url != _URL or self.parser.get_method() != b"POST":
            return False
        if self.parser.get_http_version() != "1.1":
            return False
        if self.cycle is not None and not self.cycle.response_complete:
            return False
        length = b""
        for name, value in self.headers:
            if name in _UNUSUAL:
                return False
            if name == b"content-length":
                length = value
        return 0 < len(length) <= _DIGITS

    def _go_the_long_way(self) -> None:
        pieces, self._pieces = self._pieces or [], None
        if self.transport.is_closing():
            return
        self._begin_scope()
        for piece in pieces:
            super().on_body(piece)

    def _begin_scope(self) -> None:
        """What uvicorn does with a head, with what has been read of it."""
        url, headers, is_expecting = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, is_expecting
        self.headers += headers  # the scope has this very list
        super().on_headers_complete()

    async def _answer(
        self, exchange: _Exchange, headers: list[tuple[bytes, bytes]], body: bytes
    ) -> None:
        try:
            response = await self._gate.take(headers, body)
            if self.flow.write_paused:
                await self.flow.drain()
        finally:
            self.tasks.discard(exchange.task)
        exchange.response_complete = True
        if exchange.disconnected:
            return
        self.transport.write(self._written(response, keep_alive=exchange.keep_alive))
        if not exchange.keep_alive:
            self.transport.close()
        self.on_response_complete()

    def _written(self, response: Response, *, keep_alive: bool) -> bytes:
        headers = [*self.server_state.default_headers, *response.raw_headers]
        if not keep_alive:
            headers.append((b"connection", b"close"))
        lines = [b"%b: %b\r\n" % header for header in headers]
        return b"".join([STATUS_LINE[response.status_code], *lines, b"\r\n", response.body])


class _Exchange:
    """A request of the short way and its answer, as uvicorn looks at one of its own."""

    message_event: Any = asyncio.Event()  # nobody waits for more of a body that is here

    __slots__ = ("disconnected", "keep_alive", "response_complete", "task")

    task: asyncio.Task[None]

    def __init__(self, *, keep_alive: bool) -> None:
        self.keep_alive = keep_alive
        self.disconnected = False
        self.response_complete = False
