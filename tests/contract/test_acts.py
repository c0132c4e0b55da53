"""Whatever is done to deliveries, in any order: each act does what queue/state.py says of it."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta

from sqlalchemy import Connection, select

from pillarbox.base.db.database import Database
from pillarbox.base.errors import Conflict, Invalid
from pillarbox.queue import restore
from pillarbox.queue.message import Claim
from pillarbox.queue.queue import Queue
from pillarbox.queue.state import (
    ACTS,
    CANCEL,
    CLAIM,
    EXPIRE,
    GIVE_BACK,
    HOLD,
    HOLD_RESTORED,
    RELEASE,
    RESCHEDULE,
    RETRY,
    SETTLE,
    TAKE_BACK,
    Act,
    DeliveryState,
)
from pillarbox.queue.streams import STREAMS
from pillarbox.queue.tables import deliveries
from support.clocks import HandClock
from support.parcels import (
    GREYLISTED,
    NO_ANSWER,
    NO_SUCH_USER,
    OK,
    RELAY,
    UNREACHABLE,
    attempt,
    parcel,
)

LEAST, MOST = 300, 5000  # acts; until each of them has changed something
WHO = "key:1"
HOUR = timedelta(hours=1)


class Walk:
    """Somebody who does one thing after another, by chance."""

    def __init__(self, queue: Queue, database: Database, clock: HandClock, chance: random.Random):
        self.queue = queue
        self.database = database
        self.clock = clock
        self.chance = chance
        self.messages: list[str] = []
        self.claims: list[Claim] = []
        self.acts: list[tuple[Act, Callable[[], Awaitable[object]]]] = [
            (CLAIM, self.claim),
            (CLAIM, self.claim),
            (SETTLE, self.settle),
            (SETTLE, self.settle),
            (GIVE_BACK, self.give_back),
            (TAKE_BACK, lambda: queue.recover(everything=True)),
            (EXPIRE, self.expire),
            (CANCEL, lambda: queue.cancel(self.any_message(), WHO)),
            (HOLD, lambda: queue.hold(self.any_message(), WHO)),
            (HOLD, lambda: queue.hold_of_relay(RELAY, WHO)),
            (HOLD_RESTORED, self.hold_restored),
            (RELEASE, lambda: queue.release_held(self.any_message(), WHO)),
            (RESCHEDULE, self.reschedule),
            (RETRY, lambda: queue.retry(self.any_message(), WHO)),
        ]

    def any_message(self) -> str:
        return self.chance.choice(self.messages)

    async def enqueue(self) -> None:
        now = self.clock.now()
        sent = parcel(
            now,
            *("ann@x.org", "bob@x.org")[: self.chance.randint(1, 2)],
            stream=self.chance.choice(list(STREAMS.values())),
            send_at=self.chance.choice([None, now + HOUR]),
            expires_at=now + self.chance.choice([2 * HOUR, timedelta(days=5)]),
        )
        self.messages = [*self.messages, sent.id][-6:]
        await self.queue.enqueue(sent)

    async def claim(self) -> None:
        self.claims += await self.queue.claim(RELAY, 2)
        if self.claims and self.chance.random() < 0.5:
            await self.queue.point_of_no_return(self.claims[-1].tickets)

    async def settle(self) -> None:
        if self.claims:
            claim = self.claims.pop(self.chance.randrange(len(self.claims)))
            ends = (OK, NO_SUCH_USER, GREYLISTED, UNREACHABLE, NO_ANSWER)
            for number, _ in enumerate(claim.deliveries):
                outcome = self.chance.choice(ends)
                await self.queue.record(attempt(claim, outcome, self.clock.now(), which=number))

    async def give_back(self) -> None:
        if self.claims:
            claim = self.claims.pop(self.chance.randrange(len(self.claims)))
            await self.queue.release(claim.tickets, wait=timedelta(0))

    async def expire(self) -> None:
        self.clock.move(minutes=self.chance.choice([1, 30, 180]))
        await self.queue.expire()

    async def reschedule(self) -> None:
        send_at = self.chance.choice([None, self.clock.now() + HOUR])
        await self.queue.reschedule(self.any_message(), WHO, send_at)

    async def hold_restored(self) -> None:
        now = self.clock.now()
        await self.database.write(lambda connection: restore.hold_waiting(connection, now, WHO))

    async def states(self) -> dict[str, DeliveryState]:
        def read(connection: Connection) -> dict[str, DeliveryState]:
            rows = connection.execute(select(deliveries.c.id, deliveries.c.state))
            return {row.id: DeliveryState(row.state) for row in rows}

        return await self.database.read(read)


async def test_every_act_finds_and_leaves_what_its_row_says(
    queue: Queue, database: Database, clock: HandClock
) -> None:
    """Some hundred acts by chance: none leads anywhere but where the table says."""
    seed = random.randrange(2**32)
    print("seed", seed)
    walk = Walk(queue, database, clock, random.Random(seed))
    await walk.enqueue()
    before = await walk.states()
    done: set[int] = set()
    for step in range(MOST):
        if step >= LEAST and len(done) == len(ACTS):
            break
        if walk.chance.random() < 0.2:
            await walk.enqueue()
            before = await walk.states()
        act, do = walk.chance.choice(walk.acts)
        with contextlib.suppress(Conflict, Invalid):
            await do()
        after = await walk.states()
        changed = {(before[each], after[each]) for each in before if before[each] != after[each]}
        for old, new in changed:
            assert old in act.before, f"{ACTS.index(act)} found {old}"
            assert new in act.after, f"{ACTS.index(act)} left {new}"
        if changed:
            done.add(ACTS.index(act))
        before = after

    assert len(done) == len(ACTS), "some act never changed anything, so nothing was tested"
