"""From a database URL to an open database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from pillarbox.base.clock import SystemClock
from pillarbox.base.db.database import Database
from pillarbox.base.db.location import is_postgresql, sqlite_path
from pillarbox.base.db.lock import FileLock
from pillarbox.base.db.sqlite import SqliteDatabase
from pillarbox.base.db.upgrade import Condition, upgrade
from pillarbox.base.errors import Unusable

_TRIES, _PAUSE_SECONDS = 5, 0.05


class OpenDatabase:
    """
    A database for the length of a block, brought to our version first.

    A SQLite file comes with the lock that says nobody else writes it. Raises Invalid for a
    URL that names neither, Unusable and Unavailable when it cannot be opened.
    """

    def __init__(self, url: str) -> None:
        self._opened: AbstractAsyncContextManager[Database] = (
            _postgresql(url) if is_postgresql(url) else _sqlite(sqlite_path(url))
        )

    async def __aenter__(self) -> Database:
        return await self._opened.__aenter__()

    async def __aexit__(self, *raised: object) -> None:
        await self._opened.__aexit__(None, None, None)


async def bring_up(url: str) -> Condition:
    """Only bring it to our version; what it was before. Raises as opening it does."""
    if is_postgresql(url):
        from pillarbox.base.db.dsn import Dsn
        from pillarbox.base.db.upgrade_postgres import upgrade as upgrade_postgresql

        return await upgrade_postgresql(Dsn(url))
    path = sqlite_path(url)
    lock = await _lock(path)
    try:
        return upgrade(path)
    finally:
        lock.release()


@asynccontextmanager
async def _sqlite(path: Path) -> AsyncIterator[Database]:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = await _lock(path)
    try:
        upgrade(path)
        database = SqliteDatabase(path)
        try:
            yield database
        finally:
            await database.close()
    finally:
        lock.release()


@asynccontextmanager
async def _postgresql(url: str) -> AsyncIterator[Database]:
    # Its driver is not for those who use SQLite to load.
    from pillarbox.base.db.dsn import Dsn
    from pillarbox.base.db.postgres import PostgresDatabase
    from pillarbox.base.db.upgrade_postgres import upgrade as upgrade_postgresql

    dsn = Dsn(url)
    await upgrade_postgresql(dsn)
    database = PostgresDatabase(dsn)
    await database.start()
    try:
        yield database
    finally:
        await database.close()


async def _lock(path: Path) -> FileLock:
    """Who only asks whether the file is in use holds the lock for a moment: wait that out."""
    clock = SystemClock()
    for _ in range(_TRIES - 1):
        try:
            return FileLock(path)
        except Unusable:
            await clock.sleep(_PAUSE_SECONDS)
    return FileLock(path)
