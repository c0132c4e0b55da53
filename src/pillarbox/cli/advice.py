"""What an id of the catalogue means, in sentences: see relays/replies.toml."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from pillarbox.relays.catalogue import entries

_COMMANDS = (
    (
        (
            "auth.credentials",
            "refused.sign-in",
            "*.wrong-password",
            "*.wrong-key",
            "*.wrong-credentials",
            "*.app-password",
            "*.sign-in",
        ),
        "--password-stdin",
    ),
    (
        ("auth.required", "refused.sign-in-needed", "*.not-signed-in", "*.authenticate-first"),
        "--username USER --password-stdin",
    ),
    (
        ("tls.untrusted", "tls.self-signed"),
        "--set authorities=@CA.pem, or to trust this one certificate: --set pin=SHA-256",
    ),
    (("tls.expired", "tls.pin"), "--set pin=SHA-256"),
    (("tls.implicit-on-starttls-port", "tls.not-tls"), "--tls starttls"),
    (("tls.starttls-on-implicit-port",), "--tls implicit"),
)
"""Ids of the catalogue, as patterns, and the options of `relay set` that help. First one wins."""

_CONSENT = (
    "token.account-off",
    "token.consent-needed",
    "token.grant-gone",
    "token.none",
    "token.not-connected",
    "token.password-changed",
    "token.scope-missing",
    "token.sign-in-policy",
    "token.unreadable",
    "token.unused-too-long",
)
"""What somebody mends who allows us again at the provider."""


_FLAGS = frozenset({"preset", "host", "port", "tls", "auth", "username", "from", "reply_to"})


@dataclass(frozen=True, slots=True)
class Advice:
    """Why it went wrong, and what to do."""

    cause: str
    fix: str


def advice_on(advice_id: str | None, where: Mapping[str, Any]) -> Advice | None:
    """The sentences of an entry, with the host, port and TLS mode that `where` knows."""
    if advice_id is None:
        return None
    known = defaultdict(lambda: "the server", {k: v for k, v in where.items() if v})
    for entry in entries():
        if entry["id"] == advice_id:
            return Advice(entry["cause"].format_map(known), entry["fix"].format_map(known))
    return None


def command_for(advice_id: str | None, relay: str | None) -> str | None:
    """What to type against it; None where a command alone does not help, or for typed settings."""
    if relay is None:
        return None
    if _is_any(advice_id or "", _CONSENT):
        return f"pillarbox relay connect {shlex.quote(relay)}"
    options = options_for(advice_id)
    return f"pillarbox relay set {shlex.quote(relay)} {options}" if options else None


def options_for(advice_id: str | None) -> str | None:
    """The same for settings that are typed and have no name yet: the options alone."""
    found = (options for ids, options in _COMMANDS if _is_any(advice_id or "", ids))
    return next(found, None)


def options_of(change: Mapping[str, Any]) -> str:
    """A proposed change as the options of `relay add`, `relay set` and `diagnose`."""
    return " ".join(_option(name, value) for name, value in change.items())


def _option(name: str, value: Any) -> str:
    text = "" if value is None else shlex.quote(str(value))
    flag = name.replace("_", "-")
    return f"--{flag} {text}" if name in _FLAGS else f"--set {shlex.quote(f'{name}=')}{text}"


def _is_any(advice_id: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(advice_id, each) for each in patterns)
