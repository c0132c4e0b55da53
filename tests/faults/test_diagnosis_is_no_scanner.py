"""A tenant's diagnosis reaches nothing inside, and cannot tell one place inside from another."""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from typing import Any, cast

import pytest

from pillarbox.base import dial
from pillarbox.base.clock import SystemClock
from pillarbox.diagnosis.diagnose import Diagnosis
from pillarbox.diagnosis.findings import Report
from pillarbox.diagnosis.guarded import MAIL_PORTS
from pillarbox.diagnosis.surroundings import Surroundings
from pillarbox.mail.address import Address
from pillarbox.mail.outcome import Stage
from pillarbox.relays.change import RelayChange
from support.clinic import no_records

NAMES = {
    "localhost": "127.0.0.1",
    "localhost.localdomain": "127.0.0.1",
    "inside.example": "10.0.0.5",
    "db.inside.example": "192.168.7.7",
    "six.example": "fd00::1",
    "link.example": "fe80::1",
    "both-inside.example": "10.0.0.5 fd00::1",
    "cname.example": "127.0.0.1",
    "metadata.google.internal": "169.254.169.254",
    "rebinding.example": "127.0.0.1",
    "xn--80ak6aa92e.example": "127.0.0.1",
    "trailing.example": "127.0.0.53",
}
TARGETS = [
    *NAMES,
    "nothing.example",
    "127.0.0.1",
    "127.0.0.53",
    "127.255.255.254",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "169.254.169.254",
    "169.254.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "0.0.0.0",
    "0.1.2.3",
    "::1",
    "::",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "ff02::1",
    "2001:db8::1",
]
ODD = ["127.1", "0x7f000001", "2130706433", "0177.0.0.1", "user@localhost", "http://127.0.0.1/"]


@pytest.fixture
def dialled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every address that a connection was begun to."""
    begun: list[str] = []

    async def refuse(destination: dial.Destination, addresses: Sequence[dial.IpAddress]) -> None:
        begun.extend(map(str, addresses))
        raise dial.DialError(dial.Fault.REFUSED, "nothing listens")

    monkeypatch.setattr(dial, "connect", refuse)
    return begun


def tenants(**more: Any) -> Diagnosis:
    async def resolve(host: str) -> list[str]:
        if host not in NAMES:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return NAMES[host].split()

    around = Surroundings(allow_private=False, resolver=resolve, lookup=no_records, **more)
    return Diagnosis(cast("Any", None), SystemClock(), around)


async def diagnose(host: str, port: int = 587, **more: Any) -> Report:
    typed = {"host": host, "port": port, "tls": "starttls", "auth": "none", "from": "a@b.example"}
    return await tenants(**more).of_change(RelayChange.read(typed))


def told(report: Report, host: str) -> str:
    """Everything that the tenant reads, with the name that it typed itself taken out."""
    shown = report.to_json()
    for step in shown["steps"]:
        step["milliseconds"] = None
    spelled = RelayChange.read({"host": host}).values.get("host", host)
    return json.dumps(shown).replace(host, "HOST").replace(spelled, "HOST")


def test_there_are_enough_of_them() -> None:
    """Names, literals of both families, and addresses in addresses."""
    assert len(set(TARGETS)) + len(ODD) >= 50


@pytest.mark.parametrize("host", TARGETS)
async def test_every_place_inside_looks_like_a_name_that_does_not_exist(
    host: str, dialled: list[str]
) -> None:
    """Not one packet goes there, and the answer is the same to the letter."""
    nowhere = await diagnose("nothing.example")
    report = await diagnose(host)

    assert dialled == []
    assert report.failure is not None
    assert report.failure.stage is Stage.DNS
    assert told(report, host) == told(nowhere, "nothing.example")
    assert report.transcript == ()


@pytest.mark.parametrize("host", ODD)
async def test_odd_spellings_reach_nothing(host: str, dialled: list[str]) -> None:
    """Refused as no host name, or looked up as one; never taken for an address."""
    report = await diagnose(host)

    assert dialled == []
    assert not report.is_well
    assert "127.0.0.1" not in told(report, host)


@pytest.mark.parametrize("port", [22, 80, 443, 3306, 5432, 6379, 8425, 11211, 2526])
async def test_only_ports_of_relays_are_knocked_at(port: int, dialled: list[str]) -> None:
    """Also of a public host: a diagnosis is not a way to look behind other doors."""
    report = await diagnose("8.8.8.8", port)

    assert dialled == []
    assert (report.failure and report.failure.field) == "port"


async def test_a_public_host_is_tried(dialled: list[str]) -> None:
    """So the tests above are about the guard, not about a diagnosis that never connects."""
    report = await diagnose("8.8.8.8")

    assert set(dialled) == {"8.8.8.8"}
    assert report.failure is not None
    assert report.failure.stage is Stage.CONNECT


@pytest.mark.parametrize("host", ["10.0.0.1", "inside.example", "169.254.169.254"])
async def test_an_allowed_network_is_reached_and_metadata_never(
    host: str, dialled: list[str]
) -> None:
    """PILLARBOX_ALLOW_NETWORKS opens what it names; no network opens the metadata address."""
    report = await diagnose(host, allow_networks=("10.0.0.0/8", "169.254.0.0/16"))

    assert report.failure is not None
    is_metadata = host.startswith("169.254")
    assert (dialled == []) is is_metadata
    assert report.failure.stage is (Stage.DNS if is_metadata else Stage.CONNECT)


@pytest.mark.parametrize("domain", [name for name in NAMES if "." in name])
async def test_proposals_reach_nothing_inside(domain: str, dialled: list[str]) -> None:
    """Neither the autoconfig page nor a usual name is asked for at an address inside."""
    found = await tenants().propose(Address.parse(f"ann@{domain}"))

    assert dialled == []
    assert not any(each.answers for each in found.found)
    addresses = [address for names in NAMES.values() for address in names.split()]
    shown = json.dumps(found.to_json()).replace(domain, "HOST")
    assert not any(address in shown for address in addresses), shown


def test_every_usual_door_is_one_that_may_be_knocked_at() -> None:
    """What a diagnosis would try by itself is within what is allowed."""
    assert {port for port, _ in Surroundings().doors} <= set(MAIL_PORTS)
