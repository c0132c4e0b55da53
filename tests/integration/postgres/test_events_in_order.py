"""Whoever follows the journal by a cursor misses nothing, in whatever order transactions commit."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import pytest

from pillarbox.base.db.database import Database
from pillarbox.journal import journal
from pillarbox.journal.events import KeyCreated
from pillarbox.journal.feed import Feed
from support.desk import client_of

OLD = timedelta(minutes=20)
"""Events may tell of what is past: an attempt that ended while the database was away."""


@pytest.fixture
async def slow(both: tuple[Database, Database], url: str) -> AsyncIterator[asyncpg.Connection]:
    """A transaction of somebody else that has written an event, and goes on."""
    connection = await asyncpg.connect(url)
    await connection.execute("BEGIN")
    at = int((both[0].clock.now() - OLD).timestamp() * 1_000_000)
    await connection.execute(
        "INSERT INTO events (at, name, facts) VALUES ($1, 'key.created', '{}')", at
    )
    yield connection
    await connection.close()


async def write(database: Database, key: str) -> None:
    told = KeyCreated(principal="operator:local", key=key)
    at = database.clock.now() - OLD
    await database.write(lambda connection: journal.write(connection, [(at, told)]))


async def keys(feed: Feed, cursor: int = 0) -> list[str | None]:
    return [each.facts.get("key") for each in await feed.read(cursor, limit=10)]


async def test_what_is_committed_late_is_read_in_its_place(
    both: tuple[Database, Database], slow: asyncpg.Connection
) -> None:
    """Its id is smaller, so what came after it waits until it is there, however long that is."""
    one, other = both
    feed = Feed(other, other.clock)
    await write(one, "key_2")
    assert await keys(feed) == []

    await slow.execute("COMMIT")

    assert await keys(feed) == [None, "key_2"]


async def test_what_is_rolled_back_is_not_waited_for(
    both: tuple[Database, Database], slow: asyncpg.Connection
) -> None:
    """The gap stays; a later transaction that writes does not hold up what is before it."""
    one, other = both
    feed = Feed(other, other.clock)
    await write(one, "key_2")
    await slow.execute("ROLLBACK")
    assert await keys(feed) == ["key_2"]

    await write(one, "key_3")
    assert await keys(feed, cursor=2) == ["key_3"]


async def test_the_list_goes_by_the_same_rule(
    url: str, slow: asyncpg.Connection, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """GET /v1/events?after= of a whole pillarbox: nothing behind the gap, then all of it."""
    from pillarbox.app import open_app
    from pillarbox.base.config import Config

    config = Config(home=tmp_path_factory.mktemp("home"), database_url=url)
    async with open_app(config, deliver=False) as app, client_of(app.asgi) as client:
        asked = {"headers": {"Authorization": f"Bearer {app.operator_token}"}}
        before = (await client.get("/v1/events?after=0", **asked)).json()
        await slow.execute("COMMIT")
        after = (await client.get("/v1/events?after=0", **asked)).json()

    assert [each["name"] for each in before["data"]] == []
    assert [each["name"] for each in after["data"]] == ["key.created", "relay.added"]
