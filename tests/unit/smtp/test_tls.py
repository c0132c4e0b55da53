"""Contexts from a Trust: what can be used, what cannot, and that none goes unverified."""

from __future__ import annotations

import ssl

import pytest
import trustme

from pillarbox.base.errors import Invalid
from pillarbox.base.secret import Secret
from pillarbox.smtp.endpoint import Trust
from pillarbox.smtp.tls import context_for


def _client(authority: trustme.CA) -> tuple[str, str]:
    issued = authority.issue_cert("client@example.test")
    chain = "".join(pem.bytes().decode() for pem in issued.cert_chain_pems)
    return chain, issued.private_key_pem.bytes().decode()


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_without_a_pin_chain_and_name_are_always_verified(version: str) -> None:
    """There is no "ignore errors"."""
    context = context_for(Trust(minimum_version=version))
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version is ssl.TLSVersion[f"TLSv{version.replace('.', '_')}"]


def test_a_context_is_made_once() -> None:
    """Loading the system's authorities takes milliseconds."""
    assert context_for(Trust(server_name="a.test")) is context_for(Trust(server_name="a.test"))


def test_a_client_certificate_needs_its_own_key() -> None:
    """The right key loads; another one is the caller's mistake, with its field."""
    certificate, key = _client(trustme.CA())
    other_key = _client(trustme.CA())[1]
    assert context_for(Trust(client_certificate=certificate, client_key=Secret(key)))
    with pytest.raises(Invalid) as caught:
        context_for(Trust(client_certificate=certificate, client_key=Secret(other_key)))
    assert caught.value.field == "client_certificate"


@pytest.mark.parametrize("pem", ["", "not a certificate", "-----BEGIN CERTIFICATE-----\nx\n"])
def test_text_that_is_no_certificate_is_refused(pem: str) -> None:
    """As the caller's mistake, never as trust in nobody or in everybody."""
    with pytest.raises(Invalid):
        context_for(Trust(authorities=pem))


def test_a_client_certificate_that_is_no_certificate_is_refused() -> None:
    """The same for what we show."""
    with pytest.raises(Invalid):
        context_for(Trust(client_certificate="x", client_key=Secret("y")))
