"""What accept, delivery and the rest rely on from any database."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from sqlalchemy import Column, Connection, Integer, MetaData, String, Table, func, insert, select
from sqlalchemy.exc import SQLAlchemyError

from pillarbox.base.db.database import Database
from pillarbox.base.errors import Invalid, Unavailable

notes = Table(
    "notes", MetaData(), Column("id", Integer, primary_key=True), Column("text", String(20))
)


@pytest.fixture(autouse=True)
async def _table(database: Database) -> None:
    await database.write(lambda connection: notes.create(connection))


def add(connection: Connection, texts: Sequence[str]) -> Sequence[str]:
    """A shared work that refuses one word, after it has written something."""
    for text in texts:
        connection.execute(insert(notes), {"text": text})
        if text == "bad":
            raise Invalid("no", field="text")
    return texts


def count(connection: Connection) -> int:
    return connection.scalar(select(func.count()).select_from(notes)) or 0


async def test_everybody_who_writes_now_shares_one_call(database: Database) -> None:
    """The first goes alone; whoever arrives while it commits goes together."""
    calls: list[int] = []

    def noting(connection: Connection, texts: Sequence[str]) -> Sequence[str]:
        calls.append(len(texts))
        return add(connection, texts)

    await asyncio.gather(*(database.share(noting, str(n)) for n in range(200)))

    assert sum(calls) == 200
    assert len(calls) <= 3


async def test_each_gets_its_own_answer(database: Database) -> None:
    answers = await asyncio.gather(*(database.share(add, str(n)) for n in range(20)))

    assert answers == [str(n) for n in range(20)]


async def test_a_bad_item_is_refused_alone(database: Database) -> None:
    """Its own changes are undone; those of the others in the same commit stay."""
    texts = ["one", "bad", "two", "bad", "three"]

    answers = await asyncio.gather(
        *(database.share(add, text) for text in texts), return_exceptions=True
    )

    assert [type(answer) for answer in answers] == [str, Invalid, str, Invalid, str]
    assert await database.read(count) == 3


async def test_a_programming_error_reaches_its_caller_and_nobody_hangs(
    database: Database,
) -> None:
    def broken(connection: Connection) -> None:
        raise TypeError("a bug")

    with pytest.raises(TypeError, match="a bug"):
        await database.write(broken)
    assert await database.share(add, "after") == "after"


async def test_readers_cannot_write(database: Database) -> None:
    with pytest.raises((Unavailable, SQLAlchemyError)):
        await database.read(lambda connection: connection.execute(insert(notes), {"text": "x"}))


async def test_what_is_answered_is_visible_to_readers(database: Database) -> None:
    await database.share(add, "one")

    assert await database.read(count) == 1


async def test_any_text_can_be_stored_and_looked_for(database: Database) -> None:
    """A relay may answer with U+0000, and a caller may ask for an id with one in it."""
    text = "a\0b – ü"
    await database.share(add, text)

    def find(connection: Connection) -> str | None:
        return connection.scalar(select(notes.c.text).where(notes.c.text == text))

    found = await database.read(find)
    assert found is not None
    assert (found[0], found[2:]) == ("a", "b – ü")


async def test_nobody_is_forgotten_when_the_database_is_closed(database: Database) -> None:
    """Who was writing gets an answer: it is stored then."""
    writing = [asyncio.ensure_future(database.share(add, str(n))) for n in range(20)]
    await asyncio.sleep(0)

    await database.close()

    assert await asyncio.gather(*writing) == [str(n) for n in range(20)]


async def test_a_caller_who_goes_away_harms_nobody(database: Database) -> None:
    """Those who shared its commit get theirs."""
    tasks = [asyncio.ensure_future(database.share(add, str(n))) for n in range(5)]
    await asyncio.sleep(0)
    tasks[0].cancel()

    assert await asyncio.gather(*tasks[1:]) == ["1", "2", "3", "4"]
    assert await database.share(add, "after") == "after"


async def test_who_is_to_be_told_hears_it_also_when_the_caller_has_gone(database: Database) -> None:
    """Of what was stored, and of what was not."""
    heard: list[str | BaseException] = []
    gone = database.share(add, "good", heard.append)
    refused = database.share(add, "bad", heard.append)
    gone.cancel()

    with pytest.raises(Invalid):
        await refused

    assert heard[0] == "good"
    assert isinstance(heard[1], Invalid)
    assert await database.read(count) == 1


async def test_who_fails_at_what_it_is_told_harms_nobody(database: Database) -> None:
    """Others in the same commit get their answer, and the next commit comes."""

    def fail(_: str | BaseException) -> None:
        raise ZeroDivisionError

    first = database.share(add, "one", fail)
    second = database.share(add, "two")

    assert [await first, await second] == ["one", "two"]
    assert await database.share(add, "three") == "three"


async def test_a_waiting_supervisor_hears_what_is_stored_here(database: Database) -> None:
    waiting = asyncio.create_task(database.bell.wait(30))
    await asyncio.sleep(0)

    database.bell.ring()

    async with asyncio.timeout(5):
        await waiting


async def test_a_closed_database_says_so(database: Database) -> None:
    await database.close()

    with pytest.raises(Unavailable, match="closed"):
        await database.share(add, "late")
    # The fixture closes it again, which is harmless.
