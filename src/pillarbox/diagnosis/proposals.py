"""
Settings for somebody who has nothing but an address.

Asked in this order: what we know of the domain, whose customer it is by its MX, what it
publishes for mail programs (autoconfig, RFC 6186 and RFC 8314 §5.1), and at last the names
that many servers have. What is found is tried up to EHLO; no password is ever shown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from pillarbox.base.clock import Clock
from pillarbox.base.dns import NameTrouble
from pillarbox.base.errors import Rejected
from pillarbox.base.fetch import Page, Unfetched, fetch
from pillarbox.diagnosis import autoconfig, ports
from pillarbox.diagnosis.findings import Proposal
from pillarbox.diagnosis.guarded import wrong_port
from pillarbox.diagnosis.surroundings import Surroundings
from pillarbox.mail.address import Address
from pillarbox.relays import presets
from pillarbox.relays.change import RelayChange
from pillarbox.relays.presets import Login, Preset
from pillarbox.relays.relay import Secrets, endpoint
from pillarbox.smtp.endpoint import Endpoint, TlsMode

_NAMES = ("smtp", "mail")  # hosts of a domain that often take mail
_DOORS = 2  # of each such host: the best of the usual ones
_SERVICES = (("_submissions._tcp", TlsMode.IMPLICIT), ("_submission._tcp", TlsMode.STARTTLS))
_MOST = 6  # proposals that are tried; nobody reads more


class Source(Enum):
    """Where a proposal comes from."""

    DOMAIN = "domain"  # the domain is a provider's own
    MX = "mx"
    AUTOCONFIG = "autoconfig"
    SRV = "srv"
    NAME = "name"  # a host with a usual name


class Sure(Enum):
    """How sure we are that mail of this address goes this way."""

    CERTAIN = "certain"
    LIKELY = "likely"
    GUESS = "guess"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A proposal and where it comes from. answers: it was greeted and offers what we need."""

    source: Source
    sure: Sure
    proposal: Proposal
    answers: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            "source": self.source.value,
            "sure": self.sure.value,
            "answers": self.answers,
            **self.proposal.to_json(),
        }


@dataclass(frozen=True, slots=True)
class Looked:
    """What one source had to say, on one line."""

    source: Source
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposals:
    """For one address, the best first; and where we looked."""

    address: Address
    found: tuple[Found, ...]
    looked: tuple[Looked, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "address": str(self.address),
            "proposals": [each.to_json() for each in self.found],
            "looked": [
                {"source": each.source.value, "evidence": each.evidence} for each in self.looked
            ],
        }


@dataclass(slots=True)
class _Search:
    address: Address
    around: Surroundings
    clock: Clock

    async def everywhere(self) -> Proposals:
        known = presets.find(self.address.domain)
        if known is not None:
            why = f"{self.address.domain} is {known.name}. {known.notes or ''}".strip()
            found = [_of_preset(known, self.address, Source.DOMAIN, why)]
            looked = [Looked(Source.DOMAIN, f"{self.address.domain} is {known.name}")]
        else:
            answers = await asyncio.gather(self.by_mx(), self.by_autoconfig(), self.by_srv())
            found = [each for some, _ in answers for each in some]
            looked = [note for _, note in answers]
        tried = await self.tried(_distinct(found))
        if not tried:
            tried = [each for each in await self.tried(self.by_names()) if each.answers]
            looked.append(_names_told(self.address, tried))
        return Proposals(address=self.address, found=_ranked(tried), looked=tuple(looked))

    async def by_mx(self) -> tuple[list[Found], Looked]:
        """Whose customer the domain is. The server of another host is not guessed from it."""
        try:
            records = await self.around.lookup(self.address.domain, "MX")
        except NameTrouble as trouble:
            return [], Looked(Source.MX, trouble.cause)
        hosts = [host for _, host in sorted(_preference(each) for each in records)]
        if not hosts:
            return [], Looked(Source.MX, f"{self.address.domain} names no host that takes its mail")
        known = next(filter(None, map(presets.by_mail_exchanger, hosts)), None)
        if known is None:
            return [], Looked(Source.MX, f"mail goes to {hosts[0]}, of no provider that we know")
        why = f"Mail for {self.address.domain} goes to {hosts[0]}: that is {known.name}."
        why = f"{why} {known.notes}" if known.notes else why
        found = _of_preset(known, self.address, Source.MX, why, Sure.LIKELY)
        return [found], Looked(Source.MX, f"mail goes to {hosts[0]}: {known.name}")

    async def by_autoconfig(self) -> tuple[list[Found], Looked]:
        """What the domain says to mail programs, at the two places where they look."""
        domain, notes = self.address.domain, []
        for host, path in (
            (f"autoconfig.{domain}", "/mail/config-v1.1.xml"),
            (domain, "/.well-known/autoconfig/mail/config-v1.1.xml"),
        ):
            page = Page(
                host=host,
                path=path,
                port=self.around.web_port,
                policy=self.around.policy,
                authorities=self.around.authorities,
            )
            try:
                content = await fetch(page, self.around.resolver)
                servers = autoconfig.read(content, self.address)
            except Unfetched as nothing:
                notes.append(nothing.cause if self.around.allow_private else f"no page at {host}")
                continue
            except autoconfig.NotAutoconfig as wrong:
                notes.append(f"{host} has a page, but {wrong}")
                continue
            found = [self._of_server(server, host) for server in servers]
            usable = [each for each in found if each is not None]
            told = f"{host} names {len(usable)} server{'s' * (len(usable) != 1)} with TLS"
            return usable, Looked(Source.AUTOCONFIG, told)
        return [], Looked(Source.AUTOCONFIG, "; ".join(notes))

    async def by_srv(self) -> tuple[list[Found], Looked]:
        """RFC 6186 §3.1 and RFC 8314 §5.1. Another domain's host is a guess (RFC 6186 §6)."""
        found: list[Found] = []
        notes: list[str] = []
        for service, tls in _SERVICES:
            name = f"{service}.{self.address.domain}"
            try:
                records = await self.around.lookup(name, "SRV")
            except NameTrouble as trouble:
                notes.append(trouble.cause)
                continue
            for _, host, port in sorted(map(_target, records)):
                if host != ".":
                    found += self._of_target(name, host, port, tls)
        told = f"{len(found)} server{'s' * (len(found) != 1)} named" if found else "no SRV records"
        return found, Looked(Source.SRV, "; ".join(notes) or told)

    def by_names(self) -> list[Found]:
        """Hosts that may exist. Only those that answer are ever proposed."""
        change = {"username": str(self.address), "from": str(self.address)}
        return [
            _found(
                Source.NAME,
                Sure.GUESS,
                {"host": f"{name}.{self.address.domain}", "port": port, "tls": tls.value, **change},
                f"{name}.{self.address.domain} answers on port {port}.",
            )
            for name in _NAMES
            for port, tls in self.around.doors[:_DOORS]
        ]

    async def tried(self, found: Iterable[Found]) -> list[Found]:
        """The same, each with whether it answers. All side by side."""
        some = list(found)[:_MOST]
        endpoints = [self._endpoint(each.proposal.change) for each in some]
        usable = [(each, to) for each, to in zip(some, endpoints, strict=True) if to]
        resolver = self.around.resolver
        answers = await asyncio.gather(
            *(ports.is_open(to, self.clock, resolver) for _, to in usable)
        )
        return [
            replace(each, answers=is_open)
            for (each, _), is_open in zip(usable, answers, strict=True)
        ]

    def _of_server(self, server: autoconfig.Outgoing, where: str) -> Found | None:
        change = {
            "host": server.host,
            "port": server.port,
            "tls": server.tls.value,
            "username": server.username or str(self.address),
            "from": str(self.address),
        }
        why = f"{where} tells mail programs to send through {server.host} port {server.port}."
        return _found(Source.AUTOCONFIG, Sure.LIKELY, change, why)

    def _of_target(self, name: str, host: str, port: int, tls: TlsMode) -> Iterator[Found]:
        why = f"The record {name} names {host} port {port}."
        known = presets.by_host(host)
        if known is not None:
            yield _of_preset(known, self.address, Source.SRV, why, Sure.LIKELY)
            return
        is_own = f".{host}".endswith(f".{self.address.domain}")
        if not is_own:
            why = f"{why} It is at another domain: check that this is your provider."
        change = {
            "host": host,
            "port": port,
            "tls": tls.value,
            "username": str(self.address),
            "from": str(self.address),
        }
        yield _found(Source.SRV, Sure.LIKELY if is_own else Sure.GUESS, change, why)

    def _endpoint(self, change: Mapping[str, Any]) -> Endpoint | None:
        """None for what could not be saved: the change came from somewhere else."""
        try:
            settings = RelayChange.read(change).apply_to(None)
        except Rejected:
            return None
        where = endpoint(
            settings,
            Secrets(),
            ehlo_name=self.around.ehlo_name,
            allow_private=self.around.allow_private,
            allow_networks=self.around.allow_networks,
        )
        if not self.around.allow_private and wrong_port(settings):
            return None
        return replace(where, trust=replace(where.trust, authorities=self.around.authorities))


async def propose(address: Address, around: Surroundings, clock: Clock) -> Proposals:
    """What we would try for this address. It takes a quarter of a minute at most."""
    return await _Search(address, around, clock).everywhere()


def _of_preset(
    preset: Preset, address: Address, source: Source, why: str, sure: Sure = Sure.CERTAIN
) -> Found:
    change: dict[str, Any] = {"preset": preset.id, "from": str(address)}
    if preset.login is Login.ADDRESS:
        change["username"] = str(address)
    if preset.login is Login.FIXED and preset.username:
        change["username"] = preset.username
    return _found(source, sure, change, why)


def _found(source: Source, sure: Sure, change: Mapping[str, Any], why: str) -> Found:
    return Found(source=source, sure=sure, proposal=Proposal(change=change, why=why))


def _distinct(found: Iterable[Found]) -> list[Found]:
    """One proposal for one place; the source that was asked first wins."""
    places: dict[tuple[object, ...], Found] = {}
    for each in found:
        places.setdefault(_place(each.proposal.change), each)
    return list(places.values())


def _place(change: Mapping[str, Any]) -> tuple[object, ...]:
    known = presets.get(change.get("preset")) or presets.by_host(str(change.get("host", "")))
    return (known.host,) if known else (change["host"], change["port"])


def _ranked(found: Iterable[Found]) -> tuple[Found, ...]:
    order = list(Sure)
    return tuple(sorted(found, key=lambda each: (not each.answers, order.index(each.sure))))


def _names_told(address: Address, found: list[Found]) -> Looked:
    tried = " and ".join(f"{name}.{address.domain}" for name in _NAMES)
    answer = "answers" if found else "none answers on 465 or 587 with a certificate for its name"
    return Looked(Source.NAME, f"tried {tried}: {answer}")


def _preference(record: str) -> tuple[int, str]:
    """`10 mx.example.org`. The null MX of RFC 7505 is the host `.`."""
    number, _, host = record.partition(" ")
    return int(number), host


def _target(record: str) -> tuple[int, str, int]:
    """Priority, host and port of `0 1 587 smtp.example.org`, RFC 2782. The host `.` is none."""
    priority, _, port, host = record.split(" ", 3)
    return int(priority), host, int(port)
