"""A stored secret goes to the destination it was stored for, or nowhere."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pillarbox.base.sealing import Key, Keyring, WrongBinding
from pillarbox.base.secret import Secret
from pillarbox.mail.mailbox import Mailbox
from pillarbox.relays.binding import destination
from pillarbox.relays.change import Clear, Keep, Replace
from pillarbox.relays.difference import dropped_secrets
from pillarbox.relays.relay import Auth, RelayKind, RelaySettings, Slot
from pillarbox.smtp.endpoint import Mechanism, ProxyKind, TlsMode

RING = Keyring([Key(b"k" * 32)])
RELAY = RelaySettings(
    host="mail.example.org",
    port=465,
    tls=TlsMode.IMPLICIT,
    auth=Auth.PASSWORD,
    username="app@example.org",
    proxy_kind=ProxyKind.HTTP,
    proxy_host="proxy.example.org",
    proxy_port=3128,
    proxy_username="us",
    client_certificate="certificate one",
)
SERVER: list[dict[str, Any]] = [
    {"host": "evil.example.net"},
    {"port": 587},
    {"tls": TlsMode.STARTTLS},
    {"tls": TlsMode.NONE},
    {"authorities": "another authority"},
    {"pin": "0" * 64},
    {"server_name": "evil.example.net"},
    {"kind": RelayKind.SANDBOX},
]
PROXY: list[dict[str, Any]] = [
    {"proxy_kind": None},
    {"proxy_kind": ProxyKind.SOCKS5},
    {"proxy_host": "evil.example.net"},
    {"proxy_port": 1080},
    {"proxy_username": "them"},
]
ACCOUNT: list[dict[str, Any]] = [{"auth": Auth.NONE}, {"username": "other@example.org"}]
MANNERS: list[dict[str, Any]] = [
    {"from_": Mailbox.parse("News <news@example.org>")},
    {"reply_to": Mailbox.parse("help@example.org")},
    {"headers": (("X-Mailer", "us"),)},
    {"ehlo_name": "us.example.org"},
    {"mechanism": Mechanism.LOGIN},
    {"minimum_tls": "1.3"},
    {"max_connections": 1},
    {"final_timeout_seconds": 60.0},
    {"preset": "gmail"},
]


def _opens(slot: Slot, change: dict[str, Any]) -> bool:
    sealed = RING.seal(Secret("s3cret"), destination(RELAY, "rly_1", slot))
    try:
        RING.open(sealed, destination(replace(RELAY, **change), "rly_1", slot))
    except WrongBinding:
        return False
    return True


@pytest.mark.parametrize("change", [*SERVER, *PROXY, *ACCOUNT], ids=str)
def test_the_password_does_not_open_for_another_destination(change: dict[str, Any]) -> None:
    """Host, port, TLS mode, trust, account and proxy decide who gets to see it."""
    assert not _opens(Slot.PASSWORD, change)


@pytest.mark.parametrize("change", [*PROXY, {"kind": RelayKind.PICKUP}], ids=str)
def test_the_proxy_password_does_not_open_for_another_proxy(change: dict[str, Any]) -> None:
    """It is said to the proxy alone, so the relay behind it may change."""
    assert not _opens(Slot.PROXY_PASSWORD, change)


@pytest.mark.parametrize("change", [*SERVER, *PROXY, {"client_certificate": "two"}], ids=str)
def test_the_client_key_does_not_open_for_another_server_or_certificate(
    change: dict[str, Any],
) -> None:
    """It fits one certificate and is shown to one server."""
    assert not _opens(Slot.CLIENT_KEY, change)


@pytest.mark.parametrize("slot", list(Slot))
@pytest.mark.parametrize("change", [*MANNERS, {}], ids=str)
def test_what_only_describes_manners_keeps_every_secret(slot: Slot, change: dict[str, Any]) -> None:
    """Nobody has to type a password again for a new sender or another pace."""
    assert _opens(slot, change)


def test_a_secret_fits_its_own_relay_and_slot_only() -> None:
    """Copied into another row or column of the database it does not open."""
    sealed = RING.seal(Secret("s3cret"), destination(RELAY, "rly_1", Slot.PASSWORD))
    for relay_id, slot in (("rly_2", Slot.PASSWORD), ("rly_1", Slot.CLIENT_KEY)):
        with pytest.raises(WrongBinding):
            RING.open(sealed, destination(RELAY, relay_id, slot))


def test_no_two_destinations_are_written_the_same() -> None:
    """Values cannot run into each other: the octets are JSON, not a joined string."""
    one = replace(RELAY, host="a", username="b:c")
    other = replace(RELAY, host="a:b", username="c")
    assert destination(one, "x", Slot.PASSWORD) != destination(other, "x", Slot.PASSWORD)


def test_the_octets_stay_what_they_are() -> None:
    """Changing them would lose every stored password, so a test holds them still."""
    plain = RelaySettings(host="m.example", auth=Auth.PASSWORD, username="u")
    assert destination(plain, "rly_1", Slot.PASSWORD) == (
        b'["pillarbox relay secret 1","rly_1","password",{"auth":"password","authorities":null,'
        b'"host":"m.example","kind":"smtp","pin":null,"port":465,"proxy_host":null,'
        b'"proxy_kind":null,"proxy_port":null,"proxy_username":null,"server_name":null,'
        b'"tls":"implicit","username":"u"}]'
    )


def test_a_dropped_secret_is_announced_unless_somebody_typed_it_again() -> None:
    """Before saving we can say which stored secrets the change costs."""
    moved = replace(RELAY, host="new.example.org")
    assert dropped_secrets(RELAY, moved, {}) == (Slot.PASSWORD, Slot.CLIENT_KEY)
    typed = {Slot.PASSWORD: Replace(Secret("new")), Slot.CLIENT_KEY: Clear()}
    assert dropped_secrets(RELAY, moved, typed) == ()
    assert dropped_secrets(RELAY, replace(RELAY, max_connections=1), {Slot.PASSWORD: Keep()}) == ()
