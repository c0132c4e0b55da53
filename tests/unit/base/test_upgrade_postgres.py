"""A PostgreSQL database is brought to our version, or refused with what to do and left alone."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

import pillarbox.app  # noqa: F401  declares every table
from pillarbox.base.db.dsn import Dsn
from pillarbox.base.db.open import OpenDatabase
from pillarbox.base.db.schema import metadata
from pillarbox.base.db.upgrade import Condition
from pillarbox.base.db.upgrade_postgres import inspect, upgrade
from pillarbox.base.errors import Unavailable, Unusable
from support.postgres import Postgres, shared_postgres


@pytest.fixture
def server() -> Postgres:
    return shared_postgres()


@pytest.fixture
async def dsn(server: Postgres) -> Dsn:
    """A database with nothing in it."""
    return Dsn(await server.create())


async def tables_of(server: Postgres, dsn: Dsn) -> list[Any]:
    """Each with the transaction that touched its definition last."""
    listed = "SELECT relname, xmin FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    return await server.execute(f"{listed} ORDER BY 1", url=dsn.url)


async def test_an_empty_database_is_brought_to_our_version(dsn: Dsn) -> None:
    assert await upgrade(dsn) is Condition.ABSENT
    assert await upgrade(dsn) is Condition.CURRENT
    assert await inspect(dsn) is Condition.CURRENT


async def test_the_migrations_make_exactly_the_tables_that_the_code_declares(dsn: Dsn) -> None:
    def compared(connection: Connection) -> list[Any]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    async with OpenDatabase(dsn.url) as database:
        assert await database.read(compared) == []


async def test_of_several_that_start_at_once_one_migrates(dsn: Dsn) -> None:
    """The others wait for it, and find nothing left to do."""
    found = await asyncio.gather(*(upgrade(dsn) for _ in range(5)))

    assert sorted(each.value for each in found) == ["absent", *["current"] * 4]


async def test_an_upgrade_that_was_cut_short_can_be_repeated(
    dsn: Dsn, server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it is one transaction: half an upgrade is no upgrade."""
    from alembic import command

    real = command.upgrade

    def cut_short(config: Any, revision: str) -> None:
        real(config, revision)
        connection: Connection = config.attributes["connection"]
        connection.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")

    monkeypatch.setattr(command, "upgrade", cut_short)
    with pytest.raises(Unavailable):
        await upgrade(dsn)
    monkeypatch.undo()
    assert await tables_of(server, dsn) == []

    await upgrade(dsn)
    assert await inspect(dsn) is Condition.CURRENT


_NEWER = "UPDATE alembic_version SET version_num = '9999'"


@pytest.mark.parametrize(
    ("is_ours", "change", "says"),
    [
        (True, _NEWER, "newer pillarbox"),
        (False, "CREATE TABLE customers (id int)", "of another program"),
        (False, "CREATE TABLE alembic_version (version_num text)", "of another program"),
    ],
)
async def test_a_database_that_is_not_ours_to_use_is_refused_and_untouched(
    dsn: Dsn, server: Postgres, is_ours: bool, change: str, says: str
) -> None:
    """Refused with what to do; no table is made or changed."""
    if is_ours:
        await upgrade(dsn)
    await server.execute(change, url=dsn.url)
    before = await tables_of(server, dsn)

    with pytest.raises(Unusable, match=says):
        async with OpenDatabase(dsn.url):
            raise AssertionError("it was opened")

    assert await tables_of(server, dsn) == before


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("fsync=off", "set fsync=on"),
        ("full_page_writes=off", "set full_page_writes=on"),
        ("synchronous_commit=off", "set synchronous_commit=on"),
    ],
)
async def test_a_server_that_forgets_is_refused(setting: str, says: str) -> None:
    """We only say 202 for what survives a power cut."""
    forgetful = Postgres(setting)
    try:
        forgetful.start()
        url = await forgetful.create()
        with pytest.raises(Unusable, match=says):
            async with OpenDatabase(url):
                raise AssertionError("it was opened")
        assert await tables_of(forgetful, Dsn(url)) == []
    finally:
        forgetful.remove()


async def test_a_database_that_forgets_by_its_own_setting_is_refused(
    dsn: Dsn, server: Postgres
) -> None:
    """A database or a user may have settings of its own."""
    name = dsn.url.partition("@/")[2].partition("?")[0]
    await server.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")

    with pytest.raises(Unusable, match="synchronous_commit=off"):
        await upgrade(dsn)


async def test_a_database_that_is_not_there_is_said_so(server: Postgres) -> None:
    with pytest.raises(Unusable, match="no such database"):
        await upgrade(Dsn(server.url("nowhere")))
