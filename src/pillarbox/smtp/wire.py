"""
The wire: octets to and from one relay over asyncio, with a deadline on everything.

Any timeout, garbage or surprise closes the socket. A connection whose answers may have
slipped by one is how a message gets the outcome of another.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Iterable
from typing import cast

from pillarbox.mail.outcome import Loss, Lost
from pillarbox.mail.reply import Reply
from pillarbox.smtp.replies import ReplyParser
from pillarbox.smtp.tls import loss_of

_HIGH_WATER = 131_072  # octets waiting in memory before a write waits for the relay


class Wire(asyncio.Protocol):
    """One connection. Commands go out with `write`, answers come one by one from `hear`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.time = loop.time  # seconds, by which deadlines are counted
        self._transport: asyncio.Transport | None = None
        self._parser = ReplyParser()
        self._replies: deque[Reply] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._is_paused = False
        self._deadline = 0.0
        self._alarm: asyncio.TimerHandle | None = None
        self.lost: Lost | None = None

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods and not the class, so this cannot be asserted.
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(_HIGH_WATER)

    def data_received(self, data: bytes) -> None:
        self._replies.extend(self._parser.feed(data))
        if self._parser.fault:
            self._fail(self._parser.fault)
        self._wake()

    def eof_received(self) -> None:
        self._fail(Lost(Loss.CLOSED, "the relay closed the connection"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(_closed(exc))
        self._wake()

    def pause_writing(self) -> None:
        self._is_paused = True

    def resume_writing(self) -> None:
        self._is_paused = False
        self._wake()

    # What a session calls.

    @property
    def transport(self) -> asyncio.Transport:
        assert self._transport is not None
        return self._transport

    @property
    def early(self) -> Reply | Lost | None:
        """What the relay said although it was our turn, or that it has gone."""
        return self._replies[0] if self._replies else self.lost

    @property
    def is_quiet(self) -> bool:
        """Open, and the relay has said nothing that was not asked for."""
        return self.lost is None and not self._replies and self._parser.is_between_replies

    def write(self, octets: bytes) -> None:
        if self.lost is None:
            self.transport.write(octets)

    def take(self) -> Reply | None:
        """The next reply if it is already here."""
        return self._replies.popleft() if self._replies else None

    async def hear(self, seconds: float) -> Reply | Lost:
        """The next reply. However slowly it drips in, it is complete before the deadline."""
        if not self._replies and self.lost is None:
            self._deadline = self._loop.time() + seconds
            while not self._replies and self.lost is None:
                await self._wait()
        return self._replies.popleft() if self._replies else self._loss()

    async def pour(self, pieces: Iterable[bytes], seconds: float) -> Reply | Lost | None:
        """
        Write content no faster than the relay reads; each block has its own deadline.

        Returns when all of it has left us: what comes next does not wait behind it.
        """
        for piece in pieces:
            if self._is_paused:
                await self._has_room(seconds)
            if self._replies or self.lost is not None:
                return self.early
            self.transport.write(piece)
        if self.lost is None and self.transport.get_write_buffer_size():
            # One octet, not none: TLS transports pause at their limit, and nothing would
            # ever leave an empty buffer to end the pause.
            self.transport.set_write_buffer_limits(1)
            await self._has_room(seconds)
            if self.lost is None:
                self.transport.set_write_buffer_limits(_HIGH_WATER)
        return self.early

    async def _has_room(self, seconds: float) -> None:
        """Wait until writing goes on, the relay speaks, or the deadline ends the connection."""
        self._deadline = self._loop.time() + seconds
        while self._is_paused and self.early is None:
            await self._wait()

    async def upgrade(self, context: ssl.SSLContext, name: str, seconds: float) -> Lost | None:
        """STARTTLS. What the relay said before it, in the clear, ends it (RFC 3207 §6)."""
        if not self.is_quiet:
            cause = "the relay, or somebody in between, sent plaintext after STARTTLS"
            self._fail(self.lost or Lost(Loss.PLAINTEXT_AFTER_STARTTLS, cause))
            return self._loss()
        try:
            secured = await self._loop.start_tls(
                self.transport,
                self,
                context,
                server_hostname=name,
                ssl_handshake_timeout=seconds,
            )
        except (OSError, ssl.SSLError) as error:
            self.lost = None
            self._fail(loss_of(error))
            return self._loss()
        if secured is None:
            self._fail(Lost(Loss.CLOSED, "the relay closed the connection"))
            return self._loss()
        self._transport = secured
        secured.set_write_buffer_limits(_HIGH_WATER)
        return None

    def abort(self, lost: Lost | None = None) -> None:
        """Close the socket now, without saying anything."""
        self._fail(lost or Lost(Loss.CLOSED, "we closed the connection"))

    def close(self) -> None:
        """Close after what was written has gone out."""
        if self._transport is not None and self.lost is None:
            self._transport.close()
        self._fail_quietly(Lost(Loss.CLOSED, "we closed the connection"))

    # The rest.

    async def _wait(self) -> None:
        """Until something happens. One alarm per connection is moved, not one made per wait."""
        if self._alarm is None or self._alarm.when() > self._deadline:
            self._set_alarm()
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        except asyncio.CancelledError:
            self.abort()
            raise
        finally:
            self._waiter = None

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = self._loop.call_at(self._deadline, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        if self._waiter is None or self.lost is not None:
            return
        if self._loop.time() < self._deadline:
            self._set_alarm()
            return
        self._fail(Lost(Loss.TIMEOUT, "the relay did not answer in time"))

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _loss(self) -> Lost:
        return self.lost or Lost(Loss.CLOSED, "the connection is closed")

    def _fail(self, lost: Lost) -> None:
        self._fail_quietly(lost)
        if self._transport is not None:
            self._transport.abort()
        self._wake()

    def _fail_quietly(self, lost: Lost) -> None:
        self.lost = self.lost or lost
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None


def _closed(error: Exception | None) -> Lost:
    if isinstance(error, ssl.SSLError):
        return loss_of(error)
    if isinstance(error, ConnectionResetError):
        return Lost(Loss.CLOSED, "the relay reset the connection")
    return Lost(Loss.CLOSED, "the relay closed the connection")
