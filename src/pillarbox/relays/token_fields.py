"""
What a relay says about its tokens (auth oauth2): how it is typed, what follows, what cannot be.

Secrets are in slots like every other secret. What is asked of the provider is made from these
by token_client.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import date
from typing import Any
from urllib.parse import urlsplit

from pillarbox.base.dial import is_loopback
from pillarbox.base.errors import Invalid
from pillarbox.oauth import providers
from pillarbox.oauth.client import Authentication, Grant
from pillarbox.oauth.providers import CUSTOM, Provider
from pillarbox.relays.relay import Auth, RelaySettings, Slot
from pillarbox.smtp.endpoint import Mechanism

TOKEN_FIELDS = (
    "provider",
    "grant",
    "client_id",
    "client_authentication",
    "client_secret_expires_on",
    "tenant_id",
    "authorize_url",
    "token_url",
    "device_url",
    "revocation_url",
    "issuer",
    "scopes",
    "authorize_parameters",
    "subject",
    "key_id",
    "signing_certificate",
)
"""Settings that only auth oauth2 has a use for."""

_SAY_OAUTH2 = ("provider", "grant", "client_id")
_URLS = ("authorize_url", "token_url", "device_url", "revocation_url", "issuer")
_MECHANISMS = (Mechanism.XOAUTH2, Mechanism.OAUTHBEARER)
_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}")
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")  # RFC 6749 §3.3
_PARAMETER = re.compile(r"[A-Za-z0-9_.-]{1,60}")
_OURS = frozenset(
    {"response_type", "client_id", "redirect_uri", "scope", "state", "code_challenge"}
    | {"code_challenge_method", "code", "client_secret"}
)
_EVERYBODYS_TENANTS = frozenset({"common", "organizations", "consumers"})
_LONGEST_URL = 2000  # characters


def read_provider(raw: object) -> str:
    word = str(raw).strip().casefold()
    found = providers.get(word) or providers.of_preset(word)
    if found is not None:
        return found.id
    known = ", ".join(each.id for each in providers.every())
    raise Invalid(
        f"“{raw}” is not one of: {known}. This is who gives the tokens; for a provider's server,"
        " say preset"
    )


def read_url(raw: object) -> str:
    """An address that secrets are sent to: https, or http to this machine."""
    text = str(raw).strip()
    parts = _split(text)
    if parts is None or not parts.hostname or parts.fragment or parts.username is not None:
        raise Invalid("this is an address such as https://login.example.org/token")
    if len(text) > _LONGEST_URL or not text.isascii() or re.search(r"[\s\x00-\x1f\x7f]", text):
        raise Invalid("this has characters that no address has, or is too long")
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname)):
        return text
    raise Invalid("a secret would cross the network in the clear: the address begins with https://")


def read_scopes(raw: object) -> str:
    words = str(raw).replace(",", " ").split()
    if not all(_SCOPE.fullmatch(each) for each in words):
        raise Invalid("scopes are words with spaces between them (RFC 6749 §3.3)")
    if len(words) > 20:
        raise Invalid("this is more than 20 scopes")
    return " ".join(dict.fromkeys(words))


def read_tenant(raw: object) -> str:
    text = str(raw).strip()
    if not _TENANT.fullmatch(text):
        raise Invalid("a tenant is the directory id (a UUID) or a domain of the organisation")
    return text.lower()


def read_parameters(raw: object) -> tuple[tuple[str, str], ...]:
    """Further parameters of the address that people sign in at, an object of names and values."""
    if not isinstance(raw, Mapping) or len(raw) > 20:
        raise Invalid("this is an object of up to 20 names and values")
    for name, value in raw.items():
        if not isinstance(name, str) or not _PARAMETER.fullmatch(name):
            raise Invalid(f"“{name}” cannot be the name of a parameter")
        if name in _OURS:
            raise Invalid(f"{name} is set by pillarbox. Leave it out")
        if not isinstance(value, str) or len(value) > 500 or not value.isprintable():
            raise Invalid(f"the parameter {name} needs a text of up to 500 characters")
    return tuple(raw.items())


def read_day(raw: object) -> str:
    """A day, as the provider shows it beside the secret; ISO 8601."""
    try:
        return date.fromisoformat(str(raw).strip()[:10]).isoformat()
    except ValueError:
        raise Invalid("this is a day such as 2027-05-31") from None


def follow(settled: RelaySettings, given: Mapping[str, Any]) -> dict[str, Any]:
    """What follows for the tokens: provider and grant are written down, and go with auth."""
    if settled.auth is not Auth.OAUTH2:
        unset = RelaySettings()
        return {name: getattr(unset, name) for name in TOKEN_FIELDS if name not in given}
    following: dict[str, Any] = {}
    provider = settled.provider
    if provider is None:
        known = providers.of_preset(settled.preset)
        provider = following["provider"] = known.id if known else CUSTOM
    if settled.grant is None:
        following["grant"] = Grant.AUTHORIZATION_CODE
    if "mechanism" not in given and settled.mechanism not in _MECHANISMS:
        following["mechanism"] = None  # the preset's is for passwords
    if "username" not in given and settled.username is None and settled.from_ is not None:
        following["username"] = str(settled.from_.address)
    return following


def says_oauth2(given: Mapping[str, Any]) -> bool:
    """Whether somebody who says this means to sign in with tokens."""
    return any(given.get(name) for name in _SAY_OAUTH2)


def authentication_of(settings: RelaySettings) -> Authentication:
    """As the relay says; else by its certificate; else as its provider has it."""
    if settings.client_authentication is not None:
        return settings.client_authentication
    if settings.grant is Grant.JWT_BEARER:
        return Authentication.NONE
    if settings.signing_certificate is not None:
        return Authentication.KEY
    return provider_of(settings).authentication


def provider_of(settings: RelaySettings) -> Provider:
    found = providers.get(settings.provider) or providers.get(CUSTOM)
    assert found is not None
    return found


def issuer_of(settings: RelaySettings) -> str | None:
    """Who answers, if one issuer does: for “common” and the like any organisation may."""
    issuer = settings.issuer or provider_of(settings).issuer
    if issuer is None or settings.tenant_id in _EVERYBODYS_TENANTS:
        return settings.issuer
    return issuer.format(tenant=settings.tenant_id)


def token_contradictions(settings: RelaySettings) -> Iterator[Invalid]:
    """What cannot be true together, but for missing secrets."""
    if settings.auth is not Auth.OAUTH2:
        unset = RelaySettings()
        for name in TOKEN_FIELDS:
            if getattr(settings, name) != getattr(unset, name):
                yield Invalid(
                    f"with auth {settings.auth.value} there is no use for {name}. Set auth to"
                    " oauth2, or leave it out",
                    field=name,
                )
        return
    yield from _names(settings)
    yield from _of_grant(settings)
    yield from _of_provider(settings)


def missing_token_secrets(settings: RelaySettings, held: Collection[Slot]) -> Iterator[Invalid]:
    """Secrets without which every question to the provider must fail."""
    if settings.auth is not Auth.OAUTH2:
        return
    way = authentication_of(settings)
    if way.needs_secret and Slot.CLIENT_SECRET not in held:
        yield Invalid(
            "enter the client secret, or set client_authentication to none for a client without",
            field="client_secret",
        )
    needs_key = way is Authentication.KEY or settings.grant is Grant.JWT_BEARER
    if needs_key and Slot.SIGNING_KEY not in held:
        yield Invalid("enter the private key that signs for this client", field="signing_key")


def why_no_token_secret(slot: Slot, settings: RelaySettings) -> str | None:
    """Why this client has no use for a secret that somebody typed."""
    if settings.auth is not Auth.OAUTH2:
        return f"only auth oauth2 has a {slot.value}. Set auth to oauth2, or leave it out"
    if slot is Slot.CLIENT_SECRET and not authentication_of(settings).needs_secret:
        return "this client does not prove itself with a secret. Leave it out"
    return None


def _names(settings: RelaySettings) -> Iterator[Invalid]:
    if settings.username is None:
        yield Invalid("enter the mailbox that mail is sent as", field="username")
    if settings.client_id is None:
        yield Invalid("enter the client id of the application at the provider", field="client_id")
    if settings.mechanism is not None and settings.mechanism not in _MECHANISMS:
        yield Invalid(
            f"{settings.mechanism.value} takes a password, not a token. Leave it out",
            field="mechanism",
        )


def _of_grant(settings: RelaySettings) -> Iterator[Invalid]:
    provider, grant = provider_of(settings), settings.grant
    if grant is not None and grant not in provider.grants:
        offered = ", ".join(each.value for each in provider.grants)
        yield Invalid(
            f"{provider.name} gives no tokens for mail by {grant.value}. Choose one of: {offered}",
            field="grant",
        )
    if settings.subject is not None and grant is not Grant.JWT_BEARER:
        yield Invalid("only the grant jwt_bearer acts for a subject. Leave it out", field="subject")
    way = authentication_of(settings)
    if grant is Grant.CLIENT_CREDENTIALS and way is Authentication.NONE:
        yield Invalid(
            "client_credentials needs a client that proves itself: a client_secret, or a"
            " signing_key with client_authentication private_key_jwt",
            field="client_authentication",
        )
    if settings.signing_certificate is not None and way is not Authentication.KEY:
        yield Invalid(
            f"with client_authentication {way.value} nothing is signed. Leave the certificate out,"
            " or set private_key_jwt",
            field="signing_certificate",
        )


def _of_provider(settings: RelaySettings) -> Iterator[Invalid]:
    provider = provider_of(settings)
    if provider.id != CUSTOM:
        for name in _URLS:
            if getattr(settings, name) is not None:
                yield Invalid(
                    f"{provider.name} has its own {name}. Leave it out, or set provider to custom",
                    field=name,
                )
    if provider.needs_tenant and settings.tenant_id is None:
        yield Invalid(
            "enter the directory (tenant) id that the application's overview shows",
            field="tenant_id",
        )
    if not provider.needs_tenant and settings.tenant_id is not None:
        yield Invalid(f"{provider.name} has no tenants. Leave it out", field="tenant_id")
    is_app_only = settings.grant is not None and settings.grant.is_app_only
    if is_app_only and settings.tenant_id in _EVERYBODYS_TENANTS:
        yield Invalid(
            "an application acts for one organisation: enter its directory id", field="tenant_id"
        )
    if provider.id == CUSTOM:
        yield from _of_custom(settings)


def _of_custom(settings: RelaySettings) -> Iterator[Invalid]:
    if settings.token_url is None:
        yield Invalid("enter the address that gives tokens", field="token_url")
    if settings.grant is Grant.AUTHORIZATION_CODE and settings.authorize_url is None:
        yield Invalid("enter the address that people sign in at", field="authorize_url")
    if settings.grant is Grant.DEVICE_CODE and settings.device_url is None:
        yield Invalid("enter the address that gives device codes", field="device_url")


def _split(text: str) -> Any:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return None
    return parts


TOKEN_READERS: dict[str, Callable[[Any], Any]] = {
    "provider": read_provider,
    "tenant_id": read_tenant,
    "scopes": read_scopes,
    "authorize_parameters": read_parameters,
    "client_secret_expires_on": read_day,
    **dict.fromkeys(_URLS, read_url),
}
"""Readers of their own; the rest are lines, choices and certificates: see fields.py."""
