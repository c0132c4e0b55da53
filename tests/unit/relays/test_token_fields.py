"""What a relay may say about its tokens: what follows, what is refused, what is bound."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pillarbox.base.sealing import Key, Keyring, WrongBinding
from pillarbox.base.secret import Secret
from pillarbox.oauth import providers
from pillarbox.oauth.client import Authentication, Grant
from pillarbox.oauth.troubles import Fault, TokenRefusal
from pillarbox.relays import catalogue
from pillarbox.relays.binding import consent_destination, destination
from pillarbox.relays.change import RelayChange
from pillarbox.relays.consent_loss import loses_consent
from pillarbox.relays.relay import Auth, RelaySettings, Secrets, Slot
from pillarbox.relays.token_answers import classify_token
from pillarbox.relays.token_client import client_of
from pillarbox.smtp.endpoint import Mechanism, TlsMode

RING = Keyring([Key(b"k" * 32)])
CUSTOM: dict[str, Any] = {
    "name": "mail",
    "host": "mail.example.org",
    "username": "app@example.org",
    "client_id": "pillarbox",
    "client_secret": "s3cret-s3cret",
    "authorize_url": "https://login.example.org/auth",
    "token_url": "https://login.example.org/token",
}
MICROSOFT: dict[str, Any] = {
    "name": "mail",
    "preset": "microsoft-365",
    "from": "app@contoso.example",
    "client_id": "f00d",
    "tenant_id": "Contoso.Example",
    "client_secret": "s3cret-s3cret",
}
GOOGLE: dict[str, Any] = {
    "name": "mail",
    "preset": "gmail",
    "username": "ann@gmail.com",
    "client_id": "1.apps.googleusercontent.com",
    "client_secret": "s3cret-s3cret",
}


def settled(typed: dict[str, Any]) -> RelaySettings:
    change = RelayChange.read(typed)
    assert change.problems() == ()
    return change.apply_to()


def faults(typed: dict[str, Any]) -> dict[str, str]:
    return {str(each.field): str(each) for each in RelayChange.read(typed).problems()}


def test_a_client_id_at_a_known_provider_is_enough() -> None:
    """Provider, grant and user follow; the preset's mechanism is for passwords."""
    relay = settled(MICROSOFT | {"auth": "oauth2"})
    assert (relay.auth, relay.provider, relay.grant) == (
        Auth.OAUTH2,
        "microsoft",
        Grant.AUTHORIZATION_CODE,
    )
    assert (relay.username, relay.mechanism) == ("app@contoso.example", None)
    client = client_of(relay, Secrets(client_secret=Secret("s3cret")))
    assert client.token_url == (
        "https://login.microsoftonline.com/contoso.example/oauth2/v2.0/token"
    )
    assert client.scopes == "https://outlook.office.com/SMTP.Send offline_access"
    assert client.issuer == "https://login.microsoftonline.com/contoso.example/v2.0"
    assert client.authentication is Authentication.POST


def test_an_application_asks_for_its_own_scope() -> None:
    """Microsoft wants `.default`, and a certificate means a signed proof."""
    relay = settled(MICROSOFT | {"grant": "client_credentials"})
    client = client_of(relay, Secrets(client_secret=Secret("s")))
    assert client.scopes == "https://outlook.office365.com/.default"


def test_google_is_asked_for_offline_access() -> None:
    """Without these parameters the second consent brings no refresh token."""
    client = client_of(settled(GOOGLE), Secrets())
    assert dict(client.parameters) == {"access_type": "offline", "prompt": "consent"}
    assert client.scopes == "https://mail.google.com/"


def test_another_way_to_sign_in_lets_go_of_the_tokens() -> None:
    """“auth password” alone is enough."""
    before = settled(CUSTOM)
    change = RelayChange.read({"auth": "password", "password": "new"})
    after = change.apply_to(before)
    assert change.problems(before) == ()
    assert (after.auth, after.provider, after.client_id, after.token_url) == (
        Auth.PASSWORD,
        None,
        None,
        None,
    )
    assert loses_consent(before, after)


BAD: list[tuple[dict[str, Any], dict[str, Any], str, str]] = [
    (CUSTOM, {"token_url": "http://login.example.org/token"}, "token_url", "in the clear"),
    (CUSTOM, {"token_url": "login.example.org"}, "token_url", "such as https"),
    (CUSTOM, {"token_url": "https://a@b.example/"}, "token_url", "such as https"),
    (CUSTOM, {"token_url": "https://b.example/#x"}, "token_url", "such as https"),
    (CUSTOM, {"token_url": "https://b.example/\r\nx"}, "token_url", "no address has"),
    (CUSTOM, {"token_url": None}, "token_url", "gives tokens"),
    (CUSTOM, {"authorize_url": None}, "authorize_url", "sign in at"),
    (CUSTOM, {"grant": "device_code"}, "device_url", "device codes"),
    (CUSTOM, {"client_secret": None}, "client_secret", "client_authentication to none"),
    (CUSTOM, {"username": None, "auth": "oauth2"}, "username", "mailbox"),
    (CUSTOM, {"client_id": None, "auth": "oauth2"}, "client_id", "client id"),
    (CUSTOM, {"password": "x", "auth": "oauth2"}, "password", "nobody asks"),
    (CUSTOM, {"mechanism": "PLAIN"}, "mechanism", "takes a password"),
    (CUSTOM, {"tls": "none", "port": 25}, "tls", "the access token would cross"),
    (CUSTOM, {"tenant_id": "x.example"}, "tenant_id", "has no tenants"),
    (CUSTOM, {"scopes": 'a "b"'}, "scopes", "RFC 6749"),
    (CUSTOM, {"authorize_parameters": {"state": "x"}}, "authorize_parameters", "set by pillarbox"),
    (CUSTOM, {"authorize_parameters": "x"}, "authorize_parameters", "object"),
    (CUSTOM, {"client_secret_expires_on": "soon"}, "client_secret_expires_on", "2027-05-31"),
    (CUSTOM, {"subject": "a@b.example"}, "subject", "jwt_bearer"),
    (CUSTOM, {"grant": "password"}, "grant", "not one of"),
    (CUSTOM, {"grant": "jwt_bearer", "client_secret": None}, "signing_key", "private key"),
    (CUSTOM, {"consent": {"state": "working"}}, "consent", "Null drops"),
    (CUSTOM, {"provider": "sendgrid"}, "provider", "say preset"),
    (MICROSOFT, {"tenant_id": None}, "tenant_id", "directory (tenant) id"),
    (MICROSOFT, {"token_url": "https://evil.example/t"}, "token_url", "provider to custom"),
    (
        MICROSOFT,
        {"grant": "client_credentials", "tenant_id": "common"},
        "tenant_id",
        "one organisation",
    ),
    (GOOGLE, {"grant": "device_code"}, "grant", "no tokens for mail by device_code"),
    (GOOGLE, {"grant": "client_credentials"}, "grant", "Choose one of"),
]


@pytest.mark.parametrize(("base", "typed", "field", "words"), BAD)
def test_what_cannot_work_is_refused_with_its_cure(
    base: dict[str, Any], typed: dict[str, Any], field: str, words: str
) -> None:
    """One fault, on its own field."""
    found = faults(base | typed)
    assert list(found) == [field]
    assert words in found[field]


RELAY = settled(
    CUSTOM
    | {
        "device_url": "https://login.example.org/device",
        "revocation_url": "https://login.example.org/revoke",
        "issuer": "https://login.example.org",
    }
)
PROVIDER: list[dict[str, Any]] = [
    {"provider": "google"},
    {"client_id": "other"},
    {"tenant_id": "other.example"},
    {"token_url": "https://evil.example/token"},
    {"device_url": "https://evil.example/device"},
    {"revocation_url": "https://evil.example/revoke"},
    {"auth": Auth.PASSWORD},
]
SERVER: list[dict[str, Any]] = [
    {"host": "evil.example.net"},
    {"port": 587},
    {"tls": TlsMode.STARTTLS},
    {"authorities": "another authority"},
    {"pin": "0" * 64},
    {"server_name": "evil.example.net"},
    {"username": "other@example.org"},
    {"proxy_host": "evil.example.net"},
]
CONSENT: list[dict[str, Any]] = [
    {"authorize_url": "https://evil.example/auth"},
    {"issuer": "https://evil.example"},
    {"scopes": "everything"},
    {"grant": Grant.DEVICE_CODE},
    {"subject": "other@example.org"},
]
MANNERS: list[dict[str, Any]] = [
    {"mechanism": Mechanism.OAUTHBEARER},
    {"client_secret_expires_on": "2027-01-01"},
    {"max_connections": 1},
    {"minimum_tls": "1.3"},
]


def opens(bound_to: bytes, elsewhere: bytes) -> bool:
    sealed = RING.seal(Secret("s3cret"), bound_to)
    try:
        RING.open(sealed, elsewhere)
    except WrongBinding:
        return False
    return True


@pytest.mark.parametrize("change", PROVIDER, ids=str)
@pytest.mark.parametrize("slot", [Slot.CLIENT_SECRET, Slot.SIGNING_KEY])
def test_the_clients_secrets_open_for_no_other_token_url(
    slot: Slot, change: dict[str, Any]
) -> None:
    """Threats A1 to A3: whichever way the change came in."""
    other = replace(RELAY, **change)
    assert not opens(destination(RELAY, "rly_1", slot), destination(other, "rly_1", slot))


@pytest.mark.parametrize("change", [*PROVIDER, *SERVER, *CONSENT], ids=str)
def test_tokens_open_for_no_other_provider_user_or_server(change: dict[str, Any]) -> None:
    """Both places that hear one of them are bound, and the change says what it costs."""
    other = replace(RELAY, **change)
    assert not opens(consent_destination(RELAY, "rly_1"), consent_destination(other, "rly_1"))
    assert loses_consent(RELAY, other)


@pytest.mark.parametrize("change", MANNERS, ids=str)
def test_manners_cost_no_consent(change: dict[str, Any]) -> None:
    """Nobody signs in again for a limit."""
    assert not loses_consent(RELAY, replace(RELAY, **change))


def test_tokens_of_one_relay_open_for_no_other() -> None:
    """A row that is copied is worth nothing."""
    assert not opens(consent_destination(RELAY, "rly_1"), consent_destination(RELAY, "rly_2"))


@pytest.mark.parametrize("fault", Fault)
def test_each_fault_has_its_cause_and_cure(fault: Fault) -> None:
    """One entry of the catalogue for each."""
    assert classify_token(TokenRefusal(fault=fault)).fix
    assert len([each for each in catalogue.group("no_token") if each["fault"] == fault.value]) == 1


@pytest.mark.parametrize("provider", providers.every(), ids=lambda each: each.id)
def test_providers_are_asked_over_https(provider: providers.Provider) -> None:
    """And their facts fit together."""
    urls = (provider.authorize_url, provider.token_url, provider.device_url, provider.issuer)
    assert all(url.startswith("https://") for url in urls if url)
    assert (provider.device_url is None) or Grant.DEVICE_CODE in provider.grants
    assert provider.id == "custom" or provider.docs_url
