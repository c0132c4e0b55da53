"""
Events as they happen, as `text/event-stream` (WHATWG HTML, server-sent events).

Each reader has a cursor and at most one batch in memory. Who does not read what is sent is
let go after a while, and begins again where it was: the id of the last event says where.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from functools import cached_property

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from pillarbox.base import log
from pillarbox.base.clock import Clock
from pillarbox.inlets.http.answers import show_event
from pillarbox.inlets.http.desk import Desk
from pillarbox.inlets.http.problems import Busy
from pillarbox.journal.feed import Feed
from pillarbox.journal.journal import Entry

MAX_STREAMS = 32
_BATCH = 200  # events
_HEARTBEAT_SECONDS = 15.0
_PATIENCE_SECONDS = 20.0  # for a reader who takes nothing
_HEADERS = {"X-Accel-Buffering": "no"}  # a proxy must not collect what is meant for now
_OPENING = "retry: 2000\n"

_log = log.logger("events")


class Streams:
    """The streams of this process, counted, so that all of them can be ended."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.open = 0
        self.is_ending = False

    @cached_property
    def feed(self) -> Feed:
        return Feed(self._desk.database, self._desk.clock)

    @property
    def clock(self) -> Clock:
        return self._desk.clock

    def begin(self, cursor: int) -> Response:
        """An endless answer with all that comes after cursor. Raises Busy."""
        if self.open >= MAX_STREAMS:
            raise Busy(f"{MAX_STREAMS} streams are open, as many as we feed at once")
        return EventStream(self, cursor)

    def end(self) -> None:
        """Every stream ends after the batch that it is sending."""
        self.is_ending = True


class EventStream(Response):
    """One reader's stream."""

    def __init__(self, streams: Streams, cursor: int) -> None:
        super().__init__(None, 200, _HEADERS, media_type="text/event-stream")
        del self.headers["content-length"]
        self._streams = streams
        self._cursor = cursor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Until the reader leaves, does not read, or the server stops."""
        self._streams.open += 1
        telling = asyncio.create_task(self._tell(send), name="event stream")
        leaving = asyncio.create_task(_left(receive))
        try:
            await asyncio.wait({telling, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._streams.open -= 1
            is_told = telling.done()
            telling.cancel()
            leaving.cancel()
            await asyncio.gather(telling, leaving, return_exceptions=True)
        if is_told:
            self._judge(telling)

    def _judge(self, telling: asyncio.Task[None]) -> None:
        error = telling.exception()
        if isinstance(error, TimeoutError):
            _log.warning("a reader of events did not read and was let go", after=self._cursor)
        elif error is not None:
            raise error

    async def _tell(self, send: Send) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        # An id without data moves the reader's cursor: it may lose us before the first event.
        await _say(send, f"{_OPENING}id: {self._cursor}\n\n")
        streams, clock = self._streams, self._streams.clock
        said_at = clock.monotonic()
        while not streams.is_ending:
            entries = await streams.feed.read(self._cursor, limit=_BATCH)
            if entries:
                await _say(send, written(entries))
                self._cursor = entries[-1].id
                said_at = clock.monotonic()
                continue
            while await streams.feed.look() <= self._cursor and not streams.is_ending:
                if clock.monotonic() - said_at >= _HEARTBEAT_SECONDS:
                    await _say(send, ":\n\n")
                    said_at = clock.monotonic()
        await _say(send, "", more=False)


def written(entries: Sequence[Entry]) -> str:
    """Each with its id, its name and its JSON on one line."""
    return "".join(
        f"id: {each.id}\nevent: {each.name}\ndata: {json.dumps(show_event(each))}\n\n"
        for each in entries
    )


async def _say(send: Send, text: str, *, more: bool = True) -> None:
    """Raises TimeoutError when the reader takes nothing for too long."""
    async with asyncio.timeout(_PATIENCE_SECONDS):
        await send({"type": "http.response.body", "body": text.encode(), "more_body": more})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
