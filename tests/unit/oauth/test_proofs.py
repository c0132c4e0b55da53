"""What we prove to an authorization server: that we began, and who we are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from pillarbox.base.errors import Unusable
from pillarbox.base.secret import Secret
from pillarbox.oauth.assertion import account_assertion, client_assertion, thumbprint
from pillarbox.oauth.client import Authentication, Client, Grant
from pillarbox.oauth.consents import challenge_of

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
RSA = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
CURVE = ec.generate_private_key(ec.SECP256R1())


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def certificate() -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pillarbox")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name)
    made = made.public_key(RSA.public_key()).serial_number(1)
    made = made.not_valid_before(NOW).not_valid_after(NOW + timedelta(days=30))
    return made.sign(RSA, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def client(**changes: object) -> Client:
    fields: dict[str, object] = {
        "provider": "custom",
        "grant": Grant.JWT_BEARER,
        "client_id": "robot@project.example",
        "token_url": "https://login.example/token",
        "authentication": Authentication.KEY,
        "signing_key": Secret(pem(RSA)),
        "scopes": "https://mail.google.com/",
        "subject": "app@example.org",
    }
    return Client(**{**fields, **changes})  # type: ignore[arg-type]  # of the right types


def test_the_challenge_is_that_of_the_rfc() -> None:
    """RFC 7636, Appendix B."""
    verifier = Secret("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
    assert challenge_of(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_a_service_account_names_its_mailbox() -> None:
    """RFC 7523 §3 with Google's scope: issuer, subject, audience, an hour."""
    key = RSAKey.import_key(pem(RSA))
    token = jwt.decode(account_assertion(client(key_id="k1"), NOW), key, algorithms=["RS256"])

    assert token.header == {"alg": "RS256", "typ": "JWT", "kid": "k1"}
    issued = int(NOW.timestamp())
    told = {name: token.claims[name] for name in ("iss", "sub", "aud", "scope", "iat", "exp")}
    assert told == {
        "iss": "robot@project.example",
        "sub": "app@example.org",
        "aud": "https://login.example/token",
        "scope": "https://mail.google.com/",
        "iat": issued,
        "exp": issued + 3600,
    }


def test_a_client_with_a_certificate_is_found_by_its_thumbprint() -> None:
    """As Microsoft has it: PS256, x5t#S256, five minutes; never the same twice."""
    own = certificate()
    asking = client(signing_certificate=own, client_id="app-1")
    first = client_assertion(asking, NOW)
    token = jwt.decode(first, RSAKey.import_key(pem(RSA)), algorithms=["PS256"])

    assert token.header == {"alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint(own)}
    assert (token.claims["iss"], token.claims["sub"]) == ("app-1", "app-1")
    assert token.claims["exp"] - token.claims["iat"] == 300
    assert first != client_assertion(asking, NOW)


def test_the_key_decides_the_algorithm() -> None:
    """An elliptic curve signs as ES256."""
    asking = client(signing_key=Secret(pem(CURVE)))
    token = jwt.decode(
        client_assertion(asking, NOW), ECKey.import_key(pem(CURVE)), algorithms=["ES256"]
    )
    assert token.header["alg"] == "ES256"


@pytest.mark.parametrize("key", [None, Secret("no key"), Secret(pem(RSA)[:200])])
def test_a_key_that_cannot_sign_says_what_to_do(key: Secret | None) -> None:
    """Never a traceback of a library."""
    with pytest.raises(Unusable, match="Enter it again"):
        account_assertion(client(signing_key=key), NOW)
