"""
PostgreSQL: works run on asyncpg through SQLAlchemy, a transaction to each group of callers.

Any number of processes may share it. Different works run side by side on a few connections;
whoever calls with a work that is being committed at this moment shares its next transaction.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection

from pillarbox.base.clock import Clock, SystemClock
from pillarbox.base.db.bell import Bell
from pillarbox.base.db.clock import DatabaseClock
from pillarbox.base.db.database import Item, Result, SharedWork, T, Told, Work
from pillarbox.base.db.dsn import Dsn
from pillarbox.base.db.job import Job
from pillarbox.base.db.listener import Listener
from pillarbox.base.db.tally import Commits
from pillarbox.base.db.trouble import (
    READ_ONLY,
    TROUBLE,
    is_away,
    is_collision,
    is_worth_repeating,
    sqlstate,
    translated,
    words,
)
from pillarbox.base.errors import Unavailable

_WRITERS, _READERS = 4, 3  # connections
_TRIES = 3  # of a transaction that lost its connection, or a race, before anything was stored


class PostgresDatabase:
    """One process's connections to a PostgreSQL that it may share with others."""

    def __init__(self, dsn: Dsn) -> None:
        self._writers = dsn.engine(_WRITERS)
        self._readers = dsn.engine(_READERS, read_only=True)
        self._pending: dict[SharedWork[Any, Any], list[Job]] = {}
        self._flushing: dict[SharedWork[Any, Any], asyncio.Task[None]] = {}
        self._closed = False
        self.commits = Commits()
        self._clock = DatabaseClock(SystemClock())
        self._listener = Listener(dsn, self._clock)

    @property
    def is_shared(self) -> bool:
        return True

    @property
    def clock(self) -> Clock:
        return self._clock

    @property
    def bell(self) -> Bell:
        return self._listener.bell

    @property
    def changes(self) -> Bell:
        return self._listener.changes

    async def start(self) -> None:
        """Ask the server for the time and listen. Raises Unavailable."""
        try:
            await self._listener.start()
        except TROUBLE as error:
            await self.close()
            raise translated(error) from None

    async def write(self, work: Work[T]) -> T:
        def alone(connection: Connection, items: Sequence[None]) -> Sequence[T]:
            return [work(connection)]

        return await self.share(alone, None)

    def share(
        self, work: SharedWork[Item, Result], item: Item, told: Told[Result] | None = None
    ) -> asyncio.Future[Result]:
        if self._closed:
            raise Unavailable("the database is closed")
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._pending.setdefault(work, []).append(Job(item, future, told))
        if work not in self._flushing:
            self._flushing[work] = asyncio.create_task(self._flush(work), name="group commit")
        return future

    async def read(self, work: Work[T]) -> T:
        if self._closed:
            raise Unavailable("the database is closed")
        for tries_left in reversed(range(_TRIES)):
            try:
                async with self._readers.connect() as connection:
                    return await connection.run_sync(work)
            except TROUBLE as error:
                if sqlstate(error) == READ_ONLY:  # a work that writes is our mistake
                    raise
                if not (tries_left and is_worth_repeating(error)):
                    raise translated(error) from None
        raise AssertionError

    async def failed(self) -> str:
        """Never: what the server could not store, a later try may."""
        never: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        return await never

    async def close(self) -> None:
        self._closed = True
        await asyncio.gather(*self._flushing.values())
        await self._listener.stop()
        await self._writers.dispose()
        await self._readers.dispose()

    async def _flush(self, work: SharedWork[Any, Any]) -> None:
        """Commit until nobody waits. Each round takes everybody who came during the last."""
        try:
            while jobs := self._pending.pop(work, []):
                answers = await self._answers(work, [job.item for job in jobs])
                self.commits.count(len(jobs))
                for job, answer in zip(jobs, answers, strict=True):
                    job.settle(answer)
        finally:
            del self._flushing[work]

    async def _answers(self, work: SharedWork[Any, Any], items: Sequence[Any]) -> Sequence[Any]:
        """Results in order or, when the shared call fails, each item's own result or error."""
        try:
            return await self._transact(lambda connection: work(connection, items))
        except Unavailable as error:
            return [Unavailable(str(error)) for _ in items]
        except Exception as error:  # noqa: BLE001  handed to the caller, whose error it is
            if len(items) == 1:
                return [error]
        try:
            return await self._transact(
                lambda connection: [_alone(connection, work, item) for item in items]
            )
        except Unavailable as error:
            return [Unavailable(str(error)) for _ in items]

    async def _transact(self, run: Callable[[Connection], T]) -> T:
        """
        Run and commit. What certainly was not stored is run again when its connection broke
        or another process was faster; raises Unavailable when that does not help either.
        """
        for tries_left in reversed(range(_TRIES)):
            try:
                async with self._writers.connect() as connection:
                    found = await connection.run_sync(run)
                    await _commit(connection)
                    return found
            except TROUBLE as error:
                if not (tries_left and is_worth_repeating(error)):
                    raise translated(error) from None
        raise AssertionError


def _alone(connection: Connection, work: SharedWork[Any, Any], item: Any) -> Any:
    """One item's result or error; an error undoes what the item did and nothing else."""
    for tries_left in reversed(range(_TRIES)):
        try:
            with connection.begin_nested():
                return work(connection, [item])[0]
        except Exception as error:
            if is_away(error):
                raise
            if not (tries_left and is_collision(error)):
                return translated(error)
    raise AssertionError


async def _commit(connection: AsyncConnection) -> None:
    """A commit that got no answer may have been done, so it is never simply run again."""
    try:
        await connection.commit()
    except TROUBLE as error:
        if sqlstate(error).startswith("40"):  # the server says that it rolled back
            raise
        raise Unavailable(
            f"the database went away while it was storing this; it may be stored. Repeat it "
            f"with the same idempotency key ({words(error)})"
        ) from None
