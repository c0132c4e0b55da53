"""From a person's yes at the provider to mail that went out, and back when it is withdrawn."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from support.authorization_server import (
    APP_CLIENT,
    CLIENT_SECRET,
    DEVICE_CLIENT,
    MAILBOX,
    SIGNING_CLIENT,
)
from support.browser import allow, enter_code, person
from support.oauth_world import RELAY, oauth_world
from support.postgres import shared_postgres
from support.waiting import until

EIGHT = tuple(f"ann-{number}@b.example" for number in range(8))
FORTY = tuple(f"bob-{number}@b.example" for number in range(40))


async def test_from_consent_to_mail_and_back_after_it_was_revoked(tmp_path: Path) -> None:
    """
    The whole chain. A person allows it in a browser, mail goes out with the token. The token
    ends while eight sessions want it: it is refreshed once. The consent is taken back: the
    relay is suspended and mail waits. The person connects again, and it goes out.
    """
    with oauth_world(tmp_path) as world:
        world.add_relay(max_connections=8, messages_per_connection=1)
        assert world.consent()["state"] == "none"
        page = await world.connect()
        assert "main" in page, page
        assert world.consent()["state"] == "working"

        world.send("first@b.example")
        [entry] = world.arrived(1)
        assert (entry.sender, entry.recipient) == (MAILBOX, "first@b.example")
        assert set(world.dovecot.logins()) == {f"{MAILBOX} XOAUTH2"}
        assert world.tokens.calls("refresh_token") == []

        world.tokens.expire_access_tokens()
        world.tokens.delay(1)  # so that all of them want it before it is there
        world.send(*EIGHT)
        arrived = world.arrived(9)
        assert {entry.recipient for entry in arrived} == {"first@b.example", *EIGHT}
        assert world.dovecot.refusals() == 8
        [refreshed] = world.tokens.calls("refresh_token")
        assert refreshed.status == 200

        world.tokens.revoke(MAILBOX)
        [kept] = world.send("later@b.example")
        until(lambda: world.relay_state() == "suspended", what="the relay's suspension")
        told = world.consent()
        assert told["state"] == "broken"
        assert told["cause"]
        assert told["fix"]
        assert world.state_of(kept) in ("queued", "deferred")
        assert [call.error for call in world.tokens.calls("refresh_token")] == [
            None,
            "invalid_grant",
        ]

        await world.connect()
        assert [entry.recipient for entry in world.arrived(10)][-1] == "later@b.example"
        until(lambda: world.state_of(kept) == "relayed", what="the answer to the dot")
        assert world.consent()["state"] == "working"


async def test_eight_processes_refresh_a_token_once(tmp_path: Path) -> None:
    """On one PostgreSQL: the first one asks the provider, the others wait for what it gets."""
    url = await shared_postgres().create()
    with (
        oauth_world(tmp_path, "--only", "http", PILLARBOX_DATABASE_URL=url) as world,
        ExitStack() as workers,
    ):
        world.add_relay(max_connections=8, messages_per_connection=1)
        token = world.tokens.issue().refresh_token
        world.ask("POST", f"/v1/relays/{RELAY}/consent", {"refresh_token": token}, expecting=200)
        for _ in range(8):
            worker = replace(world.box, http_port=0)
            workers.callback(worker.kill9)
            worker.start("--only", "worker", wait=False)
        until(
            lambda: world.box.transcript().count("parts=worker") == 8,
            seconds=60,
            what="the start of eight workers",
        )
        world.send(*FORTY)  # a worker takes one session until the relay has proven itself to it
        world.arrived(40)
        before = len(world.tokens.calls("refresh_token"))
        world.tokens.expire_access_tokens()
        world.tokens.delay(1)

        world.send(*FORTY)

        world.arrived(80)
        assert world.dovecot.refusals() > 1
        assert len(world.tokens.calls("refresh_token")) == before + 1
        assert set(world.onward.copies().values()) == {1}


async def test_a_server_without_a_browser_is_connected_by_a_code(tmp_path: Path) -> None:
    """RFC 8628: the program shows a code, somebody types it elsewhere, and mail goes out."""
    with oauth_world(tmp_path) as world:
        world.add_relay(
            grant="device_code",
            client_id=DEVICE_CLIENT,
            client_secret=None,
            client_authentication="none",
            authorize_url=None,
            device_url=world.tokens.device_url,
        )
        begun = world.begin()
        assert begun["state"] == "waiting for consent"
        async with person() as page:
            await enter_code(page, begun["verification_uri"], begun["user_code"])
            await allow(page, MAILBOX)
            await page.get_by_text("Sign-in Success").wait_for()
        world.wait_consent("working")

        world.send("ann@b.example")

        [entry] = world.arrived(1)
        assert entry.sender == MAILBOX


@pytest.mark.parametrize("proof", ["secret", "key"])
def test_an_application_signs_in_as_itself(tmp_path: Path, proof: str) -> None:
    """Client credentials, by a secret and by a signature: nobody is asked, and mail goes out."""
    with oauth_world(tmp_path) as world:
        by = {
            "secret": {"client_id": APP_CLIENT, "client_secret": CLIENT_SECRET},
            "key": {
                "client_id": SIGNING_CLIENT,
                "client_secret": None,
                "client_authentication": "private_key_jwt",
                "signing_key": world.tokens.key_pem.read_text(),
            },
        }
        world.add_relay(grant="client_credentials", authorize_url=None, **by[proof])

        world.send("ann@b.example")

        [entry] = world.arrived(1)
        assert entry.sender == MAILBOX
        assert world.dovecot.logins() == [f"{MAILBOX} XOAUTH2"]
        [call] = world.tokens.calls("client_credentials")
        assert call.status == 200
        assert world.consent()["state"] == "working"
