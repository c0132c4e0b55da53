"""The network of a broken set-up, what a set-up is, and what mends one."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import trustme

from pillarbox.relays.catalogue import entries
from support.authorization_server import (
    AuthorizationServer,
)
from support.internet import Internet
from support.program import Program
from support.provider_server import Provider, serving

ANN = "ann@example.org"
PASSWORD = "right"
WRONG_PASSWORD = "wrogn"
HOST = "smtp.example.org"

Mode = Literal["implicit", "starttls", "none"]


@dataclass(slots=True)
class World:
    """The network of one set-up. public is an authority that the machine believes."""

    folder: Path
    net: Internet
    stack: ExitStack
    box: Program
    public: trustme.CA = field(default_factory=lambda: _authority("Public Authority"))
    own: trustme.CA = field(default_factory=lambda: _authority("Company"))
    company_pem: bytes = b""
    """The certificate of the company's own authority, where it is not `own`."""
    servers: dict[str, Provider] = field(default_factory=dict)
    tokens: AuthorizationServer | None = None
    passwords: dict[str, str] = field(default_factory=lambda: {"SMTP_PASSWORD": PASSWORD})

    def furnish(self) -> Mapping[str, str]:
        """The environment of a program that lives in it."""
        self.public.cert_pem.write_to_path(str(self.folder / "public.pem"))
        company = self.company_pem or self.own.cert_pem.bytes()
        (self.folder / "company.pem").write_bytes(company)
        trusted = {"SSL_CERT_FILE": str(self.folder / "public.pem")}
        return self.net.environment | trusted | self.passwords

    def live(self) -> None:
        """From now on the program sees this network, and the passwords of this moment."""
        self.box.environment = dict(self.furnish())

    def certificate(
        self, *names: str, days: float = 60, authority: trustme.CA | None = None
    ) -> ssl.SSLContext:
        """A server's side of TLS, for so many days more."""
        now = datetime.now(UTC)
        issued = (authority or self.public).issue_cert(
            *names, not_before=now - timedelta(days=400), not_after=now + timedelta(days=days)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        issued.configure_cert(context)
        return context

    def server(self, host: str, *doors: tuple[int, Mode], **manners: Any) -> Provider:
        """A server that knows ann, unless it is said otherwise."""
        manners = {"accounts": {ANN: PASSWORD}, "context": self.certificate(host)} | manners
        provider = Provider(host, **manners)
        for port, tls in doors:
            self.net.open(host, port, behind=self.stack.enter_context(serving(provider, tls)))
        self.servers[host] = provider
        return provider


@dataclass(frozen=True, slots=True)
class Offered:
    """The change that the report offers, taken as it is."""

    change: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Typed:
    """What a person types after reading the report; `password` is the right one from now on."""

    options: Mapping[str, str] = field(default_factory=dict)
    password: str | None = None


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What somebody does at the server. The words are for the page."""

    words: str
    act: Callable[[World], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """
    One set-up. stage and advice are where and as what it is found; cause is in the report.

    Without a stage the settings are refused before anybody is asked. typed is options, or
    under `relay` the name of one that `build` has added.
    """

    title: str
    build: Callable[[World], object]
    typed: Mapping[str, str]
    stage: str | None
    advice: str | None
    cause: str
    cure: Offered | Typed | Elsewhere

    @property
    def anchor(self) -> str:
        return re.sub(r"\W+", "-", self.title.lower()).strip("-")


def sentence(advice: str, beginning: str = "") -> str:
    """What a provider's server says, from the catalogue's own examples."""
    examples = next(entry["examples"] for entry in entries() if entry["id"] == advice)
    return str(next(each for each in examples if each.startswith(beginning)))


def _authority(name: str) -> trustme.CA:
    return trustme.CA(organization_name=name, organization_unit_name="Root")
