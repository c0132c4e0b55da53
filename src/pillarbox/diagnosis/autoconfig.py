"""
Mozilla's autoconfig file: what a provider tells mail programs about its servers.

https://www.ietf.org/archive/id/draft-ietf-mailmaint-autoconfig-01.html. The file comes from
whoever runs the domain's web server, so it is read with suspicion: no document type, no
entities, and nothing but servers that are spoken to over TLS.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree

from pillarbox.mail.address import Address
from pillarbox.smtp.endpoint import TlsMode

_TLS = {"SSL": TlsMode.IMPLICIT, "STARTTLS": TlsMode.STARTTLS}
_MOST = 4  # servers; a mail program takes the first that works


class NotAutoconfig(Exception):
    """The text is no autoconfig file. The message is a sentence without its full stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One server that takes mail. username has the address filled in, None if none is named."""

    host: str
    port: int
    tls: TlsMode
    username: str | None = None


def read(content: bytes, address: Address) -> tuple[Outgoing, ...]:
    """The servers in the order of the file, those without TLS left out. Raises NotAutoconfig."""
    servers = _root(content).iter("outgoingServer")
    readable = (found for each in servers if (found := _outgoing(each, address)))
    return tuple(dict.fromkeys(_first(readable)))


def _root(content: bytes) -> ElementTree.Element:
    try:
        text = content.decode("utf-8-sig")
        if "<!DOCTYPE" in text.upper() or "<!ENTITY" in text.upper():
            raise NotAutoconfig("it has a document type, as no autoconfig file needs")
        root = ElementTree.fromstring(text)  # noqa: S314 - without a DTD there are no entities
    except (UnicodeDecodeError, ElementTree.ParseError, ValueError):
        raise NotAutoconfig("it is not XML") from None
    if root.tag != "clientConfig":
        raise NotAutoconfig("it is not an autoconfig file")
    return root


def _first(servers: Iterator[Outgoing]) -> Iterator[Outgoing]:
    for _, server in zip(range(_MOST), servers, strict=False):
        yield server


def _outgoing(server: ElementTree.Element, address: Address) -> Outgoing | None:
    told = {child.tag: (child.text or "").strip() for child in server}
    tls = _TLS.get(told.get("socketType", ""))
    port = told.get("port", "")
    host = _filled(told.get("hostname", ""), address)
    is_usable = server.get("type") == "smtp" and host and port.isascii() and port.isdigit()
    if tls is None or not is_usable or len(port) > 5:
        return None
    username = _filled(told.get("username", ""), address) or None
    return Outgoing(host=host.lower(), port=int(port), tls=tls, username=username)


def _filled(text: str, address: Address) -> str:
    """The words that the file has for the person who asks."""
    for word, value in (
        ("%EMAILADDRESS%", str(address)),
        ("%EMAILLOCALPART%", address.local_part),
        ("%EMAILDOMAIN%", address.domain),
    ):
        text = text.replace(word, value)
    return text
