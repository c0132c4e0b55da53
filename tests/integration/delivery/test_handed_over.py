"""What a waiting worker is handed the moment it is stored, and what may come in between."""

from __future__ import annotations

import asyncio

import pytest

from pillarbox.queue.message import Claim
from pillarbox.queue.state import DeliveryState
from support.counting_relay import CountingRelay, counting_relay
from support.house import House, delivering
from support.ledger_relay import LedgerRelay


async def _add(house: House, relay: CountingRelay | LedgerRelay, **fields: object) -> None:
    await house.add_relay(host="127.0.0.1", port=relay.port, tls="none", auth="none", **fields)


async def test_a_worker_that_waits_needs_no_claim(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once it knows that nothing else is due, what is accepted comes by itself."""
    async with counting_relay() as relay:
        await _add(house, relay)
        async with delivering(house):
            await house.until(await house.send("first@y.test"))
            claims = house.queue.claim

            async def none_left(relay_id: str, limit: int, **_: object) -> list[Claim]:
                return []

            monkeypatch.setattr(house.queue, "claim", none_left)
            sent = [await house.send(f"user{n}@y.test") for n in range(20)]
            messages = [await house.until(each) for each in sent]
            monkeypatch.setattr(house.queue, "claim", claims)

    assert {each.state for each in messages} == {DeliveryState.RELAYED}
    assert {each.deliveries[0].tries for each in messages} == {1}
    assert len(relay.recipients) == len(set(relay.recipients)) == 21


async def test_a_relay_that_fails_meanwhile_is_not_asked_for_each(house: House) -> None:
    """What was handed over goes back to the queue untried, and is carried when it is well."""
    async with counting_relay() as relay:
        await _add(house, relay, max_connections=4)
        async with delivering(house):
            await house.until(await house.send("first@y.test"))
            relay.is_down = True
            before = relay.connections
            to = [f"user{n}@y.test" for n in range(60)]
            sent = await asyncio.gather(*map(house.send, to))
            async with asyncio.timeout(10):
                while house.registry.default().rest is None:
                    await house.equipment.clock.sleep(0.01)
            probes = relay.connections - before
            relay.is_down = False
            await house.registry.resume_now("test", "test")
            messages = [await house.until(each) for each in sent]

    assert probes <= 4  # one a session, at most
    assert {each.state for each in messages} == {DeliveryState.RELAYED}
    assert {each.deliveries[0].attempts for each in messages} == {1}
    assert len(relay.recipients) == len(set(relay.recipients)) == 61


async def test_a_stop_leaves_nothing_in_nobodys_hands(house: House) -> None:
    """While mail is accepted all the time: afterwards it is relayed, or it waits."""
    async with counting_relay(seconds=0.01) as relay:
        await _add(house, relay, max_connections=3)
        sent: list[str] = []
        async with delivering(house):
            sent.append(await house.send("first@y.test"))
            await house.until(sent[0])
            for n in range(30):
                batch = [house.send(f"user{n}-{m}@y.test") for m in range(4)]
                accepting = asyncio.gather(*batch)
                if n < 29:
                    sent += await accepting
        sent += await accepting
        for each in sent:
            await house.when(each, lambda message: message.state is not DeliveryState.SENDING)
        async with delivering(house):
            messages = [await house.until(each) for each in sent]

    assert {each.state for each in messages} == {DeliveryState.RELAYED}
    assert len(relay.recipients) == len(set(relay.recipients)) == len(sent)


async def test_mail_on_one_session_follows_dot_by_dot(house: House, relay: LedgerRelay) -> None:
    """A hundred on one session, each begun behind the one before: each once, each its outcome."""
    await _add(house, relay, max_connections=1, messages_per_connection=30)
    to = [
        ("fail-550" if n % 10 == 3 else "defer-451" if n % 10 == 7 else f"user{n}") + "@y.test"
        for n in range(100)
    ]
    sent = await asyncio.gather(*map(house.send, to))
    async with delivering(house):
        messages = [
            await house.when(each, lambda message: message.deliveries[0].answer is not None)
            for each in sent
        ]
        histories = [await house.queue.history(each) for each in sent]

    ends = {message.deliveries[0].to: message.state.value for message in messages}
    assert {ends[each] for each in to if each.startswith("user")} == {"relayed"}
    assert ends["fail-550@y.test"] == "failed"
    assert ends["defer-451@y.test"] == "deferred"
    assert max(relay.copies().values()) == 1
    assert sum(relay.copies().values()) == 80
    for message, history in zip(messages, histories, strict=True):
        said = history.attempts[0].transcript
        assert said.count("MAIL FROM") == 1
        assert f"RCPT TO:<{message.deliveries[0].to}>" in said


async def test_a_relay_that_goes_after_a_dot_takes_nobody_along(
    house: House, relay: LedgerRelay
) -> None:
    """One is in doubt; what was begun behind it is carried on another session, once."""
    await _add(house, relay, max_connections=1)
    async with delivering(house):
        await house.until(await house.send("first@y.test"))
        names = ["a", "b", "drop-after-dot", "c", "d"]
        sent = await asyncio.gather(*(house.send(f"{name}@y.test") for name in names))
        others = [await house.until(each) for each in sent if each != sent[2]]
        doubted = await house.until(sent[2], state=DeliveryState.UNCERTAIN)

    assert {each.state for each in others} == {DeliveryState.RELAYED}
    assert {each.deliveries[0].tries for each in others} == {1}
    assert doubted.deliveries[0].possible_duplicate
    assert max(relay.copies().values()) == 1
