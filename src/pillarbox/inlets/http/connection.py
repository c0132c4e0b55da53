"""
A connection of the HTTP server: who is slow, and who is one too many, does not stay.

The body of a request has its deadlines in body.py, an idle connection in uvicorn. Here is the
rest: a head that does not come to its end, an answer that nobody reads, more clients than places.
"""

from __future__ import annotations

import asyncio
import resource
from typing import Any

from pillarbox.inlets.http.express import Express

MAX_CONNECTIONS = 1000
HEAD_SECONDS = 15.0  # from the first octet of a request to the end of its head
READING_SECONDS = 60.0  # for the next octets of an answer that is written faster than it is read
MAX_HEAD = 64 * 1024  # octets

_TOO_SLOW = "408 Request Timeout"
_TOO_LARGE = "431 Request Header Fields Too Large"
_NO_PLACE = "503 Service Unavailable"
_RETRY_AFTER_SECONDS = 5


def places() -> int:
    """How many connections there may be: half of the file descriptors are for other things."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_CONNECTIONS if soft == resource.RLIM_INFINITY else min(MAX_CONNECTIONS, soft // 2)


class Connection(Express):
    """The short way for messages, and a deadline for each thing that a client can be slow at."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._alarm: asyncio.TimerHandle | None = None
        self._head = 0  # octets of a head that is not whole yet
        self._is_in_body = False

    @property
    def is_waiting(self) -> bool:
        """Whether no request is being answered: for a head, or the rest of a body left unread."""
        return self.cycle is None or self.cycle.response_complete

    @property
    def _may_go(self) -> bool:
        return self.is_waiting and not self.transport.is_closing()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._ring_in(HEAD_SECONDS)
        if len(self.connections) > places() and not self._make_place():
            self._refuse(_NO_PLACE)

    def connection_lost(self, exc: Exception | None) -> None:
        self._calm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.flow.write_paused:
            return  # the alarm that runs is about that
        if not self.is_waiting:
            self._head = 0
            if self._alarm is not None:
                self._calm()
            return
        self._head = 0 if self._is_in_body else self._head + len(data)
        if self._head > MAX_HEAD:
            self._refuse(_TOO_LARGE)
        elif self._alarm is None:  # more octets buy no more time
            self._ring_in(HEAD_SECONDS)

    def on_headers_complete(self) -> None:
        self._is_in_body = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._is_in_body = False
        super().on_message_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._ring_in(READING_SECONDS)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._calm()

    def _make_place(self) -> bool:
        """Whether one that waits could be sent away for this one: the idle, then the slowest."""
        waiting = [
            each
            for each in self.connections
            if isinstance(each, Connection) and each is not self and each._may_go
        ]
        if not waiting:
            return False
        min(waiting, key=lambda each: each._alarm.when() if each._alarm else 0)._refuse(_NO_PLACE)
        return True

    def _ring_in(self, seconds: float) -> None:
        self._calm()
        self._alarm = self.loop.call_later(seconds, self._ring)

    def _calm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _ring(self) -> None:
        self._alarm = None
        if self.flow.write_paused:
            self.transport.abort()  # what it was told is cut short, so it knows
        else:
            self._refuse(_TOO_SLOW)

    def _refuse(self, status: str) -> None:
        """Say it in one line, and close: whoever does not read that either is gone all the same."""
        self._calm()
        if self.transport.is_closing():
            return
        lines = [f"HTTP/1.1 {status}", "content-length: 0", "connection: close"]
        if status is _NO_PLACE:
            lines.append(f"retry-after: {_RETRY_AFTER_SECONDS}")
        self.transport.write("\r\n".join([*lines, "", ""]).encode())
        self.transport.close()
