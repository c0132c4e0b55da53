"""From a database URL to an open database."""

from __future__ import annotations

from pillarbox.base.db.database import Database
from pillarbox.base.db.location import sqlite_path
from pillarbox.base.db.lock import FileLock
from pillarbox.base.db.sqlite import SqliteDatabase
from pillarbox.base.db.upgrade import upgrade


class OpenDatabase:
    """A database together with the lock that says nobody else writes it."""

    def __init__(self, url: str) -> None:
        self._path = sqlite_path(url)

    async def __aenter__(self) -> Database:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = FileLock(self._path)
        try:
            upgrade(self._path)
            self._database = SqliteDatabase(self._path)
        except BaseException:
            self._lock.release()
            raise
        return self._database

    async def __aexit__(self, *_: object) -> None:
        await self._database.close()
        self._lock.release()
