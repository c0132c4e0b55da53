"""Mail goes out with an access token, waits without one, and goes out when it is back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pillarbox.base.sealing import Keyring
from pillarbox.base.secret import Secret
from pillarbox.queue.state import DeliveryState
from pillarbox.relays.connecting import Connecting, Surroundings
from support.authorization_server import (
    CLIENT,
    CLIENT_SECRET,
    MAILBOX,
    AuthorizationServer,
    authorization_server,
)
from support.house import House, delivering, open_house
from support.token_relay import TokenRelay, token_relay


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthorizationServer]:
    with authorization_server(tmp_path_factory.mktemp("provider")) as running:
        yield running


async def connected(
    house: House, relay: TokenRelay, server: AuthorizationServer, folder: Path
) -> None:
    await house.add_relay(
        host="127.0.0.1",
        port=relay.port,
        tls="none",
        username=MAILBOX,
        grant="refresh_token",
        client_id=CLIENT,
        client_secret=CLIENT_SECRET,
        token_url=server.token_url,
    )
    await paste(house, server, folder)


async def paste(house: House, server: AuthorizationServer, folder: Path) -> None:
    assert house.equipment.tokens is not None
    around = Surroundings(
        database=house.database,
        keyring=Keyring.load_or_create(folder / "key"),
        clock=house.equipment.clock,
        redirect_uri="http://127.0.0.1/oauth/callback",
    )
    connecting = Connecting(house.registry, house.equipment.tokens, around)
    await connecting.paste("test", "tests", Secret(server.issue().refresh_token))


async def test_a_token_that_ended_early_is_renewed_once_and_the_mail_goes_out(
    tmp_path: Path, server: AuthorizationServer
) -> None:
    """The relay says 535 to the old one; nobody hears of it."""
    async with token_relay(server) as relay, open_house(tmp_path) as house:
        await connected(house, relay, server, tmp_path)
        server.expire_access_tokens()
        before = len(server.calls("refresh_token"))
        async with delivering(house):
            sent = [await house.send("ann@x.test") for _ in range(8)]
            told = [await house.until(each) for each in sent]

        assert {each.state for each in told} == {DeliveryState.RELAYED}
        assert len(server.calls("refresh_token")) - before == 1
        assert len(relay.refused) == 1
        assert house.registry.get("test").rest is None


async def test_a_revoked_consent_keeps_the_mail_until_somebody_reconnects(
    tmp_path: Path, server: AuthorizationServer
) -> None:
    """Suspended with the reason; no attempt counts; after the new consent it goes out."""
    async with token_relay(server) as relay, open_house(tmp_path) as house:
        await connected(house, relay, server, tmp_path)
        server.revoke()
        async with delivering(house):
            message = await house.send("ann@x.test")
            waiting = await house.when(
                message, lambda _: house.registry.get("test").rest is not None
            )
            rest = house.registry.get("test").rest
            assert rest is not None
            assert (rest.needs_person, rest.advice) == (True, "token.grant-gone")
            assert waiting.state in (DeliveryState.QUEUED, DeliveryState.SENDING)

            await paste(house, server, tmp_path)
            house.bell.ring()

            told = await house.until(message)
            assert told.state is DeliveryState.RELAYED
            assert told.deliveries[0].attempts == 1
        assert relay.taken == 1


async def test_a_provider_in_trouble_rests_the_relay_for_a_while(
    tmp_path: Path, server: AuthorizationServer
) -> None:
    """Nobody is called, no mail fails."""
    async with token_relay(server) as relay, open_house(tmp_path) as house:
        await connected(house, relay, server, tmp_path)
        server.expire_access_tokens()
        server.answer_instead(503, "<html>busy</html>", times=3)
        async with delivering(house):
            message = await house.send("ann@x.test")
            told = await house.when(message, lambda _: house.registry.get("test").rest is not None)
            rest = house.registry.get("test").rest
            assert rest is not None
            assert (rest.needs_person, rest.advice) == (False, "token.provider-down")
            assert told.state is not DeliveryState.FAILED
        assert relay.taken == 0
