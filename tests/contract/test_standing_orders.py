"""Mail that a worker waits for is claimed in the commit that stores it, or waits like any other."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from pillarbox.base.errors import Conflict, Mismatch
from pillarbox.mail.content import Content
from pillarbox.queue.message import Claim, Destination, Idempotency
from pillarbox.queue.queue import Queue
from pillarbox.queue.state import DeliveryState
from support.clocks import HandClock
from support.parcels import OK, RELAY, attempt, parcel


@dataclass(slots=True)
class Hands:
    """A taker that carries nothing."""

    room: int = 10
    taken: list[Claim] = field(default_factory=list)
    nudges: int = 0
    has_taken: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, claim: Claim) -> None:
        self.taken.append(claim)
        self.room -= 1
        self.has_taken.set()

    def nudge(self) -> None:
        self.nudges += 1


async def states(queue: Queue, *ids: str) -> list[DeliveryState]:
    return [(await queue.message(each)).state for each in ids]


async def test_it_is_handed_over_with_everything_it_takes_to_send_it(
    queue: Queue, clock: HandClock
) -> None:
    """As a claim would have brought it, and the lease is good to the end."""
    hands = Hands()
    order = queue.standing.place(RELAY, hands)
    sent = parcel(clock.now(), "ann@x.org", "bob@x.org")

    receipt = await queue.enqueue(sent)

    (claim,) = hands.taken
    assert receipt.message_id == claim.message_id == sent.id
    assert (claim.envelope, claim.octets) == (sent.envelope, sent.content.octets)
    assert [each.tries for each in claim.deliveries] == [1, 1]
    assert await states(queue, sent.id) == [DeliveryState.SENDING]
    assert await queue.claim(RELAY, 10) == []
    assert await queue.renew(list(claim.tickets)) == set(claim.tickets)
    assert await queue.point_of_no_return(claim.tickets)
    for which in (0, 1):
        assert await queue.record(attempt(claim, OK, clock.now(), which=which))
    assert await states(queue, sent.id) == [DeliveryState.RELAYED]
    assert order.promised == 0


async def test_no_more_is_promised_than_there_is_room_for(queue: Queue, clock: HandClock) -> None:
    """However many are accepted at the same moment; the others wait, and the taker is told."""
    hands = Hands(room=3)
    order = queue.standing.place(RELAY, hands)
    sent = [parcel(clock.now()) for _ in range(20)]

    await asyncio.gather(*map(queue.enqueue, sent))

    assert len(hands.taken) == 3
    assert hands.nudges == 17
    assert order.promised == 0
    assert len(await queue.claim(RELAY, 100)) == 17


@pytest.mark.parametrize(
    "changes",
    [
        {"content": Content.pass_gate(b"Subject: big\r\n\r\n" + b"line\r\n" * 20_000)},
        {"destinations": (Destination(RELAY, "rly_2"),)},
        {"destinations": (Destination("rly_2"),)},
        {"send_at": HandClock().now() + timedelta(hours=1)},
        {"relay_id": "rly_2"},
    ],
    ids=["large", "others may stand in", "another relay", "later", "a relay without an order"],
)
async def test_what_is_special_waits_in_the_queue(
    queue: Queue, clock: HandClock, changes: dict[str, Any]
) -> None:
    hands = Hands()
    queue.standing.place(RELAY, hands)
    sent = parcel(clock.now(), **changes)

    await queue.enqueue(sent)

    assert hands.taken == []
    (state,) = await states(queue, sent.id)
    assert state in (DeliveryState.QUEUED, DeliveryState.SCHEDULED)


async def test_one_destination_without_stand_ins_is_plain(queue: Queue, clock: HandClock) -> None:
    hands = Hands()
    queue.standing.place(RELAY, hands)

    await queue.enqueue(parcel(clock.now(), destinations=(Destination(RELAY),)))

    assert len(hands.taken) == 1


async def test_who_has_gone_meanwhile_gets_nothing(queue: Queue, clock: HandClock) -> None:
    """The order is cancelled between promise and commit: back to the queue, untried."""
    hands = Hands()
    queue.standing.place(RELAY, hands)
    sent = parcel(clock.now())
    storing = asyncio.create_task(queue.enqueue(sent))
    await asyncio.sleep(0)

    queue.standing.cancel(RELAY)
    await storing

    async with asyncio.timeout(10):
        while await states(queue, sent.id) != [DeliveryState.QUEUED]:
            pass  # each look is a read of the database
    assert hands.taken == []
    (claim,) = await queue.claim(RELAY, 1)
    assert [each.tries for each in claim.deliveries] == [1]


async def test_a_caller_who_goes_away_leaves_the_message(queue: Queue, clock: HandClock) -> None:
    """Stored is stored: the worker gets it although nobody waits for the receipt."""
    hands = Hands()
    order = queue.standing.place(RELAY, hands)
    storing = asyncio.create_task(queue.enqueue(parcel(clock.now())))
    await asyncio.sleep(0)

    storing.cancel()

    async with asyncio.timeout(10):
        await hands.has_taken.wait()
    assert order.promised == 0


async def test_a_repeat_and_a_mismatch_take_no_room(queue: Queue, clock: HandClock) -> None:
    hands = Hands(room=2)
    order = queue.standing.place(RELAY, hands)
    key = Idempotency("key_1", "abc", "f" * 64)
    first = await queue.enqueue(parcel(clock.now(), idempotency=key))

    again = await queue.enqueue(parcel(clock.now(), idempotency=key))
    other = Idempotency("key_1", "abc", "0" * 64)
    with pytest.raises(Mismatch):
        await queue.enqueue(parcel(clock.now(), idempotency=other))

    assert again.replayed
    assert again.message_id == first.message_id
    assert len(hands.taken) == 1
    assert order.promised == 0


async def test_a_death_before_the_hand_over_loses_nothing(queue: Queue, clock: HandClock) -> None:
    """The lease of what nobody took ends like any other; nothing was sent, nothing is in doubt."""
    queue.standing.place(RELAY, Hands())
    sent = parcel(clock.now())
    await queue.enqueue(sent)

    clock.move(seconds=61)
    assert await queue.recover(everything=False) == 1

    message = await queue.message(sent.id)
    assert message.state is DeliveryState.QUEUED
    assert not message.deliveries[0].possible_duplicate
    assert len(await queue.claim(RELAY, 1)) == 1


async def test_it_cannot_be_withdrawn_while_a_worker_has_it(queue: Queue, clock: HandClock) -> None:
    """The same as for what was claimed: the octets may be on their way."""
    queue.standing.place(RELAY, Hands())
    sent = parcel(clock.now())
    await queue.enqueue(sent)

    with pytest.raises(Conflict, match="sent at this moment"):
        await queue.cancel(sent.id, "key:1")
