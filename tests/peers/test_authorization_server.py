"""The authorization server the other tests rely on does what they rely on."""

from __future__ import annotations

import base64
import json
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from support.authorization_server import (
    APP_CLIENT,
    CLIENT,
    CLIENT_SECRET,
    DEVICE_CLIENT,
    MAILBOX,
    SCOPE,
    SERVICE_ACCOUNT,
    SIGNING_CLIENT,
    AuthorizationServer,
    Options,
    TokenCall,
    authorization_server,
)
from support.web_form import post_form

_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def refresh(server: AuthorizationServer, token: str) -> tuple[int, Any]:
    client = {"client_id": CLIENT, "client_secret": CLIENT_SECRET}
    form = {"grant_type": "refresh_token", "refresh_token": token}
    return post_form(server.token_url, client | form)


def signed(server: AuthorizationServer, claims: dict[str, Any]) -> str:
    """A JWT of now, by the key that the server knows (RFC 7519)."""
    now = int(time.time())
    times = {"iat": now, "exp": now + 60, "jti": str(now)}
    parts = [{"alg": "RS256", "typ": "JWT"}, claims | times]
    said = b".".join(_url_safe(json.dumps(part).encode()) for part in parts)
    key = serialization.load_pem_private_key(server.key_pem.read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return (said + b"." + _url_safe(key.sign(said, padding.PKCS1v15(), hashes.SHA256()))).decode()


def _url_safe(octets: bytes) -> bytes:
    return base64.urlsafe_b64encode(octets).rstrip(b"=")


def test_a_refresh_token_is_good_for_one_refresh(tmp_path: Path) -> None:
    """It rotates; one that is shown again ends all that came of the consent (RFC 9700 §4.14)."""
    with authorization_server(tmp_path) as server:
        first = server.issue()
        assert server.introspect(first.access_token)["mailbox"] == MAILBOX

        status, second = refresh(server, first.refresh_token)
        assert status == 200
        assert second["refresh_token"] != first.refresh_token
        assert server.introspect(second["access_token"])["active"] is True

        assert refresh(server, first.refresh_token)[1]["error"] == "invalid_grant"
        assert server.introspect(second["access_token"]) == {"active": False}
        assert refresh(server, second["refresh_token"])[0] == 400
        assert server.calls("refresh_token") == [
            TokenCall("refresh_token", CLIENT, 200, None),
            TokenCall("refresh_token", CLIENT, 400, "invalid_grant"),
            TokenCall("refresh_token", CLIENT, 400, "invalid_grant"),
        ]


def test_a_test_says_when_tokens_end(tmp_path: Path) -> None:
    """By their lifetime, at once, or with the whole consent of one account."""
    with authorization_server(tmp_path, Options(rotates=False)) as server:
        mine, other = server.issue(), server.issue("b@pillarbox.test")
        server.set_lifetimes(access=17)
        assert refresh(server, mine.refresh_token)[1]["expires_in"] == 17

        assert server.expire_access_tokens() == 3
        assert server.introspect(mine.access_token) == {"active": False}
        assert refresh(server, mine.refresh_token)[0] == 200

        server.revoke(MAILBOX)
        assert refresh(server, mine.refresh_token)[1]["error"] == "invalid_grant"
        assert refresh(server, other.refresh_token)[0] == 200


def test_a_program_signs_in_as_itself(tmp_path: Path) -> None:
    """With a secret, and with a signed assertion instead of one (RFC 7521 §4.2)."""
    with authorization_server(tmp_path) as server:
        form = {"grant_type": "client_credentials", "scope": SCOPE}
        by_secret = {"client_id": APP_CLIENT, "client_secret": CLIENT_SECRET}
        claims = {"iss": SIGNING_CLIENT, "sub": SIGNING_CLIENT, "aud": server.issuer}
        by_key = {
            "client_id": SIGNING_CLIENT,
            "client_assertion_type": _ASSERTION,
            "client_assertion": signed(server, claims),
        }
        for proof in (by_secret, by_key):
            status, answer = post_form(server.token_url, form | proof)
            assert (status, answer["scope"]) == (200, SCOPE), answer
            assert server.introspect(answer["access_token"])["mailbox"] == MAILBOX

        wrong = by_secret | {"client_secret": "known to nobody"}
        assert post_form(server.token_url, form | wrong)[1]["error"] == "invalid_client"


def test_a_service_account_opens_the_mailbox_it_names(tmp_path: Path) -> None:
    """As at Google: no client, only what it signed (RFC 7523 §2.1)."""
    with authorization_server(tmp_path) as server:
        url = server.assertion_url
        claims = {"iss": SERVICE_ACCOUNT, "sub": MAILBOX, "aud": url, "scope": SCOPE}

        status, answer = post_form(url, {"assertion": signed(server, claims)})
        assert status == 200, answer
        assert server.introspect(answer["access_token"])["mailbox"] == MAILBOX

        refused = post_form(url, {"assertion": signed(server, claims | {"iss": "someone@else"})})
        assert (refused[0], refused[1]["error"]) == (400, "invalid_grant")


def test_a_device_gets_a_code_to_show(tmp_path: Path) -> None:
    """RFC 8628: until somebody has typed the code, the answer is to wait."""
    with authorization_server(tmp_path) as server:
        client = {"client_id": DEVICE_CLIENT}
        status, begun = post_form(server.device_url, client | {"scope": f"openid {SCOPE}"})
        assert status == 200, begun
        assert begun["user_code"] in begun["verification_uri_complete"]

        form = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code"}
        asked = post_form(server.token_url, client | form | {"device_code": begun["device_code"]})
        assert asked == (400, {"error": "authorization_pending"} | asked[1])


def test_the_token_endpoint_misbehaves_as_told(tmp_path: Path) -> None:
    """Another answer, another type, no answer; and after that its own again."""
    with authorization_server(tmp_path, Options(rotates=False)) as server:
        token = server.issue().refresh_token
        server.answer_instead(503, "<h1>Down</h1>", headers={"Content-Type": "text/html"})
        assert refresh(server, token) == (503, "<h1>Down</h1>")

        server.hang()
        with pytest.raises(TimeoutError):
            urllib.request.urlopen(server.token_url, b"", timeout=0.2)

        server.delay(0.05)
        assert refresh(server, token)[0] == 200


def test_it_serves_over_tls_and_takes_a_secret_either_way(tmp_path: Path) -> None:
    """Its certificate is by its own authority; the secret comes in the form or by Basic."""
    with authorization_server(tmp_path, Options(tls=True, rotates=False)) as server:
        assert server.issuer.startswith("https://")
        form = {"grant_type": "refresh_token", "refresh_token": server.issue().refresh_token}
        login = {"client_id": CLIENT, "client_secret": CLIENT_SECRET}
        by_basic = server.token_url.replace("://", f"://{CLIENT}:{quote_plus(CLIENT_SECRET)}@")

        assert post_form(server.token_url, form | login, ca=server.ca_pem)[0] == 200
        assert post_form(by_basic, form, ca=server.ca_pem)[0] == 200
        with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
            post_form(by_basic, form)
