"""
What a PostgreSQL error means to us, by its SQLSTATE.

Codes: PostgreSQL's appendix A. A class is the first two characters.
"""

from __future__ import annotations

import asyncpg
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolIsEmpty

from pillarbox.base.errors import Conflict, Unavailable

# Whatever a statement, a commit or a connect may raise. asyncio's TimeoutError is an OSError.
TROUBLE = (
    SQLAlchemyError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
)

READ_ONLY = "25006"
_UNIQUE_VIOLATION = "23505"
_COLLISIONS = {
    _UNIQUE_VIOLATION,  # another process stored the same at this moment
    "40001",  # serialization_failure
    "40P01",  # deadlock_detected
    "0A000",  # a prepared statement is out of date: the tables were upgraded
}
_SHUTTING_DOWN = {"57P01", "57P02"}  # by an administrator, or after a crash of another
_AWAY_CLASSES = {
    "08",  # connection exception
    "25",  # invalid transaction state: our transaction was ended, or a standby answers
    "40",  # rolled back for the sake of another transaction, more than once
    "53",  # insufficient resources: disk, memory, connections
    "55",  # not in prerequisite state: a lock did not come in time
    "57",  # operator intervention: shutting down, cancelled, timed out
    "58",  # system error
    "XX",  # internal error
}


def sqlstate(error: BaseException) -> str:
    """The error's code, or "" when the server did not say it."""
    said = error.orig if isinstance(error, DBAPIError) else error
    return getattr(said, "sqlstate", None) or ""


def is_away(error: BaseException) -> bool:
    """Whether the server cannot be used now, as against having been asked something wrong."""
    if code := sqlstate(error):
        return code[:2] in _AWAY_CLASSES
    if isinstance(error, DBAPIError):
        return error.connection_invalidated
    return isinstance(error, OSError | PoolIsEmpty | asyncpg.InternalClientError)


def is_collision(error: BaseException) -> bool:
    """Whether the same again may well succeed, because somebody else was faster."""
    return sqlstate(error) in _COLLISIONS


def is_worth_repeating(error: BaseException) -> bool:
    """
    Whether a transaction that certainly was not stored may be run again at once: somebody was
    faster, or the connection broke. Not after a wait that came to its end: waits would add up.
    """
    if is_collision(error):
        return True
    is_broken = is_away(error) and not isinstance(error, TimeoutError | PoolIsEmpty)
    code = sqlstate(error)
    return is_broken and (code[:2] in {"", "08"} or code in _SHUTTING_DOWN)


def translated(error: BaseException) -> BaseException:
    """What the caller gets: no more of the driver than its words."""
    if is_away(error):
        return Unavailable(f"nothing was stored: the database is away ({words(error)})")
    if sqlstate(error) == _UNIQUE_VIOLATION:
        return Conflict("somebody stored the same at this moment; look at it again")
    return error


def words(error: BaseException) -> str:
    """One line of what the server or the driver said."""
    said = error.orig if isinstance(error, DBAPIError) and error.orig else error
    text = str(said).strip() or type(said).__name__
    return text.splitlines()[0].rpartition(">: ")[2]
