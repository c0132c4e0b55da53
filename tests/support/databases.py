"""The databases that the contract tests run on: every implementation of the seam."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from pillarbox.base.db.database import Database
from pillarbox.base.db.open import OpenDatabase
from support.postgres import shared_postgres

KINDS = ("sqlite", "postgresql")


@asynccontextmanager
async def open_database(kind: str, folder: Path) -> AsyncIterator[Database]:
    """A fresh database of this kind, or the one that is in the folder already."""
    async with OpenDatabase(await database_url(kind, folder)) as database:
        yield database


async def database_url(kind: str, folder: Path) -> str:
    """Where the folder's database is. For PostgreSQL a file in it remembers which one."""
    assert kind in KINDS
    if kind == "sqlite":
        return f"sqlite:///{folder / 'pillarbox.db'}"
    note = folder / "database.url"
    if not note.exists():
        note.write_text(await shared_postgres().create())
    return note.read_text()
