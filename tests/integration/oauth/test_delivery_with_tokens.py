"""Mail goes out with an access token, waits without one, and goes out when it is back."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
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


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthorizationServer]:
    with authorization_server(tmp_path_factory.mktemp("provider")) as running:
        yield running


@dataclass(slots=True)
class Relay:
    """Takes mail from whoever shows a token that the provider calls active."""

    port: int = 0
    taken: int = 0
    refused: list[str] = field(default_factory=list)


@asynccontextmanager
async def relay_of(server: AuthorizationServer) -> AsyncIterator[Relay]:
    relay = Relay()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def say(text: str) -> None:
            writer.write(f"{text}\r\n".encode())

        say("220 relay.test")
        while line := (await reader.readline()).decode().rstrip("\r\n"):
            verb = line.split(" ")[0].upper()
            if verb == "EHLO":
                say("250-relay.test\r\n250 AUTH XOAUTH2")
            elif verb == "AUTH":
                shown = base64.b64decode(line.split(" ")[2]).decode()
                token = shown.partition("Bearer ")[2].rstrip("\1")
                told = await asyncio.to_thread(server.introspect, token)
                if not told["active"]:
                    relay.refused.append(token)
                    say("334 " + base64.b64encode(b'{"status":"401"}').decode())
                    await reader.readline()
                    say("535 5.7.8 token refused")
                else:
                    say("235 2.7.0 welcome")
            elif verb == "DATA":
                say("354 go")
                await reader.readuntil(b"\r\n.\r\n")
                relay.taken += 1
                say("250 2.0.0 taken")
            else:
                say("221 bye" if verb == "QUIT" else "250 2.1.0 ok")
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        relay.port = listening.sockets[0].getsockname()[1]
        yield relay


async def connected(house: House, relay: Relay, server: AuthorizationServer, folder: Path) -> None:
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
    async with relay_of(server) as relay, open_house(tmp_path) as house:
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
    async with relay_of(server) as relay, open_house(tmp_path) as house:
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
    async with relay_of(server) as relay, open_house(tmp_path) as house:
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
