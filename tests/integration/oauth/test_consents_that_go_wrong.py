"""A consent is for whoever began it, for one relay as it was, once, within ten minutes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from pillarbox.base.secret import Secret
from pillarbox.journal import journal
from pillarbox.relays.upkeep import Upkeep
from pillarbox.relays.versions import Relay
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
from support.browser import allow, enter_code, person
from support.clocks import HandClock
from support.desk import Counter, client_of, open_counter

CALLBACK = "http://127.0.0.1:8425/oauth/callback"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthorizationServer]:
    folder = tmp_path_factory.mktemp("provider")
    with authorization_server(folder, Options(redirect_uris=(CALLBACK,))) as running:
        yield running


@pytest.fixture
async def counter(tmp_path: Path) -> AsyncIterator[Counter]:
    async with open_counter(tmp_path) as opened:
        yield opened


def clock_of(counter: Counter) -> HandClock:
    assert isinstance(counter.clock, HandClock)
    return counter.clock


def of(server: AuthorizationServer, **fields: Any) -> dict[str, Any]:
    return {
        "name": "mail",
        "host": "127.0.0.1",
        "port": 1,
        "tls": "none",
        "username": MAILBOX,
        "client_id": CLIENT,
        "client_secret": CLIENT_SECRET,
        "authorize_url": server.authorize_url,
        "token_url": server.token_url,
        "device_url": server.device_url,
        "scopes": " ".join(SCOPES),
        **fields,
    }


async def begun(counter: Counter, server: AuthorizationServer) -> str:
    """The state that was given out."""
    assert (await counter.ask("POST", "/v1/relays", of(server))).status_code == 201
    return await began_again(counter)


async def began_again(counter: Counter) -> str:
    told = (await counter.ask("POST", "/v1/relays/mail/consent")).json()
    return parse_qs(urlsplit(told["authorize_url"]).query)["state"][0]


async def back(counter: Counter, **answer: str) -> Any:
    async with client_of(counter.app, peer="203.0.113.5", host="mail.example.org") as anybody:
        return await anybody.get(f"/oauth/callback?{urlencode(answer)}")


async def state_of(counter: Counter) -> str:
    return str((await counter.ask("GET", "/v1/relays/mail/consent")).json()["state"])


async def test_a_state_that_was_never_given_out(
    counter: Counter, server: AuthorizationServer
) -> None:
    """Refused in words, without asking anybody; the one that waits goes on waiting."""
    await begun(counter, server)
    calls = len(server.calls())

    for answer in ({}, {"code": "c"}, {"state": "x" * 43, "code": "c"}, {"state": "", "code": "c"}):
        page = await back(counter, **answer)
        assert page.status_code == 400
        assert "Begin again" in page.text

    assert len(server.calls()) == calls
    assert await state_of(counter) == "waiting for consent"


async def test_ten_minutes_are_over(counter: Counter, server: AuthorizationServer) -> None:
    state = await begun(counter, server)
    clock_of(counter).move(minutes=10)

    page = await back(counter, state=state, code="c")

    assert "more than ten minutes ago" in page.text
    assert await state_of(counter) == "none"


async def test_a_failed_answer_spends_the_consent_too(
    counter: Counter, server: AuthorizationServer
) -> None:
    """The code is wrong, the provider says so, and the address is worth nothing any more."""
    state = await begun(counter, server)

    first = await back(counter, state=state, code="never-issued")
    second = await back(counter, state=state, code="never-issued")

    assert "invalid_grant" in first.text
    assert "finished before" in second.text
    assert len([call for call in server.calls("authorization_code") if call.error]) == 1


async def test_only_the_last_one_that_was_begun_counts(
    counter: Counter, server: AuthorizationServer
) -> None:
    older = await begun(counter, server)
    await began_again(counter)

    assert "another one was" in (await back(counter, state=older, code="c")).text


async def test_a_relay_that_was_changed_meanwhile(
    counter: Counter, server: AuthorizationServer
) -> None:
    """The person agreed to something else than what is there now."""
    state = await begun(counter, server)
    calls = len(server.calls())
    changed = await counter.ask("PATCH", "/v1/relays/mail", {"username": "b@pillarbox.test"})
    assert changed.status_code == 200, changed.text

    assert (await back(counter, state=state, code="c")).status_code == 400
    assert len(server.calls()) == calls


@pytest.mark.parametrize("iss", ["https://evil.example", "http://127.0.0.1:1", ""])
async def test_an_answer_of_another_issuer(
    counter: Counter, server: AuthorizationServer, iss: str
) -> None:
    """RFC 9207: a code of somebody else's is not sent to this one."""
    state = await begun(counter, server)
    calls = len(server.calls())

    page = await back(counter, state=state, code="c", iss=iss)

    assert "another authorization server" in page.text
    assert len(server.calls()) == calls


async def test_what_a_provider_says_is_shown_as_text(
    counter: Counter, server: AuthorizationServer
) -> None:
    """An error_description is somebody's words in an address, so it is never markup."""
    state = await begun(counter, server)
    words = "<script>alert(1)</script>"

    page = await back(counter, state=state, error="access_denied", error_description=words)

    assert "<script>" not in page.text
    assert "&lt;script&gt;" in page.text
    assert "script-src" not in page.headers["content-security-policy"]
    assert page.headers["referrer-policy"] == "no-referrer"


async def test_a_device_code_is_entered_elsewhere(
    counter: Counter, server: AuthorizationServer
) -> None:
    """RFC 8628: asked about no more often than agreed, until the person has decided."""
    relay = of(server, grant="device_code", client_id=DEVICE_CLIENT, client_authentication="none")
    del relay["client_secret"]
    assert (await counter.ask("POST", "/v1/relays", relay)).status_code == 201
    told = (await counter.ask("POST", "/v1/relays/mail/consent")).json()
    assert (told["state"], bool(told["user_code"])) == ("waiting for consent", True)
    upkeep = upkeep_of(counter)
    device = "urn:ietf:params:oauth:grant-type:device_code"

    await upkeep.ask_about_devices()
    assert server.calls(device) == []
    clock_of(counter).move(seconds=6)
    await upkeep.ask_about_devices()
    assert [call.error for call in server.calls(device)] == ["authorization_pending"]

    async with person() as page:
        await enter_code(page, told["verification_uri"], told["user_code"])
        await allow(page, MAILBOX)
        await page.get_by_text("Sign-in Success").wait_for()
    clock_of(counter).move(seconds=6)
    await upkeep.ask_about_devices()

    assert await state_of(counter) == "working"


async def test_a_device_sign_in_without_refresh_token_is_seen(
    counter: Counter, server: AuthorizationServer
) -> None:
    """Nobody waits for an answer there, so the status says what was missing."""
    relay = of(server, grant="device_code", client_id=DEVICE_CLIENT, client_authentication="none")
    del relay["client_secret"]
    assert (await counter.ask("POST", "/v1/relays", relay)).status_code == 201
    await counter.ask("POST", "/v1/relays/mail/consent")
    server.answer_instead(200, {"access_token": "a", "token_type": "Bearer", "expires_in": 3600})
    clock_of(counter).move(seconds=6)

    await upkeep_of(counter).ask_about_devices()

    told = (await counter.ask("GET", "/v1/relays/mail/consent")).json()
    assert (told["state"], told["advice"]) == ("broken", "token.no-refresh-token")


async def test_forgetting_when_the_client_secret_stays_shut(
    counter: Counter, server: AuthorizationServer
) -> None:
    """The tokens are dropped all the same; only the provider is not told."""
    assert (await counter.ask("POST", "/v1/relays", of(server, grant="refresh_token"))).is_success
    body = {"refresh_token": server.issue().refresh_token}
    assert (await counter.ask("POST", "/v1/relays/mail/consent", body)).is_success
    registry = counter.desk.registry
    relay = registry.get("mail")
    sealed = {slot: replace(each, octets=b"\x01" * 80) for slot, each in relay.sealed.items()}
    registry._known = {**registry._known, relay.id: replace(relay, sealed=sealed)}

    assert await counter.desk.connecting.forget("mail", "tests") is False
    assert await state_of(counter) == "none"


async def test_nothing_secret_is_told(counter: Counter, server: AuthorizationServer) -> None:
    """Not in the relay, the consent, its versions or the journal."""
    relay = of(server, grant="refresh_token")
    assert (await counter.ask("POST", "/v1/relays", relay)).status_code == 201
    issued = server.issue()
    await counter.ask("POST", "/v1/relays/mail/consent", {"refresh_token": issued.refresh_token})
    token = await counter.desk.diagnosis._ask(counter.desk.registry.get("mail"))(None)
    assert isinstance(token, Secret)
    secrets = (CLIENT_SECRET, issued.refresh_token, token.reveal())

    entries = await counter.desk.database.read(lambda c: journal.before(c, 10**9, limit=100))
    told = [str(entries)]
    for path in ("", "/consent", "/versions", "/versions/1"):
        told.append((await counter.ask("GET", f"/v1/relays/mail{path}")).text)
    told.append((await counter.ask("POST", "/v1/relays/mail/diagnose", {})).text)

    assert [secret for secret in secrets if any(secret in each for each in told)] == []


async def test_people_are_told_before_something_ends(
    counter: Counter, server: AuthorizationServer
) -> None:
    """A client secret thirty days before, once in three days; the state says it too."""
    relay = of(server, grant="refresh_token", client_secret_expires_on="2027-01-31")
    assert (await counter.ask("POST", "/v1/relays", relay)).status_code == 201
    token = server.issue().refresh_token
    await counter.ask("POST", "/v1/relays/mail/consent", {"refresh_token": token})
    upkeep = upkeep_of(counter)
    await upkeep.look_after()
    assert (await state_of(counter), await warnings(counter)) == ("working", 0)

    clock_of(counter).move(days=50)
    await upkeep.look_after()
    clock_of(counter).move(hours=2)  # the access token is renewed meanwhile
    await counter.desk.connecting._access.of(counter.desk.registry.get("mail"))
    await upkeep.look_after()

    assert (await state_of(counter), await warnings(counter)) == ("expires soon", 1)
    clock_of(counter).move(days=3)
    await upkeep.look_after()
    assert await warnings(counter) == 2


async def test_a_refresh_token_is_used_before_it_dies_of_disuse(
    counter: Counter, server: AuthorizationServer
) -> None:
    """Weekly, though nothing is sent."""
    assert (await counter.ask("POST", "/v1/relays", of(server, grant="refresh_token"))).is_success
    token = server.issue().refresh_token
    await counter.ask("POST", "/v1/relays/mail/consent", {"refresh_token": token})
    before = len(server.calls("refresh_token"))
    upkeep = upkeep_of(counter)

    await upkeep.look_after()
    assert len(server.calls("refresh_token")) == before
    clock_of(counter).move(days=8)
    await upkeep.look_after()
    await upkeep.look_after()

    assert len(server.calls("refresh_token")) == before + 1


def upkeep_of(counter: Counter) -> Upkeep:
    desk = counter.desk
    tokens = desk.connecting._access
    return Upkeep(desk.database, desk.registry, tokens, desk.connecting, counter.clock)


async def warnings(counter: Counter) -> int:
    entries = await counter.desk.database.read(lambda c: journal.before(c, 10**9, limit=1000))
    return len([each for each in entries if each.name == "relay.consent_expiring"])


async def test_one_relay_in_trouble_keeps_no_other_from_being_looked_after(
    counter: Counter, server: AuthorizationServer
) -> None:
    """A secret that stays shut is that relay's trouble alone."""
    token = server.issue
    for name in ("first", "second"):
        relay = of(server, grant="refresh_token", name=name)
        assert (await counter.ask("POST", "/v1/relays", relay)).is_success
        body = {"refresh_token": token().refresh_token}
        assert (await counter.ask("POST", f"/v1/relays/{name}/consent", body)).is_success
    registry = counter.desk.registry
    first = registry.get("first")
    sealed = {slot: replace(each, octets=b"\x01" * 80) for slot, each in first.sealed.items()}
    registry._known = {**registry._known, first.id: replace(first, sealed=sealed)}
    before = len(server.calls("refresh_token"))
    clock_of(counter).move(days=8)

    await upkeep_of(counter).look_after()

    assert len(server.calls("refresh_token")) == before + 1


async def test_a_defect_with_one_relay_keeps_no_other_from_being_looked_after(
    counter: Counter, server: AuthorizationServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it is that goes wrong."""
    for name in ("first", "second"):
        relay = of(server, grant="refresh_token", name=name)
        assert (await counter.ask("POST", "/v1/relays", relay)).is_success
        body = {"refresh_token": server.issue().refresh_token}
        assert (await counter.ask("POST", f"/v1/relays/{name}/consent", body)).is_success
    upkeep = upkeep_of(counter)
    tried: list[str] = []

    async def keep_alive(relay: Relay) -> None:
        tried.append(relay.name)
        raise ZeroDivisionError

    monkeypatch.setattr(upkeep._access, "keep_alive", keep_alive)
    clock_of(counter).move(days=8)

    await upkeep.look_after()

    assert sorted(tried) == ["first", "second"]
