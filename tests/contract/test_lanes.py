"""One sender's million delays nobody: those who have mail waiting are served in turn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from itertools import chain

import pytest

from pillarbox.base.db.database import Database
from pillarbox.queue import enqueue
from pillarbox.queue.depth import due_since
from pillarbox.queue.lanes import lane_of, share
from pillarbox.queue.message import Claim, Destination, Parcel
from pillarbox.queue.queue import Queue
from pillarbox.queue.streams import BULK, CODE
from support.clocks import HandClock
from support.parcels import RELAY, parcel

SHOP, ANN = "key:shop", "key:ann"
BATCH = 25


async def store(database: Database, parcels: Iterable[Parcel]) -> None:
    await database.write(lambda connection: enqueue.enqueue(connection, list(parcels)))


async def crowd(database: Database, clock: HandClock, count: int, **fields: object) -> None:
    """So much of one sender."""
    await store(database, (parcel(clock.now(), principal=SHOP, **fields) for _ in range(count)))


def ids(claims: Iterable[Claim]) -> set[str]:
    return {claim.message_id for claim in claims}


async def test_ten_thousand_of_one_sender_do_not_delay_the_first_of_another(
    queue: Queue, database: Database, clock: HandClock
) -> None:
    """It is in the next claim, though all the others were there first; and so is the crowd's."""
    await crowd(database, clock, 10_000)
    clock.move(seconds=1)
    sent = parcel(clock.now(), principal=ANN)
    await queue.claim(RELAY, BATCH)
    await queue.enqueue(sent)

    claims = await queue.claim(RELAY, BATCH)

    assert sent.id in ids(claims)
    assert len(claims) >= BATCH / 2, "the others are not kept waiting either"


async def test_the_urgent_come_first_whoever_sends_them(
    queue: Queue, database: Database, clock: HandClock
) -> None:
    """Code before transactional before bulk; within each in turn."""
    await store(
        database,
        (
            parcel(clock.now(), principal=who, **({"stream": stream} if stream else {}))
            for stream in (BULK, None, CODE)
            for who in (SHOP, SHOP, ANN)
        ),
    )

    claims = [await queue.claim(RELAY, 3) for _ in range(3)]

    names = [[claim.stream.name for claim in each] for each in claims]
    assert names == [["code"] * 3, ["transactional"] * 3, ["bulk"] * 3]


async def test_a_hundred_senders_have_their_turn_before_any_has_a_second(
    queue: Queue, database: Database, clock: HandClock
) -> None:
    """More than share one claim: the next claim goes on where this one ended."""
    senders = [f"key:{number}" for number in range(100)]
    parcels = [parcel(clock.now(), principal=each) for each in senders for _ in range(3)]
    whose = {each.id: each.principal for each in parcels}
    await store(database, parcels)

    claims = [await queue.claim(RELAY, 4) for _ in range(25)]
    served = Counter(whose[each] for each in chain.from_iterable(map(ids, claims)))

    assert served == dict.fromkeys(senders, 1)


async def test_a_sender_alone_gets_the_whole_claim(
    queue: Queue, database: Database, clock: HandClock
) -> None:
    """Others who only have mail for later do not take part, however many they are."""
    later = clock.now() + timedelta(hours=1)
    await store(
        database,
        (parcel(clock.now(), principal=f"key:{n}", send_at=later) for n in range(60)),
    )
    await crowd(database, clock, 30)

    assert len(await queue.claim(RELAY, BATCH)) == BATCH
    assert await queue.due_relays([RELAY]) == {RELAY}
    assert len(await queue.claim(RELAY, BATCH)) == 5
    assert await queue.due_relays([RELAY]) == set()


async def test_who_stands_in_serves_in_turn_too(
    queue: Queue, database: Database, clock: HandClock
) -> None:
    """While a relay is out, its backlog of one sender does not delay another's mail."""
    listed = (Destination(RELAY, "rly_2"),)
    await crowd(database, clock, 200, destinations=listed)
    clock.move(seconds=1)
    sent = parcel(clock.now(), principal=ANN, destinations=listed)
    await queue.enqueue(sent)

    assert await queue.due_lists([RELAY]) == [(RELAY, "rly_2")]
    assert sent.id in ids(await queue.claim(RELAY, BATCH, stand_ins="rly_2"))


async def test_the_oldest_that_is_due_is_found_in_every_lane(
    queue: Queue, database: Database, clock: HandClock
) -> None:
    """For the metric of the oldest: the smallest of all lanes and streams."""
    first = clock.now()
    await queue.enqueue(parcel(first, principal=ANN, stream=BULK))
    clock.move(minutes=5)
    await crowd(database, clock, 3)
    now = clock.now()

    assert await database.read(lambda it: due_since(it, [RELAY, "rly_2"], now)) == {RELAY: first}


@pytest.mark.parametrize(
    ("limit", "room", "lanes_left", "expected"),
    [
        (25, 25, 1, 25),  # alone
        (25, 25, 2, 13),
        (25, 12, 1, 12),  # the rest
        (25, 24, 1, 24),  # of what the one before left over
        (25, 25, 100, 4),  # eight of a hundred share it
        (1, 1, 100, 1),
        (5, 5, 24, 1),
    ],
)
def test_the_share_of_a_lane(limit: int, room: int, lanes_left: int, expected: int) -> None:
    assert share(limit, room, lanes_left) == expected


def test_a_lane_is_the_same_number_in_every_process() -> None:
    """It is stored, and fits the column."""
    assert lane_of("key:key_0001") == 711_729_225
    assert 0 <= lane_of("operator:local") < 2**31
