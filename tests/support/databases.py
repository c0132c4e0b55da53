"""The databases that the contract tests run on: every implementation of the seam."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from pillarbox.base.db.database import Database
from pillarbox.base.db.open import OpenDatabase

KINDS = ("sqlite",)


@asynccontextmanager
async def open_database(kind: str, folder: Path) -> AsyncIterator[Database]:
    """A fresh database of this kind, or the one that is in the folder already."""
    assert kind in KINDS
    async with OpenDatabase(f"sqlite:///{folder / 'pillarbox.db'}") as database:
        yield database
