"""A relay gets its tokens over HTTP from a real authorization server, and loses them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from pillarbox.base.clock import SystemClock
from support.authorization_server import (
    APP_CLIENT,
    CLIENT,
    CLIENT_SECRET,
    MAILBOX,
    SCOPES,
    SERVICE_ACCOUNT,
    SIGNING_CLIENT,
    AuthorizationServer,
    Options,
    authorization_server,
)
from support.browser import allow, person, refuse
from support.desk import Counter, client_of, open_counter
from support.token_relay import token_relay

CALLBACK = "http://127.0.0.1:8425/oauth/callback"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthorizationServer]:
    folder = tmp_path_factory.mktemp("provider")
    with authorization_server(folder, Options(redirect_uris=(CALLBACK,))) as running:
        yield running


@pytest.fixture
async def counter(tmp_path: Path) -> AsyncIterator[Counter]:
    async with open_counter(tmp_path, SystemClock()) as opened:
        yield opened


def of(server: AuthorizationServer, **fields: Any) -> dict[str, Any]:
    """A relay that gets its tokens there."""
    return {
        "name": "mail",
        "host": "127.0.0.1",
        "port": 1,
        "tls": "none",
        "auth": "oauth2",
        "username": MAILBOX,
        "client_id": CLIENT,
        "client_secret": CLIENT_SECRET,
        "authorize_url": server.authorize_url,
        "token_url": server.token_url,
        "scopes": " ".join(SCOPES),
        **fields,
    }


async def added(counter: Counter, relay: dict[str, Any]) -> dict[str, Any]:
    got = await counter.ask("POST", "/v1/relays", relay)
    assert got.status_code == 201, got.text
    return dict(got.json())


async def consent(counter: Counter) -> dict[str, Any]:
    return dict((await counter.ask("GET", "/v1/relays/mail/consent")).json())


async def answered(counter: Counter, url: str, *, says_yes: bool = True) -> Any:
    """A person opens the address and decides; then their browser comes back to us."""
    async with person() as page:
        await page.goto(url)
        async with page.expect_request(lambda request: request.url.startswith(CALLBACK)) as back:
            await (allow(page, MAILBOX) if says_yes else refuse(page, MAILBOX))
        return await came_back(counter, (await back.value).url)


async def came_back(counter: Counter, url: str) -> Any:
    parts = urlsplit(url)
    async with client_of(counter.app, peer="203.0.113.5", host="mail.example.org") as anybody:
        return await anybody.get(f"{parts.path}?{parts.query}")


async def test_a_consent_by_browser(counter: Counter, server: AuthorizationServer) -> None:
    """Begin, sign in, agree, come back without a key: working, and the address works once."""
    await added(counter, of(server))
    assert (await consent(counter))["state"] == "none"
    begun = (await counter.ask("POST", "/v1/relays/mail/consent")).json()
    asked = parse_qs(urlsplit(begun["authorize_url"]).query)
    assert begun["state"] == "waiting for consent"
    assert begun["redirect_uri"] == CALLBACK == asked["redirect_uri"][0]
    assert (asked["code_challenge_method"], len(asked["state"][0])) == (["S256"], 43)

    page = await answered(counter, begun["authorize_url"])

    assert page.status_code == 200, page.text
    assert "mail is connected" in page.text
    told = await consent(counter)
    assert (told["state"], told["authorize_url"]) == ("working", None)
    assert told["account"] == MAILBOX
    again = await came_back(counter, str(page.url))
    assert again.status_code == 400
    assert "finished before" in again.text


async def test_whoever_says_no_is_told_what_that_means(
    counter: Counter, server: AuthorizationServer
) -> None:
    """An error= callback is explained and changes nothing."""
    await added(counter, of(server))
    begun = (await counter.ask("POST", "/v1/relays/mail/consent")).json()

    page = await answered(counter, begun["authorize_url"], says_yes=False)

    assert page.status_code == 400
    assert "access_denied" in page.text
    assert (await consent(counter))["state"] == "none"


@pytest.mark.parametrize(
    "fields",
    [
        {"grant": "client_credentials", "client_id": APP_CLIENT},
        {
            "grant": "client_credentials",
            "client_id": SIGNING_CLIENT,
            "client_authentication": "private_key_jwt",
        },
        {"grant": "jwt_bearer", "client_id": SERVICE_ACCOUNT, "scopes": SCOPES[-1]},
    ],
    ids=["secret", "key", "service account"],
)
async def test_an_application_needs_nobody(
    counter: Counter, server: AuthorizationServer, fields: dict[str, Any]
) -> None:
    """Connected at once, by a secret or by what it signs."""
    relay = of(server, **{"scopes": SCOPES[-1], **fields})
    if fields["client_id"] != APP_CLIENT:
        del relay["client_secret"]
        relay["signing_key"] = server.key_pem.read_text()
    if fields["grant"] == "jwt_bearer":
        relay["token_url"] = server.assertion_url
    await added(counter, relay)

    got = await counter.ask("POST", "/v1/relays/mail/consent")

    assert got.status_code == 200, got.text
    assert got.json()["state"] == "working"


async def test_a_pasted_refresh_token(counter: Counter, server: AuthorizationServer) -> None:
    """It is tried, kept and never shown; one that is no good is refused with the reason."""
    await added(counter, of(server, grant="refresh_token"))
    path = "/v1/relays/mail/consent"
    assert (await counter.ask("POST", path)).status_code == 422
    wrong = await counter.ask("POST", path, {"refresh_token": "not-one-of-ours"})
    assert (wrong.status_code, wrong.json()["code"]) == (409, "no_token")
    token = server.issue().refresh_token

    got = await counter.ask("POST", path, {"refresh_token": token})

    assert got.json()["state"] == "working"
    assert token not in got.text


async def test_a_change_that_costs_the_consent_says_so_first(
    counter: Counter, server: AuthorizationServer
) -> None:
    """Refused with the field `consent`; with `consent: null` the tokens are gone."""
    await added(counter, of(server, grant="refresh_token"))
    token = server.issue().refresh_token
    await counter.ask("POST", "/v1/relays/mail/consent", {"refresh_token": token})
    change = {"username": "other@pillarbox.test"}

    refused = await counter.ask("PATCH", "/v1/relays/mail", change)
    assert refused.status_code == 422
    assert [each["pointer"] for each in refused.json()["errors"]] == ["/consent"]
    assert (await consent(counter))["state"] == "working"

    done = await counter.ask("PATCH", "/v1/relays/mail", change | {"consent": None})
    assert done.status_code == 200, done.text
    assert (await consent(counter))["state"] == "none"
    assert (await counter.ask("PATCH", "/v1/relays/mail", {"max_connections": 2})).is_success


async def test_forgetting_takes_the_consent_back(
    counter: Counter, server: AuthorizationServer
) -> None:
    """At the provider too, where it has an address for that."""
    revocation_url = f"{server.issuer}/token/revocation"
    await added(counter, of(server, grant="refresh_token", revocation_url=revocation_url))
    token = server.issue().refresh_token
    path = "/v1/relays/mail/consent"
    await counter.ask("POST", path, {"refresh_token": token})

    assert (await counter.ask("DELETE", path)).status_code == 204

    assert (await consent(counter))["state"] == "none"
    assert not server.introspect(token)["active"]


async def test_a_relay_tells_how_its_consent_does(
    counter: Counter, server: AuthorizationServer
) -> None:
    """Beside its settings, alone and in the list; a relay with a password says nothing."""
    await added(counter, of(server))

    [sandbox, mail] = sorted(
        (await counter.ask("GET", "/v1/relays")).json()["data"], key=lambda each: each["kind"]
    )
    assert "consent" not in sandbox
    assert mail["consent"] == {"state": "none", "account": None, "cause": None}
    alone = (await counter.ask("GET", "/v1/relays/mail")).json()
    assert alone["consent"] == mail["consent"]


async def test_taking_a_change_back_may_cost_the_consent_too(
    counter: Counter, server: AuthorizationServer
) -> None:
    """It is asked in the same words."""
    await added(counter, of(server, grant="refresh_token"))
    assert (await counter.ask("PATCH", "/v1/relays/mail", {"username": "b@x.test"})).is_success
    token = server.issue().refresh_token
    await counter.ask("POST", "/v1/relays/mail/consent", {"refresh_token": token})

    refused = await counter.ask("POST", "/v1/relays/mail/versions/2/undo", {})
    assert [each["pointer"] for each in refused.json()["errors"]] == ["/consent"]
    done = await counter.ask("POST", "/v1/relays/mail/versions/2/undo", {"consent": None})

    assert done.status_code == 200, done.text
    assert (await consent(counter))["state"] == "none"


async def test_a_diagnosis_has_a_step_for_the_token(
    counter: Counter, server: AuthorizationServer
) -> None:
    """Saved and not: what the provider says, why, and what to do; then nobody signs in."""
    app_only = {"grant": "client_credentials", "client_id": APP_CLIENT, "scopes": SCOPES[-1]}
    async with token_relay(server) as relay:
        typed = of(server, **app_only, port=relay.port)
        await added(counter, of(server, port=relay.port))
        not_connected = await steps(counter, "/v1/relays/mail/diagnose", {})
        wrong = await steps(counter, "/v1/relays/diagnose", typed | {"client_secret": "wrong"})
        good = await steps(counter, "/v1/relays/diagnose", typed)

    assert not_connected["token"]["advice_id"] == "token.not-connected"
    assert not_connected["auth"]["status"] == "skip"
    assert wrong["token"]["advice_id"] == "token.client-refused"
    assert "invalid_client" in wrong["token"]["evidence"]
    assert (good["token"]["status"], good["auth"]["status"]) == ("ok", "ok")
    assert relay.refused == []


async def test_a_diagnosis_renews_a_refused_token_as_delivery_does(
    counter: Counter, server: AuthorizationServer
) -> None:
    """And says that it did."""
    async with token_relay(server) as relay:
        await added(counter, of(server, grant="refresh_token", port=relay.port))
        token = server.issue().refresh_token
        await counter.ask("POST", "/v1/relays/mail/consent", {"refresh_token": token})
        server.expire_access_tokens()

        found = await steps(counter, "/v1/relays/mail/diagnose", {})

    assert (found["token"]["status"], found["auth"]["status"]) == ("ok", "ok")
    assert "renewed" in found["token"]["evidence"]
    assert len(relay.refused) == 1


async def steps(counter: Counter, path: str, body: dict[str, Any]) -> dict[str, dict[str, Any]]:
    got = await counter.ask("POST", path, body)
    assert got.status_code == 200, got.text
    return {each["stage"]: each for each in got.json()["steps"]}


async def test_providers_say_how_tokens_are_got(counter: Counter) -> None:
    """What a form needs to offer a consent."""
    [found] = (await counter.ask("GET", "/v1/providers?q=microsoft-365")).json()["data"]

    assert found["oauth2"]["provider"] == "microsoft"
    assert found["oauth2"]["needs_tenant"] is True
    assert "device_code" in found["oauth2"]["grants"]
