"""What a person does at the authorization server leads where the other tests rely on."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

from playwright.async_api import Page

from support.authorization_server import (
    CLIENT,
    CLIENT_SECRET,
    DEVICE_CLIENT,
    MAILBOX,
    SCOPES,
    AuthorizationServer,
    Options,
    authorization_server,
)
from support.browser import allow, enter_code, person, refuse
from support.web_form import post_form

REDIRECT_URI = "http://127.0.0.1:1/callback"  # nobody listens there: the address says it all
VERIFIER = "v" * 43
SCOPE = " ".join(SCOPES)


@asynccontextmanager
async def asked(page: Page, server: AuthorizationServer) -> AsyncIterator[dict[str, str]]:
    """The question is on the page; after the block, what came to the redirect URI."""
    challenge = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest())
    question = {
        "client_id": CLIENT,
        "redirect_uri": REDIRECT_URI,
        "response_type": "code",
        "scope": SCOPE,
        "state": "s-1",
        "code_challenge": challenge.rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }
    came: dict[str, str] = {}
    await page.goto(f"{server.authorize_url}?{urlencode(question)}")
    async with page.expect_request(lambda request: request.url.startswith(REDIRECT_URI)) as back:
        yield came
    query = parse_qs(urlsplit((await back.value).url).query)
    came.update({name: values[0] for name, values in query.items()})


async def test_a_yes_becomes_tokens_of_the_account_that_signed_in(tmp_path: Path) -> None:
    """A code comes back with state and issuer (RFC 9207), good for one exchange by us (PKCE)."""
    options = Options(redirect_uris=(REDIRECT_URI,))
    with authorization_server(tmp_path, options) as server:
        async with person() as page, asked(page, server) as came:
            await allow(page, MAILBOX)
        assert (came["state"], came["iss"]) == ("s-1", server.issuer)

        exchange = {
            "grant_type": "authorization_code",
            "code": came["code"],
            "redirect_uri": REDIRECT_URI,
            "client_id": CLIENT,
            "client_secret": CLIENT_SECRET,
        }
        assert post_form(server.token_url, exchange | {"code_verifier": "w" * 43})[0] == 400
        status, tokens = post_form(server.token_url, exchange | {"code_verifier": VERIFIER})
        assert status == 200, tokens
        assert set(tokens["scope"].split()) == set(SCOPES) - {"offline_access"}
        assert tokens["refresh_token"]
        claims = json.loads(base64.urlsafe_b64decode(tokens["id_token"].split(".")[1] + "=="))
        assert claims["email"] == MAILBOX
        assert server.introspect(tokens["access_token"])["mailbox"] == MAILBOX
        again = post_form(server.token_url, exchange | {"code_verifier": VERIFIER})
        assert (again[0], again[1]["error"]) == (400, "invalid_grant")


async def test_a_no_comes_back_as_an_error(tmp_path: Path) -> None:
    """RFC 6749 §4.1.2.1."""
    options = Options(redirect_uris=(REDIRECT_URI,))
    with authorization_server(tmp_path, options) as server:
        async with person() as page, asked(page, server) as came:
            await refuse(page, MAILBOX)

    assert (came["error"], came["state"]) == ("access_denied", "s-1")


async def test_a_code_that_was_typed_lets_the_device_in(tmp_path: Path) -> None:
    """RFC 8628 §3.3: the person types it elsewhere, and the device gets its tokens."""
    with authorization_server(tmp_path) as server:
        client = {"client_id": DEVICE_CLIENT}
        begun = post_form(server.device_url, client | {"scope": SCOPE})[1]
        async with person() as page:
            await enter_code(page, begun["verification_uri"], begun["user_code"])
            await allow(page, MAILBOX)
            await page.get_by_text("Sign-in Success").wait_for()

        form = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code"}
        form |= {"device_code": begun["device_code"]}
        status, tokens = post_form(server.token_url, client | form)
        assert status == 200, tokens
        assert server.introspect(tokens["access_token"])["mailbox"] == MAILBOX
