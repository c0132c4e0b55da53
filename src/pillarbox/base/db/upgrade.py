"""
Bringing a database file to the version of this program, or refusing to touch it.

The file is looked at read-only first. A damaged file, another program's file and a file of a
newer pillarbox are each refused with what to do, and not one octet of them is changed.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

from sqlalchemy import Connection, create_engine

from pillarbox.base.durable import sync
from pillarbox.base.errors import Unusable

LATEST = "0001"  # the newest file in migrations/versions; a test compares

_MAGIC = b"SQLite format 3\x00"


class Condition(Enum):
    """What a database file turned out to be."""

    ABSENT = "absent"
    OLDER = "older"
    CURRENT = "current"


def inspect(path: Path) -> Condition:
    """Raises Unusable when the file is not ours to use. Changes nothing."""
    if not path.exists() or path.stat().st_size == 0:
        return Condition.ABSENT
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise Unusable(
                f"{path} is not a SQLite database. It was not touched; move it away, or set "
                f"PILLARBOX_DATABASE_URL to another file"
            )
    return condition_at(_version(path), str(path))


def upgrade(path: Path) -> Condition:
    """
    Bring the file to LATEST, making it when there is none; return what it was before.

    The directory is synced afterwards: a new file's name is not on stable storage before
    that, however often the file itself is synced.
    """
    before = inspect(path)
    if before is not Condition.CURRENT:
        _migrate(path)
        sync(path.parent)
    return before


def check_integrity(path: Path) -> list[str]:
    """What SQLite's own full check finds; an empty list when the file is sound."""
    with _read_only(path) as connection:
        found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(20)")]
    connection.close()
    return [] if found == ["ok"] else found


def condition_at(version: str, where: str) -> Condition:
    """How a database of this version stands. Raises Unusable for one of a newer program."""
    if version == LATEST:
        return Condition.CURRENT
    if version > LATEST:
        raise Unusable(
            f"{where} was written by a newer pillarbox (database version {version}, this program "
            f"knows {LATEST}). It was not touched; install the newer pillarbox"
        )
    return Condition.OLDER


def of_another_program(where: str) -> Unusable:
    """Tables are there, and none of them are ours."""
    return Unusable(
        f"{where} is a database of another program. It was not touched; set "
        f"PILLARBOX_DATABASE_URL to another one"
    )


def migrate(connection: Connection) -> None:
    """Run what is in migrations/ in the transaction that the caller holds."""
    # Alembic is slow to import, and most starts have nothing to migrate.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "pillarbox.base.db:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _version(path: Path) -> str:
    connection = _read_only(path)
    try:
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
        if "alembic_version" not in tables:
            if tables:
                raise of_another_program(str(path))
            return ""
        _look_over(connection)
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        return str(row[0]) if row else ""
    except sqlite3.DatabaseError as error:
        raise Unusable(
            f"{path} is damaged ({error}). It was not touched; restore a backup, or move the "
            f"file away to start with an empty one"
        ) from None
    finally:
        connection.close()


def _look_over(connection: sqlite3.Connection) -> None:
    """
    Read where every table and index begins and ends; raises what SQLite says of a damaged one.

    It takes milliseconds, however large the file. A full check would read all of it: that is
    what `pillarbox doctor` is for.
    """
    found = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master")
    for kind, name, table, sql in found.fetchall():
        for look in _ends(name) if kind == "table" else _beginning(name, table, sql or ""):
            connection.execute(look).fetchall()


def _ends(table: str) -> Iterator[str]:
    for order in ("ASC", "DESC"):
        yield f'SELECT rowid FROM "{table}" ORDER BY rowid {order} LIMIT 1'  # noqa: S608  its own name


def _beginning(index: str, table: str, sql: str) -> Iterator[str]:
    """An index over a part of its table is used only where that part is asked for."""
    part = sql.partition(" WHERE ")[2]
    where = f"WHERE {part} " if part else ""
    yield f'SELECT rowid FROM "{table}" INDEXED BY "{index}" {where}LIMIT 1'  # noqa: S608  as above


def _read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=10)


def _migrate(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    engine = create_engine(f"sqlite:///{path.absolute()}", isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        connection.exec_driver_sql("PRAGMA synchronous = FULL")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        migrate(connection)
        connection.exec_driver_sql("COMMIT")
    engine.dispose()
