"""Two processes' worth of one PostgreSQL database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from pillarbox.base.clock import SystemClock
from pillarbox.base.db.database import Database
from pillarbox.base.db.open import OpenDatabase
from pillarbox.queue.queue import Queue
from support.postgres import shared_postgres


@pytest.fixture
async def url() -> str:
    """A database of its own."""
    return await shared_postgres().create()


@pytest.fixture
async def both(url: str) -> AsyncIterator[tuple[Database, Database]]:
    """As two processes have it open."""
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(OpenDatabase(url))
        other = await stack.enter_async_context(OpenDatabase(url))
        yield one, other


@pytest.fixture
def queues(both: tuple[Database, Database]) -> tuple[Queue, Queue]:
    one, other = both
    return Queue(one, SystemClock(), one.bell), Queue(other, SystemClock(), other.bell)
