"""
SQLite: one writer connection that everybody shares, and readers that cannot write.

One writer, because two connections that write or checkpoint at once can corrupt the file in
SQLite 3.7.0 to 3.51.2 (the WAL-reset bug). Statements run on the event loop; COMMIT, which
waits for the disk, runs beside it, and whoever arrives meanwhile shares the next one.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import QueuePool, StaticPool

from pillarbox.base.clock import Clock, SystemClock
from pillarbox.base.db.bell import Bell
from pillarbox.base.db.committer import Committer
from pillarbox.base.db.database import Item, Result, SharedWork, T, Told, Work
from pillarbox.base.db.job import Job
from pillarbox.base.db.tally import Commits
from pillarbox.base.errors import Unavailable, Unusable

_READERS = 2
_SLOTS = 200  # compiled statements kept, per connection

Answers = list[tuple[Job, Any]]


class SqliteDatabase:
    """The only process that writes this file: see lock.py."""

    def __init__(self, path: Path) -> None:
        self._writer = _engine(path, writes=True)
        self._readers = _engine(path, writes=False)
        self._connection: Connection = self._writer.connect()
        self._transact = cast("sqlite3.Connection", self._connection.connection.dbapi_connection)
        self._committer = Committer(self._transact)
        self._reading = ThreadPoolExecutor(_READERS, "pillarbox-read")
        self._pending: dict[SharedWork[Any, Any], list[Job]] = {}
        self._rests = asyncio.Event()  # set while no round is under way
        self._rests.set()
        self._broken: str | None = None
        self._failure = asyncio.Event()
        self._closed = False
        self.commits = Commits()
        self._clock = SystemClock()
        self._bell = Bell()
        self._changes = Bell()  # nobody else changes anything
        self._check_durability(path)

    @property
    def is_shared(self) -> bool:
        return False

    @property
    def clock(self) -> Clock:
        return self._clock

    @property
    def bell(self) -> Bell:
        return self._bell

    @property
    def changes(self) -> Bell:
        return self._changes

    async def write(self, work: Work[T]) -> T:
        def alone(connection: Connection, items: Sequence[None]) -> Sequence[T]:
            return [work(connection)]

        return await self.share(alone, None)

    def share(
        self, work: SharedWork[Item, Result], item: Item, told: Told[Result] | None = None
    ) -> asyncio.Future[Result]:
        if self._broken or self._closed:
            raise Unavailable(self._broken or "the database is closed")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._pending.setdefault(work, []).append(Job(item, future, told))
        if self._rests.is_set():
            self._rests.clear()
            loop.call_soon(self._begin_round)  # after whoever else is about to write
        return future

    async def read(self, work: Work[T]) -> T:
        if self._closed:
            raise Unavailable("the database is closed")

        def reading() -> T:
            try:
                with self._readers.connect() as connection, connection.begin():
                    return work(connection)
            except DBAPIError as error:
                raise Unavailable(f"the database could not be read: {error.orig}") from error

        return await asyncio.get_running_loop().run_in_executor(self._reading, reading)

    async def failed(self) -> str:
        await self._failure.wait()
        return self._broken or ""

    async def close(self) -> None:
        self._closed = True
        await self._rests.wait()
        self._committer.close()
        self._reading.shutdown()
        if self._broken:
            self._leave_as_it_is()
        self._readers.dispose()
        self._connection.close()
        self._writer.dispose()

    def _leave_as_it_is(self) -> None:
        """
        Let go of the writer while a reader looks on. The last connection to close would copy
        the log into the file, and so rely on what the disk did not take.
        """
        with self._readers.connect() as reader:
            reader.exec_driver_sql("SELECT count(*) FROM sqlite_master")
            self._connection.close()
            self._writer.dispose()

    def _check_durability(self, path: Path) -> None:
        """Raises Unusable unless a commit is on stable storage when it says so."""
        for pragma, wanted in _DURABLE.items():
            (found,) = self._transact.execute(f"PRAGMA {pragma}").fetchone()
            if found != wanted:
                raise Unusable(
                    f"SQLite answers {pragma}={found} for {path}, and mail is only safe with "
                    f"{wanted}. Put the database on a local disk"
                )

    def _begin_round(self) -> None:
        """Run what everybody wants who has come by now, and have it committed."""
        round_, self._pending = self._pending, {}
        jobs = [job for group in round_.values() for job in group]
        if self._broken:  # since they came
            _refuse(jobs, self._broken)
            self._end_round()
            return
        try:
            self._transact.execute("BEGIN IMMEDIATE")
            answers = [pair for work, group in round_.items() for pair in self._run(work, group)]
        except (SQLAlchemyError, sqlite3.Error, _RoundLost) as error:
            self._abandon(jobs, error.cause if isinstance(error, _RoundLost) else error)
            self._end_round()
            return
        self._committer.commit(partial(self._committed, jobs, answers))

    def _committed(self, jobs: list[Job], answers: Answers, failure: sqlite3.Error | None) -> None:
        if failure is not None:
            self._abandon(jobs, failure)
        else:
            self.commits.count(len(jobs))
            for job, answer in answers:
                job.settle(answer)
        self._end_round()

    def _end_round(self) -> None:
        """Whoever has just heard of the commit may join the next one."""
        if self._pending:
            asyncio.get_running_loop().call_soon(self._begin_round)
        else:
            self._rests.set()

    def _run(self, work: SharedWork[Any, Any], jobs: list[Job]) -> Answers:
        """Results in order, or, when the shared call fails, each item's own result or error."""
        try:
            results = self._guarded(work, [job.item for job in jobs])
        except _RoundLost:
            raise
        except Exception as error:  # noqa: BLE001  handed to the caller, whose error it is
            if len(jobs) == 1:
                return [(jobs[0], _translated(error))]
            return [answer for job in jobs for answer in self._run(work, [job])]
        return list(zip(jobs, results, strict=True))

    def _guarded(self, work: SharedWork[Any, Any], items: list[Any]) -> Sequence[Any]:
        self._transact.execute("SAVEPOINT work")
        try:
            results = work(self._connection, items)
        except BaseException as error:
            if not self._transact.in_transaction or _is_disk_error(error):
                # A full disk undoes everything, not only this work. Whoever goes on from
                # here would write outside any transaction.
                raise _RoundLost(error) from error
            self._transact.execute("ROLLBACK TO work")
            self._transact.execute("RELEASE work")
            raise
        self._transact.execute("RELEASE work")
        return results

    def _abandon(self, jobs: list[Job], error: BaseException) -> None:
        """
        The round is undone. After a failed sync nobody knows what the disk holds, so a
        disk error ends the writing for good (fsync is never retried); a full disk does not.
        """
        cause = error.orig if isinstance(error, DBAPIError) else error
        if _is_disk_error(error):
            self._fail(cause)
        try:
            if self._transact.in_transaction:
                self._transact.rollback()
        except sqlite3.Error as worse:
            self._fail(worse)
        _refuse(jobs, f"nothing was stored: {cause}")

    def _fail(self, cause: object) -> None:
        self._broken = f"the database could not be written and is closed to new work: {cause}"
        self._failure.set()


class _RoundLost(Exception):
    """The whole transaction is gone, with everybody's changes."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(str(cause))
        self.cause = cause


def _is_disk_error(error: BaseException) -> bool:
    cause = error.orig if isinstance(error, DBAPIError) else error
    return isinstance(cause, sqlite3.Error) and "disk I/O error" in str(cause)


def _translated(error: Exception) -> Exception:
    """What the caller gets: its own error, or that the database could not do it now."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, sqlite3.OperationalError):
        return Unavailable(f"nothing was stored: {cause}")
    return error


def _refuse(jobs: list[Job], why: str) -> None:
    for job in jobs:
        job.settle(Unavailable(why))


def _engine(path: Path, *, writes: bool) -> Engine:
    def connect() -> sqlite3.Connection:
        mode = "rw" if writes else "ro"
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}",
            uri=True,
            isolation_level=None,  # transactions are begun and ended by us, in words
            check_same_thread=False,
            timeout=10,
            cached_statements=_SLOTS,
        )
        for pragma in _WRITER_PRAGMAS if writes else _READER_PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
        return connection

    if writes:
        return create_engine(
            "sqlite://", creator=connect, poolclass=StaticPool, hide_parameters=True
        )
    return create_engine(
        "sqlite://",
        creator=connect,
        poolclass=QueuePool,
        pool_size=_READERS,
        max_overflow=0,
        hide_parameters=True,
    )


_WRITER_PRAGMAS = (
    "foreign_keys = ON",
    "synchronous = FULL",  # a commit is on stable storage before anybody hears of it
    "journal_size_limit = 67108864",
    "temp_store = MEMORY",
    "cache_size = -16384",
)
_DURABLE = {"journal_mode": "wal", "synchronous": 2}  # 2 is FULL
_READER_PRAGMAS = ("query_only = ON", "temp_store = MEMORY")
