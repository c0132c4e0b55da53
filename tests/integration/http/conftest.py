"""A counter for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.desk import Counter, open_counter


@pytest.fixture
async def counter(tmp_path: Path) -> AsyncIterator[Counter]:
    """The application with a database of its own and a clock that stands still."""
    async with open_counter(tmp_path) as opened:
        yield opened
