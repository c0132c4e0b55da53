"""Between us and a real relay: a connection that breaks where a test says, and how it says."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum


class Kind(Enum):
    """How a connection ends."""

    FIN = "fin"  # closed in good order
    RST = "rst"  # reset
    BLACKHOLE = "blackhole"  # nothing arrives any more, and nobody says so
    HALF = "half-close"  # the relay's side is closed, ours is still read


class Side(Enum):
    """Whose octets are counted."""

    OURS = "ours"
    THEIRS = "theirs"


@dataclass(frozen=True, slots=True)
class Cut:
    """
    Break after `octets` of what this side says, counted from where `mark` ends in it.

    Nothing after that passes, in either direction. An empty mark is the beginning.
    """

    kind: Kind
    side: Side = Side.OURS
    mark: bytes = b""
    octets: int = 0


@dataclass(slots=True)
class CuttingProxy:
    """A listening proxy. The cut happens on its first connection only; later ones are whole."""

    to_port: int
    cut: Cut | None = None
    port: int = 0
    has_cut: bool = False
    octets_of_ours: int = 0
    """What has passed from us to the relay, on all connections."""
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.to_port)
        self._writers += [writer, far_writer]
        cut, self.cut = self.cut, None
        ends = _Ends(near=writer, far=far_writer)
        await asyncio.gather(
            self._pump(reader, far_writer, ends, cut if cut and cut.side is Side.OURS else None),
            self._pump(far_reader, writer, ends, cut if cut and cut.side is Side.THEIRS else None),
        )

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        ends: _Ends,
        cut: Cut | None,
    ) -> None:
        said = bytearray()
        with suppress(ConnectionError, OSError):
            while octets := await reader.read(65_536):
                if ends.are_cut:
                    continue
                passes = len(octets)
                if cut is not None:
                    said += octets
                    passes = min(_left(cut, said) - (len(said) - len(octets)), len(octets))
                writer.write(octets[: max(passes, 0)])
                if writer is ends.far:
                    self.octets_of_ours += max(passes, 0)
                if cut is not None and _left(cut, said) <= len(said):
                    ends.are_cut = self.has_cut = True
                    with suppress(ConnectionError, OSError):
                        await writer.drain()
                    await ends.end(cut.kind)
            if not ends.are_cut:
                writer.close()

    def close(self) -> None:
        for writer in self._writers:
            if not writer.transport.is_closing():
                writer.transport.abort()


@dataclass(slots=True)
class _Ends:
    near: asyncio.StreamWriter
    far: asyncio.StreamWriter
    are_cut: bool = False

    async def end(self, kind: Kind) -> None:
        """The relay's end goes too, except where nobody is to notice."""
        match kind:
            case Kind.FIN:
                self.near.close()
                self.far.close()
            case Kind.RST:
                for writer in (self.near, self.far):
                    _linger_not(writer)
                    writer.transport.abort()
            case Kind.HALF:
                self.near.write_eof()
                self.far.close()
            case Kind.BLACKHOLE:
                return


def _left(cut: Cut, said: bytearray) -> int:
    """Where in what was said the cut is; far away as long as the mark has not come."""
    found = said.find(cut.mark)
    return 1 << 62 if found < 0 else found + len(cut.mark) + cut.octets


def _linger_not(writer: asyncio.StreamWriter) -> None:
    found: socket.socket | None = writer.get_extra_info("socket")
    if found is not None:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@asynccontextmanager
async def cutting_proxy(to_port: int, cut: Cut) -> AsyncIterator[CuttingProxy]:
    """Serve until the block ends."""
    proxy = CuttingProxy(to_port, cut)
    talks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.current_task()
        assert talk is not None
        talks.add(talk)
        await proxy.serve(reader, writer)

    # A small window: what is not read here waits with its sender, not in between.
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    listener.bind(("127.0.0.1", 0))
    async with await asyncio.start_server(serve, sock=listener) as server:
        proxy.port = server.sockets[0].getsockname()[1]
        try:
            yield proxy
        finally:
            proxy.close()
            await asyncio.gather(*talks, return_exceptions=True)
