"""
Bringing a PostgreSQL database to the version of this program, or refusing to touch it.

It is looked at first. All changes are one transaction under an advisory lock: of several that
start at once one migrates and the others wait, and half an upgrade is no upgrade.
"""

from __future__ import annotations

import asyncpg
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

from pillarbox.base.db.database import Work
from pillarbox.base.db.dsn import Dsn
from pillarbox.base.db.location import without_password
from pillarbox.base.db.trouble import TROUBLE, sqlstate, words
from pillarbox.base.db.upgrade import (
    Condition,
    condition_at,
    migrate,
    of_another_program,
)
from pillarbox.base.errors import Unavailable, Unusable

_OLDEST = 140000  # server_version_num; 14 is the oldest that its makers still mend
_LOCK = 0x70696C6C  # any number that other programs are unlikely to use
_PATIENCE = {"lock_timeout": "0", "statement_timeout": "0"}  # a migration may take its time
_TABLES = text("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")

# What PostgreSQL must be set to, and why; chapter "Write Ahead Log" of its manual.
_DURABLE = {
    "fsync": ({"on"}, "a commit would not be on the disk"),
    "full_page_writes": ({"on"}, "a power cut could damage pages of it"),
    "synchronous_commit": (
        {"on", "local", "remote_write", "remote_apply"},
        "a commit would be answered before it is on the disk",
    ),
    "server_encoding": ({"UTF8"}, "not every address and subject could be kept"),
}
_NEEDS_PERSON = {
    "28000": "the server does not let us in",
    "28P01": "the password is wrong",
    "3D000": "there is no such database",
    "42501": "the user may not do this",
}


async def inspect(dsn: Dsn) -> Condition:
    """Raises Unusable when it is not ours to use, Unavailable when it cannot be asked."""
    return await _run(dsn, _inspect)


async def upgrade(dsn: Dsn) -> Condition:
    """Bring it to LATEST; what it was before. Raises as inspect does."""
    before = await inspect(dsn)
    if before is Condition.CURRENT:
        return before
    return await _run(dsn, _upgrade)


def _upgrade(connection: Connection) -> Condition:
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    before = _inspect(connection)  # again: whoever held the lock may have done it
    if before is not Condition.CURRENT:
        migrate(connection)
    return before


def _inspect(connection: Connection) -> Condition:
    where = f"the database {connection.scalar(text('SELECT current_database()'))}"
    _check_server(connection, where)
    tables = set(connection.scalars(_TABLES))
    if not tables:
        return Condition.ABSENT
    if not {"alembic_version", "messages", "deliveries"} <= tables:
        raise of_another_program(where)
    version = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return condition_at(str(version or ""), where)


def _check_server(connection: Connection, where: str) -> None:
    """Raises Unusable unless what it commits is on stable storage."""
    release = connection.scalar(text("SHOW server_version"))
    if int(connection.scalar(text("SHOW server_version_num"))) < _OLDEST:
        raise Unusable(f"PostgreSQL {release} is too old; it takes {_OLDEST // 10000} or newer")
    for setting, (accepted, harm) in _DURABLE.items():
        found = connection.scalar(text("SELECT current_setting(:name)"), {"name": setting})
        if found not in accepted:
            wanted = sorted(accepted)[-1] if "on" not in accepted else "on"
            raise Unusable(
                f"{where} has {setting}={found}, so {harm}. Nothing was changed; "
                f"set {setting}={wanted}"
            )


async def _run(dsn: Dsn, work: Work[Condition]) -> Condition:
    async def connect() -> asyncpg.Connection:
        return await dsn.connect(**_PATIENCE)

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect)
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(work)
    except TROUBLE as error:
        raise _refusal(dsn, error) from None
    finally:
        await engine.dispose()


def _refusal(dsn: Dsn, error: BaseException) -> Unavailable:
    where = without_password(dsn.url)
    said = words(error)
    if advice := _NEEDS_PERSON.get(sqlstate(error)):
        return Unusable(f"{where} cannot be used: {advice} ({said})")
    return Unavailable(f"{where} cannot be reached ({said})")
