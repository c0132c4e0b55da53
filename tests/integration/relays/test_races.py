"""Two people, or two processes, that change relays at one moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from pillarbox.base.clock import SystemClock
from pillarbox.base.db.open import OpenDatabase
from pillarbox.base.errors import Conflict, Rejected
from pillarbox.base.ids import Ids
from pillarbox.base.sealing import Keyring
from pillarbox.relays.change import RelayChange
from pillarbox.relays.registry import Registry
from pillarbox.relays.versions import Decision, Relay
from support.house import open_house
from support.postgres import shared_postgres


@pytest.fixture
async def registries(tmp_path: Path) -> AsyncIterator[tuple[Registry, Registry]]:
    """Of two processes on one PostgreSQL; neither has heard from the other yet."""
    url, clock = await shared_postgres().create(), SystemClock()
    keyring = Keyring.load_or_create(tmp_path / "key")
    async with AsyncExitStack() as stack:
        opened = []
        for _ in range(2):
            database = await stack.enter_async_context(OpenDatabase(url))
            registry = Registry(database, keyring, clock, Ids(clock))
            await registry.load()
            opened.append(registry)
        yield opened[0], opened[1]


def decision(*, name: str, make_default: bool = False) -> Decision:
    change = RelayChange.read({"name": name, "host": "127.0.0.1", "port": 2526, "tls": "none"})
    return Decision(change=change, principal="test", make_default=make_default)


def refusals(ends: list[Relay | BaseException]) -> list[BaseException]:
    return [end for end in ends if isinstance(end, BaseException)]


async def test_one_of_two_relays_with_one_name_is_refused(tmp_path: Path) -> None:
    """In one process; the other is there, whole."""
    async with open_house(tmp_path) as house:
        adding = (house.registry.add(decision(name="main")) for _ in range(2))
        ends = await asyncio.gather(*adding, return_exceptions=True)
        names = [each.name for each in house.registry.all()]

    (refused,) = refusals(ends)
    assert isinstance(refused, Rejected)
    assert "a relay named “main” already" in str(refused.problems[0])
    assert names.count("main") == 1


async def test_one_of_two_processes_gets_the_name(
    registries: tuple[Registry, Registry],
) -> None:
    """Whatever each of them knows: the database decides, and nobody sees its error."""
    for number in range(5):
        adding = (each.add(decision(name=f"main-{number}")) for each in registries)
        ends = await asyncio.gather(*adding, return_exceptions=True)

        (refused,) = refusals(ends)
        assert isinstance(refused, Rejected | Conflict)
        for each in registries:
            await each.refresh()
            assert [relay.name for relay in each.all()].count(f"main-{number}") == 1


async def test_a_default_relay_that_vanishes_elsewhere_leaves_another(
    registries: tuple[Registry, Registry],
) -> None:
    """
    Another process makes a new default and removes the old one; this one has not heard of it.

    It must not make two defaults, nor be left with none.
    """
    here, there = registries
    old = await here.add(decision(name="old", make_default=True))
    await there.refresh()

    new = await there.add(decision(name="new", make_default=True))
    await there.remove(old.id, "test")
    assert here.default().id == old.id  # what it knows
    with pytest.raises(Conflict):
        await here.remove(old.id, "test")
    await here.refresh()

    assert here.default().id == there.default().id == new.id
    assert [each.is_default for each in here.all()].count(True) == 1


async def test_mail_for_a_default_relay_that_vanished_is_not_lost(tmp_path: Path) -> None:
    """Accepted for it just before it went: held for a person, and said so."""
    async with open_house(tmp_path) as house:
        old = await house.registry.add(decision(name="old", make_default=True))
        sent = await house.send("ann@y.test")
        await house.registry.add(decision(name="new", make_default=True))
        await house.registry.remove(old.id, "test")
        later = await house.send("bob@y.test")
        message = await house.queue.message(sent)
        after = await house.queue.message(later)

    assert message.state.value == "held"
    assert after.relay_id == house.registry.default().id != old.id
