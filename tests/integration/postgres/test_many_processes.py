"""Several processes on one database: each delivery has one holder, each key one message."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

from pillarbox.access.keys import Keys
from pillarbox.access.principal import OPERATOR
from pillarbox.base.clock import SystemClock
from pillarbox.base.db.clock import DatabaseClock
from pillarbox.base.db.database import Database
from pillarbox.base.errors import Conflict, Unauthenticated
from pillarbox.base.ids import Ids
from pillarbox.base.sealing import Keyring
from pillarbox.queue.claim import LEASE
from pillarbox.queue.message import Idempotency
from pillarbox.queue.queue import Queue
from pillarbox.queue.state import DeliveryState
from pillarbox.relays.change import RelayChange
from pillarbox.relays.registry import Decision, Registry
from support.clocks import HandClock
from support.parcels import OK as RELAYED
from support.parcels import RELAY, attempt, parcel

Queues = tuple[Queue, Queue]


async def test_two_processes_never_hold_the_same_delivery(queues: Queues) -> None:
    """However they race: everything is claimed, once, and recipients stay together."""
    now = SystemClock().now()
    people = [f"p{n}@x.org" for n in range(3)]
    sent = [parcel(now, *people) for _ in range(60)]
    await asyncio.gather(*(queues[0].enqueue(each) for each in sent))

    async def claim_until_nothing(queue: Queue) -> list[tuple[str, int]]:
        found, idle = [], 0
        while idle < 3:
            claims = await queue.claim(RELAY, 4)
            idle = 0 if claims else idle + 1
            found += [(claim.message_id, len(claim.deliveries)) for claim in claims]
        return found

    per_process = await asyncio.gather(*map(claim_until_nothing, (*queues, *queues)))

    claimed = [each for found in per_process for each in found]
    assert Counter(claimed) == Counter({(each.id, 3): 1 for each in sent})


async def test_a_claim_takes_no_more_than_was_asked_for(queues: Queues) -> None:
    """A limit that a query planner may repeat is no limit."""
    now = SystemClock().now()
    await asyncio.gather(*(queues[0].enqueue(parcel(now)) for _ in range(50)))

    assert len(await queues[0].claim(RELAY, 7)) == 7
    assert len(await queues[1].claim(RELAY, 100)) == 43


async def test_one_key_is_one_message_in_all_processes(queues: Queues) -> None:
    """The same request at the same moment to two processes: one stores it, both say which."""
    now = SystemClock().now()
    for number in range(20):
        key = Idempotency("system", f"order-{number}", "f" * 64)
        receipts = await asyncio.gather(
            *(queue.enqueue(parcel(now, idempotency=key)) for queue in queues)
        )
        assert len({receipt.message_id for receipt in receipts}) == 1
        assert sorted(receipt.replayed for receipt in receipts) == [False, True]


@asynccontextmanager
async def held(url: str, rows: str) -> AsyncIterator[None]:
    """As long as somebody else's transaction has these rows in hand."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            await connection.fetch(f"SELECT * FROM {rows} FOR NO KEY UPDATE")
            yield
    finally:
        await connection.close()


async def test_who_claims_passes_by_what_another_is_claiming(queues: Queues, url: str) -> None:
    """It neither waits nor takes it too."""
    now = SystemClock().now()
    taken, free = parcel(now), parcel(now)
    for each in (taken, free):
        await queues[0].enqueue(each)

    async with held(url, f"messages WHERE id = '{taken.id}'"), asyncio.timeout(5):
        claims = await queues[0].claim(RELAY, 5)

    assert [claim.message_id for claim in claims] == [free.id]
    assert [claim.message_id for claim in await queues[1].claim(RELAY, 5)] == [taken.id]


async def test_only_one_process_takes_back_a_lost_lease(
    both: tuple[Database, Database], url: str
) -> None:
    """What another is taking back at this moment is passed by."""
    clock = HandClock()
    queue = Queue(both[0], clock, both[0].bell)
    for _ in range(3):
        await queue.enqueue(parcel(clock.now()))
    await queue.claim(RELAY, 3)
    clock.move(seconds=LEASE.total_seconds() + 1)

    async with held(url, "deliveries ORDER BY id LIMIT 2"), asyncio.timeout(5):
        assert await queue.recover(everything=False) == 1
    assert await queue.recover(everything=False) == 2


async def test_cancelling_and_claiming_at_once_do_not_both_succeed(queues: Queues) -> None:
    """Either it was withdrawn or somebody is sending it."""
    now = SystemClock().now()
    for _ in range(20):
        sent = parcel(now)
        await queues[0].enqueue(sent)
        cancelled, claims = await asyncio.gather(
            queues[0].cancel(sent.id, "key:1"), queues[1].claim(RELAY, 1), return_exceptions=True
        )
        assert isinstance(claims, list)
        if isinstance(cancelled, Conflict):
            assert await queues[1].record(attempt(claims[0], RELAYED, now))
        else:
            assert (cancelled, claims) == (1, [])


async def test_who_waits_hears_what_another_process_stored(queues: Queues, both: object) -> None:
    """Long before it would have looked by itself."""
    other: Database = both[1]  # type: ignore[index]
    clock = SystemClock()
    await other.bell.wait(0)
    waiting = asyncio.create_task(other.bell.wait(30))
    await asyncio.sleep(0)
    began = clock.monotonic()

    await queues[0].enqueue(parcel(clock.now()))
    await waiting

    assert clock.monotonic() - began < 5


async def test_two_processes_may_start_on_an_empty_database(
    both: tuple[Database, Database], tmp_path: Path
) -> None:
    """One makes the sandbox, both have it."""
    clock = SystemClock()
    keyring = Keyring.load_or_create(tmp_path / "key")
    registries = [Registry(each, keyring, clock, Ids(clock)) for each in both]

    await asyncio.gather(*(registry.load() for registry in registries))

    assert len({registry.default().id for registry in registries}) == 1


class Astray:
    """A machine whose wall clock jumps, as one does; its monotonic clock counts on."""

    def __init__(self) -> None:
        self._true = SystemClock()
        self.jump = timedelta(0)

    def now(self):  # type: ignore[no-untyped-def]
        return self._true.now() + self.jump

    def monotonic(self) -> float:
        return self._true.monotonic()

    async def sleep(self, seconds: float) -> None:
        await self._true.sleep(seconds)


@pytest.mark.parametrize("days", [40, -40])
async def test_a_wrong_wall_clock_neither_steals_nor_loses_a_lease(
    both: tuple[Database, Database], days: int
) -> None:
    """Leases are written and judged by the database's clock, whatever a machine believes."""
    one, other = both
    holder = Queue(one, one.clock, one.bell)
    astray = Astray()
    clock = DatabaseClock(astray)
    clock.set(other.clock.now(), other.clock.monotonic())
    stray = Queue(other, clock, other.bell)
    sent = parcel(one.clock.now())
    await holder.enqueue(sent)
    (claim,) = await holder.claim(RELAY, 1)

    astray.jump = timedelta(days=days)

    assert await stray.recover(everything=False) == 0
    assert await stray.expire() == 0
    await holder.enqueue(parcel(one.clock.now()))
    assert len(await stray.claim(RELAY, 2)) == 1
    assert await holder.recover(everything=False) == 0
    assert await holder.record(attempt(claim, RELAYED, one.clock.now()))
    assert (await holder.message(sent.id)).state is DeliveryState.RELAYED


async def test_everybody_has_the_databases_time(both: tuple[Database, Database]) -> None:
    one, other = both
    assert one.is_shared
    assert other.is_shared
    assert abs(one.clock.now() - other.clock.now()) < timedelta(seconds=1)


async def test_a_key_that_another_process_made_or_revoked_is_noticed(
    both: tuple[Database, Database],
) -> None:
    clock = SystemClock()
    here, there = (Keys(each, clock, Ids(clock)) for each in both)
    key, text = await here.create("app", OPERATOR)

    await there.refresh()
    assert there.authenticate(text).id == key.id

    await here.revoke(key.id, OPERATOR)
    await there.refresh()
    with pytest.raises(Unauthenticated):
        there.authenticate(text)


async def test_a_relay_that_another_process_changed_is_noticed(
    both: tuple[Database, Database], tmp_path: Path
) -> None:
    """And what is changed here while looking is not forgotten."""
    clock = SystemClock()
    keyring = Keyring.load_or_create(tmp_path / "key")
    here, there = (Registry(each, keyring, clock, Ids(clock)) for each in both)
    await here.load()
    await there.load()
    change = RelayChange.read({"name": "trap", "kind": "sandbox"})

    await here.add(Decision(change=change, principal="user:ann"))
    await there.refresh()
    assert there.get("trap").version == 1

    more = RelayChange.read({"name": "more", "kind": "sandbox"})
    await asyncio.gather(
        *(there.refresh() for _ in range(5)),
        there.add(Decision(change=more, principal="user:ann")),
        *(there.refresh() for _ in range(5)),
    )
    assert there.get("more").version == 1
