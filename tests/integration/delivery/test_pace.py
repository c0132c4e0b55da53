"""A relay that says "too many" gets fewer sessions, and every message arrives all the same."""

from __future__ import annotations

import asyncio
from typing import Any

from sqlalchemy import select

from pillarbox.journal import journal
from pillarbox.queue.state import DeliveryState
from support.counting_relay import OK, counting_relay
from support.house import House, delivering


async def events(house: House, name: str) -> list[dict[str, Any]]:
    query = select(journal.events).where(journal.events.c.name == name)
    found = await house.database.read(lambda connection: connection.execute(query).all())
    return [each.facts for each in found]


async def test_too_many_connections_halve_them_and_refuse_no_mail(house: House) -> None:
    """Eight are allowed here and three there: we go down to two or so, and nothing rests."""
    async with counting_relay(most=3, seconds=0.02) as relay:
        await house.add_relay(host="127.0.0.1", port=relay.port, tls="none", max_connections=8)
        async with delivering(house):
            sent = [await house.send(f"user{n}@y.test") for n in range(60)]
            messages = [await house.until(each, seconds=20) for each in sent]
        slowdown = house.registry.default().slowdown

    assert {message.state for message in messages} == {DeliveryState.RELAYED}
    assert {each.attempts for message in messages for each in message.deliveries} == {1}
    assert sorted(relay.recipients) == sorted(f"user{n}@y.test" for n in range(60))
    assert slowdown is not None
    assert slowdown.connections in (1, 2, 4)  # 4 only when the last complaint was under way
    assert relay.refused <= 8
    assert await events(house, "relay.slowed")
    assert not await events(house, "relay.suspended")


async def test_a_relay_that_complains_to_the_last_session_rests(house: House) -> None:
    """Halving has an end: then one probe after a while, and not a hammer."""

    def busy(before: int) -> bytes:
        return OK if before == 0 else b"451 4.7.1 Rate limit exceeded\r\n"

    async with counting_relay(to_mail=busy) as relay:
        await house.add_relay(host="127.0.0.1", port=relay.port, tls="none", max_connections=4)
        async with delivering(house):
            sent = [await house.send(f"user{n}@y.test") for n in range(50)]
            async with asyncio.timeout(10):
                while house.registry.default().rest is None:
                    await house.equipment.clock.sleep(0.01)
            tried = len(relay.begun)
            await house.equipment.clock.sleep(1)
            still = len(relay.begun)
            states = {(await house.queue.message(each)).state for each in sent[1:]}

    assert tried <= 16
    assert still - tried <= 3  # that were under way
    assert states <= {DeliveryState.QUEUED, DeliveryState.RELAYED}
    assert [each["connections"] for each in await events(house, "relay.slowed")] == [2, 1]
