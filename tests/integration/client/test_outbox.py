"""The transactional outbox: the application's rows and its mail are committed together."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

import pillarbox
from pillarbox import BlockingPillarbox, Message, Pillarbox, enqueue
from pillarbox.base.errors import Conflict, Mismatch, NotFound, Rejected, Unusable
from pillarbox.client.fields import MessageFields
from support.databases import KINDS, database_url
from support.postgres import shared_postgres
from support.source import ROOT

ORDERS = "CREATE TABLE orders (id INTEGER PRIMARY KEY)"
HELLO: MessageFields = {
    "from_": "Shop <shop@example.org>",
    "to": "ann@example.org",
    "subject": "Your order",
    "text": "Thank you.",
}


@pytest.fixture(params=KINDS)
async def url(request: pytest.FixtureRequest, home: Path) -> str:
    return await database_url(request.param, home)


@pytest.fixture
async def engine(home: Path) -> AsyncIterator[AsyncEngine]:
    """The application's own, on a PostgreSQL that pillarbox has set up."""
    url = await database_url("postgresql", home)
    async with Pillarbox(url, deliver=False):
        pass
    made = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://"))
    async with made.begin() as connection:
        await connection.execute(text(ORDERS))
    yield made
    await made.dispose()


def order(number: int) -> Callable[[Connection], Message]:
    def work(connection: Connection) -> Message:
        connection.execute(text("INSERT INTO orders VALUES (:id)"), {"id": number})
        return enqueue(connection, **HELLO)

    return work


def orders(connection: Connection) -> list[int]:
    return list(connection.scalars(text("SELECT id FROM orders ORDER BY id")))


async def test_a_commit_is_order_and_mail(url: str) -> None:
    """In the transaction of the box itself, on both databases; and the mail is carried."""
    async with Pillarbox(url) as box:
        await box.in_transaction(lambda connection: connection.execute(text(ORDERS)) and None)

        sent = await box.in_transaction(order(1))

        assert (await box.messages.wait(sent.id, timeout_seconds=20)).is_relayed
        assert await box.in_transaction(orders) == [1]


async def test_a_rollback_is_neither(url: str) -> None:
    """Whatever the application raises after it has enqueued comes back, and nothing is stored."""
    seen: list[str] = []

    def work(connection: Connection) -> None:
        seen.append(order(2)(connection).id)
        raise LookupError("the stock is empty")

    async with Pillarbox(url, deliver=False) as box:
        await box.in_transaction(lambda connection: connection.execute(text(ORDERS)) and None)
        with pytest.raises(LookupError, match="the stock is empty"):
            await box.in_transaction(work)

        assert await box.in_transaction(orders) == []
        with pytest.raises(NotFound):
            await box.messages.get(seen[0])


async def test_any_process_may_enqueue_on_postgresql(engine: AsyncEngine, home: Path) -> None:
    """With its own engine: committed mail is carried by whoever works on the database."""
    async with engine.begin() as connection:
        sent = await connection.run_sync(order(1))
    async with engine.connect() as connection:
        lost = await connection.run_sync(order(2))
        await connection.rollback()

    async with Pillarbox(await database_url("postgresql", home)) as box:
        assert (await box.messages.wait(sent.id, timeout_seconds=20)).is_relayed
        with pytest.raises(NotFound):
            await box.messages.get(lost.id)
        assert await box.in_transaction(orders) == [1]


async def test_a_commit_wakes_the_workers_of_another_process(
    engine: AsyncEngine, home: Path
) -> None:
    """The notice is part of the transaction."""
    import asyncpg

    heard: list[str] = []
    listener = await asyncpg.connect(await database_url("postgresql", home))
    try:
        await listener.add_listener("pillarbox_work", lambda *told: heard.append(str(told[2])))
        async with engine.connect() as connection:
            await connection.run_sync(order(1))
            await connection.rollback()
        await listener.execute("SELECT 1")
        assert heard == []
        async with engine.begin() as connection:
            await connection.run_sync(order(1))
        await listener.execute("SELECT 1")
        assert heard == ["pillarbox_work"]
    finally:
        await listener.close()


async def test_the_rules_are_those_of_every_other_way(url: str) -> None:
    """All mistakes at once, and an idempotency key; what is refused leaves nothing behind."""
    keyed: MessageFields = {**HELLO, "idempotency_key": "order-1"}
    other: dict[str, Any] = {**keyed, "subject": "other"}
    async with Pillarbox(url, deliver=False) as box:
        with pytest.raises(Rejected) as caught:
            await box.in_transaction(
                lambda connection: enqueue(connection, to="nobody", stream="pigeon")
            )
        assert {each.field for each in caught.value.problems} == {"to", "from", "text", "stream"}

        first = await box.in_transaction(lambda connection: enqueue(connection, **keyed))
        again = await box.in_transaction(lambda connection: enqueue(connection, **keyed))
        alone = await box.send(**keyed)
        with pytest.raises(Mismatch):
            await box.in_transaction(lambda connection: enqueue(connection, **other))

        assert first.id == again.id == alone.id
        assert len(await box.messages.list()) == 1


def test_a_second_writer_of_a_sqlite_file_is_refused(home: Path) -> None:
    """Two writers can corrupt the file; the way that works is named."""
    with BlockingPillarbox(deliver=False):
        engine = create_engine(f"sqlite:///{home / 'pillarbox.db'}", poolclass=NullPool)
        with engine.begin() as connection, pytest.raises(Conflict, match="in_transaction"):
            enqueue(connection, **HELLO)


async def test_another_database_is_refused() -> None:
    """Where pillarbox has no tables there is no mail."""
    url = await shared_postgres().create()
    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://"))
    try:
        async with engine.connect() as connection:
            with pytest.raises(Unusable, match="db upgrade"):
                await connection.run_sync(enqueue, **HELLO)
    finally:
        await engine.dispose()


def test_without_async_it_is_the_same(home: Path) -> None:
    with BlockingPillarbox(deliver=False) as box:
        sent = box.in_transaction(lambda connection: enqueue(connection, **HELLO))
        assert box.messages.get(sent.id).state == "queued"


def test_the_package_offers_it() -> None:
    assert pillarbox.enqueue is enqueue


async def test_an_application_needs_no_more_rights_than_the_guide_says(
    engine: AsyncEngine, home: Path
) -> None:
    """A role of its own with the grants of docs/guides/operating.md, and nothing else."""
    guide = (ROOT / "docs/guides/operating.md").read_text()
    (grants,) = re.findall(r"^```sql\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL)
    role = f"shop_{uuid4().hex}"
    async with engine.begin() as connection:
        await connection.execute(text(f"CREATE ROLE {role}"))
        for each in grants.replace(" shop;", f" {role};").strip().splitlines():
            await connection.execute(text(each))
    async with engine.begin() as connection:
        await connection.execute(text(f"SET ROLE {role}"))
        with pytest.raises(DBAPIError, match="permission denied"):
            async with connection.begin_nested():
                await connection.execute(text("DELETE FROM messages"))
        sent = await connection.run_sync(lambda own: enqueue(own, **HELLO))

    async with Pillarbox(await database_url("postgresql", home)) as box:
        assert (await box.messages.wait(sent.id, timeout_seconds=20)).is_relayed
