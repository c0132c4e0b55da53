"""
Asking a proxy for a connection, as a conversation: HTTP CONNECT and SOCKS5. No sockets here.

A dialogue yields octets to send, or the number of octets it wants, and is sent those.
"""

from __future__ import annotations

import base64
from collections.abc import Generator
from dataclasses import dataclass, field
from enum import Enum

_MAX_HEAD = 8_192  # octets of the proxy's HTTP answer
_SOCKS_REPLIES = {  # RFC 1928 §6
    1: "it failed",
    2: "its rules do not allow it",
    3: "the network is unreachable",
    4: "the host is unreachable",
    5: "the connection was refused",
    6: "the time to live ran out",
    7: "it does not know CONNECT",
    8: "it does not know this kind of address",
}


class Protocol(Enum):
    HTTP = "http"
    SOCKS5 = "socks5"


@dataclass(frozen=True, slots=True, kw_only=True)
class Via:
    """A proxy on the way. login is user name and password."""

    protocol: Protocol
    host: str
    port: int
    login: tuple[str, str] | None = field(default=None, repr=False)


class ProxyRefused(Exception):
    """The proxy said no, or something that is not an answer. The text says which."""


ProxyDialogue = Generator[bytes | int, bytes, None]


def ask(via: Via, host: str, port: int) -> ProxyDialogue:
    """Returns when octets go to host and port from here on; raises ProxyRefused."""
    if via.protocol is Protocol.HTTP:
        return _connect(via, host, port)
    return _socks5(via, host, port)


def _connect(via: Via, host: str, port: int) -> ProxyDialogue:
    """RFC 9110 §9.3.6. Read octet by octet: what follows the head belongs to the relay."""
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if via.login:
        token = base64.b64encode(":".join(via.login).encode()).decode()
        lines.append(f"Proxy-Authorization: Basic {token}")  # RFC 7617 §2
    yield "".join(f"{line}\r\n" for line in [*lines, ""]).encode()
    head = bytearray()
    while not head.endswith(b"\r\n\r\n"):
        if len(head) >= _MAX_HEAD:
            raise ProxyRefused("the proxy's answer is too long")
        head += yield 1
    version, _, rest = head.partition(b"\r\n")[0].partition(b" ")
    if not version.startswith(b"HTTP/1."):
        raise ProxyRefused("the proxy does not speak HTTP")
    if not rest.startswith(b"2"):
        shown = rest[:80].decode("ascii", "backslashreplace")
        raise ProxyRefused(f"the proxy answered {shown}")


def _socks5(via: Via, host: str, port: int) -> ProxyDialogue:
    """RFC 1928 §3 to §6. The name goes to the proxy as it is; the proxy resolves it."""
    yield b"\5\2\0\2" if via.login else b"\5\1\0"
    version, method = yield 2
    if version != 5:
        raise ProxyRefused("the proxy does not speak SOCKS5")
    if method == 2 and via.login:
        yield from _socks5_login(*via.login)
    elif method != 0:
        raise ProxyRefused("the proxy wants credentials that we do not have")
    name = host.encode()
    if len(name) > 255:
        raise ProxyRefused("the relay's name is too long for SOCKS5")
    yield b"\5\1\0\3" + bytes([len(name)]) + name + port.to_bytes(2, "big")
    _, reply, _, kind = yield 4
    if reply != 0:
        raise ProxyRefused(f"the proxy says: {_SOCKS_REPLIES.get(reply, 'something unknown')}")
    length = {1: 4, 4: 16}.get(kind) or (yield 1)[0]
    yield length + 2  # the address that the proxy bound, of no use to us


def _socks5_login(username: str, password: str) -> ProxyDialogue:
    """RFC 1929 §2."""
    name, word = username.encode(), password.encode()
    if not (0 < len(name) < 256 and len(word) < 256):
        raise ProxyRefused("the proxy's user name or password is too long for SOCKS5")
    yield b"\1" + bytes([len(name)]) + name + bytes([len(word)]) + word
    _, status = yield 2
    if status != 0:
        raise ProxyRefused("the proxy does not accept our user name and password")
