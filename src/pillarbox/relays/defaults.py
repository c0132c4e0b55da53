"""
What follows from what was typed: a port from a TLS mode, a whole server from a preset.

Nothing that somebody typed is changed here. What they did not type follows it, so that
“port 587” alone means STARTTLS and “auth none” alone lets the user name go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pillarbox.relays import presets
from pillarbox.relays.presets import Login, Preset
from pillarbox.relays.relay import Auth, RelayKind, RelaySettings, attribute
from pillarbox.relays.token_fields import follow, says_oauth2
from pillarbox.smtp.endpoint import TlsMode

TLS_OF_PORT = {
    25: TlsMode.STARTTLS,
    465: TlsMode.IMPLICIT,  # RFC 8314 §7.3
    587: TlsMode.STARTTLS,  # RFC 6409 §3.1
    2465: TlsMode.IMPLICIT,  # what providers offer beside 465
    2525: TlsMode.STARTTLS,  # and beside 587, where hosters block it
    2587: TlsMode.STARTTLS,
}
"""Ports whose habit is known. An unknown port gets STARTTLS: it fails safely."""

PORT_OF_TLS = {TlsMode.IMPLICIT: 465, TlsMode.STARTTLS: 587, TlsMode.NONE: 25}
"""RFC 8314 §3.3 prefers implicit TLS, so that is what a bare host gets."""

_PROXY = ("proxy_host", "proxy_port", "proxy_username")


WHO_WE_ARE = (
    "from_",
    "reply_to",
    "headers",
    "reverse_path",
    "senders",
    "other_senders",
    "bcc",
    "recipients",
    "redirect_to",
    "max_octets",
)
"""What every kind of relay has, and keeps when it becomes another kind."""

FOLLOWING = frozenset({"port", "tls", "auth"})
"""Fields without a default of their own: null means “whatever the others ask for”."""


def settle(
    typed: Mapping[str, Any], current: RelaySettings | None, *, signs_in: bool
) -> RelaySettings:
    """
    The settings after this change, with everything that follows from it.

    typed holds read values by JSON name; signs_in says that a password came with them.
    """
    blank = frozenset(name for name in FOLLOWING if name in typed and typed[name] is None)
    given = {attribute(name): value for name, value in typed.items() if name not in blank}
    base = _base(given, current)
    preset = _new_preset(given, base)
    following: dict[str, Any] = _facts(preset) if preset else {}
    if "host" in given and "preset" not in given:
        following["preset"] = preset.id if preset else _preset_of(base, given["host"])
    settled = replace(base, **following | given)
    unknown = base.tls if base.host else TlsMode.STARTTLS
    settled = replace(settled, **_transport(settled, given, blank, unknown))
    if "auth" not in given and settled.kind is RelayKind.SMTP:
        settled = replace(settled, auth=_auth(settled, given, blank, signs_in=signs_in))
    settled = replace(settled, **_identity(settled, given), **_without_proxy(given))
    return replace(settled, **follow(settled, given))


def _base(given: Mapping[str, Any], current: RelaySettings | None) -> RelaySettings:
    """Where the change starts. Another kind of relay keeps who we are, not where we went."""
    if current is None:
        return RelaySettings()
    if given.get("kind", current.kind) is current.kind:
        return current
    return RelaySettings(**{name: getattr(current, name) for name in WHO_WE_ARE})


def _new_preset(given: Mapping[str, Any], base: RelaySettings) -> Preset | None:
    """The preset whose facts come in now: one that was named, or the one of a known host."""
    if given.get("kind", base.kind) is not RelayKind.SMTP:
        return None
    if "preset" in given:
        named = given["preset"]
        return presets.get(named) if named and named != base.preset else None
    host = given.get("host", "")
    return presets.by_host(host) if host != base.host else None


def _preset_of(base: RelaySettings, host: str) -> str | None:
    """The same host keeps its preset; an unknown one has none."""
    return base.preset if host == base.host else None


def _facts(preset: Preset) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "host": preset.host,
        "port": preset.port,
        "tls": preset.tls,
        "mechanism": preset.mechanism,
        "messages_per_minute": preset.messages_per_minute,
        "auth": Auth.NONE if preset.login is Login.NOBODY else Auth.PASSWORD,
    }
    if preset.max_connections:
        facts["max_connections"] = preset.max_connections
    if preset.login is Login.FIXED:
        facts["username"] = preset.username
    return facts


def _transport(
    settled: RelaySettings, given: Mapping[str, Any], blank: frozenset[str], unknown: TlsMode
) -> dict[str, Any]:
    """Port and TLS mode, each from the other, unless both were given."""
    if "port" in given:
        return {} if "tls" in given else {"tls": _tls_for(settled, unknown)}
    if "tls" in blank:
        tls = TlsMode.IMPLICIT if "port" in blank else _tls_for(settled, unknown)
        settled = replace(settled, tls=tls)
    if "port" in blank or not agree(settled.port, settled.tls):
        settled = replace(settled, port=_port_for(settled))
    return {"port": settled.port, "tls": settled.tls}


def _tls_for(settled: RelaySettings, unknown: TlsMode) -> TlsMode:
    """The port's habit. An unknown port keeps the mode; a new relay tries STARTTLS there."""
    preset = presets.get(settled.preset)
    known = dict(preset.alternatives) if preset else {}
    return known.get(settled.port) or TLS_OF_PORT.get(settled.port, unknown)


def agree(port: int, tls: TlsMode) -> bool:
    """Whether a port can be spoken to in this mode. Only well-known ports can disagree."""
    habit = TLS_OF_PORT.get(port, tls)
    return habit is tls or (tls is TlsMode.NONE and habit is not TlsMode.IMPLICIT)


def _port_for(settled: RelaySettings) -> int:
    """The provider's own port for this mode, if it has one."""
    preset = presets.get(settled.preset)
    own = ((preset.port, preset.tls), *preset.alternatives) if preset else ()
    for port, tls in own:
        if tls is settled.tls:
            return port
    return PORT_OF_TLS[settled.tls]


def _auth(
    settled: RelaySettings, given: Mapping[str, Any], blank: frozenset[str], *, signs_in: bool
) -> Auth:
    """Somebody signs in as soon as a user name, a password or a client is given."""
    if says_oauth2(given) or (settled.auth is Auth.OAUTH2 and not signs_in and "auth" not in blank):
        return Auth.OAUTH2
    if signs_in or given.get("username"):
        return Auth.PASSWORD
    if "auth" in blank:
        return Auth.PASSWORD if settled.username else Auth.NONE
    return settled.auth


def _identity(settled: RelaySettings, given: Mapping[str, Any]) -> dict[str, Any]:
    """Auth none lets the user name go; a provider whose login is the address gets it."""
    if given.get("auth") is Auth.NONE:
        return {name: None for name in ("username", "mechanism") if name not in given}
    if "username" in given or settled.username or not _login_is_address(settled):
        return {}
    return {"username": str(settled.from_.address) if settled.from_ else None}


def _login_is_address(settled: RelaySettings) -> bool:
    preset = presets.get(settled.preset)
    by_address = preset is not None and preset.login is Login.ADDRESS
    return by_address and settled.auth is not Auth.NONE


def _without_proxy(given: Mapping[str, Any]) -> dict[str, Any]:
    """No proxy: what described it goes with it."""
    if "proxy_kind" in given and given["proxy_kind"] is None:
        return {name: None for name in _PROXY if name not in given}
    return {}
