"""What a sender's records say, read from a name server of our own."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from pillarbox.base import dns
from pillarbox.diagnosis.findings import Status
from pillarbox.diagnosis.sender import Finding, Readiness, Sender, Topic, check
from pillarbox.mail.address import Address
from pillarbox.mail.dkim_record import record_for
from pillarbox.relays import presets
from support.dns_server import Records, Trouble, dns_server

ANN = Address.parse("ann@b.example")
RSA_2048 = record_for(rsa.generate_private_key(65537, 2048).public_key())
RSA_1024 = record_for(rsa.generate_private_key(65537, 1024).public_key())
ED25519 = record_for(ed25519.Ed25519PrivateKey.generate().public_key())
GOOGLE = {"_spf.google.com": {"TXT": ["v=spf1 ip4:192.0.2.0/24 ~all"]}}
Zone = Mapping[str, Mapping[str, Records] | Trouble]


async def look(zone: Zone, **sender: Any) -> Readiness:
    with dns_server(dict(zone)) as server:
        lookup = dns.Resolver([(server.host, server.port)], seconds=0.6)
        return await check(Sender(address=ANN, **sender), lookup)


def about(readiness: Readiness, topic: Topic) -> list[Finding]:
    return [each for each in readiness.findings if each.topic is topic]


async def one(zone: Zone, topic: Topic, **sender: Any) -> Finding:
    [finding] = about(await look(zone, **sender), topic)
    return finding


async def test_a_sender_with_everything_is_ready() -> None:
    """MX, SPF with the provider, a key of 2048 bits, a policy: nothing to do."""
    readiness = await look(
        {
            "b.example": {
                "MX": ["1 aspmx.l.google.com"],
                "TXT": ["v=spf1 include:_spf.google.com ~all"],
            },
            "google._domainkey.b.example": {"TXT": [RSA_2048]},
            "_dmarc.b.example": {"TXT": ["v=DMARC1; p=reject"]},
            **GOOGLE,
        },
        preset=presets.get("google-workspace"),
        username="ann@b.example",
    )
    assert {each.status for each in readiness.findings} == {Status.OK}
    assert readiness.is_well


@pytest.mark.parametrize(
    ("records", "status", "words"),
    [
        ({"MX": ["10 mx.b.example"]}, Status.OK, "answers go to mx.b.example"),
        ({"MX": ["0 ."]}, Status.FAIL, "takes no mail"),
        ({"A": ["192.0.2.1"]}, Status.WARN, "no MX record"),
        ({"TXT": ["nothing"]}, Status.FAIL, "no such domain for mail"),
        ({"MX": Trouble.SERVFAIL}, Status.WARN, "could not be looked up"),
    ],
)
async def test_answers_have_to_arrive(
    records: Mapping[str, Records], status: Status, words: str
) -> None:
    """A null MX makes servers refuse the sender; no answer of a name server is no absence."""
    finding = await one({"b.example": records}, Topic.MX)
    assert finding.status is status
    assert words in f"{finding.evidence} {finding.cause}"


@pytest.mark.parametrize(
    ("texts", "status", "words"),
    [
        ([], Status.WARN, "No SPF record"),
        (["v=spf1 include:_spf.google.com ~all"], Status.OK, "include"),
        (["v=spf1 redirect=_spf.google.com"], Status.OK, "redirect"),
        (["v=spf1 mx ~all"], Status.WARN, "does not include _spf.google.com"),
        (["v=spf1 mx ~all", "v=spf1 a -all"], Status.FAIL, "several SPF records"),
        (["v=spf1 include:_spf.google.com +all"], Status.FAIL, "everybody may send"),
        (["v=spf1 include:_spf.google.com include:gone.example ~all"], Status.FAIL, "gone.example"),
        (["v=spf1 include:loop.example include:_spf.google.com ~all"], Status.OK, "loop"),
        (["v=spf10 include:_spf.google.com"], Status.WARN, "No SPF record"),
        (["v=spf1 include:%{i}.x.example include:_spf.google.com -all"], Status.OK, "%{i}"),
        (["v=spf1 a mx ptr a:1.example a:2.example a:3.example a:4.example a:5.example a:6.example"
          " include:_spf.google.com exists:%{i}.x.example -all"], Status.FAIL, "11 names"),
    ],
)  # fmt: skip
async def test_spf_is_read_as_receivers_do(texts: list[str], status: Status, words: str) -> None:
    """One record, ten lookups, the provider among the included, nobody let in by +all."""
    zone = {
        "b.example": {"TXT": ["other=text", *texts]},
        "loop.example": {"TXT": ["v=spf1 include:loop.example ~all"]},
        **GOOGLE,
    }
    finding = await one(zone, Topic.SPF, preset=presets.get("google-workspace"))
    assert finding.status is status
    assert words in f"{finding.evidence} {finding.cause}"


async def test_the_record_to_publish_keeps_what_there_is() -> None:
    """Whoever publishes it loses no server that may send today."""
    zone = {"b.example": {"TXT": ["v=spf1 mx ip4:192.0.2.1 ~all"]}, **GOOGLE}
    finding = await one(zone, Topic.SPF, preset=presets.get("google-workspace"))
    assert finding.publish is not None
    assert finding.publish.value == "v=spf1 include:_spf.google.com mx ip4:192.0.2.1 ~all"


@pytest.mark.parametrize(
    ("texts", "status", "words"),
    [
        ([RSA_2048], Status.OK, "RSA with 2048 bits"),
        ([ED25519], Status.OK, "Ed25519"),
        ([RSA_1024], Status.WARN, "short for today"),
        (["v=DKIM1; p="], Status.FAIL, "revoked"),
        ([RSA_2048.replace("k=rsa", "k=rsa; t=y")], Status.WARN, "t=y"),
        ([RSA_2048[:255]], Status.FAIL, "cannot be"),
        (["v=DKIM1; k=dsa; p=AAAA"], Status.FAIL, "dsa"),
        (["v=DKIM1; k=ed25519; p=" + base64.b64encode(b"short").decode()], Status.FAIL, "32"),
        ([RSA_2048, ED25519], Status.FAIL, "2 keys"),
        ([], Status.FAIL, "no key"),
    ],
)
async def test_a_key_is_looked_at(texts: list[str], status: Status, words: str) -> None:
    """There, whole, long enough, not revoked, not for tests."""
    finding = await one({"s1._domainkey.b.example": {"TXT": texts}}, Topic.DKIM, selectors=("s1",))
    assert finding.status is status
    assert words in f"{finding.evidence} {finding.cause}"


async def test_our_own_key_has_to_be_the_published_one() -> None:
    """An old record in the way is told, with the one that belongs there."""
    zone = {"pb1._domainkey.b.example": {"TXT": [RSA_2048]}}
    same = await one(zone, Topic.DKIM, ours={"pb1": RSA_2048})
    other = await one(zone, Topic.DKIM, ours={"pb1": ED25519})
    assert (same.status, other.status) == (Status.OK, Status.FAIL)
    assert other.publish is not None
    assert other.publish.name == "pb1._domainkey.b.example"


async def test_without_a_selector_the_usual_ones_are_tried() -> None:
    """A provider's keys stand where they always do; nobody else's can be found."""
    key = {"selector2._domainkey.b.example": {"TXT": [RSA_2048]}}
    found = await one(key, Topic.DKIM, preset=presets.get("microsoft-365"))
    unknown = await one(key, Topic.DKIM)
    assert (found.status, unknown.status) == (Status.OK, Status.WARN)


@pytest.mark.parametrize(
    ("zone", "status", "words"),
    [
        ({}, Status.WARN, "No DMARC record"),
        ({"_dmarc.b.example": {"TXT": ["v=DMARC1; p=none"]}}, Status.OK, "p=none"),
        ({"_dmarc.b.example": {"TXT": ["v=DMARC1; p=reject"]}}, Status.WARN, "policy is reject"),
        (
            {"_dmarc.b.example": {"TXT": ["v=DMARC1; p=none", "v=DMARC1; p=reject"]}},
            Status.FAIL,
            "several",
        ),
    ],
)
async def test_the_policy_of_the_domain(zone: Zone, status: Status, words: str) -> None:
    """A strict policy with nothing that stands for the domain means refused mail."""
    finding = await one(zone, Topic.DMARC)
    assert finding.status is status
    assert words in f"{finding.evidence} {finding.cause}"


async def test_a_policy_above_holds_below() -> None:
    """`sp` of the domain above, where the domain itself says nothing."""
    with dns_server({"_dmarc.b.example": {"TXT": ["v=DMARC1; p=none; sp=quarantine"]}}) as server:
        lookup = dns.Resolver([(server.host, server.port)], seconds=0.6)
        readiness = await check(Sender(address=Address.parse("a@x.y.b.example")), lookup)
    [finding] = about(readiness, Topic.DMARC)
    assert "quarantine" in (finding.cause or "")


async def test_somebody_elses_domain_is_told() -> None:
    """A gmail.com address cannot be sent by another provider, whatever the records say."""
    sender = Sender(address=Address.parse("ann@gmail.com"), preset=presets.get("sendgrid"))
    with dns_server({}) as server:
        lookup = dns.Resolver([(server.host, server.port)], seconds=0.6)
        readiness = await check(sender, lookup)
    [finding] = about(readiness, Topic.LOGIN)
    assert finding.status is Status.FAIL
    assert "belongs to Gmail" in (finding.cause or "")


async def test_from_at_another_domain_than_the_login_is_a_warning() -> None:
    """Where the login is the mailbox, the provider may refuse the other address."""
    readiness = await look({}, preset=presets.get("fastmail"), username="ann@c.example")
    [finding] = about(readiness, Topic.LOGIN)
    assert (finding.status, "c.example" in (finding.fix or "")) == (Status.WARN, True)
