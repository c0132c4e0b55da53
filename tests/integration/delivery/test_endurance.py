"""What must not stop the mail: a bad read, a slow message, a removed relay, a silent server."""

from __future__ import annotations

from pathlib import Path

from pillarbox.queue.state import DeliveryState
from support.house import House, delivering, open_house
from support.ledger_relay import LedgerRelay


async def test_one_failed_look_does_not_end_the_carrying(house: House) -> None:
    """Whatever it was, it is logged, and the next look goes on."""
    real, calls = house.queue.due_relays, []

    async def once_broken(relay_ids: list[str]) -> set[str]:
        calls.append(relay_ids)
        if len(calls) == 1:
            raise RuntimeError("a bug")
        return await real(relay_ids)

    house.queue.due_relays = once_broken  # type: ignore[method-assign]
    async with delivering(house) as supervisor:
        message = await house.until(await house.send("ann@y.test"))
        assert supervisor.is_alive

    assert message.state is DeliveryState.RELAYED
    assert len(calls) > 1


async def test_a_slow_message_does_not_hold_up_the_next_one(
    house: House, relay: LedgerRelay
) -> None:
    """With a free session, a code leaves while another message still waits for its answer."""
    await house.carry_by(relay)
    async with delivering(house):
        await house.until(await house.send("ann@y.test"))
        slow = await house.send("slow-4000@y.test")
        await house.when(slow, lambda message: message.state is DeliveryState.SENDING)
        await house.until(await house.send("bob@y.test", stream="code"), seconds=3)
        assert (await house.queue.message(slow)).state is DeliveryState.SENDING
        await house.until(slow)


async def test_mail_claimed_for_a_relay_that_is_removed_is_held(
    house: House, relay: LedgerRelay
) -> None:
    """Nothing stays `sending`; what was under way ends as it ends."""
    await house.carry_by(relay, max_connections=1)
    async with delivering(house):
        await house.until(await house.send("ann@y.test"))
        sent = [await house.send(f"slow-800-{n}@y.test") for n in range(4)]
        first = house.registry.default()
        await house.when(sent[0], lambda message: message.state is DeliveryState.SENDING)
        await house.registry.make_default("sandbox", "test")
        await house.registry.remove(first.id, "test")
        for each in sent:
            await house.when(
                each,
                lambda message: message.state in (DeliveryState.RELAYED, DeliveryState.HELD),
            )

    states = [(await house.queue.message(each)).state for each in sent]
    assert DeliveryState.HELD in states


async def test_a_server_that_never_answers_the_dot_is_rested(
    house: House, relay: LedgerRelay
) -> None:
    """A few messages are in doubt, not the whole backlog."""
    await house.carry_by(relay)
    async with delivering(house):
        sent = [await house.send(f"drop-after-dot-{n}@y.test") for n in range(20)]
        while house.registry.default().rest is None:
            await house.equipment.clock.sleep(0.01)
    states = [(await house.queue.message(each)).state for each in sent]

    assert states.count(DeliveryState.UNCERTAIN) <= 4
    assert states.count(DeliveryState.QUEUED) >= 16


async def test_what_one_message_does_to_a_relay_is_not_done_to_the_others(
    house: House, relay: LedgerRelay
) -> None:
    """A message that makes the relay close is not its only probe: the others get their turn."""
    await house.carry_by(relay)
    async with delivering(house):
        poison = await house.send("defer-421@y.test", stream="code")
        await house.when(poison, lambda message: message.deliveries[0].tries >= 1)
        others = [await house.send(f"user{n}@y.test", stream="bulk") for n in range(3)]
        for each in others:
            await house.until(each, seconds=30)

    assert (await house.queue.message(poison)).state is not DeliveryState.RELAYED


async def test_goodbyes_hold_nobody_up(house: House, relay: LedgerRelay) -> None:
    """Servers that do not answer QUIT cost their own sessions time, not the mail of others."""
    await house.carry_by(relay, messages_per_connection=1)
    async with delivering(house) as supervisor:
        for number in range(3):
            await house.until(await house.send(f"user{number}@y.test"), seconds=5)
        assert supervisor.is_alive
    assert len(relay.entries()) == 3


async def test_a_short_program_gets_its_mail_out(tmp_path: Path) -> None:
    """Open, send, close: the mail has left when the block has ended, not the next time."""
    async with open_house(tmp_path) as house:
        async with delivering(house) as supervisor:
            sent = [await house.send(f"user{n}@y.test") for n in range(5)]
            await supervisor.drain(10)
        states = {(await house.queue.message(each)).state for each in sent}

    assert states == {DeliveryState.RELAYED}
