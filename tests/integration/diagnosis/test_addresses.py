"""Every address of a host, IPv4 and IPv6, looked up at a name server and tried by itself."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from rich.console import Console

from pillarbox.base import dns
from pillarbox.cli.views.report import show
from pillarbox.client.answers import Report as Answer
from pillarbox.client.answers import read
from pillarbox.diagnosis.findings import Report, Status
from pillarbox.mail.outcome import Stage
from support.clinic import Clinic, failing, serving, step
from support.dns_server import dns_server
from support.peers import free_ports

HOST = "mail.b.example"
ALL = {"A": ["127.0.0.1", "127.0.0.2"], "AAAA": ["::1"]}


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mail.b.example ESMTP\r\n")
    while await reader.readline():
        writer.write(b"250 mail.b.example\r\n")


async def diagnosed(port: int, records: dict[str, Any], **more: Any) -> Report:
    with dns_server({HOST: records}) as server:
        clinic = Clinic(lookup=dns.Resolver([(server.host, server.port)], seconds=3))
        return await clinic.diagnose(
            {"host": HOST, "port": port, "tls": "none", "from": "me@a.example", **more}
        )


def found(report: Report) -> dict[str, str]:
    return {each.ip: each.knock.value for each in step(report, Stage.CONNECT).addresses}


@contextmanager
def silence(ip: str, port: int) -> Iterator[None]:
    """An address that drops connections: with its queue full, the kernel does not answer."""
    with socket.socket() as wall:
        wall.bind((ip, port))
        wall.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex((ip, port))
        yield
        for each in waiting:
            each.close()


@asynccontextmanager
async def everywhere(port: int) -> AsyncIterator[None]:
    """The same port on all three addresses."""
    servers = [
        await asyncio.start_server(serve, host, port) for host in ("127.0.0.1", "127.0.0.2", "::1")
    ]
    yield
    for each in servers:
        each.close()
        await each.wait_closed()


async def test_every_address_of_both_families_is_listed_and_tried() -> None:
    """With the time of each; nothing is wrong, so nothing is warned of."""
    [port] = free_ports(1)
    async with everywhere(port):
        report = await diagnosed(port, ALL)

    connected = step(report, Stage.CONNECT)
    assert connected.status is Status.OK
    assert step(report, Stage.DNS).evidence == "3 addresses: ::1, 127.0.0.1, 127.0.0.2"
    assert found(report) == {"::1": "open", "127.0.0.1": "open", "127.0.0.2": "open"}
    told = connected.to_json()["addresses"]
    assert [each["family"] for each in told] == ["IPv6", "IPv4", "IPv4"]
    assert all(each["milliseconds"] >= 0 for each in told)


async def test_a_dead_family_is_told_though_the_other_works() -> None:
    """The session goes the other way, and nobody would notice."""
    async with serving(serve) as port:
        report = await diagnosed(port, {"A": ["127.0.0.1"], "AAAA": ["::1"]})

    connected = step(report, Stage.CONNECT)
    assert report.is_well
    assert connected.status is Status.WARN
    assert connected.cause == "::1 refuses connections: only IPv4 works, not IPv6."
    assert "out of DNS" in (connected.fix or "")


async def test_each_dead_address_is_told_for_what_it_is() -> None:
    """One is silent, one refuses, one works; nobody waits for the silent one for long."""
    async with serving(serve) as port:
        with silence("127.0.0.2", port):
            report = await diagnosed(port, ALL)

    assert report.is_well
    assert found(report) == {"::1": "refused", "127.0.0.1": "open", "127.0.0.2": "no answer"}
    connected = step(report, Stage.CONNECT)
    assert connected.cause == (
        "::1 refuses connections: only IPv4 works, not IPv6. No answer from 127.0.0.2."
    )
    silent = connected.addresses[-1]
    assert silent.milliseconds is not None
    assert 2_900 < silent.milliseconds < 10_000


async def test_when_all_are_dead_each_is_shown_in_the_failure() -> None:
    """The step fails as it did; the addresses are evidence, not warnings."""
    [port] = free_ports(1)
    report = await diagnosed(port, ALL)

    broken = failing(report, Stage.CONNECT)
    assert broken.advice_id == "network.refused"
    assert set(found(report).values()) == {"refused"}


async def test_an_address_of_ours_ties_us_to_its_family() -> None:
    """The other family is no way for this relay: shown, and no reason to warn."""
    [port] = free_ports(1)
    async with everywhere(port):
        report = await diagnosed(port, ALL, local_address="127.0.0.1")

    assert found(report) == {"::1": "no route", "127.0.0.1": "open", "127.0.0.2": "open"}
    assert step(report, Stage.CONNECT).status is Status.OK


async def test_one_address_needs_no_list() -> None:
    """The step says where it connected to."""
    async with serving(serve) as port:
        report = await diagnosed(port, {"A": ["127.0.0.1"]})

    assert step(report, Stage.CONNECT).addresses == ()


async def test_the_addresses_stand_below_each_other_in_a_narrow_terminal() -> None:
    """One line each, with its milliseconds, within 80 columns."""
    async with serving(serve) as port:
        report = await diagnosed(port, ALL)

    console = Console(width=80)
    with console.capture() as shown:
        show(read(Answer, {"ok": True, **report.to_json()}), console)
    lines = shown.get().splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert any(line.split()[1:] == ["ms", "::1", "refused"] for line in lines)
    assert any(line.split()[1:] == ["ms", "127.0.0.2", "refused"] for line in lines)
