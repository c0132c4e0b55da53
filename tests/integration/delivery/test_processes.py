"""Several processes on one PostgreSQL keep a relay's limits together."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from pillarbox.queue.state import DeliveryState
from pillarbox.relays.sharing import Sharing
from support.counting_relay import counting_relay
from support.house import House, delivering, looked_round, open_house


async def worker(stack: AsyncExitStack, folder: Path, name: str) -> House:
    """A house of its own on the same database, with its own name."""
    house = await stack.enter_async_context(open_house(folder, kind="postgresql"))
    sharing = Sharing(house.database, house.equipment.clock, name)
    house.equipment = replace(house.equipment, sharing=sharing)
    return house


async def test_three_workers_open_no_more_sessions_than_one_relay_allows(tmp_path: Path) -> None:
    """Everything arrives once, and more than one of them had a part in it."""
    async with counting_relay(seconds=0.02) as relay, AsyncExitStack() as stack:
        first = await worker(stack, tmp_path, "prc_a")
        await first.add_relay(host="127.0.0.1", port=relay.port, tls="none", max_connections=4)
        others = [await worker(stack, tmp_path, name) for name in ("prc_b", "prc_c")]
        sent = [await first.send(f"user{n}@y.test") for n in range(150)]
        async with delivering(first), delivering(others[0]), delivering(others[1]):
            messages = [await first.until(each, seconds=60) for each in sent]

    assert {message.state for message in messages} == {DeliveryState.RELAYED}
    assert len(relay.recipients) == len(set(relay.recipients)) == 150
    assert relay.peak <= 4


async def test_three_workers_probe_a_dead_relay_once(tmp_path: Path) -> None:
    async with counting_relay(is_down=True) as relay, AsyncExitStack() as stack:
        first = await worker(stack, tmp_path, "prc_a")
        await first.add_relay(host="127.0.0.1", port=relay.port, tls="none")
        others = [await worker(stack, tmp_path, name) for name in ("prc_b", "prc_c")]
        for n in range(30):
            await first.send(f"user{n}@y.test")
        houses = (first, *others)
        supervisors = [await stack.enter_async_context(delivering(each)) for each in houses]
        async with asyncio.timeout(20):
            while relay.connections == 0:
                await first.equipment.clock.sleep(0.01)
        for house, supervisor in zip(houses, supervisors, strict=True):
            await looked_round(house, supervisor)

    assert relay.connections == 1
