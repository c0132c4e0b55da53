"""A server that goes away: callers are told at once, nothing acknowledged is lost, it mends."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import suppress

import pytest
from sqlalchemy import Connection, text

from pillarbox.base.clock import SystemClock
from pillarbox.base.db import dsn
from pillarbox.base.db.database import Database
from pillarbox.base.db.open import OpenDatabase
from pillarbox.base.errors import Unavailable
from pillarbox.queue.browse import Page
from pillarbox.queue.queue import Queue
from support.parcels import OK as RELAYED
from support.parcels import RELAY, attempt, parcel
from support.postgres import Postgres

_END_MYSELF = text("SELECT pg_terminate_backend(pg_backend_pid())")
_PATIENCE_SECONDS = 10.0


@pytest.fixture
def server() -> Iterator[Postgres]:
    """One that may be stopped."""
    own = Postgres()
    own.start()
    yield own
    own.remove()


def one(connection: Connection) -> int:
    return connection.scalar(text("SELECT 1")) or 0


async def well_again(database: Database) -> None:
    """Raises TimeoutError when it does not mend in time."""
    clock = SystemClock()
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while True:
            with suppress(Unavailable):
                await database.write(one)
                return
            await clock.sleep(0.05)


async def test_a_connection_that_breaks_once_costs_its_caller_nothing(
    both: tuple[Database, Database],
) -> None:
    """Nothing was stored yet, so the work is simply run again."""
    runs = 0

    def broken_once(connection: Connection) -> int:
        nonlocal runs
        runs += 1
        if runs == 1:
            connection.execute(_END_MYSELF)
        return one(connection)

    assert await both[0].write(broken_once) == 1
    runs = 0
    assert await both[0].read(broken_once) == 1


async def test_a_connection_that_keeps_breaking_is_unavailable_and_mends(
    both: tuple[Database, Database],
) -> None:
    """Never the driver's error; and the next caller is served."""
    with pytest.raises(Unavailable, match="nothing was stored"):
        await both[0].write(lambda connection: connection.execute(_END_MYSELF))
    with pytest.raises(Unavailable):
        await both[0].read(lambda connection: connection.execute(_END_MYSELF))

    assert await both[0].write(one) == 1
    assert await both[0].read(one) == 1


async def test_everybody_is_told_at_once_while_the_server_is_down(server: Postgres) -> None:
    async with OpenDatabase(await server.create()) as database:
        queue = Queue(database, SystemClock(), database.bell)
        server.stop()

        async with asyncio.timeout(_PATIENCE_SECONDS):
            ends = await asyncio.gather(
                *(queue.enqueue(parcel(SystemClock().now())) for _ in range(50)),
                queue.claim(RELAY, 1),
                queue.messages(Page()),
                return_exceptions=True,
            )

        assert {type(end) for end in ends} == {Unavailable}
        server.start()
        await well_again(database)
        await queue.enqueue(parcel(SystemClock().now()))


async def test_a_server_that_is_not_there_is_named_without_the_password(server: Postgres) -> None:
    server.stop()
    url = f"postgresql://postgres:hush@/x?host={server.folder}"

    with pytest.raises(Unavailable, match="cannot be reached") as caught:
        async with OpenDatabase(url):
            raise AssertionError("it was opened")

    assert "hush" not in str(caught.value)


async def test_nothing_acknowledged_is_lost_when_the_server_is_stopped_hard(
    server: Postgres,
) -> None:
    """What was answered before, between and after five immediate stops is all there."""
    clock = SystemClock()
    stored: set[str] = set()
    relayed: set[str] = set()
    is_over = asyncio.Event()

    async def accept(queue: Queue) -> None:
        while not is_over.is_set():
            with suppress(Unavailable):
                stored.add((await queue.enqueue(parcel(clock.now()))).message_id)
            await clock.sleep(0.001)

    async def carry(queue: Queue) -> None:
        while not is_over.is_set():
            with suppress(Unavailable):
                for claim in await queue.claim(RELAY, 5):
                    if await queue.record(attempt(claim, RELAYED, clock.now())):
                        relayed.add(claim.message_id)
            await clock.sleep(0.001)

    async with OpenDatabase(await server.create()) as database:
        queue = Queue(database, database.clock, database.bell)
        working = [asyncio.create_task(accept(queue)) for _ in range(8)]
        working += [asyncio.create_task(carry(queue)) for _ in range(2)]
        for _ in range(5):
            before = len(stored)
            async with asyncio.timeout(_PATIENCE_SECONDS):
                while len(stored) < before + 50:
                    await clock.sleep(0.01)
            await asyncio.to_thread(server.stop, signal.SIGQUIT)
            await asyncio.to_thread(server.start)
            await well_again(database)
        is_over.set()
        await asyncio.gather(*working)

        def kept(connection: Connection) -> tuple[set[str], set[str]]:
            all_ = connection.scalars(text("SELECT id FROM messages"))
            done = text("SELECT message_id FROM deliveries WHERE state = 'relayed'")
            return set(all_), set(connection.scalars(done))

        messages, done = await database.read(kept)
        assert stored <= messages
        assert relayed <= done
        assert relayed


async def test_the_bell_is_heard_again_after_the_server_came_back(server: Postgres) -> None:
    url = await server.create()
    clock = SystemClock()
    async with OpenDatabase(url) as here, OpenDatabase(url) as there:
        server.stop(signal.SIGQUIT)
        server.start()
        await well_again(here)
        await there.bell.wait(_PATIENCE_SECONDS)  # it rings by itself when it hears again
        for _ in range(200):
            here.bell.ring()
            began = clock.monotonic()
            await there.bell.wait(0.1)
            if clock.monotonic() - began < 0.1:
                return
        raise AssertionError("it never rang again")


async def test_nobody_waits_for_a_server_that_does_not_answer(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wait has an end, and is not begun again. The connection serves the next one."""
    monkeypatch.setattr(dsn, "_ANSWER_SECONDS", 0.5)
    clock = SystemClock()
    async with OpenDatabase(url) as database:
        began = clock.monotonic()

        with pytest.raises(Unavailable):
            await database.write(lambda each: each.execute(text("SELECT pg_sleep(30)")))
        with pytest.raises(Unavailable):
            await database.read(lambda each: each.execute(text("SELECT pg_sleep(30)")))

        assert clock.monotonic() - began < 5
        assert await database.write(one) == 1
        assert await database.read(one) == 1
