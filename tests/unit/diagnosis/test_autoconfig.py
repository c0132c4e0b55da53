"""Autoconfig files as providers write them, and as an enemy would."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.diagnosis.autoconfig import NotAutoconfig, Outgoing, read
from pillarbox.mail.address import Address
from pillarbox.smtp.endpoint import TlsMode

ANN = Address.parse("ann@b.example")


def config(*servers: str) -> bytes:
    inside = "".join(servers)
    return (
        '<?xml version="1.0" encoding="UTF-8"?><clientConfig version="1.1">'
        f'<emailProvider id="b.example">{inside}</emailProvider></clientConfig>'
    ).encode()


def outgoing(host: str, port: str, socket: str, username: str = "%EMAILADDRESS%") -> str:
    return (
        f'<outgoingServer type="smtp"><hostname>{host}</hostname><port>{port}</port>'
        f"<socketType>{socket}</socketType><username>{username}</username></outgoingServer>"
    )


def test_servers_come_in_the_order_of_the_file_with_the_address_filled_in() -> None:
    """The first one is what the provider likes best; each is told once."""
    content = config(
        outgoing("smtp.%EMAILDOMAIN%", "587", "STARTTLS", "%EMAILLOCALPART%"),
        outgoing("SMTP.b.example", "465", "SSL"),
        outgoing("smtp.b.example", "465", "SSL"),
    )
    assert read(content, ANN) == (
        Outgoing(host="smtp.b.example", port=587, tls=TlsMode.STARTTLS, username="ann"),
        Outgoing(host="smtp.b.example", port=465, tls=TlsMode.IMPLICIT, username="ann@b.example"),
    )


@pytest.mark.parametrize(
    "server",
    [
        outgoing("smtp.b.example", "25", "plain"),
        outgoing("smtp.b.example", "many", "SSL"),
        outgoing("smtp.b.example", "4650000", "SSL"),
        outgoing("", "465", "SSL"),
        '<incomingServer type="imap"><hostname>imap.b.example</hostname></incomingServer>',
        '<outgoingServer type="smtp"/>',
    ],
)
def test_a_server_without_tls_or_sense_is_left_out(server: str) -> None:
    """Nothing is proposed over which a password would go in the clear."""
    assert read(config(server), ANN) == ()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>not found</html>",
        b"not xml",
        b"\xff\xfe\x00",
        b'<!DOCTYPE x [<!ENTITY a "aaaa">]><clientConfig>&a;</clientConfig>',
        b'<!doctype x SYSTEM "file:///etc/passwd"><clientConfig/>',
        '<?xml version="1.0" encoding="utf-16"?><clientConfig/>'.encode("utf-16"),
    ],
)
def test_what_is_no_autoconfig_file_is_refused(content: bytes) -> None:
    """Pages for people, and document types, which are good for attacks only."""
    with pytest.raises(NotAutoconfig):
        read(content, ANN)


@given(st.binary(max_size=300), st.text(max_size=50))
def test_nothing_else_is_ever_raised(octets: bytes, text: str) -> None:
    """Whatever a web server says."""
    for content in (octets, config(outgoing(text, text, "SSL", text)), config(text)):
        try:
            read(content, ANN)
        except NotAutoconfig:
            continue
