"""From a database URL to an open database."""

from __future__ import annotations

from pathlib import Path

from pillarbox.base.clock import SystemClock
from pillarbox.base.db.database import Database
from pillarbox.base.db.location import sqlite_path
from pillarbox.base.db.lock import FileLock
from pillarbox.base.db.sqlite import SqliteDatabase
from pillarbox.base.db.upgrade import upgrade
from pillarbox.base.errors import Unusable

_TRIES, _PAUSE_SECONDS = 5, 0.05


class OpenDatabase:
    """A database together with the lock that says nobody else writes it."""

    def __init__(self, url: str) -> None:
        self._path = sqlite_path(url)

    async def __aenter__(self) -> Database:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = await _lock(self._path)
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


async def _lock(path: Path) -> FileLock:
    """Who only asks whether the file is in use holds the lock for a moment: wait that out."""
    clock = SystemClock()
    for _ in range(_TRIES - 1):
        try:
            return FileLock(path)
        except Unusable:
            await clock.sleep(_PAUSE_SECONDS)
    return FileLock(path)
