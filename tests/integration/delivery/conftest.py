"""A house for every test here, and a relay for those that ask for one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from support.house import House, open_house
from support.ledger_relay import LedgerRelay, ledger_relay


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path) as opened:
        yield opened


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[LedgerRelay]:
    folder = tmp_path / "relay"
    folder.mkdir()
    with ledger_relay(folder) as running:
        yield running
