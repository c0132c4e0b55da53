"""A relay that cannot be used is asked by one delivery, and comes back in four ways."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from pillarbox.queue.state import DeliveryState
from pillarbox.relays.change import RelayChange
from pillarbox.relays.versions import Decision, Relay
from support.clocks import SetClock
from support.counting_relay import counting_relay
from support.house import House, delivering, open_house


async def rested(house: House) -> Relay:
    async with asyncio.timeout(10):
        while (relay := house.registry.default()).rest is None:
            await house.equipment.clock.sleep(0.01)
    return relay


async def test_2000_deliveries_probe_a_dead_relay_once(house: House) -> None:
    """One connection, not two thousand (F19); no mail fails and none loses an attempt."""
    async with counting_relay(is_down=True) as relay:
        await house.add_relay(host="127.0.0.1", port=relay.port, tls="none", max_connections=20)
        sent = await asyncio.gather(*(house.send(f"user{n}@y.test") for n in range(2000)))
        async with delivering(house):
            resting = await rested(house)
            for _ in range(50):  # rings are no reason to try
                house.bell.ring()
                await house.equipment.clock.sleep(0.02)
            probes = relay.connections
            waiting = [await house.queue.message(each) for each in sent[::100]]

    assert resting.rest is not None
    assert resting.rest.failures == 1
    assert probes == 1
    assert {message.state for message in waiting} == {DeliveryState.QUEUED}
    assert {each.attempts for message in waiting for each in message.deliveries} == {0}


@pytest.mark.parametrize("way", ["change", "resume", "diagnosis"])
async def test_a_person_brings_a_relay_back(house: House, way: str) -> None:
    """By changing it, by saying so, or by a diagnosis that goes well: at once, not in a while."""
    async with counting_relay(is_down=True) as relay:
        await house.add_relay(host="127.0.0.1", port=relay.port, tls="none")
        async with delivering(house):
            sent = [await house.send(f"user{n}@y.test") for n in range(3)]
            resting = await rested(house)
            relay.is_down = False
            await _bring_back(house, resting, way)
            house.bell.ring()
            messages = [await house.until(each, seconds=3) for each in sent]

    assert {message.state for message in messages} == {DeliveryState.RELAYED}
    assert house.registry.default().rest is None


async def _bring_back(house: House, relay: Relay, way: str) -> None:
    match way:
        case "change":
            change = RelayChange.read({"command_timeout_seconds": 60})
            await house.registry.change(relay.id, Decision(change=change, principal="test"))
        case "resume":
            await house.registry.resume_now(relay.name, "test")
        case "diagnosis":
            await house.registry.note_check(relay, is_well=True)


async def test_a_rest_that_began_in_the_future_is_over(tmp_path: Path) -> None:
    """The clock was a day fast and is right now: the relay is probed now, not tomorrow."""
    clock = SetClock()
    async with open_house(tmp_path, clock=clock) as house, counting_relay(is_down=True) as relay:
        await house.add_relay(host="127.0.0.1", port=relay.port, tls="none")
        clock.ahead = timedelta(days=1)
        async with delivering(house):
            sent = await house.send("ann@y.test")
            resting = await rested(house)
            relay.is_down = False
            clock.ahead = timedelta(0)
            await house.queue.follow_clock()
            message = await house.until(sent, seconds=4)

    assert resting.rest is not None
    assert resting.rest.until > clock.now() + timedelta(hours=23)
    assert message.state is DeliveryState.RELAYED
    assert house.registry.default().rest is None
