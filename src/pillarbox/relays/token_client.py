"""From a relay's settings to what asking for its tokens takes. The only place that knows both."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network

from pillarbox.base.dial import Policy
from pillarbox.base.errors import Unusable
from pillarbox.oauth.client import Client, Grant
from pillarbox.oauth.grants import Use
from pillarbox.relays.binding import consent_destination
from pillarbox.relays.relay import RelaySettings, Secrets
from pillarbox.relays.token_fields import authentication_of, issuer_of, provider_of

SYSTEM = Policy(allow_private=True)
"""A relay of the system may ask a server in its own network; link-local ones never."""


def tenants(networks: Sequence[IPv4Network | IPv6Network]) -> Policy:
    """A tenant's relay reaches public addresses, and what the operator allows."""
    return Policy(allow_private=False, networks=tuple(networks))


def client_of(settings: RelaySettings, secrets: Secrets, policy: Policy = SYSTEM) -> Client:
    """Raises Unusable when the settings are not those of a relay with tokens."""
    provider, grant = provider_of(settings), settings.grant
    token_url = settings.token_url or provider.token_url
    if grant is None or settings.client_id is None or token_url is None:
        raise Unusable("this relay does not say where its tokens come from. Set provider and grant")

    def at(url: str | None) -> str | None:
        return url and url.replace("{tenant}", settings.tenant_id or "")

    usual = provider.app_scopes if grant is Grant.CLIENT_CREDENTIALS else provider.scopes
    return Client(
        provider=provider.id,
        grant=grant,
        client_id=settings.client_id,
        token_url=at(token_url) or "",
        authentication=authentication_of(settings),
        client_secret=secrets.client_secret,
        signing_key=secrets.signing_key,
        signing_certificate=settings.signing_certificate,
        key_id=settings.key_id,
        authorize_url=at(settings.authorize_url or provider.authorize_url),
        device_url=at(settings.device_url or provider.device_url),
        revocation_url=at(settings.revocation_url or provider.revocation_url),
        issuer=issuer_of(settings),
        scopes=settings.scopes or usual or "",
        parameters=settings.authorize_parameters or tuple(provider.parameters.items()),
        subject=settings.subject or settings.username,
        login_hint=settings.username,
        unused_days=provider.unused_days,
        policy=policy,
    )


def use_of(settings: RelaySettings, relay_id: str) -> Use:
    """Which tokens these settings may use: others cannot be opened with it."""
    return Use(relay_id=relay_id, bound_to=consent_destination(settings, relay_id))
