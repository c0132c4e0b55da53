"""From settings and secrets to where a session goes."""

from __future__ import annotations

import pytest

from pillarbox.base.errors import Unusable
from pillarbox.base.secret import Secret
from pillarbox.relays.ehlo import ehlo_name_from
from pillarbox.relays.fields import read_ehlo_name
from pillarbox.relays.relay import (
    Auth,
    RelaySettings,
    Secrets,
    credentials,
    endpoint,
)
from pillarbox.smtp.endpoint import Deadlines, Endpoint, Proxy, ProxyKind, TlsMode, Trust


def test_an_endpoint_has_everything_but_the_account() -> None:
    """Each setting arrives where the session looks for it."""
    settings = RelaySettings(
        host="mail.example.org",
        port=587,
        tls=TlsMode.STARTTLS,
        pin="a" * 64,
        server_name="other.example.org",
        client_certificate="pem",
        proxy_kind=ProxyKind.HTTP,
        proxy_host="proxy.example.org",
        proxy_port=3128,
        proxy_username="us",
        local_address="192.0.2.7",
        connect_timeout_seconds=5,
        final_timeout_seconds=60,
    )
    key, password = Secret("key"), Secret("proxy")
    secrets = Secrets(client_key=key, proxy_password=password)

    assert endpoint(settings, secrets, ehlo_name="us.example.org") == Endpoint(
        host="mail.example.org",
        port=587,
        tls=TlsMode.STARTTLS,
        trust=Trust(
            pin="a" * 64,
            server_name="other.example.org",
            client_certificate="pem",
            client_key=key,
        ),
        proxy=Proxy(
            kind=ProxyKind.HTTP,
            host="proxy.example.org",
            port=3128,
            username="us",
            password=password,
        ),
        ehlo_name="us.example.org",
        local_address="192.0.2.7",
        deadlines=Deadlines(connect=5, final=60),
    )


def test_a_relays_own_ehlo_name_wins() -> None:
    """What was typed for the relay is said, not the default."""
    settings = RelaySettings(host="h.example", ehlo_name="own.example.org")
    assert endpoint(settings, Secrets(), ehlo_name="us.example.org").ehlo_name == "own.example.org"


def test_credentials_need_a_password() -> None:
    """Without one the session is not opened, rather than opened without signing in."""
    settings = RelaySettings(host="h.example", auth=Auth.PASSWORD, username="app")
    made = credentials(settings, Secrets(password=Secret("s3cret")))
    assert made is not None
    assert (made.username, made.secret) == ("app", Secret("s3cret"))
    with pytest.raises(Unusable):
        credentials(settings, Secrets())
    assert credentials(RelaySettings(host="h.example"), Secrets()) is None


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("Mail.Example.org", "mail.example.org"),
        ("bücher.example", "localhost"),
        ("under_score.example", "localhost"),
        ("192.0.2.1", "[192.0.2.1]"),
        ("[2001:db8::1]", "[IPv6:2001:db8::1]"),
        ("127.0.0.1", "localhost"),
        ("0.0.0.0", "localhost"),
        ("-a.example", "localhost"),
        ("", "localhost"),
        (None, "localhost"),
        ("a" * 254, "localhost"),
    ],
)
def test_the_name_we_introduce_ourselves_with_is_always_sayable(
    host: str | None, said: str
) -> None:
    """ASCII and RFC 5321 §4.1.1.1 whatever the base URL is."""
    assert ehlo_name_from(host) == said
    assert read_ehlo_name(said) == said


def test_settings_of_a_later_version_are_not_half_read() -> None:
    """Forgetting what we do not know would change where mail goes."""
    with pytest.raises(Unusable, match="quantum"):
        RelaySettings.from_json({"kind": "smtp", "quantum": True})
