"""Tokens are renewed by one caller, stored before they are used, and never asked for in a loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, update

from pillarbox.base.clock import SystemClock
from pillarbox.base.db.database import Database
from pillarbox.base.errors import Unavailable
from pillarbox.base.ids import Ids
from pillarbox.base.sealing import Keyring
from pillarbox.base.secret import Secret
from pillarbox.oauth import grants
from pillarbox.oauth.client import Authentication, Client, Grant
from pillarbox.oauth.grants import GrantRow, Use, oauth_grants
from pillarbox.oauth.tokens import Tokens, Wanted
from pillarbox.oauth.troubles import Fault, NoToken
from support.authorization_server import (
    CLIENT,
    CLIENT_SECRET,
    AuthorizationServer,
    authorization_server,
)
from support.clocks import HandClock
from support.databases import KINDS, open_database

USE = Use(relay_id="rly_1", bound_to=b"one relay")
CLOCK = SystemClock()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuthorizationServer]:
    with authorization_server(tmp_path_factory.mktemp("provider")) as running:
        yield running


@pytest.fixture(params=KINDS)
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(request.param, tmp_path) as opened:
        yield opened


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    return Keyring.load_or_create(tmp_path / "key")


def client(server: AuthorizationServer) -> Client:
    return Client(
        provider="custom",
        grant=Grant.AUTHORIZATION_CODE,
        client_id=CLIENT,
        client_secret=Secret(CLIENT_SECRET),
        authentication=Authentication.BASIC,
        token_url=server.token_url,
    )


def wanted(server: AuthorizationServer, instead_of: Secret | None = None) -> Wanted:
    return Wanted(use=USE, client=client(server), instead_of=instead_of)


def tokens_on(database: Database, keyring: Keyring) -> Tokens:
    return Tokens(database, keyring, CLOCK, Ids(CLOCK))


async def connected(database: Database, keyring: Keyring, refresh_token: str) -> None:
    """As after a consent whose access token has run out."""
    row = GrantRow(
        relay_id=USE.relay_id,
        bound_to=USE.digest,
        refresh_token=keyring.seal(Secret(refresh_token), USE.of("refresh")),
        refreshed_at=CLOCK.now(),
        connected_at=CLOCK.now(),
        principal="tests",
    )
    await database.write(lambda connection: grants.connect(connection, row))


async def kept(database: Database, keyring: Keyring) -> tuple[GrantRow, Secret | None]:
    row = await database.read(lambda connection: grants.grant_of(connection, USE))
    assert row is not None
    return row, grants.opened(row, "refresh", USE, keyring)


def refreshes(server: AuthorizationServer) -> int:
    return len(server.calls("refresh_token"))


async def test_eight_callers_are_one_question(
    database: Database, keyring: Keyring, server: AuthorizationServer
) -> None:
    """Everybody gets the same token, and the next ones ask nobody."""
    await connected(database, keyring, server.issue().refresh_token)
    tokens, before = tokens_on(database, keyring), refreshes(server)
    server.delay(0.3)

    got = await asyncio.gather(*(tokens.access(wanted(server)) for _ in range(8)))

    assert len({each.reveal() for each in got}) == 1
    assert await tokens.access(wanted(server)) == got[0]
    assert refreshes(server) - before == 1


async def test_processes_share_one_question(
    tmp_path: Path, keyring: Keyring, server: AuthorizationServer
) -> None:
    """Each has its own connections and memory; the lease in the database decides."""
    async with (
        open_database("postgresql", tmp_path) as one,
        open_database("postgresql", tmp_path) as other,
    ):
        await connected(one, keyring, server.issue().refresh_token)
        here, there = tokens_on(one, keyring), tokens_on(other, keyring)
        before = refreshes(server)
        server.delay(0.5)

        asked = [each.access(wanted(server)) for each in (here, there) * 4]
        got = await asyncio.gather(*asked)

    assert len({each.reveal() for each in got}) == 1
    assert refreshes(server) - before == 1


async def test_a_rotated_refresh_token_is_stored_before_the_access_token_is_given(
    database: Database, keyring: Keyring, server: AuthorizationServer
) -> None:
    """Whoever is killed with the token in hand finds the next one when they come back."""
    first = server.issue().refresh_token
    await connected(database, keyring, first)
    await tokens_on(database, keyring).access(wanted(server))

    row, refresh_token = await kept(database, keyring)
    assert refresh_token is not None
    assert refresh_token.reveal() != first
    assert row.lease_holder is None
    server.expire_access_tokens()
    await database.write(_forget_access)
    assert await tokens_on(database, keyring).access(wanted(server))


async def test_whoever_is_cut_off_does_not_lose_the_answer(
    database: Database, keyring: Keyring, server: AuthorizationServer
) -> None:
    """The caller goes away while the provider is answering: the new token is kept all the same."""
    first = server.issue().refresh_token
    await connected(database, keyring, first)
    tokens = tokens_on(database, keyring)
    server.delay(0.5)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await tokens.access(wanted(server))

    await tokens.close()

    row, refresh_token = await kept(database, keyring)
    assert refresh_token is not None
    assert refresh_token.reveal() != first
    assert row.refusal is None


async def test_an_answer_outlives_a_database_that_is_away(
    database: Database,
    keyring: Keyring,
    server: AuthorizationServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The provider has rotated the refresh token; the new one is kept when the database is back."""
    first = server.issue().refresh_token
    await connected(database, keyring, first)
    tokens, before = (
        Tokens(database, keyring, HandClock(CLOCK.now()), Ids(CLOCK)),
        refreshes(server),
    )
    renew, away = grants.renew, iter(range(3))

    def renew_later(connection: Connection, row: GrantRow, holder: str) -> bool:
        if next(away, None) is not None:
            raise Unavailable("the database is away")
        return renew(connection, row, holder)

    monkeypatch.setattr(grants, "renew", renew_later)
    given = await tokens.access(wanted(server))

    row, refresh_token = await kept(database, keyring)
    assert refresh_token is not None
    assert refresh_token.reveal() != first
    assert grants.opened(row, "access", USE, keyring) == given
    assert next(away, None) is None
    assert refreshes(server) - before == 1


async def test_a_token_that_was_refused_is_renewed_once_for_everybody(
    database: Database, keyring: Keyring, server: AuthorizationServer
) -> None:
    """Eight workers whose token the relay refused do not ask eight times."""
    await connected(database, keyring, server.issue().refresh_token)
    tokens = tokens_on(database, keyring)
    refused = await tokens.access(wanted(server))
    before = refreshes(server)

    got = await asyncio.gather(
        *(tokens.access(wanted(server, instead_of=refused)) for _ in range(8))
    )

    assert {each.reveal() for each in got} & {refused.reveal()} == set()
    assert len({each.reveal() for each in got}) == 1
    assert refreshes(server) - before == 1


async def test_an_ended_consent_is_not_asked_about_again(
    database: Database, keyring: Keyring, server: AuthorizationServer
) -> None:
    """invalid_grant is for a person: until then the provider hears nothing of us."""
    await connected(database, keyring, "never-issued")
    tokens, before = tokens_on(database, keyring), refreshes(server)

    for _ in range(3):
        with pytest.raises(NoToken) as caught:
            await tokens.access(wanted(server))
        assert caught.value.refusal.error == "invalid_grant"

    assert refreshes(server) - before == 1
    row, _ = await kept(database, keyring)
    assert row.is_broken


async def test_a_token_that_is_still_good_outlives_trouble_of_the_provider(
    database: Database, keyring: Keyring, server: AuthorizationServer
) -> None:
    """Renewing begins early; while it fails, nobody has to wait."""
    await connected(database, keyring, server.issue().refresh_token)
    tokens = tokens_on(database, keyring)
    good = await tokens.access(wanted(server))
    await database.write(_due_for_renewal)
    server.answer_instead(503, "<html>busy</html>")

    assert await tokens.access(wanted(server)) == good
    assert await tokens.access(wanted(server)) != good


async def test_a_lease_of_a_dead_process_runs_out(
    database: Database, keyring: Keyring, server: AuthorizationServer
) -> None:
    """It was killed while it asked. Somebody else asks when its time is over."""
    await connected(database, keyring, server.issue().refresh_token)
    past = CLOCK.now() - grants.LEASE
    taken = await database.write(lambda c: grants.take_lease(c, USE, "dead", past))
    assert taken

    assert await tokens_on(database, keyring).access(wanted(server))


async def test_what_a_dead_process_brings_back_late_is_not_stored(
    database: Database, keyring: Keyring
) -> None:
    """The lease is a fence: only its holder ends it."""
    await connected(database, keyring, "first")
    row, _ = await kept(database, keyring)
    now = CLOCK.now()
    await database.write(lambda c: grants.take_lease(c, USE, "late", now - grants.LEASE))
    await database.write(lambda c: grants.take_lease(c, USE, "current", now))

    assert not await database.write(lambda c: grants.renew(c, row, "late"))
    assert await database.write(lambda c: grants.renew(c, row, "current"))


async def test_tokens_for_another_destination_are_none(
    database: Database, keyring: Keyring, server: AuthorizationServer
) -> None:
    """Another binding finds no row; with the row at hand, it opens nothing."""
    await connected(database, keyring, server.issue().refresh_token)
    elsewhere = Use(relay_id=USE.relay_id, bound_to=b"another relay")
    with pytest.raises(NoToken) as caught:
        await tokens_on(database, keyring).access(Wanted(use=elsewhere, client=client(server)))
    assert caught.value.refusal.fault is Fault.NOT_CONNECTED
    await database.write(lambda connection: _rebind(connection, elsewhere))

    with pytest.raises(NoToken) as caught:
        await tokens_on(database, keyring).access(Wanted(use=elsewhere, client=client(server)))
    assert caught.value.refusal.fault is Fault.UNREADABLE


@asynccontextmanager
async def nobody() -> AsyncIterator[int]:
    """A port at which nobody answers, although somebody listens."""
    waiting = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await waiting.wait()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1]
        waiting.set()


async def test_an_endpoint_that_hangs_costs_seconds_and_not_the_consent(
    database: Database,
    keyring: Keyring,
    server: AuthorizationServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is given up, and asked again later."""
    monkeypatch.setattr("pillarbox.oauth.server._SECONDS", 0.3)
    await connected(database, keyring, server.issue().refresh_token)
    tokens = tokens_on(database, keyring)
    async with nobody() as port:
        hanging = Client(
            provider="custom",
            grant=Grant.AUTHORIZATION_CODE,
            client_id=CLIENT,
            token_url=f"http://127.0.0.1:{port}/token",
        )
        with pytest.raises(NoToken) as caught:
            await tokens.access(Wanted(use=USE, client=hanging))
    assert caught.value.refusal.fault is Fault.UNREACHABLE
    assert caught.value.refusal.is_passing
    row, _ = await kept(database, keyring)
    assert not row.is_broken


def _forget_access(connection: Connection) -> None:
    connection.execute(update(oauth_grants).values(access_token=None, access_refresh_at=None))


def _due_for_renewal(connection: Connection) -> None:
    connection.execute(update(oauth_grants).values(access_refresh_at=CLOCK.now()))


def _rebind(connection: Connection, use: Use) -> None:
    connection.execute(update(oauth_grants).values(bound_to=use.digest))
