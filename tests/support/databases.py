"""The databases that the contract tests run on: every implementation of the seam."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from pillarbox.base.db.database import Database
from pillarbox.base.db.dsn import Dsn
from pillarbox.base.db.open import OpenDatabase
from pillarbox.base.db.upgrade_postgres import upgrade
from support.postgres import Postgres, shared_postgres

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
        note.write_text(await shared_postgres().create(template=await _template()))
    return note.read_text()


async def _template() -> str:
    """The name of an empty database of our version: copying one is quicker than migrating."""
    server = shared_postgres()
    if server not in _templates:
        url = await server.create()
        await upgrade(Dsn(url))
        _templates[server] = urlsplit(url).path.removeprefix("/")
    return _templates[server]


_templates: dict[Postgres, str] = {}
