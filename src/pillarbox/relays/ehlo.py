"""What we call ourselves when we greet a relay (RFC 5321 §4.1.1.1)."""

from __future__ import annotations

import ipaddress
import re

FALLBACK_EHLO_NAME = "localhost"

_LABEL = r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)"
_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")


def is_host_name(text: str) -> bool:
    """Labels of letters, digits and hyphens, in ASCII."""
    return bool(_NAME.fullmatch(text))


def ehlo_name_from(host: str | None) -> str:
    """
    What we call ourselves (RFC 5321 §4.1.4): the host of the base URL if it may be said.

    An IP address is said as an address literal (§4.1.3). Never anything but ASCII: servers
    close the connection.
    """
    if not host:
        return FALLBACK_EHLO_NAME
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return host.lower() if is_host_name(host) else FALLBACK_EHLO_NAME
    if address.is_loopback or address.is_unspecified:
        return FALLBACK_EHLO_NAME
    return f"[IPv6:{address.compressed}]" if address.version == 6 else f"[{address}]"
