"""
What a person may type for each setting, and what it becomes.

A reader takes the raw value (JSON, a form or a flag: text everywhere) and returns the
setting, or raises Invalid in words for the person who typed it. Rules between several
settings are in contradictions.py.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, TypeVar

import idna

from pillarbox.base.errors import Invalid
from pillarbox.base.json_type import type_name
from pillarbox.mail.header import Header
from pillarbox.mail.mailbox import Mailbox
from pillarbox.oauth.client import Authentication, Grant
from pillarbox.relays import presets
from pillarbox.relays.addresses import read_address, read_addresses, read_places
from pillarbox.relays.certificates import (
    read_certificates,
    refuse_disorder,
    refuse_no_authority,
)
from pillarbox.relays.ehlo import is_host_name
from pillarbox.relays.relay import Auth, OtherSenders, RelayKind
from pillarbox.relays.tables import MAX_NAME
from pillarbox.relays.token_fields import TOKEN_READERS
from pillarbox.smtp.endpoint import Mechanism, ProxyKind, TlsMode

Reader = Callable[[Any], Any]

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"  # names inside containers have underscores
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_ENDS_LIKE_A_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")  # 127.1 and 0x7f.1 resolve
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_MAX_LINE = 998  # characters

_NOT_A_TLS_MODE = {
    "ssl": "“SSL” is called implicit here",
    "smtps": "“SMTPS” is called implicit here",
    "tls": "“TLS” can mean two things: implicit (port 465) or starttls (port 587)",
    "auto": "there is no “auto”: it would send in the clear when somebody removes the offer."
    " Choose implicit or starttls",
    "opportunistic": "there is no “opportunistic”: it would send in the clear when somebody"
    " removes the offer. Choose implicit or starttls",
    "true": "choose implicit (port 465) or starttls (port 587)",
    "false": "choose none, starttls or implicit",
}
_MOST_HEADERS = 50
_LONGEST_PEM = 65_536  # characters


def read_name(raw: object) -> str:
    name = read_line(raw)
    if not name:
        raise Invalid("give the relay a name")
    if len(name) > MAX_NAME:
        raise Invalid(f"a name has at most {MAX_NAME} characters")
    return name


def read_line(raw: object) -> str:
    """One line of text, without the spaces that pasting leaves around it."""
    if not isinstance(raw, str):
        raise Invalid(f"this is a text, not {type_name(raw)}")
    text = raw.strip()
    if _CONTROL.search(text):
        raise Invalid("this has a line end or another control character in it")
    if len(text) > _MAX_LINE:
        raise Invalid(f"this is longer than {_MAX_LINE} characters")
    return text


def read_host(raw: object) -> str:
    """A name in lower-case A-labels (RFC 5890 §2.3.2.1) or an IP address, without brackets."""
    text = read_line(raw)
    _refuse_more_than_a_host(text)
    try:
        return ipaddress.ip_address(text.strip("[]")).compressed
    except ValueError:
        pass
    host = _a_labels(text.rstrip("."))
    if len(host) > 253 or not _HOST.fullmatch(host) or _ENDS_LIKE_A_NUMBER.fullmatch(host):
        raise Invalid(f"“{text}” is neither a host name nor an IP address")
    return host


def _refuse_more_than_a_host(text: str) -> None:
    if "://" in text:
        raise Invalid("enter the host alone, without smtp:// or another scheme in front")
    if "@" in text:
        raise Invalid("this is an address or has a user name in it. Enter the host alone")
    if re.fullmatch(r"[^:\[\]]+:\d+|\[.*\]:\d+", text):
        raise Invalid("enter the host alone. The number after the colon is the port")
    if "/" in text or re.search(r"\s", text):
        raise Invalid(f"“{text}” is neither a host name nor an IP address")


def _a_labels(text: str) -> str:
    if text.isascii():
        return text.lower()
    try:
        return idna.encode(text, uts46=True).decode().lower()
    except idna.IDNAError:
        raise Invalid(f"“{text}” is not a host name") from None


def read_ehlo_name(raw: object) -> str:
    """A domain, or an address literal in brackets (RFC 5321 §4.1.1.1, §4.1.3)."""
    text = read_line(raw)
    if not text.isascii():
        raise Invalid("servers accept only ASCII here. Write the name in its xn-- form")
    if text.startswith("["):
        return _address_literal(text)
    if not is_host_name(text):
        raise Invalid(f"“{text}” is not a host name")
    return text.lower()


def _address_literal(text: str) -> str:
    inside = text.removeprefix("[").removesuffix("]")
    try:
        if inside.lower().startswith("ipv6:"):
            return f"[IPv6:{ipaddress.IPv6Address(inside[5:]).compressed}]"
        return f"[{ipaddress.IPv4Address(inside)}]"
    except ValueError:
        raise Invalid(f"“{text}” is not an address in brackets, as in [192.0.2.1]") from None


def read_local_address(raw: object) -> str:
    text = read_line(raw)
    try:
        address = ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        raise Invalid(f"“{text}” is not an IP address of this machine") from None
    if address.is_multicast or address.is_unspecified:
        raise Invalid(f"“{text}” cannot be the address of this machine")
    return address.compressed


Choice = TypeVar("Choice", bound=Enum)


def one_of(
    choices: type[Choice], hints: Mapping[str, str] | None = None
) -> Callable[[Any], Choice]:
    """A reader for a word out of a few. A hint answers a word that people try instead."""
    by_word = {str(choice.value).casefold(): choice for choice in choices}

    def read(raw: object) -> Choice:
        word = str(raw).strip().casefold()
        if word in by_word:
            return by_word[word]
        if hints and word in hints:
            raise Invalid(hints[word])
        known = ", ".join(str(choice.value) for choice in choices)
        raise Invalid(f"“{raw}” is not one of: {known}")

    return read


def whole(least: int, most: int) -> Callable[[Any], int]:
    """A reader for a whole number in a range; forms send it as text."""

    def read(raw: object) -> int:
        text = str(raw).strip() if isinstance(raw, int | str) else ""
        if isinstance(raw, bool) or not re.fullmatch(r"[0-9]{1,9}", text):
            raise Invalid(f"this is a whole number from {least} to {most}")
        if not least <= int(text) <= most:
            raise Invalid(f"this is between {least} and {most}, not {int(text)}")
        return int(text)

    return read


def seconds(least: int, most: int) -> Callable[[Any], float]:
    """A reader for a duration in seconds."""

    def read(raw: object) -> float:
        text = str(raw).strip() if isinstance(raw, int | float | str) else ""
        if isinstance(raw, bool) or not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", text):
            raise Invalid(f"this is a number of seconds from {least} to {most}")
        if not least <= float(text) <= most:
            raise Invalid(f"this is between {least} and {most} seconds")
        return float(text)

    return read


def read_port(raw: object) -> int:
    try:
        return whole(1, 65535)(raw)
    except Invalid:
        raise Invalid("a port is a number between 1 and 65535") from None


def read_mailbox(raw: object) -> Mailbox:
    return Mailbox.parse(read_line(raw))


def read_headers(raw: object) -> tuple[tuple[str, str], ...]:
    """Header fields for every message: an object of names and values, by mail/header.py."""
    if not isinstance(raw, Mapping):
        raise Invalid("headers are an object of names and values")
    if len(raw) > _MOST_HEADERS:
        raise Invalid(f"a relay adds at most {_MOST_HEADERS} headers")
    if len({str(name).casefold() for name in raw}) < len(raw):
        raise Invalid("a header is given twice")
    return tuple(_header(name, value) for name, value in raw.items())


def _header(name: object, value: object) -> tuple[str, str]:
    if not isinstance(name, str) or not isinstance(value, str):
        raise Invalid(f"the header {name} needs a text, not {type_name(value)}")
    header = Header(name, value)
    return header.name, header.value


def read_pem(raw: object) -> str:
    """PEM text of one or more certificates."""
    text = _text(raw).strip() + "\n"
    if len(text) > _LONGEST_PEM:
        raise Invalid(
            f"this is longer than {_LONGEST_PEM:,} characters. Leave out what is not used"
        )
    read_certificates(text)
    return text


def read_authorities(raw: object) -> str:
    """Certificates that may issue others."""
    text = read_pem(raw)
    refuse_no_authority(text)
    return text


def read_chain(raw: object) -> str:
    """Our certificate, then whoever issued it."""
    text = read_pem(raw)
    refuse_disorder(text)
    return text


def _text(raw: object) -> str:
    if not isinstance(raw, str):
        raise Invalid(f"this is a text, not {type_name(raw)}")
    return raw.replace("\r\n", "\n")


def read_pin(raw: object) -> str:
    """SHA-256 of the certificate; colons, spaces and a “sha256:” in front are fine."""
    digits = re.sub(r"(?i)^sha-?256[:=]|[:\s]", "", read_line(raw)).lower()
    if re.fullmatch(r"[0-9a-f]{40}", digits):
        raise Invalid("this looks like a SHA-1 fingerprint. Enter the SHA-256 one")
    if not re.fullmatch(r"[0-9a-f]{64}", digits):
        raise Invalid("a pin is the SHA-256 fingerprint of the certificate: 64 hexadecimal digits")
    return digits


def read_minimum_tls(raw: object) -> str:
    version = re.sub(r"(?i)^tls\s?v?", "", str(raw).strip())
    if version in ("1.0", "1.1", "1"):
        raise Invalid("TLS 1.0 and 1.1 are broken (RFC 8996). The lowest is 1.2")
    if version not in ("1.2", "1.3"):
        raise Invalid("the lowest TLS version is 1.2 or 1.3")
    return version


def read_preset(raw: object) -> str:
    text = read_line(raw)
    found = presets.find(text)
    if found is not None:
        return found.id
    if regional := presets.regions_of(text):
        ids = ", ".join(preset.id for preset in regional)
        raise Invalid(f"“{text}” has a relay in each region. Choose one of: {ids}")
    meant = presets.nearest(text)
    question = f". Did you mean {meant}?" if meant else ""
    raise Invalid(f"there is no preset “{text}”{question}")


def read_directory(raw: object) -> str:
    text = read_line(raw)
    if not (PurePosixPath(text).is_absolute() or PureWindowsPath(text).is_absolute()):
        raise Invalid("enter the whole path of the folder, from the root")
    return text


READERS: dict[str, Reader] = {
    "kind": one_of(RelayKind),
    "preset": read_preset,
    "host": read_host,
    "port": read_port,
    "tls": one_of(TlsMode, _NOT_A_TLS_MODE),
    "auth": one_of(Auth, {"oauth": "this is called oauth2", "xoauth2": "this is called oauth2"}),
    "username": read_line,
    "mechanism": one_of(Mechanism),
    "from": read_mailbox,
    "reply_to": read_mailbox,
    "headers": read_headers,
    "reverse_path": read_address,
    "senders": read_places,
    "other_senders": one_of(OtherSenders),
    "bcc": read_addresses,
    "recipients": read_places,
    "redirect_to": read_address,
    "max_octets": whole(1000, 1_000_000_000),
    "authorities": read_authorities,
    "pin": read_pin,
    "server_name": read_host,
    "minimum_tls": read_minimum_tls,
    "client_certificate": read_chain,
    "ehlo_name": read_ehlo_name,
    "local_address": read_local_address,
    "proxy_kind": one_of(ProxyKind),
    "proxy_host": read_host,
    "proxy_port": read_port,
    "proxy_username": read_line,
    "connect_timeout_seconds": seconds(1, 300),
    "greeting_timeout_seconds": seconds(5, 900),
    "command_timeout_seconds": seconds(5, 900),
    "final_timeout_seconds": seconds(30, 600),  # a delivery is leased for a minute more
    "max_connections": whole(1, 100),
    "messages_per_minute": whole(1, 1_000_000),
    "messages_per_connection": whole(1, 100_000),
    "connection_age_seconds": whole(5, 3600),
    "directory": read_directory,
    "grant": one_of(Grant),
    "client_id": read_line,
    "client_authentication": one_of(Authentication),
    "subject": read_line,
    "key_id": read_line,
    "signing_certificate": read_pem,
    **TOKEN_READERS,
}
