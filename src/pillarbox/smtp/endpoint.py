"""Where a session goes and how: pure values, checked by relays/change.py before they get here."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from pillarbox.base.secret import Secret


class TlsMode(Enum):
    """RFC 8314 §3.3 and RFC 3207. There is no "if available": a session is what was asked."""

    IMPLICIT = "implicit"
    STARTTLS = "starttls"
    NONE = "none"


class Mechanism(Enum):
    """SASL mechanisms that we speak, by their registered names (RFC 4422)."""

    PLAIN = "PLAIN"
    LOGIN = "LOGIN"
    CRAM_MD5 = "CRAM-MD5"
    SCRAM_SHA_256 = "SCRAM-SHA-256"
    XOAUTH2 = "XOAUTH2"
    OAUTHBEARER = "OAUTHBEARER"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """
    Which certificates are believed. There is no "ignore errors".

    authorities and client_certificate are PEM text. pin is the SHA-256 of the certificate
    in lower-case hexadecimal; with a pin neither chain, name nor dates are checked, only
    the pin. server_name overrides the host as the name to ask for and to find (SNI).
    """

    authorities: str | None = None
    pin: str | None = None
    server_name: str | None = None
    minimum_version: str = "1.2"  # or "1.3"
    client_certificate: str | None = None
    client_key: Secret | None = None  # PEM, unencrypted


class ProxyKind(Enum):
    HTTP = "http"  # CONNECT, RFC 9110 §9.3.6
    SOCKS5 = "socks5"  # RFC 1928, RFC 1929


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """What stands between us and the relay. The proxy resolves the relay's name."""

    kind: ProxyKind
    host: str
    port: int
    username: str | None = None
    password: Secret | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """Seconds. RFC 5321 §4.5.3.2 gives the minimums; connect is ours to choose."""

    connect: float = 30
    greeting: float = 300
    command: float = 300  # EHLO, MAIL, RCPT
    data: float = 120  # until 354
    block: float = 180  # each write of content
    final: float = 600  # after the final dot


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A relay's address and manners, without the account on it."""

    host: str
    port: int
    tls: TlsMode
    trust: Trust = field(default_factory=Trust)
    proxy: Proxy | None = None
    ehlo_name: str = "localhost"
    local_address: str | None = None
    deadlines: Deadlines = field(default_factory=Deadlines)
    allow_private: bool = True  # system relays may use private and loopback addresses
    allow_networks: tuple[
        str, ...
    ] = ()  # CIDR; reachable besides public ones when not allow_private


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """
    Our account on a relay. secret is a password, or an access token for XOAUTH2/OAUTHBEARER.

    mechanism None means the strongest one that the relay offers and the secret fits.
    """

    username: str
    secret: Secret
    is_token: bool = False
    mechanism: Mechanism | None = None
