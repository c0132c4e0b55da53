"""Domains that mail is signed for: made, published, checked, rotated, and what is signed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import dkim
import pytest

from pillarbox.base import dns
from support.clinic import OFF_THE_NET
from support.desk import HELLO, Counter, open_counter
from support.dns_server import Zone, dns_server

DOMAIN = "example.org"  # of HELLO's author


@asynccontextmanager
async def town(folder: Path) -> AsyncIterator[tuple[Counter, Zone]]:
    """A counter whose diagnosis asks a name server of our own."""
    zone: Zone = {DOMAIN: {"MX": ["10 mx.example.org"]}}
    with dns_server(zone) as server:
        lookup = dns.Resolver([(server.host, server.port)], seconds=1)
        around = replace(OFF_THE_NET, lookup=lookup)
        async with open_counter(folder, around=around) as counter:
            yield counter, zone


async def added(counter: Counter, **more: Any) -> dict[str, Any]:
    got = await counter.ask("POST", "/v1/sender-domains", {"domain": DOMAIN, **more})
    assert got.status_code == 201, got.text
    answer: dict[str, Any] = got.json()
    return answer


async def check(counter: Counter) -> dict[str, Any]:
    got = await counter.ask("POST", "/v1/sender-domains/check", {"from": f"ann@{DOMAIN}"})
    assert got.status_code == 200, got.text
    answer: dict[str, Any] = got.json()
    return answer


def publish(zone: Zone, domain: dict[str, Any]) -> None:
    for key in domain["keys"]:
        zone[key["record"]["name"]] = {"TXT": [key["record"]["value"]]}


async def octets(counter: Counter, **more: Any) -> bytes:
    """What would be sent."""
    got = await counter.ask("POST", "/v1/messages", HELLO | more)
    message = got.json()["id"]
    found = await counter.desk.queue.content_of(message)
    assert found is not None
    return found


def is_believed(content: bytes, zone: Zone, number: int = 0) -> bool:
    def txt(name: bytes, timeout: int = 5) -> bytes:
        found = zone[name.decode().rstrip(".")]
        assert isinstance(found, dict)
        return str(found["TXT"][0]).encode()

    return bool(dkim.DKIM(content).verify(idx=number, dnsfunc=txt))


async def test_mail_is_signed_when_the_record_has_been_seen(tmp_path: Path) -> None:
    """Made, published, checked: from then on a receiver believes it, and not a moment sooner."""
    async with town(tmp_path) as (counter, zone):
        domain = await added(counter)
        assert [key["state"] for key in domain["keys"]] == ["waiting"]
        assert b"DKIM-Signature" not in await octets(counter)

        assert (await check(counter))["signs"] == []
        assert b"DKIM-Signature" not in await octets(counter)

        publish(zone, domain)
        readiness = await check(counter)
        assert readiness["signs"] == [domain["keys"][0]["selector"]]
        assert is_believed(await octets(counter), zone)


async def test_both_kinds_sign_twice(tmp_path: Path) -> None:
    """RFC 8463 §5: one signature for each, and each is believed."""
    async with town(tmp_path) as (counter, zone):
        publish(zone, await added(counter, kind="both"))
        await check(counter)
        content = await octets(counter)
        assert content.count(b"DKIM-Signature:") == 2
        assert is_believed(content, zone, 0)
        assert is_believed(content, zone, 1)


async def test_a_new_key_takes_over_when_it_is_published(tmp_path: Path) -> None:
    """Until then the old one signs; afterwards its record is still named, as retired."""
    async with town(tmp_path) as (counter, zone):
        first = await added(counter)
        publish(zone, first)
        await check(counter)
        got = await counter.ask("POST", f"/v1/sender-domains/{DOMAIN}/rotate")
        second = got.json()
        assert [key["state"] for key in second["keys"]] == ["waiting", "signing"]
        old, new = first["keys"][0]["selector"], second["keys"][0]["selector"]
        assert f"s={old};".encode() in await octets(counter)

        again = await counter.ask("POST", f"/v1/sender-domains/{DOMAIN}/rotate")
        assert again.status_code == 409

        publish(zone, second)
        await check(counter)
        content = await octets(counter)
        assert f"s={new};".encode() in content
        assert is_believed(content, zone)
        shown = (await counter.ask("GET", f"/v1/sender-domains/{DOMAIN}")).json()
        assert [key["state"] for key in shown["keys"]] == ["signing", "retired"]


async def test_a_resent_message_is_signed_anew(tmp_path: Path) -> None:
    """Its Date and Message-ID are others, so the old signature would be broken."""
    async with town(tmp_path) as (counter, zone):
        publish(zone, await added(counter))
        await check(counter)
        first = (await counter.ask("POST", "/v1/messages", HELLO)).json()["id"]
        got = await counter.ask("POST", f"/v1/messages/{first}/resend", {})
        found = await counter.desk.queue.content_of(got.json()["id"])
        assert found is not None
        assert found.count(b"DKIM-Signature:") == 1
        assert is_believed(found, zone)


async def test_a_domain_below_is_signed_by_the_one_above(tmp_path: Path) -> None:
    """Relaxed alignment lets example.org stand for news.example.org, and for nobody else."""
    async with town(tmp_path) as (counter, zone):
        publish(zone, await added(counter))
        await check(counter)
        below = await octets(counter, **{"from": "news@news.example.org"})
        other = await octets(counter, **{"from": "ann@notexample.org"})
        assert is_believed(below, zone)
        assert b"DKIM-Signature" not in other


async def test_keys_are_there_after_a_restart_and_nowhere_in_clear(tmp_path: Path) -> None:
    """Sealed in the database; no answer and no event has the private half."""
    async with town(tmp_path) as (counter, zone):
        domain = await added(counter)
        publish(zone, domain)
        await check(counter)
        told = (await counter.ask("GET", "/v1/events")).text
        assert "sender_key.signing" in told
        assert "PRIVATE" not in told + str(domain)
    assert b"PRIVATE KEY" not in b"".join(
        file.read_bytes() for file in tmp_path.iterdir() if file.is_file()
    )
    async with open_counter(tmp_path) as counter:
        assert is_believed(await octets(counter), zone)


async def test_what_is_removed_signs_no_more(tmp_path: Path) -> None:
    """And may be added again, with another key."""
    async with town(tmp_path) as (counter, zone):
        publish(zone, await added(counter))
        await check(counter)
        got = await counter.ask("DELETE", f"/v1/sender-domains/{DOMAIN}")
        assert got.status_code == 204
        assert b"DKIM-Signature" not in await octets(counter)
        assert (await counter.ask("GET", f"/v1/sender-domains/{DOMAIN}")).status_code == 404
        await added(counter)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"domain": "not a domain"}, 422),
        ({"domain": "[192.0.2.1]"}, 422),
        ({"domain": "localhost"}, 422),
        ({"domain": DOMAIN, "kind": "dsa"}, 422),
        ({"domain": "b.example", "selector": "a.b"}, 422),
        ({"domain": "b.example", "selector": "-"}, 422),
        ({"domain": "EXAMPLE.org."}, 409),
    ],
)
async def test_what_cannot_be_signed_for_is_refused(
    tmp_path: Path, body: dict[str, Any], status: int
) -> None:
    """With the field; and one domain has one entry, however it is spelled."""
    async with town(tmp_path) as (counter, _):
        await added(counter, kind="ed25519")
        assert (await counter.ask("POST", "/v1/sender-domains", body)).status_code == status
