"""
What each secret of a relay is bound to: everything that decides who gets to see it.

Keyring.seal takes these octets as associated data. So a stored password cannot be opened
for another host, port, TLS mode, trust, user name or proxy, whichever door the change came
through: form, API, import or a hand in the database.
"""

from __future__ import annotations

import json

from pillarbox.relays.relay import RelaySettings, Slot

_VERSION = "pillarbox relay secret 1"

_SERVER = ("kind", "host", "port", "tls", "authorities", "pin", "server_name")
_PROXY = ("proxy_kind", "proxy_host", "proxy_port", "proxy_username")

_CLIENT = ("kind", "auth", "provider", "client_id", "tenant_id", "client_authentication")
_ADDRESSES = ("token_url", "device_url", "revocation_url")
# A refresh token is said to the provider, what it brings to the relay: both ways are bound.
_CONSENT = (
    *_SERVER,
    "username",
    *_PROXY,
    *_CLIENT[1:-1],
    *_ADDRESSES,
    "authorize_url",
    "issuer",
    "grant",
    "scopes",
    "subject",
)

BOUND_TO: dict[Slot, tuple[str, ...]] = {
    # A proxy is on the way of everything. It is bound although TLS keeps it from reading:
    # without TLS, which is allowed to this machine only, it would read the password.
    Slot.PASSWORD: (*_SERVER, "auth", "username", *_PROXY),
    # The proxy password is said to the proxy, before the relay is even named.
    Slot.PROXY_PASSWORD: ("kind", *_PROXY),
    # The key never travels. It fits one certificate, so a new certificate needs it again.
    Slot.CLIENT_KEY: (*_SERVER, "client_certificate", *_PROXY),
    # Said to the provider's addresses, as this client. The relay itself never hears it.
    Slot.CLIENT_SECRET: (*_CLIENT, *_ADDRESSES),
    # It never travels either; what it signs is for this client at this address.
    Slot.SIGNING_KEY: (*_CLIENT, *_ADDRESSES, "signing_certificate", "subject"),
}
"""
The settings in each binding, by attribute.

Not in it: minimum_tls (1.2 and 1.3 both keep the secret; raising it must not cost the
password), mechanism (the same server hears it under the same TLS; a person who follows
our advice to use LOGIN keeps the password) and what only describes manners.
"""


def destination(settings: RelaySettings, relay_id: str, slot: Slot) -> bytes:
    """
    The canonical octets: two destinations are equal exactly when these are.

    relay_id keeps a secret from being copied into another relay's row.
    """
    return _octets(settings, relay_id, slot.value, BOUND_TO[slot])


def with_reference(bound_to: bytes, reference: str | None) -> bytes:
    """The same octets; for a secret that is kept elsewhere, with the place where it is."""
    return bound_to if reference is None else bound_to + b"\x00" + reference.encode()


def consent_destination(settings: RelaySettings, relay_id: str) -> bytes:
    """The same for the tokens of a consent: provider, client, user, and the relay they are for."""
    return _octets(settings, relay_id, "consent", _CONSENT)


def _octets(settings: RelaySettings, relay_id: str, what: str, names: tuple[str, ...]) -> bytes:
    written = settings.to_json()
    bound = {name: written.get(name) for name in names}
    return json.dumps(
        [_VERSION, relay_id, what, bound], sort_keys=True, separators=(",", ":")
    ).encode("ascii")
