"""Whether a claim takes longer the more mail waits: 1,000 rows against 1,000,000."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from sqlalchemy import Connection, text

from bench.goals import Goal, Range, at_most
from pillarbox.base.clock import SystemClock
from pillarbox.base.db.database import Database
from pillarbox.queue import enqueue
from pillarbox.queue.queue import Queue
from support.databases import KINDS, open_database
from support.parcels import RELAY, parcel

FEW, MANY = 1_000, 1_000_000
AT_ONCE = 5_000
CLAIMS, CLAIMED = 30, 25


def measure(many: int = MANY) -> dict[str, Range]:
    """For each database: the time of a claim among many, against one among few, in turns."""
    return {kind: asyncio.run(_ratios(kind, many)) for kind in KINDS}


def goals(ratios: dict[str, Range]) -> list[Goal]:
    return [
        at_most(f"a claim among {MANY:,} against {FEW:,}, {kind}", ratio, 1.5, 1.1)
        for kind, ratio in ratios.items()
    ]


async def _ratios(kind: str, many: int) -> Range:
    async with AsyncExitStack() as stack:
        few, crowd = [await _filled(stack, kind, count) for count in (FEW, many)]
        pairs = [(await _seconds(few), await _seconds(crowd)) for _ in range(CLAIMS + 1)]
        first = [among_few for among_few, _ in pairs[1:]]
        second = [among_many for _, among_many in pairs[1:]]
        middle = Range.of(second).middle / Range.of(first).middle
        return Range(middle, middle, middle)


async def _filled(stack: AsyncExitStack, kind: str, count: int) -> Queue:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    database = await stack.enter_async_context(open_database(kind, folder))
    clock = SystemClock()
    for start in range(0, count, AT_ONCE):
        parcels = [parcel(clock.now()) for _ in range(min(AT_ONCE, count - start))]
        await database.write(lambda connection, some=parcels: enqueue.enqueue(connection, some))
    await _settle(database, kind)
    return Queue(database, clock, database.bell)


async def _settle(database: Database, kind: str) -> None:
    """What autovacuum does in the minutes after such a load."""
    if kind == "postgresql":

        def analyse(connection: Connection) -> Sequence[None]:
            connection.execute(text("ANALYZE"))
            return [None]

        await database.write(analyse)


async def _seconds(queue: Queue) -> float:
    began = time.perf_counter()
    claims = await queue.claim(RELAY, CLAIMED)
    seconds = time.perf_counter() - began
    assert len(claims) == CLAIMED
    return seconds
