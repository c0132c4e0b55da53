"""What uploaded certificates are, in words, and why some of them are refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from pillarbox.base.errors import Invalid
from pillarbox.base.secret import Secret
from pillarbox.relays.certificates import describe, views
from pillarbox.relays.change import RelayChange, Replace
from pillarbox.relays.relay import Slot

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ROOT = trustme.CA(organization_name="Pillars")
BETWEEN = ROOT.create_child_ca()
ISSUED = BETWEEN.issue_cert("us.example.org", "192.0.2.7", not_after=NOW + timedelta(days=40))
CA_PEM = ROOT.cert_pem.bytes().decode()
OURS, *ABOVE = [each.bytes().decode() for each in ISSUED.cert_chain_pems]
CHAIN = OURS + "".join(ABOVE)
KEY = ISSUED.private_key_pem.bytes().decode()
OVER = ROOT.issue_cert(
    "us.example.org", not_before=NOW - timedelta(9), not_after=NOW - timedelta(2)
)
SERVER = {"host": "mail.example.org"}


def encrypted(pem: str, passphrase: str) -> str:
    key = serialization.load_pem_private_key(pem.encode(), None)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(passphrase.encode()),
    ).decode()


LOCKED = encrypted(KEY, "open sesame")


def faults(**typed: Any) -> dict[str, str]:
    change = RelayChange.read(SERVER | typed)
    return {str(each.field): str(each) for each in change.problems(now=NOW)}


def test_a_certificate_is_shown_as_people_ask_for_it() -> None:
    """Whose, by whom, for which names, until when, which key, which fingerprint."""
    ours, between = views(CHAIN)[:2]

    assert ours.names == ("us.example.org", "192.0.2.7")
    assert ours.issuer == between.subject
    assert (ours.days_left(NOW), ours.days_left(NOW + timedelta(days=41))) == (40, -1)
    assert ours.key == "EC secp256r1"
    assert (ours.is_authority, ours.is_self_signed) == (False, False)
    assert (between.is_authority, between.is_self_signed) == (True, False)
    (root,) = views(CA_PEM)
    assert (root.is_authority, root.is_self_signed) == (True, True)
    assert len(root.sha256) == 64
    assert root.sha256 in describe(CA_PEM)


@pytest.mark.parametrize(
    ("typed", "field", "words"),
    [
        ({"client_certificate": CHAIN}, "client_key", "enter the key that belongs"),
        ({"client_key": KEY}, "client_key", "needs its client_certificate"),
        ({"client_certificate": CHAIN, "client_key": LOCKED}, "client_key",
         "Give it as client_key_passphrase"),
        ({"client_certificate": CHAIN, "client_key": LOCKED, "client_key_passphrase": "wrong"},
         "client_key", "does not open this key"),
        ({"client_certificate": CHAIN, "client_key": KEY, "client_key_passphrase": "any"},
         "client_key", "Leave client_key_passphrase out"),
        ({"client_key_passphrase": "alone"}, "client_key_passphrase", "comes with its client_key"),
        ({"client_certificate": "".join(ABOVE) + OURS, "client_key": KEY}, "client_certificate",
         "Our own comes first"),
        ({"client_certificate": CA_PEM, "client_key": KEY},
         "client_key", "another certificate"),
        ({"authorities": OURS}, "authorities", "is no authority"),
        ({"authorities": CA_PEM + OURS}, "authorities", "with pin"),
        ({"authorities": KEY}, "authorities", "Enter certificates alone"),
        ({"client_certificate": OVER.cert_chain_pems[0].bytes().decode(),
          "client_key": OVER.private_key_pem.bytes().decode()}, "client_certificate", "ended on"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused_with_its_cure(
    typed: dict[str, Any], field: str, words: str
) -> None:
    """Before saving: afterwards somebody's mail would wait for it."""
    found = faults(**typed)
    assert set(found) == {field}
    assert words in found[field]


def test_an_authority_that_has_ended_believes_nothing() -> None:
    """Looked at with the clock of whoever saves, not when it is read back."""
    change = RelayChange.read(SERVER | {"authorities": CA_PEM})
    late = datetime(9000, 1, 1, tzinfo=UTC)

    assert [each.field for each in change.problems(now=late)] == ["authorities"]
    assert change.problems(now=NOW) == ()


def test_a_certificate_that_has_ended_does_not_stop_other_changes() -> None:
    """Only what comes with a change is looked at."""
    saved = RelayChange.read(SERVER | {"authorities": CA_PEM}).apply_to()
    change = RelayChange.read({"max_connections": 2})
    assert change.problems(saved, now=datetime(9000, 1, 1, tzinfo=UTC)) == ()


def test_a_passphrase_is_used_once() -> None:
    """The key is kept without it, sealed as every other secret."""
    change = RelayChange.read(
        SERVER
        | {"client_certificate": CHAIN, "client_key": LOCKED}
        | {"client_key_passphrase": "open sesame"}
    )

    assert change.problems(now=NOW) == ()
    kept = change.secrets[Slot.CLIENT_KEY]
    assert isinstance(kept, Replace)
    assert "passphrase" not in repr(change.values)
    assert kept.secret != Secret(LOCKED)


def test_a_damaged_certificate_is_named() -> None:
    with pytest.raises(Invalid, match="BEGIN CERTIFICATE"):
        views(CA_PEM.replace("MII", "QQQ"))
