"""What a person types about a relay: what becomes of it, and every fault by name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.base.errors import Rejected
from pillarbox.base.secret import Secret
from pillarbox.mail.mailbox import Mailbox
from pillarbox.relays.change import Clear, Keep, RelayChange, Replace
from pillarbox.relays.difference import Difference, difference
from pillarbox.relays.fields import READERS
from pillarbox.relays.relay import Auth, RelayKind, RelaySettings, Slot
from pillarbox.smtp.endpoint import Mechanism, ProxyKind, TlsMode

AUTHORITY = trustme.CA()
CA_PEM = AUTHORITY.cert_pem.bytes().decode()
CLIENT = AUTHORITY.issue_cert("us.example.org")
CERTIFICATE = CLIENT.cert_chain_pems[0].bytes().decode()
KEY = CLIENT.private_key_pem.bytes().decode()
OTHER_KEY = AUTHORITY.issue_cert("other.example.org").private_key_pem.bytes().decode()

ACCOUNT = {"host": "mail.example.org", "username": "app", "password": "s3cret"}
SAVED = RelayChange.read(ACCOUNT).apply_to()


def _made(typed: Mapping[str, object], current: RelaySettings | None = None) -> RelaySettings:
    return RelayChange.read(typed).apply_to(current)


def _faults(typed: Mapping[str, object], current: RelaySettings | None = None) -> dict[str, str]:
    problems = RelayChange.read(typed).problems(current, stored={Slot.PASSWORD} if current else ())
    return {str(problem.field): str(problem) for problem in problems}


# -- what follows from what was typed


@pytest.mark.parametrize(
    ("typed", "port", "tls"),
    [
        ({}, 465, "implicit"),  # RFC 8314 §3.3 prefers it
        ({"port": 465}, 465, "implicit"),
        ({"port": 587}, 587, "starttls"),
        ({"port": "587"}, 587, "starttls"),
        ({"port": 25}, 25, "starttls"),
        ({"port": 2525}, 2525, "starttls"),
        ({"port": 10025}, 10025, "starttls"),
        ({"tls": "implicit"}, 465, "implicit"),
        ({"tls": "STARTTLS"}, 587, "starttls"),
        ({"port": None, "tls": "starttls"}, 587, "starttls"),
        ({"port": "", "tls": ""}, 465, "implicit"),
        ({"port": 587, "tls": None}, 587, "starttls"),
        ({"port": 4650, "tls": "implicit"}, 4650, "implicit"),
    ],
)
def test_port_and_tls_mode_come_from_each_other(
    typed: dict[str, object], port: int, tls: str
) -> None:
    """Whichever is typed decides; null and nothing mean “you choose”."""
    made = _made(ACCOUNT | typed)
    assert (made.port, made.tls.value) == (port, tls)


@pytest.mark.parametrize(
    ("typed", "port", "tls"),
    [
        ({"port": 587}, 587, "starttls"),
        ({"tls": "starttls"}, 587, "starttls"),
        ({"port": 4650}, 4650, "implicit"),
        ({"max_connections": 2}, 465, "implicit"),
    ],
)
def test_a_patch_moves_port_and_mode_together(
    typed: dict[str, object], port: int, tls: str
) -> None:
    """What was not typed stays, unless it cannot be true any more."""
    made = _made(typed, SAVED)
    assert (made.port, made.tls.value) == (port, tls)
    assert (made.host, made.username) == (SAVED.host, SAVED.username)


def test_a_server_on_this_machine_may_go_without_tls() -> None:
    """With a password too: it does not leave the machine."""
    made = _made(ACCOUNT | {"host": "localhost", "tls": "none"})
    assert (made.port, made.tls) == (25, TlsMode.NONE)
    assert _faults(ACCOUNT | {"host": "127.0.0.1", "port": 1025, "tls": "none"}) == {}


def test_a_known_host_brings_what_its_provider_needs() -> None:
    """Typing smtp.office365.com is as good as choosing the preset."""
    made = _made(ACCOUNT | {"host": "SMTP.Office365.com."})
    assert (made.preset, made.port, made.max_connections) == ("microsoft-365", 587, 3)


def test_a_preset_fills_in_and_what_is_typed_wins() -> None:
    """Choosing a preset later replaces the server and keeps the sender."""
    saved = _made(ACCOUNT | {"from": "App <app@example.org>"})
    made = _made({"preset": "SendGrid", "port": 2525}, saved)
    assert (made.host, made.port, made.tls) == ("smtp.sendgrid.net", 2525, TlsMode.STARTTLS)
    assert made.username == "apikey"
    assert made.from_ == saved.from_


def test_leaving_a_preset_keeps_every_field() -> None:
    """“Custom” is not a reset."""
    saved = _made({"preset": "gmail", "username": "a@gmail.com", "password": "s3cret"})
    assert difference(saved, _made({"preset": None}, saved)) == (
        Difference("preset", "gmail", None),
    )


def test_another_host_is_another_provider() -> None:
    """The preset does not stick to a host that is not its own."""
    saved = _made({"preset": "gmail", "username": "a@gmail.com", "password": "s3cret"})
    assert _made({"host": "mail.example.org"}, saved).preset is None


def test_the_sender_is_the_login_where_the_provider_wants_an_address() -> None:
    """One field less to type, and never where the login is something else."""
    gmail = {"preset": "gmail", "password": "s3cret", "from": "Ann <ann@gmail.com>"}
    assert _made(gmail).username == "ann@gmail.com"
    assert "username" in _faults({**gmail, "preset": "brevo"})


def test_signing_in_follows_from_a_user_name_or_a_password() -> None:
    """A relay without either asks nobody; an empty user name is none."""
    assert _made({"host": "h.example"}).auth is Auth.NONE
    assert _made({"host": "h.example", "username": "", "auth": ""}).auth is Auth.NONE
    assert _made(ACCOUNT).auth is Auth.PASSWORD
    assert _made({"username": "app", "password": "x"}, _made({"host": "h.example"})).auth is (
        Auth.PASSWORD
    )


def test_auth_none_lets_the_user_name_go() -> None:
    """One change, not three."""
    made = _made({"auth": "none"}, _made(ACCOUNT | {"mechanism": "login"}))
    assert (made.username, made.mechanism) == (None, None)


def test_no_proxy_lets_its_fields_go() -> None:
    """Clearing the kind is enough."""
    proxied = _made(
        ACCOUNT | {"proxy_kind": "socks5", "proxy_host": "p.example", "proxy_port": "1080"}
    )
    assert proxied.proxy_kind is ProxyKind.SOCKS5
    assert _made({"proxy_kind": None}, proxied) == _made(ACCOUNT)


def test_another_kind_keeps_who_we_are_and_forgets_where_we_went() -> None:
    """Sandbox for a while: the sender stays, host and account do not."""
    saved = _made(ACCOUNT | {"from": "App <app@example.org>"})
    assert _made({"kind": "sandbox"}, saved) == RelaySettings(
        kind=RelayKind.SANDBOX, from_=saved.from_
    )


def test_null_goes_back_to_the_default() -> None:
    """Also for numbers, which an empty form field sends as nothing."""
    saved = _made(ACCOUNT | {"max_connections": 2, "connect_timeout_seconds": "5", "pin": "a" * 64})
    made = _made({"max_connections": None, "connect_timeout_seconds": " ", "pin": ""}, saved)
    assert made == SAVED


# -- how values are read


@pytest.mark.parametrize(
    ("field", "typed", "read"),
    [
        ("host", " Mail.Example.ORG. ", "mail.example.org"),
        ("host", "bücher.example", "xn--bcher-kva.example"),
        ("host", "192.0.2.1", "192.0.2.1"),
        ("host", "[2001:DB8::1]", "2001:db8::1"),
        ("host", "mail_server", "mail_server"),
        ("pin", "SHA256:" + ":".join(["AB"] * 32), "ab" * 32),
        ("minimum_tls", "TLSv1.3", "1.3"),
        ("minimum_tls", 1.3, "1.3"),
        ("ehlo_name", "Us.Example.ORG", "us.example.org"),
        ("ehlo_name", "[192.0.2.1]", "[192.0.2.1]"),
        ("ehlo_name", "[IPv6:2001:DB8::1]", "[IPv6:2001:db8::1]"),
        ("local_address", "2001:DB8::1", "2001:db8::1"),
        ("mechanism", "cram-md5", Mechanism.CRAM_MD5),
        ("reply_to", "Help <help@example.org>", Mailbox.parse("Help <help@example.org>")),
        ("headers", {"X-App": "one"}, (("X-App", "one"),)),
        ("messages_per_minute", "30", 30),
        ("final_timeout_seconds", 90.5, 90.5),
    ],
)
def test_a_value_is_read_as_meant(field: str, typed: object, read: object) -> None:
    """Spaces, case, brackets and other people's spellings do not matter."""
    assert getattr(_made({**ACCOUNT, field: typed}), field) == read


BAD: list[tuple[str, Any, str]] = [
    ("host", "smtp://mail.example.org", "without smtp://"),
    ("host", "mail.example.org:587", "is the port"),
    ("host", "app@example.org", "host alone"),
    ("host", "mail example.org", "neither a host name"),
    ("host", "mail..example.org", "neither a host name"),
    ("host", "127.1", "neither a host name"),
    ("host", "0x7f000001", "neither a host name"),
    ("host", "-mail.example.org", "neither a host name"),
    ("host", "mail\r\nQUIT", "line end"),
    ("host", 5, "a text, not a number"),
    ("port", 0, "between 1 and 65535"),
    ("port", 65536, "between 1 and 65535"),
    ("port", True, "between 1 and 65535"),
    ("port", 587.5, "between 1 and 65535"),
    ("port", "smtp", "between 1 and 65535"),
    ("tls", "ssl", "implicit"),
    ("tls", "TLS", "two things"),
    ("tls", "auto", "no “auto”"),
    ("tls", True, "starttls"),
    ("auth", "xoauth2", "called oauth2"),
    ("auth", "plain", "none, password, oauth2"),
    ("kind", "sendmail", "smtp, sandbox, pickup"),
    ("mechanism", "NTLM", "SCRAM-SHA-256"),
    ("mechanism", "XOAUTH2", "takes a token"),
    ("from", "nobody", "not an address"),
    ("reply_to", "a@b.example, c@d.example", "more than one"),
    ("headers", ["X-App"], "names and values"),
    ("headers", {"X-App": "1", "x-app": "2"}, "twice"),
    ("headers/Bcc", {"Bcc": "a@b.example"}, "cannot be set"),
    ("authorities", "not a certificate", "PEM"),
    ("authorities", KEY, "private key"),
    ("pin", "ab" * 20, "SHA-1"),
    ("pin", "xyz", "64 hexadecimal"),
    ("server_name", "a b", "neither a host name"),
    ("minimum_tls", "1.1", "RFC 8996"),
    ("minimum_tls", "1.4", "1.2 or 1.3"),
    ("ehlo_name", "bücher.example", "ASCII"),
    ("ehlo_name", "-us", "not a host name"),
    ("ehlo_name", "[example]", "in brackets"),
    ("local_address", "eth0", "not an IP address"),
    ("local_address", "224.0.0.1", "cannot be the address"),
    ("proxy_kind", "socks4", "http, socks5"),
    ("connect_timeout_seconds", 0, "between 1 and 300"),
    ("final_timeout_seconds", "ten", "number of seconds"),
    ("final_timeout_seconds", float("nan"), "number of seconds"),
    ("max_connections", 0, "between 1 and 100"),
    ("max_connections", "many", "whole number"),
    ("messages_per_minute", -1, "whole number"),
    ("connection_age_seconds", 1, "between 5 and 3600"),
    ("username", "app\nRCPT TO:<x>", "line end"),
    ("name", "x" * 101, "at most 100"),
    ("prot", 587, "Did you mean port?"),
    ("secure", True, "Did you mean tls?"),
    ("user", "app", "Did you mean username?"),
    ("password", "••••••••", "mask"),
    ("password", "********", "mask"),
    ("password", {"set": True}, "Leave the field out"),
    ("password", "", "null removes it"),
    ("password", "s3cret\n", "line end"),
    ("password", "s3cret\ud800", "control character"),
    ("client_key", "no key", "not a private key"),
    ("client_key", KEY, "needs its client_certificate"),
    ("proxy_password", "s3cret", "proxy_username"),
]


@pytest.mark.parametrize(("field", "typed", "words"), BAD)
def test_a_bad_value_is_named_with_its_cure(field: str, typed: Any, words: str) -> None:
    """Exactly one fault, on its own field, and nothing is applied."""
    change = {**ACCOUNT, field.partition("/")[0]: typed}
    faults = _faults(change)
    assert set(faults) == {field}
    assert words in faults[field]
    with pytest.raises(Rejected):
        RelayChange.read({**change, "port": 0}).apply_to()


CONTRADICTIONS: list[tuple[dict[str, object], str, str]] = [
    ({"port": 587, "tls": "implicit"}, "tls", "set tls to starttls, or use port 465"),
    ({"port": 25, "tls": "implicit"}, "tls", "set tls to starttls, or use port 465"),
    ({"port": 2525, "tls": "implicit"}, "tls", "set tls to starttls, or use port 465"),
    ({"port": 465, "tls": "starttls"}, "tls", "set tls to implicit, or use port 587"),
    ({"port": 25, "tls": "none"}, "tls", "in the clear"),
    ({"host": "127.0.0.1", "tls": "none", **dict.fromkeys(("proxy_host",), "p.example"),
      "proxy_kind": "http", "proxy_port": 3128}, "tls", "in the clear"),
    ({"username": None}, "username", "user name"),
    ({"password": None}, "password", "enter the password"),
    ({"auth": "none", "password": None}, "username", "auth none"),
    ({"auth": "none", "username": None}, "password", "auth none"),
    ({"pin": "a" * 64, "authorities": CA_PEM}, "pin", "not both"),
    ({"client_certificate": CERTIFICATE}, "client_key", "enter the key"),
    ({"client_certificate": CERTIFICATE, "client_key": OTHER_KEY}, "client_key", "another cert"),
    ({"directory": "/var/spool/pickup"}, "directory", "only a pickup relay"),
    ({"host": None}, "host", "choose a preset"),
    ({"proxy_kind": "http", "proxy_port": 3128}, "proxy_host", "proxy's host"),
    ({"proxy_kind": "http", "proxy_host": "p.example"}, "proxy_port", "proxy's port"),
    ({"proxy_host": "p.example"}, "proxy_kind", "http or socks5"),
]  # fmt: skip


@pytest.mark.parametrize(("typed", "field", "words"), CONTRADICTIONS)
def test_a_contradiction_is_refused_with_its_cure(
    typed: dict[str, object], field: str, words: str
) -> None:
    """Before saving, because afterwards somebody's mail would wait for it."""
    faults = _faults(ACCOUNT | typed)
    assert set(faults) == {field}
    assert words in faults[field]


@pytest.mark.parametrize("field", ["authorities", "pin", "server_name", "minimum_tls"])
def test_trust_without_tls_is_refused(field: str) -> None:
    """A certificate setting that nothing would look at promises too much."""
    values = {"authorities": CA_PEM, "pin": "a" * 64, "server_name": "h", "minimum_tls": "1.3"}
    faults = _faults({"host": "localhost", "tls": "none", field: values[field]})
    assert set(faults) == {field}


@pytest.mark.parametrize("kind", ["sandbox", "pickup"])
def test_other_kinds_take_no_server(kind: str) -> None:
    """Every field that has no meaning there is named."""
    directory = {"directory": "/var/spool/pickup"} if kind == "pickup" else {}
    faults = _faults({"kind": kind, "host": "h.example", "password": "x", **directory})
    assert set(faults) == {"host", "password"}
    assert _faults({"kind": kind, "from": "a@b.example", **directory}) == {}


def test_a_pickup_folder_is_absolute() -> None:
    """A path that depends on where the server was started is a way to lose mail."""
    assert "whole path" in _faults({"kind": "pickup", "directory": "mail"})["directory"]
    assert "folder" in _faults({"kind": "pickup"})["directory"]


def test_every_fault_is_told_at_once() -> None:
    """Not one after the other."""
    typed = {"host": "smtp://x", "port": 0, "tls": "ssl", "from": "x", "prot": 1, "password": "***"}
    assert set(_faults(typed)) == {"host", "port", "tls", "from", "prot", "password"}


# -- secrets


def test_secrets_are_kept_replaced_or_cleared() -> None:
    """Absent keeps, null clears, text replaces."""
    change = RelayChange.read({"password": "new", "proxy_password": None})
    assert change.secrets == {
        **dict.fromkeys(Slot, Keep()),
        Slot.PASSWORD: Replace(Secret("new")),
        Slot.PROXY_PASSWORD: Clear(),
    }


def test_a_stored_password_is_enough_and_a_cleared_one_is_not() -> None:
    """A patch need not repeat it; removing it without a word about auth is refused."""
    assert RelayChange.read({"max_connections": 1}).problems(SAVED, stored={Slot.PASSWORD}) == ()
    (problem,) = RelayChange.read({"password": None}).problems(SAVED, stored={Slot.PASSWORD})
    assert problem.field == "password"
    both = RelayChange.read({"password": None, "auth": "none"})
    assert both.problems(SAVED, stored={Slot.PASSWORD}) == ()


def test_an_import_may_bring_its_secrets_later() -> None:
    """Everything else is still checked."""
    change = RelayChange.read({"host": "h.example", "username": "app", "port": 0})
    fields = [problem.field for problem in change.problems(secrets_may_follow=True)]
    assert fields == ["port"]


def test_a_client_key_fits_its_certificate() -> None:
    """Compared by the public key, when both are typed."""
    typed = ACCOUNT | {"client_certificate": CERTIFICATE, "client_key": KEY}
    assert _faults(typed) == {}


def test_no_secret_shows_in_a_change() -> None:
    """Not in its repr, its problems or its difference."""
    typed = ACCOUNT | {
        "password": "canary-1",
        "client_key": "canary-2",
        "proxy_password": "canary-3",
    }
    change = RelayChange.read(typed)
    shown = repr(change) + repr(change.problems()) + "".join(map(str, change.problems()))
    assert "canary" not in shown


# -- what is shown before saving


def test_the_difference_names_every_field_in_json() -> None:
    """Before and after, certificates by name and fingerprint."""
    changed = _made({"port": 587, "from": "App <a@b.example>", "authorities": CA_PEM}, SAVED)
    shown = {each.field: (each.before, each.after) for each in difference(SAVED, changed)}
    assert shown["port"] == (465, 587)
    assert shown["tls"] == ("implicit", "starttls")
    assert shown["from"] == (None, "App <a@b.example>")
    before, after = shown["authorities"]
    assert before is None
    assert "SHA-256" in after
    assert "BEGIN" not in after


def test_settings_come_back_from_json_as_they_were() -> None:
    """Defaults are left out, but for where secrets go."""
    everything = _made(
        ACCOUNT
        | {
            "from": '"App, the" <app@example.org>',
            "reply_to": "help@example.org",
            "headers": {"X-App": "ä"},
            "mechanism": "PLAIN",
            "authorities": CA_PEM,
            "minimum_tls": "1.3",
            "proxy_kind": "http",
            "proxy_host": "p.example",
            "proxy_port": 3128,
            "messages_per_minute": 30,
            "final_timeout_seconds": 60,
        }
    )
    for settings in (everything, SAVED, RelaySettings(kind=RelayKind.SANDBOX)):
        assert RelaySettings.from_json(settings.to_json()) == settings
    assert set(SAVED.to_json()) == {"kind", "host", "port", "tls", "auth", "username"}
    assert RelaySettings(kind=RelayKind.SANDBOX).to_json() == {"kind": "sandbox"}


def test_what_json_shows_can_be_typed_again() -> None:
    """Reading a relay and sending it back changes nothing."""
    saved = _made(
        ACCOUNT | {"from": "App <app@example.org>", "headers": {"X-App": "1"}, "port": 587}
    )
    assert _made(saved.to_json(), saved) == saved


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["none", "implicit", "starttls", "465", "587", "gmail", "pickup", "::1"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=4,
)


@given(st.dictionaries(st.sampled_from([*READERS, *Slot, "name"]), _JSON, max_size=6))
def test_whatever_is_typed_is_a_relay_or_a_list_of_faults(typed: dict[str, object]) -> None:
    """Never a crash; and what has no fault is stored and read back unchanged."""
    change = RelayChange.read(typed)
    if change.problems(secrets_may_follow=True):
        return
    made = change.apply_to()
    assert RelaySettings.from_json(json.loads(json.dumps(made.to_json()))) == made
