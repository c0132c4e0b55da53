"""The shapes of relays as the API shows them. OpenAPI is made of these."""

from __future__ import annotations

from typing import NotRequired

from typing_extensions import TypedDict


class RelayStatus(TypedDict):
    """
    How a relay stands. `advice` is an id of the catalogue of causes. `connections` is how many
    sessions it gets now: fewer than max_connections while it is slowed, none while it rests.
    """

    state: str
    connections: int
    cause: str | None
    fix: str | None
    advice: str | None
    since: str | None
    until: str | None
    checked_at: str | None


class SecretShown(TypedDict):
    """That a secret is stored, never which; reference says where it is when that is elsewhere."""

    set: bool
    updated_at: str | None
    reference: NotRequired[str]


class ConsentBrief(TypedDict):
    """How a relay's consent does; the whole story is at its `/consent`."""

    state: str
    account: str | None
    cause: str | None


RelayShown = TypedDict(
    "RelayShown",
    {
        "id": str,
        "name": str,
        "version": int,
        "default": bool,
        "kind": str,
        "status": RelayStatus,
        "inherits": str | None,
        "origins": dict[str, str],
        "changed_at": str,
        "preset": NotRequired[str | None],
        "host": NotRequired[str],
        "port": NotRequired[int],
        "tls": NotRequired[str],
        "auth": NotRequired[str],
        "username": NotRequired[str | None],
        "mechanism": NotRequired[str | None],
        "password": NotRequired[SecretShown],
        "proxy_password": NotRequired[SecretShown],
        "client_key": NotRequired[SecretShown],
        "client_secret": NotRequired[SecretShown],
        "signing_key": NotRequired[SecretShown],
        "consent": NotRequired[ConsentBrief],
        "provider": NotRequired[str | None],
        "grant": NotRequired[str | None],
        "client_id": NotRequired[str | None],
        "client_authentication": NotRequired[str | None],
        "client_secret_expires_on": NotRequired[str | None],
        "tenant_id": NotRequired[str | None],
        "authorize_url": NotRequired[str | None],
        "token_url": NotRequired[str | None],
        "device_url": NotRequired[str | None],
        "revocation_url": NotRequired[str | None],
        "issuer": NotRequired[str | None],
        "scopes": NotRequired[str | None],
        "authorize_parameters": NotRequired[dict[str, str]],
        "subject": NotRequired[str | None],
        "key_id": NotRequired[str | None],
        "signing_certificate": NotRequired[str | None],
        "from": str | None,
        "reply_to": str | None,
        "headers": dict[str, str],
        "reverse_path": str | None,
        "senders": list[str],
        "other_senders": str,
        "bcc": list[str],
        "recipients": list[str],
        "redirect_to": str | None,
        "max_octets": int | None,
        "authorities": NotRequired[str | None],
        "pin": NotRequired[str | None],
        "server_name": NotRequired[str | None],
        "minimum_tls": NotRequired[str],
        "client_certificate": NotRequired[str | None],
        "ehlo_name": NotRequired[str | None],
        "local_address": NotRequired[str | None],
        "proxy_kind": NotRequired[str | None],
        "proxy_host": NotRequired[str | None],
        "proxy_port": NotRequired[int | None],
        "proxy_username": NotRequired[str | None],
        "connect_timeout_seconds": NotRequired[float],
        "greeting_timeout_seconds": NotRequired[float],
        "command_timeout_seconds": NotRequired[float],
        "final_timeout_seconds": NotRequired[float],
        "max_connections": NotRequired[int],
        "messages_per_minute": NotRequired[int | None],
        "messages_per_connection": NotRequired[int],
        "connection_age_seconds": NotRequired[int],
        "directory": NotRequired[str | None],
    },
)
