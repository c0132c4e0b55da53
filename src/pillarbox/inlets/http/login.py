"""Who is asking: the Bearer token of a request (RFC 6750 §2.1), and from where."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

from pillarbox.access.principal import OPERATOR, Principal
from pillarbox.base.errors import Unauthenticated
from pillarbox.base.secret import Secret
from pillarbox.inlets.http.desk import Desk

Headers = Iterable[tuple[bytes, bytes]]
"""As ASGI has them: names in lower case."""

_LOOPBACK_NAME = re.compile(
    r"(localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\])(:\d{1,5})?", re.IGNORECASE
)
_FORWARDED = frozenset({b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-real-ip"})


class NoCredentials(Unauthenticated):
    """The request came without a key."""

    code = "missing_credentials"


def principal(desk: Desk, headers: Headers) -> Principal:
    """Raises Unauthenticated."""
    token = _bearer(headers)
    if desk.operator_token == Secret(token):
        return OPERATOR
    return desk.keys.authenticate(token)


def is_from_this_machine(client: tuple[str, int] | None, headers: Headers) -> bool:
    """
    A person or program on this machine, who asked for this machine by name.

    The name matters: a page on the web can make a browser here ask for its own name after
    it has pointed that name at 127.0.0.1. A request that was forwarded came from elsewhere.
    """
    if client is None or not _is_loopback(client[0]):
        return False
    hosts = [value for name, value in headers if name == b"host"]
    if any(name in _FORWARDED for name, _ in headers):
        return False
    return len(hosts) == 1 and bool(_LOOPBACK_NAME.fullmatch(hosts[0].decode("latin-1")))


def _bearer(headers: Headers) -> str:
    given = [value for name, value in headers if name == b"authorization"]
    if not given:
        raise NoCredentials("send an API key: Authorization: Bearer pb_…")
    scheme, _, token = given[0].decode("latin-1").partition(" ")
    if len(given) > 1 or scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("Authorization is one Bearer token, nothing else")
    return token.strip()


def _is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
