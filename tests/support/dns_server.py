"""
A name server whose zone is a dictionary, over UDP and TCP on one loopback port (RFC 1035).

    with dns_server({"b.example": {"MX": ["10 mx.b.example"], "TXT": Trouble.SERVFAIL}}) as server:

A name that is not in the zone, nor above one that is, does not exist. The zone may be changed
while it is served, as by somebody who publishes a record.
"""

from __future__ import annotations

import socketserver
import struct
import threading
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from ipaddress import ip_address

from support.peers import free_ports


class Trouble(Enum):
    """What it does instead of answering. The number is the RCODE (RFC 1035 §4.1.1)."""

    SERVFAIL = 2
    NXDOMAIN = 3
    REFUSED = 5
    SILENT = -1


Records = Sequence[str] | Trouble
"""As in a zone file: `10 mx.b.example`; a TXT is the text itself, of any length."""
Zone = MutableMapping[str, Mapping[str, Records] | Trouble]
"""Names in lower case without the last dot, to record types, to records; or to trouble."""

_TYPES = {"A": 1, "NS": 2, "CNAME": 5, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33}
_NAMES = {number: name for name, number in _TYPES.items()}
_HEADER = struct.Struct("!HHHHHH")
_RESPONSE, _TRUNCATED, _RECURSION = 0x8080, 0x0200, 0x0100
_TTL_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Asked:
    """One question that came. by is `udp` or `tcp`."""

    name: str
    type: str
    by: str


@dataclass(slots=True)
class DnsServer:
    """A running server. A longer answer than udp_octets is truncated; by TCP it comes whole."""

    zone: Zone
    udp_octets: int = 512
    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    host: str = "127.0.0.1"

    def answer(self, query: bytes, by: str) -> bytes | None:
        """The response to a query of one question, or None for silence."""
        number, flags, *_ = _HEADER.unpack_from(query)
        name, end = _read_name(query)
        kind = int.from_bytes(query[end : end + 2], "big")
        asked = Asked(name.lower(), _NAMES.get(kind, str(kind)), by)
        self.asked.append(asked)
        found = self._find(asked.name, asked.type)
        if found is Trouble.SILENT:
            return None
        records = [] if isinstance(found, Trouble) else found
        flags = _RESPONSE | (flags & _RECURSION)
        flags |= found.value if isinstance(found, Trouble) else 0
        question = query[_HEADER.size : end + 4]
        body = b"".join(_record(*record) for record in records)
        whole = _HEADER.pack(number, flags, 1, len(records), 0, 0) + question + body
        if by == "udp" and len(whole) > self.udp_octets:
            return _HEADER.pack(number, flags | _TRUNCATED, 1, 0, 0, 0) + question
        return whole

    def _find(self, name: str, kind: str) -> list[tuple[str, str, str]] | Trouble:
        """Owner, type and text of each record; aliases on the way are among them."""
        records: list[tuple[str, str, str]] = []
        while name not in {owner for owner, _, _ in records}:
            entry = self.zone.get(name)
            if isinstance(entry, Trouble):
                return entry
            if entry is None:
                is_above = any(each.endswith(f".{name}") for each in self.zone)
                return records if is_above or records else Trouble.NXDOMAIN
            found = entry.get(kind, ())
            if isinstance(found, Trouble):
                return found
            records += [(name, kind, text) for text in found]
            aliases = entry.get("CNAME", ())
            if found or kind == "CNAME" or isinstance(aliases, Trouble) or not aliases:
                return records
            records.append((name, "CNAME", aliases[0]))
            name = aliases[0].lower()
        return Trouble.SERVFAIL  # an alias that leads back to itself


@contextmanager
def dns_server(zone: Zone, *, udp_octets: int = 512) -> Iterator[DnsServer]:
    """Serve until the block ends."""
    server = DnsServer(zone, udp_octets)
    [server.port] = free_ports(1)
    at = (server.host, server.port)

    class Datagram(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            query, socket = self.request
            if response := server.answer(query, "udp"):
                socket.sendto(response, self.client_address)

    class Stream(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while size := self.rfile.read(2):
                query = self.rfile.read(int.from_bytes(size, "big"))
                if response := server.answer(query, "tcp"):
                    self.wfile.write(len(response).to_bytes(2, "big") + response)

    with _serving(_Tcp(at, Stream)), _serving(socketserver.UDPServer(at, Datagram)):
        yield server


class _Tcp(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True  # a client that keeps its connection does not keep the test
    block_on_close = False


@contextmanager
def _serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    with server:
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def _read_name(query: bytes) -> tuple[str, int]:
    """The name that is asked for, and where its type begins. A question is not compressed."""
    labels, at = [], _HEADER.size
    while size := query[at]:
        labels.append(query[at + 1 : at + 1 + size].decode("ascii"))
        at += 1 + size
    return ".".join(labels), at + 1


def _record(owner: str, kind: str, text: str) -> bytes:
    octets = _octets(kind, text)
    fixed = struct.pack("!HHIH", _TYPES[kind], 1, _TTL_SECONDS, len(octets))
    return _name(owner) + fixed + octets


def _octets(kind: str, text: str) -> bytes:
    """RDATA of a record as it stands in a zone file."""
    if kind in ("A", "AAAA"):
        return ip_address(text).packed
    if kind == "TXT":
        octets = text.encode()
        strings = [octets[at : at + 255] for at in range(0, len(octets), 255)] or [b""]
        return b"".join(bytes([len(string)]) + string for string in strings)
    *numbers, name = text.split()  # MX has one number before the name, SRV three
    return struct.pack(f"!{len(numbers)}H", *map(int, numbers)) + _name(name)


def _name(name: str) -> bytes:
    labels = [label.encode("ascii") for label in name.rstrip(".").split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
