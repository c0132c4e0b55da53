"""Certificates over HTTP: shown in words before and after they are saved."""

from __future__ import annotations

import pytest
import trustme

from support.desk import Counter

ROOT = trustme.CA(organization_name="Pillars")
ISSUED = ROOT.issue_cert("us.example.org")
CA_PEM = ROOT.cert_pem.bytes().decode()
OURS = ISSUED.cert_chain_pems[0].bytes().decode()
KEY = ISSUED.private_key_pem.bytes().decode()
FILES = {"authorities": CA_PEM, "client_certificate": OURS, "client_key": KEY}


@pytest.mark.parametrize("is_saved", [False, True])
async def test_certificates_are_shown(counter: Counter, is_saved: bool) -> None:
    """The same words for typed and for saved ones, and never the key."""
    if is_saved:
        relay = {"name": "office", "host": "mail.example.org"} | FILES
        added = await counter.ask("POST", "/v1/relays", relay)
        assert added.status_code == 201, added.text
        got = await counter.ask("GET", "/v1/relays/office/certificates")
    else:
        got = await counter.ask("POST", "/v1/relays/certificates", FILES)

    told = got.json()
    assert got.status_code == 200, got.text
    (authority,) = told["authorities"]
    (ours,) = told["client_certificate"]
    assert "O=Pillars" in authority["subject"]
    assert (authority["is_authority"], authority["is_self_signed"]) == (True, True)
    assert (ours["names"], ours["key"]) == (["us.example.org"], "EC secp256r1")
    assert ours["days_left"] > 0
    assert told["key_matches"] is True
    assert "PRIVATE" not in got.text


async def test_what_could_not_be_saved_is_refused(counter: Counter) -> None:
    """With the field and the cure, as saving would."""
    other = ROOT.issue_cert("other.example.org").private_key_pem.bytes().decode()

    got = await counter.ask("POST", "/v1/relays/certificates", FILES | {"client_key": other})
    strange = await counter.ask("POST", "/v1/relays/certificates", {"host": "x"})

    assert [each["pointer"] for each in got.json()["errors"]] == ["/client_key"]
    assert [each["pointer"] for each in strange.json()["errors"]] == ["/host"]


async def test_a_relay_without_certificates(counter: Counter) -> None:
    got = await counter.ask("GET", "/v1/relays/sandbox/certificates")
    assert got.json() == {"authorities": [], "client_certificate": [], "key_matches": None}
