"""
Whether mail from a domain will be believed: MX, SPF, DKIM, DMARC, and From against the login.

Everything here is read from the domain name system; nothing is sent. Every finding that a
record would mend has the record, ready to publish.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from pillarbox.base.dns import Lookup, NameTrouble
from pillarbox.diagnosis import dmarc, spf
from pillarbox.diagnosis.findings import Status
from pillarbox.diagnosis.words import bounded
from pillarbox.mail import dkim_record
from pillarbox.mail.address import Address
from pillarbox.mail.dkim_record import KeyKind
from pillarbox.relays import presets
from pillarbox.relays.presets import Login, Preset

SHORT_KEY, FAIR_KEY = 1024, 2048  # bits of RSA; below the first nobody believes it (RFC 8301)


class Topic(Enum):
    """What a finding is about, in the order in which they are told."""

    LOGIN = "login"
    MX = "mx"
    SPF = "spf"
    DKIM = "dkim"
    DMARC = "dmarc"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A record to publish. value is the whole text, however long."""

    name: str
    type: str
    value: str

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "type": self.type,
            "value": self.value,
            "strings": list(dkim_record.strings(self.value)),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """
    One thing that was looked at. evidence is a fact on one line; cause and fix are sentences.

    selector is that of a key which could be read.
    """

    topic: Topic
    status: Status
    evidence: str
    cause: str | None = None
    fix: str | None = None
    publish: Record | None = None
    selector: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "topic": self.topic.value,
            "status": self.status.value,
            "evidence": bounded(self.evidence),
            "cause": self.cause,
            "fix": self.fix,
            "publish": self.publish.to_json() if self.publish else None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """
    Who writes, and by what way. selectors are where DKIM keys are said to stand.

    ours maps selectors to the keys that pillarbox signs with: the record has to be this one.
    """

    address: Address
    preset: Preset | None = None
    username: str | None = None
    selectors: tuple[str, ...] = ()
    ours: dict[str, str] = field(default_factory=dict)

    @property
    def domain(self) -> str:
        return self.address.domain


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """What was found about a sender."""

    domain: str
    findings: tuple[Finding, ...]
    published: tuple[str, ...] = ()
    """Selectors of keys of ours whose record was seen as it has to be."""

    @property
    def is_well(self) -> bool:
        return all(each.status is not Status.FAIL for each in self.findings)

    def to_json(self) -> dict[str, Any]:
        return {
            "ok": self.is_well,
            "domain": self.domain,
            "findings": [each.to_json() for each in self.findings],
        }


async def check(sender: Sender, lookup: Lookup) -> Readiness:
    """Look at everything, side by side. What cannot be looked up is a warning, not an absence."""
    spf_found, dkim_found, mx_found = await asyncio.gather(
        _careful(Topic.SPF, _spf, sender, lookup),
        _careful(Topic.DKIM, _dkim, sender, lookup),
        _careful(Topic.MX, _mx, sender, lookup),
    )
    aligned = [each.topic for each in (*spf_found, *dkim_found) if each.status is Status.OK]

    async def policy(sender: Sender, lookup: Lookup) -> list[Finding]:
        return await _dmarc(sender, lookup, aligned)

    dmarc_found = await _careful(Topic.DMARC, policy, sender, lookup)
    findings = (*_login(sender), *mx_found, *spf_found, *dkim_found, *dmarc_found)
    seen = tuple(
        each.selector
        for each in dkim_found
        if each.selector in sender.ours and each.status is not Status.FAIL
    )
    return Readiness(domain=sender.domain, findings=findings, published=seen)


async def _careful(
    topic: Topic,
    look: Callable[[Sender, Lookup], Awaitable[list[Finding]]],
    sender: Sender,
    lookup: Lookup,
) -> list[Finding]:
    try:
        return await look(sender, lookup)
    except NameTrouble as trouble:
        cause = "It could not be looked up, so nothing is known about it."
        fix = "Check again in a moment. If it stays, the domain's name servers are in trouble."
        return [_warn(topic, trouble.cause, cause, fix)]


def _login(sender: Sender) -> Iterable[Finding]:
    """Whose domain it is, and whether the account may write for it."""
    owner, preset = presets.find(sender.domain), sender.preset
    if owner is not None and preset is not None and owner.provider != preset.provider:
        cause = f"{sender.domain} belongs to {owner.name}, and only its servers may send for it."
        fix = f"Set from to an address at a domain of yours, or relay through {owner.name}."
        yield _fail(Topic.LOGIN, f"from {sender.address}, by {preset.name}", cause, fix)
        return
    _, at, domain = (sender.username or "").lower().rpartition("@")
    if preset is None or preset.login is not Login.ADDRESS or not at or domain == sender.domain:
        return
    cause = f"{preset.name} may refuse this sender, or write the account's address into From."
    fix = f"Set from to an address at {domain}, or allow the account to send as {sender.address}."
    yield _warn(Topic.LOGIN, f"from {sender.address}, signed in as {sender.username}", cause, fix)


async def _mx(sender: Sender, lookup: Lookup) -> list[Finding]:
    records = await lookup(sender.domain, "MX")
    hosts = [record.partition(" ")[2] for record in sorted(records)]
    if hosts == ["."]:
        cause = (
            "The domain says that it takes no mail (RFC 7505), so servers refuse it as a sender."
        )
        fix = "Remove this MX record, or write from a domain that takes answers."
        return [_fail(Topic.MX, f"{sender.domain} MX 0 .", cause, fix)]
    if hosts:
        return [_ok(Topic.MX, f"answers go to {', '.join(hosts)}")]
    if await lookup(sender.domain, "A") or await lookup(sender.domain, "AAAA"):
        cause = "There is no MX record; answers go to the host of the domain's own name."
        return [_warn(Topic.MX, f"{sender.domain} has an address only", cause, None)]
    cause = "There is no such domain for mail: answers cannot arrive, and many servers refuse it."
    fix = "Check the spelling, or publish an MX record that names the server for its mail."
    return [_fail(Topic.MX, f"{sender.domain} has neither MX nor address", cause, fix)]


async def _spf(sender: Sender, lookup: Lookup) -> list[Finding]:
    found = await spf.read(sender.domain, lookup)
    include = sender.preset.spf if sender.preset else None
    if not found.records:
        text = f"v=spf1 {f'include:{include} ' if include else 'mx '}~all"
        cause = "No SPF record: receivers cannot tell who may send for this domain."
        fix = "Publish this record; add every other server that sends for the domain."
        record = Record(name=sender.domain, type="TXT", value=text)
        return [_warn(Topic.SPF, "no v=spf1 record", cause, fix, record)]
    if found.record is None:
        cause = "There are several SPF records, and receivers then count none (RFC 7208 §4.5)."
        fix = "Put them together into one, and remove the others."
        return [_fail(Topic.SPF, f"{len(found.records)} records: {found.records[0]}", cause, fix)]
    return list(_spf_faults(sender, found, found.record, include)) or [_ok(Topic.SPF, found.record)]


def _spf_faults(
    sender: Sender, found: spf.Spf, record: str, include: str | None
) -> Iterable[Finding]:
    if found.lookups > spf.MOST_LOOKUPS:
        cause = (
            f"It makes receivers look up {found.lookups} names; after {spf.MOST_LOOKUPS} they stop"
            " and count it as an error (RFC 7208 §4.6.4)."
        )
        fix = "Remove includes of services that no longer send for you."
        yield _fail(Topic.SPF, record, cause, fix)
    if found.missing:
        cause = (
            f"It includes {', '.join(found.missing)}, which has no SPF record: that is an error."
        )
        yield _fail(Topic.SPF, record, cause, "Correct the spelling, or remove the include.")
    if found.qualifier == "+":
        cause = "It ends with +all: everybody may send for this domain."
        yield _fail(Topic.SPF, record, cause, "End it with ~all or -all.")
    if include and include not in found.included and found.lookups <= spf.MOST_LOOKUPS:
        assert sender.preset is not None
        first, _, rest = record.partition(" ")
        better = Record(name=sender.domain, type="TXT", value=f"{first} include:{include} {rest}")
        cause = f"It does not include {include}, the servers of {sender.preset.name}."
        fix = "Publish this record instead of the one there is. It is needed unless the provider"
        fix += " sends with an envelope of its own."
        yield _warn(Topic.SPF, record, cause, fix, better)


async def _dkim(sender: Sender, lookup: Lookup) -> list[Finding]:
    named = tuple(dict.fromkeys((*sender.ours, *sender.selectors)))
    usual = sender.preset.selectors if sender.preset else ()
    found = await asyncio.gather(
        *(_dkim_key(selector, sender, lookup) for selector in named or usual)
    )
    if named:
        return list(found)
    standing = [each for each in found if each.status is not Status.FAIL]
    if standing:
        return standing
    if usual:
        cause = f"None of the keys that {_provider_of(sender)} usually has is published."
    else:
        cause = "Where a DKIM key stands cannot be found out without its selector."
    fix = "Say the selector that the provider shows, or let pillarbox sign: pillarbox domain add."
    tried = f"tried {', '.join(usual)}" if usual else "no selector was named"
    return [_warn(Topic.DKIM, tried, cause, fix)]


def _provider_of(sender: Sender) -> str:
    """The provider, in words."""
    return sender.preset.name if sender.preset else "the relay"


async def _dkim_key(selector: str, sender: Sender, lookup: Lookup) -> Finding:
    name = dkim_record.name_of(selector, sender.domain)
    ours = sender.ours.get(selector)
    wanted = Record(name=name, type="TXT", value=ours) if ours else None
    texts = [each for each in await lookup(name, "TXT") if "p=" in each]
    if not texts:
        cause = f"There is no key at {name}: what is signed with it is not believed."
        fix = "Publish this record." if wanted else "Publish the record that the provider shows."
        return _fail(Topic.DKIM, f"{selector}: no record", cause, fix, wanted)
    if len(texts) > 1:
        cause = f"There are {len(texts)} keys at {name}; receivers take any of them, or none."
        return _fail(Topic.DKIM, f"{selector}: {len(texts)} records", cause, "Leave one.", wanted)
    try:
        key = dkim_record.read(texts[0])
    except dkim_record.Unreadable as fault:
        cause = f"The record at {name} cannot be used: {fault}."
        fix = "Publish it again. A name server's form may have cut it at 255 characters."
        return _fail(Topic.DKIM, f"{selector}: {texts[0]}", cause, fix, wanted)
    if ours and key.public != dkim_record.read(ours).public:
        cause = f"The key at {name} is another than the one that pillarbox signs with."
        return _fail(Topic.DKIM, f"{selector}: another key", cause, "Publish this record.", wanted)
    return replace(_of_key(selector, key), selector=selector)


def _of_key(selector: str, key: dkim_record.KeyRecord) -> Finding:
    """Good, weak, revoked, or for tests only."""
    if key.is_revoked:
        cause = "The key is revoked: what is signed with it is not believed."
        return _fail(Topic.DKIM, f"{selector}: p= is empty", cause, "Sign with another selector.")
    kind = "Ed25519" if key.kind is KeyKind.ED25519 else f"RSA with {key.bits} bits"
    evidence = f"{selector}: {kind}"
    if key.kind is KeyKind.RSA and (key.bits or 0) < SHORT_KEY:
        cause = f"Keys under {SHORT_KEY} bits are not believed (RFC 8301 §3.2)."
        return _fail(Topic.DKIM, evidence, cause, f"Make a key of {FAIR_KEY} bits.")
    if key.is_testing:
        cause = "The record says t=y: receivers treat signed mail as if it were not signed."
        return _warn(Topic.DKIM, evidence, cause, "Take t=y out of the record.")
    if key.kind is KeyKind.RSA and (key.bits or 0) < FAIR_KEY:
        cause = "The key is short for today."
        return _warn(Topic.DKIM, evidence, cause, f"Make a key of {FAIR_KEY} bits.")
    return _ok(Topic.DKIM, evidence)


async def _dmarc(sender: Sender, lookup: Lookup, aligned: list[Topic]) -> list[Finding]:
    found, count = await dmarc.read(sender.domain, lookup)
    if found is None and count > 1:
        cause = "There are several DMARC records, and receivers then count none."
        return [_fail(Topic.DMARC, f"{count} records", cause, "Leave one.")]
    if found is None:
        value = f"v=DMARC1; p=none; rua=mailto:postmaster@{sender.domain}"
        record = Record(name=f"_dmarc.{sender.domain}", type="TXT", value=value)
        cause = "No DMARC record. Large receivers want one from everybody who sends much."
        fix = "Publish this record, read the reports, and make the policy stricter later."
        return [_warn(Topic.DMARC, "no v=DMARC1 record", cause, fix, record)]
    if aligned or found.policy == "none":
        return [_ok(Topic.DMARC, f"at {found.at}: {found.text}")]
    cause = (
        f"The policy is {found.policy}, and neither SPF nor DKIM is known to stand for"
        f" {sender.domain}: receivers may refuse this mail."
    )
    fix = "Mend SPF or DKIM first. One of them has to be of the domain in From."
    return [_warn(Topic.DMARC, f"at {found.at}: {found.text}", cause, fix)]


def _ok(topic: Topic, evidence: str) -> Finding:
    return Finding(topic=topic, status=Status.OK, evidence=evidence)


def _warn(
    topic: Topic, evidence: str, cause: str, fix: str | None, publish: Record | None = None
) -> Finding:
    return Finding(
        topic=topic, status=Status.WARN, evidence=evidence, cause=cause, fix=fix, publish=publish
    )


def _fail(
    topic: Topic, evidence: str, cause: str, fix: str, publish: Record | None = None
) -> Finding:
    return Finding(
        topic=topic, status=Status.FAIL, evidence=evidence, cause=cause, fix=fix, publish=publish
    )
