"""Leases are used without asking first: each row says whether it was there to be changed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import (
    Column,
    Connection,
    Integer,
    MetaData,
    String,
    Table,
    insert,
    literal_column,
    select,
    update,
)

from pillarbox.base.db.database import Database
from pillarbox.base.db.direct import Direct
from pillarbox.base.db.fenced import Fenced
from pillarbox.queue.queue import Queue
from pillarbox.queue.state import DeliveryState
from support.clocks import HandClock
from support.parcels import OK, RELAY, attempt, parcel

doors = Table(
    "doors", MetaData(), Column("id", String(8), primary_key=True), Column("fence", Integer)
)
_OPEN = Fenced(
    {"fence": Integer(), "key": String()},
    lambda given: (
        update(doors)
        .where(doors.c.id == given["key"], doors.c.fence == given["fence"])
        .values(fence=given["fence"] + literal_column("1"))
    ),
)
_THOSE = Direct(lambda ids: select(doors.c.id).where(doors.c.id.in_(ids)), listed="ids")


@pytest.fixture(autouse=True)
async def _table(database: Database) -> None:
    def make(connection: Connection) -> None:
        doors.create(connection)
        connection.execute(insert(doors), [{"id": f"d{n}", "fence": n % 2} for n in range(9)])

    await database.write(make)


async def test_each_row_says_whether_it_was_hit(database: Database) -> None:
    """Also those in the middle of a batch, in order."""
    rows = [(0, "d0"), (0, "d1"), (7, "d2"), (1, "d3"), (0, "nowhere"), (0, "d4")]

    hit = await database.write(lambda connection: _OPEN.run(connection, rows))

    assert hit == [True, False, False, True, False, True]
    fences = await database.read(lambda connection: connection.execute(select(doors)).all())
    assert {row.id: row.fence for row in fences if row.id < "d5"} == {
        "d0": 1,
        "d1": 1,
        "d2": 0,
        "d3": 2,
        "d4": 1,
    }


async def test_no_rows_hit_nothing(database: Database) -> None:
    assert await database.write(lambda connection: _OPEN.run(connection, [])) == []


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 9])
async def test_a_list_of_any_length_finds_each_once(database: Database, count: int) -> None:
    wanted = {"ids": [f"d{n}" for n in range(count)]}

    found = await database.read(lambda connection: _THOSE.rows(connection, wanted))

    assert sorted(id_ for (id_,) in found) == wanted["ids"]


async def test_a_stale_fence_in_a_batch_harms_nobody_beside_it(
    queue: Queue, clock: HandClock
) -> None:
    """Of five that end at the same moment, the one whose lease another has is not recorded."""
    for _ in range(5):
        await queue.enqueue(parcel(clock.now()))
    claims = await queue.claim(RELAY, 5)
    stolen = claims[2]
    await queue.release(stolen.tickets, wait=timedelta(0))
    (again,) = await queue.claim(RELAY, 1)

    points = [queue.point_of_no_return(each.tickets) for each in claims]
    may_send = [await each for each in points]
    ends = [queue.record(attempt(each, OK, clock.now())) for each in claims]
    recorded = [await each for each in ends]

    assert may_send == recorded == [True, True, False, True, True]
    assert again.message_id == stolen.message_id
    states = [(await queue.message(each.message_id)).state for each in claims]
    assert states.count(DeliveryState.RELAYED) == 4
    assert states[2] is DeliveryState.SENDING
    assert len((await queue.history(stolen.message_id)).attempts) == 0
