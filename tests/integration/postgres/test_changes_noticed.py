"""What one process changes in relays and keys the others know as soon as it is committed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection

from pillarbox.access.principal import OPERATOR
from pillarbox.app import App, open_app
from pillarbox.base.clock import SystemClock
from pillarbox.base.config import Config
from pillarbox.base.db.database import Database
from pillarbox.base.errors import Unauthenticated
from pillarbox.journal import journal
from pillarbox.journal.events import KeyCreated
from pillarbox.relays.change import RelayChange
from pillarbox.relays.versions import Decision

SOON = 5.0  # seconds; half of how often everybody looks without a notice


@pytest.fixture
async def apps(url: str, tmp_path: Path) -> AsyncIterator[list[App]]:
    config = Config(home=tmp_path / "one", database_url=url, secret_key_file=tmp_path / "key")
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                open_app(replace(config, home=tmp_path / name), deliver=False)
            )
            for name in ("one", "two")
        ]


async def known(app: App, key: str) -> bool:
    try:
        app.desk.keys.authenticate(key)
    except Unauthenticated:
        return False
    return True


async def test_a_key_opens_every_process_at_once_and_after_it_is_revoked_none(
    apps: list[App],
) -> None:
    one, two = apps
    clock = SystemClock()
    key, text = await one.desk.keys.create("tests", OPERATOR)
    async with asyncio.timeout(SOON):
        while not await known(two, text):
            await clock.sleep(0.01)
    await two.desk.keys.revoke(key.id, OPERATOR)
    async with asyncio.timeout(SOON):
        while await known(one, text):
            await clock.sleep(0.01)


async def test_a_relay_is_there_for_every_process_at_once(apps: list[App]) -> None:
    one, two = apps
    change = RelayChange.read({"name": "office", "host": "mail.example.org", "tls": "implicit"})
    relay = await one.desk.registry.add(Decision(change=change, principal="test"))
    async with asyncio.timeout(SOON):
        while relay.id not in two.desk.registry:
            await SystemClock().sleep(0.01)


async def test_a_change_that_is_undone_is_told_to_nobody(both: tuple[Database, Database]) -> None:
    """The notice is part of the transaction: what is heard is the one that was committed."""
    one, other = both
    told = KeyCreated(principal="operator:local", key="key_1")
    heard: list[str] = []

    async def listen() -> None:
        await other.changes.wait(60)
        heard.append("changes")

    listening = asyncio.create_task(listen())

    def undone(connection: Connection) -> None:
        journal.write(connection, [(one.clock.now(), told)])
        raise LookupError

    with pytest.raises(LookupError):
        await one.write(undone)
    await other.read(journal.newest)
    assert heard == []

    await one.write(lambda connection: journal.write(connection, [(one.clock.now(), told)]))
    async with asyncio.timeout(SOON):
        await listening
    assert heard == ["changes"]
