"""
Mailbox addresses, as RFC 5321 §4.1.2 and RFC 6531 §3.3 spell them.

Parsed once, at the edge. Only this type reaches the wire, so a line end or a space that
could start a second SMTP command has nowhere to hide.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

import idna

from pillarbox.base.errors import Invalid

MAX_LOCAL_PART = 64  # octets, RFC 5321 §4.5.3.1.1
MAX_PATH = 254  # octets; RFC 5321 §4.5.3.1.3 allows 256 including the two angle brackets
MAX_DOMAIN = 253  # octets in A-labels, RFC 1035 §2.3.4 without the root

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-\u00a1-\U0010ffff]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9\-]{0,61}[A-Za-z0-9])?"
_DOT_STRING = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
_QUOTED_STRING = re.compile(r'"(?:[ !#-\[\]-~\u00a1-\U0010ffff]|\\[ -~])+"')
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_LITERAL = re.compile(r"\[(IPv6:)?([0-9A-Fa-f.:]+)\]", re.IGNORECASE)
_USUAL = re.compile(  # what nearly every address looks like; nothing in it needs a second look
    rf"([A-Za-z0-9_+\-]+(?:\.[A-Za-z0-9_+\-]+)*)@({_LABEL}(?:\.{_LABEL})*)"
)
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Address:
    """
    A mailbox: a local part exactly as written, and a domain in lower-case A-labels.

    Build one with `parse`, which is the only place that checks.
    """

    local_part: str
    domain: str

    @classmethod
    def parse(cls, text: str) -> Address:
        """Raises Invalid, in words for the person who typed it."""
        if len(text) <= MAX_LOCAL_PART and (usual := _USUAL.fullmatch(text)):
            return cls(usual[1], usual[2].lower())  # too short to break any limit
        if _FORBIDDEN.search(text):
            raise Invalid("an address must not contain control characters or line ends")
        if len(text) > MAX_PATH:
            raise _too_long()  # before the IDNA tables see a megabyte
        local_part, at, domain = text.rpartition("@")
        if not (local_part and at and domain):
            raise Invalid(f"“{text}” is not an address: it needs name@domain")
        _check_local_part(local_part, text)
        address = cls(local_part, _domain(domain, text))
        if len(str(address).encode()) > MAX_PATH:
            raise _too_long()
        return address

    @property
    def needs_smtputf8(self) -> bool:
        """Only the local part does; a domain can always be sent as A-labels (RFC 6531 §3.2)."""
        return not self.local_part.isascii()

    def __str__(self) -> str:
        return f"{self.local_part}@{self.domain}"


def _too_long() -> Invalid:
    return Invalid(f"an address is at most {MAX_PATH} octets long (RFC 5321 §4.5.3.1.3)")


def _check_local_part(local_part: str, text: str) -> None:
    if len(local_part.encode()) > MAX_LOCAL_PART:
        raise Invalid(f"the part before the @ is longer than {MAX_LOCAL_PART} octets")
    if not (_DOT_STRING.fullmatch(local_part) or _QUOTED_STRING.fullmatch(local_part)):
        raise Invalid(
            f"“{text}” is not an address: the part before the @ has a character that needs quotes"
        )


def _domain(domain: str, text: str) -> str:
    """The domain as it goes over the wire: A-labels, or an address literal."""
    if domain.startswith("["):
        return _literal(domain, text)
    ascii_domain = domain.lower() if domain.isascii() else _a_labels(domain, text)
    if len(ascii_domain) > MAX_DOMAIN or not _DOMAIN.fullmatch(ascii_domain):
        raise Invalid(f"“{text}” is not an address: “{domain}” is not a domain name")
    return ascii_domain


def _a_labels(domain: str, text: str) -> str:
    try:
        return idna.encode(domain, uts46=True).decode().lower()
    except idna.IDNAError:
        raise Invalid(f"“{text}” is not an address: “{domain}” is not a domain name") from None


def _literal(domain: str, text: str) -> str:
    """[192.0.2.1] or [IPv6:2001:db8::1], RFC 5321 §4.1.3."""
    match = _LITERAL.fullmatch(domain)
    try:
        if match is None:
            raise ValueError(domain)
        if match[1]:
            return f"[IPv6:{ipaddress.IPv6Address(match[2]).compressed}]"
        return f"[{ipaddress.IPv4Address(match[2])}]"
    except ValueError:
        raise Invalid(f"“{text}” is not an address: “{domain}” is not an IP address") from None
