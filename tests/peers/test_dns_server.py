"""The name server the other tests rely on answers what its zone says, octet for octet."""

from __future__ import annotations

import socket
import struct

import pytest

from support.dns_server import Asked, DnsServer, Trouble, Zone, dns_server

QUESTION = b"\1b\7example\0"  # b.example


def query(name: bytes, kind: int) -> bytes:
    return struct.pack("!HHHHHH", 4711, 0x0100, 1, 0, 0, 0) + name + struct.pack("!HH", kind, 1)


def by_udp(server: DnsServer, asked: bytes, *, seconds: float = 5) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(seconds)
        client.sendto(asked, (server.host, server.port))
        return client.recv(65_535)


def by_tcp(server: DnsServer, asked: bytes) -> bytes:
    with socket.create_connection((server.host, server.port), timeout=5) as client:
        client.sendall(struct.pack("!H", len(asked)) + asked)
        stream = client.makefile("rb")
        return stream.read(int.from_bytes(stream.read(2), "big"))


def rcode(response: bytes) -> int:
    return response[3] & 0x0F


@pytest.mark.parametrize(
    ("kind", "number", "text", "octets"),
    [
        ("A", 1, "192.0.2.1", b"\xc0\0\2\1"),
        ("AAAA", 28, "2001:db8::1", b"\x20\1\x0d\xb8" + bytes(11) + b"\1"),
        ("MX", 15, "10 mx.b.example", b"\0\x0a\2mx" + QUESTION),
        ("TXT", 16, "v=spf1 -all", b"\x0bv=spf1 -all"),
        ("SRV", 33, "0 1 587 mx.b.example", b"\0\0\0\1\x02\x4b\2mx" + QUESTION),
        ("CNAME", 5, "mx.b.example", b"\2mx" + QUESTION),
    ],
)
def test_each_type_of_record_is_on_the_wire_as_its_rfc_says(
    kind: str, number: int, text: str, octets: bytes
) -> None:
    """RFC 1035 §3.3, 3596, 2782: the last octets of the answer are the record."""
    with dns_server({"b.example": {kind: [text]}}) as server:
        asked = query(QUESTION, number)

        response = by_udp(server, asked)

    assert response[:8] == struct.pack("!HHHH", 4711, 0x8180, 1, 1)
    assert response[12:].startswith(asked[12:])
    assert response.endswith(struct.pack("!HHIH", number, 1, 60, len(octets)) + octets)
    assert server.asked == [Asked("b.example", kind, "udp")]


@pytest.mark.parametrize(
    ("zone", "code"),
    [
        ({}, 3),
        ({"a.b.example": {"A": ["192.0.2.1"]}}, 0),
        ({"b.example": {"MX": ["10 b.example"]}}, 0),
        ({"b.example": Trouble.SERVFAIL}, 2),
        ({"b.example": {"A": Trouble.REFUSED}}, 5),
        ({"b.example": Trouble.NXDOMAIN}, 3),
        ({"b.example": {"CNAME": ["b.example"]}}, 2),
    ],
    ids=["unknown", "above", "other-type", "servfail", "refused", "nxdomain", "circle"],
)
def test_what_is_not_there_is_told_apart(zone: Zone, code: int) -> None:
    """No such name, no such record, and a server in trouble are three different answers."""
    with dns_server(zone) as server:
        response = by_udp(server, query(QUESTION, 1))

    assert rcode(response) == code
    assert response[6:8] == b"\0\0"


def test_an_alias_is_followed() -> None:
    """The answer has the alias and what it leads to."""
    zone: Zone = {"b.example": {"CNAME": ["c.example"]}, "c.example": {"A": ["192.0.2.9"]}}
    with dns_server(zone) as server:
        response = by_udp(server, query(QUESTION, 1))

    assert response[6:8] == b"\0\2"
    assert b"\1c\7example\0" in response
    assert response.endswith(b"\xc0\0\2\x09")


def test_a_long_answer_is_truncated_by_udp_and_whole_by_tcp() -> None:
    """A text of 600 octets does not fit into 512, and is three strings by TCP (RFC 1035 §3.3)."""
    with dns_server({"b.example": {"TXT": ["k" * 600]}}) as server:
        short = by_udp(server, query(QUESTION, 16))
        whole = by_tcp(server, query(QUESTION, 16))

    assert short[2] & 0x02
    assert short[6:8] == b"\0\0"
    assert whole.endswith(b"\xff" + b"k" * 255 + b"\xff" + b"k" * 255 + b"\x5a" + b"k" * 90)
    assert [asked.by for asked in server.asked] == ["udp", "tcp"]


def test_silence_lasts_and_a_record_can_be_published_meanwhile() -> None:
    """The question is heard and not answered; what is added to the zone is seen at once."""
    with dns_server({"b.example": Trouble.SILENT}) as server:
        with pytest.raises(TimeoutError):
            by_udp(server, query(QUESTION, 1), seconds=0.1)
        server.zone["b.example"] = {"A": ["192.0.2.1"]}

        assert by_udp(server, query(b"\1B\7eXample\0", 1)).endswith(b"\xc0\0\2\1")

    assert server.asked == [Asked("b.example", "A", "udp")] * 2
