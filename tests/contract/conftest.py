"""Every test here runs on every database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pillarbox.base.db.database import Database
from pillarbox.queue.queue import Queue
from support.clocks import HandClock
from support.databases import KINDS, open_database


@pytest.fixture(params=KINDS)
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(request.param, tmp_path) as opened:
        yield opened


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def queue(database: Database, clock: HandClock) -> Queue:
    return Queue(database, clock, database.bell)
