"""Settings from nothing but an address: our own names, pages and relays on this machine."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import trustme

from pillarbox.base import dns
from pillarbox.base.clock import SystemClock
from pillarbox.diagnosis.proposals import Proposals, Source, Sure, propose
from pillarbox.diagnosis.surroundings import Surroundings
from pillarbox.mail.address import Address
from pillarbox.relays.change import RelayChange
from pillarbox.smtp.endpoint import TlsMode
from support.clinic import Clinic, Serve, serving
from support.dns_server import Trouble, Zone, dns_server
from support.peers import free_ports

ANN = "ann@b.example"
HOSTS = ("smtp.b.example", "mail.b.example", "autoconfig.b.example", "b.example", "smtp.c.example")


@dataclass
class Town:
    """Names that all stand for this machine, one authority, and what was asked for."""

    zone: Zone = field(default_factory=dict)
    hosts: tuple[str, ...] = HOSTS
    doors: tuple[tuple[int, TlsMode], ...] = ()
    web_port: int = field(default_factory=lambda: free_ports(1)[0])
    authority: trustme.CA = field(default_factory=trustme.CA)

    def context(self, *names: str) -> ssl.SSLContext:
        made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.authority.issue_cert(*(names or HOSTS)).configure_cert(made)
        return made

    async def propose(self, address: str = ANN, **more: Any) -> Proposals:
        clinic = Clinic(hosts=dict.fromkeys(self.hosts, "127.0.0.1"))
        with dns_server(self.zone) as server:
            around = Surroundings(
                resolver=clinic.resolve,
                lookup=dns.Resolver([(server.host, server.port)], seconds=1),
                doors=self.doors,
                web_port=self.web_port,
                authorities=self.authority.cert_pem.bytes().decode(),
            )
            around = replace(around, **more)
            return await propose(Address.parse(address), around, SystemClock())


@pytest.fixture
def town() -> Town:
    return Town()


async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server that takes mail of whoever signs in."""
    writer.write(b"220 smtp.b.example ESMTP\r\n")
    while line := await reader.readline():
        more = b"250-smtp.b.example\r\n250 AUTH PLAIN\r\n"
        writer.write(more if line.upper().startswith(b"EHLO") else b"250 fine\r\n")


def page(content: bytes, status: str = "200 OK", *, path: bytes = b"/mail/") -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        found = request.startswith(b"GET " + path)
        told = content if found else b"nothing"
        line = status if found else "404 Not Found"
        writer.write(f"HTTP/1.1 {line}\r\nContent-Length: {len(told)}\r\n\r\n".encode() + told)
        await writer.drain()

    return serve


@asynccontextmanager
async def web(town: Town, serve: Serve) -> AsyncIterator[None]:
    async with serving(serve, town.context()) as port:
        town.web_port = port
        yield


def autoconfig(port: int, host: str = "smtp.b.example") -> bytes:
    return (
        '<clientConfig version="1.1"><emailProvider id="b.example"><outgoingServer type="smtp">'
        f"<hostname>{host}</hostname><port>{port}</port><socketType>SSL</socketType>"
        "<username>%EMAILLOCALPART%</username></outgoingServer></emailProvider></clientConfig>"
    ).encode()


async def test_a_providers_own_domain_is_certain(town: Town) -> None:
    """Nothing has to be looked up, and the notes say what password is wanted."""
    found = (await town.propose("ann@gmail.com", resolver=Clinic().resolve)).found

    assert [(each.source, each.sure) for each in found] == [(Source.DOMAIN, Sure.CERTAIN)]
    assert found[0].proposal.change == {
        "preset": "gmail",
        "username": "ann@gmail.com",
        "from": "ann@gmail.com",
    }
    assert "app password" in found[0].proposal.why
    assert not found[0].answers


@pytest.mark.parametrize(
    ("mx", "preset"),
    [
        (["10 alt1.aspmx.l.google.com", "1 aspmx.l.google.com"], "google-workspace"),
        (["0 b-example.mail.protection.outlook.com"], "microsoft-365"),
        (["0 b-example.x-v1.mx.microsoft"], "microsoft-365"),
        (["10 mx1.hostinger.com"], "hostinger"),
        (["10 in1-smtp.messagingengine.com"], "fastmail"),
    ],
)
async def test_a_customer_is_known_by_the_mx(town: Town, mx: list[str], preset: str) -> None:
    """Likely, not certain: mail may come in at one provider and go out by another."""
    town.zone["b.example"] = {"MX": mx}
    found = (await town.propose()).found

    assert (found[0].source, found[0].sure) == (Source.MX, Sure.LIKELY)
    assert found[0].proposal.change["preset"] == preset
    assert RelayChange.read(found[0].proposal.change).apply_to(None).host


@pytest.mark.parametrize("path", [b"/mail/config-v1.1.xml", b"/.well-known/autoconfig/mail/"])
async def test_what_the_domain_tells_mail_programs_is_tried(town: Town, path: bytes) -> None:
    """At either place; the user name is the one that the file names."""
    async with (
        serving(relay, town.context()) as port,
        web(town, page(autoconfig(port), path=path)),
    ):
        found = (await town.propose()).found

    assert [(each.source, each.sure, each.answers) for each in found] == [
        (Source.AUTOCONFIG, Sure.LIKELY, True)
    ]
    assert found[0].proposal.change == {
        "host": "smtp.b.example",
        "port": port,
        "tls": "implicit",
        "username": "ann",
        "from": ANN,
    }


@pytest.mark.parametrize(
    ("content", "status", "evidence"),
    [
        (b"<html>", "200 OK", "not XML"),
        (b"x" * 70_000, "200 OK", "more than 65536 octets"),
        (b"", "302 Found\r\nLocation: https://smtp.b.example/", "302"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><clientConfig/>', "200 OK", "document type"),
    ],
)
async def test_a_page_that_is_none_is_told(
    town: Town, content: bytes, status: str, evidence: str
) -> None:
    """Too long, elsewhere, for people or for attackers: nothing comes of it, and it says so."""
    async with web(town, page(content, status, path=b"/")):
        looked = {each.source: each.evidence for each in (await town.propose()).looked}

    assert evidence in looked[Source.AUTOCONFIG]


async def test_srv_records_are_tried_in_their_order(town: Town) -> None:
    """RFC 6186: the lowest priority first, `.` for “not here”; TLS from the first octet wins."""
    async with serving(relay, town.context()) as first, serving(relay, town.context()) as second:
        town.zone["_submissions._tcp.b.example"] = {
            "SRV": [f"20 1 {second} mail.b.example", f"10 1 {first} smtp.b.example"]
        }
        town.zone["_submission._tcp.b.example"] = {"SRV": ["0 0 0 ."]}
        found = (await town.propose()).found

    assert [each.proposal.change["port"] for each in found] == [first, second]
    assert {(each.source, each.sure, each.answers) for each in found} == {
        (Source.SRV, Sure.LIKELY, True)
    }


async def test_a_record_that_leads_elsewhere_is_a_guess(town: Town) -> None:
    """RFC 6186 §6: whoever forges an answer could send the password to their own host."""
    async with serving(relay, town.context()) as port:
        town.zone["_submissions._tcp.b.example"] = {"SRV": [f"0 1 {port} smtp.c.example"]}
        [found] = (await town.propose()).found

    assert found.sure is Sure.GUESS
    assert "check that this is your provider" in found.proposal.why


async def test_usual_names_come_last_and_only_if_they_answer(town: Town) -> None:
    """With nothing published, smtp. and mail. are tried; silence is not proposed."""
    async with serving(relay, town.context()) as port:
        town.doors = ((port, TlsMode.IMPLICIT), (free_ports(1)[0], TlsMode.STARTTLS))
        answer = await town.propose()

    assert [each.source for each in answer.found] == [Source.NAME, Source.NAME]
    assert {each.proposal.change["host"] for each in answer.found} == {
        "smtp.b.example",
        "mail.b.example",
    }
    assert [each.source for each in answer.looked] == [
        Source.MX,
        Source.AUTOCONFIG,
        Source.SRV,
        Source.NAME,
    ]


async def test_a_certificate_for_another_name_is_no_answer(town: Town) -> None:
    """Whoever answers there is not the server of this domain."""
    async with serving(relay, town.context("smtp.c.example")) as port:
        town.doors = ((port, TlsMode.IMPLICIT),)
        assert (await town.propose()).found == ()


async def test_name_servers_in_trouble_are_told(town: Town) -> None:
    """No records and no answer are different things to whoever reads it."""
    town.zone["b.example"] = {"MX": Trouble.SERVFAIL}
    town.zone["_submissions._tcp.b.example"] = Trouble.SERVFAIL
    answer = await town.propose()
    looked = {each.source: each.evidence for each in answer.looked}

    assert answer.found == ()
    assert "refuse to answer" in looked[Source.MX]
    assert "refuse to answer" in looked[Source.SRV]


async def test_addresses_inside_are_not_reached_for_a_tenant(town: Town) -> None:
    """A tenant's address cannot be made to ask the operator's own network."""
    heard: list[bytes] = []

    async def listening(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(1))

    async with serving(listening) as port, web(town, listening):
        town.zone["_submissions._tcp.b.example"] = {"SRV": [f"0 1 {port} smtp.b.example"]}
        answer = await town.propose(allow_private=False)

    assert heard == []
    assert not any(each.answers for each in answer.found)
