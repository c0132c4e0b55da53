"""What is forgotten is forgotten in batches: bounded in rows and in octets, on every database."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import Connection, func, insert, select

from pillarbox.base.db.database import Database
from pillarbox.journal import journal
from pillarbox.mail.content import Content
from pillarbox.queue import retention
from pillarbox.queue.message import Idempotency
from pillarbox.queue.queue import Queue
from pillarbox.queue.retention import Retention
from pillarbox.queue.tables import contents, idempotency_keys, messages, sessions
from support.clocks import HandClock
from support.parcels import OK, RELAY, attempt, parcel

CONTENT_ONLY = Retention(content=timedelta(days=1), history=timedelta(days=1000))
ALL = Retention(content=timedelta(days=1), history=timedelta(days=2))


async def relayed(queue: Queue, clock: HandClock, count: int, octets: int) -> None:
    """So many messages of so many octets, at their end."""
    content = Content.pass_gate(b"Subject: hi\r\n\r\n" + b"x" * 98 + b"\r\n" * (octets // 2 - 57))
    for _ in range(count):
        sent = parcel(clock.now(), content=content)
        key = Idempotency("key:1", sent.id, "0" * 64)
        await queue.enqueue(sent._replace(idempotency=key))
    for claim in await queue.claim(RELAY, count):
        await queue.record(attempt(claim, OK, clock.now()))


def rows(connection: Connection) -> list[int]:
    tables = (messages, contents, idempotency_keys, sessions, journal.events)
    return [connection.scalar(select(func.count()).select_from(each)) or 0 for each in tables]


async def test_a_batch_is_bounded_in_octets(
    queue: Queue, database: Database, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four of 300 octets fit no batch of 700: two go at a time, and at least one always."""
    monkeypatch.setattr(retention, "BATCH_OCTETS", 700)
    await relayed(queue, clock, 4, 300)
    await relayed(queue, clock, 1, 5000)
    clock.move(days=1, seconds=1)
    left = []
    while await queue.forget(CONTENT_ONLY):
        left.append((await database.read(rows))[1])

    assert left == sorted(left, reverse=True)
    assert left[-1] == 0
    assert len(left) >= 3, "two, two, and the large one"


async def test_transcripts_weigh_too(
    queue: Queue, database: Database, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When its content is long gone, the transcripts are what a message has."""
    await relayed(queue, clock, 4, 300)
    clock.move(days=1, seconds=1)
    while await queue.forget(ALL):
        pass
    monkeypatch.setattr(retention, "BATCH_OCTETS", 60)  # a transcript here has 27
    clock.move(days=1)
    await queue.forget(ALL)

    assert (await database.read(rows))[0] == 2


async def test_a_batch_is_bounded_in_rows(
    queue: Queue, database: Database, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of messages, keys, sessions and events; and repeated it comes to an end."""
    monkeypatch.setattr(retention, "BATCH", 3)
    for _ in range(7):
        await relayed(queue, clock, 1, 300)
        clock.move(seconds=1)
    await database.write(lambda connection: connection.execute(insert(sessions), _sessions(clock)))
    before = await database.read(rows)
    clock.move(days=3)

    await queue.forget(ALL)
    after = await database.read(rows)
    while await queue.forget(ALL):
        pass

    assert [old - new for old, new in zip(before, after, strict=True)] == [3, 3, 3, 3, 4]
    assert await database.read(rows) == [0, 0, 0, 0, 0]


def _sessions(clock: HandClock) -> list[dict[str, object]]:
    return [
        {
            "id": f"ses_{number}",
            "relay_id": RELAY,
            "relay_version": 1,
            "opened_at": clock.now() - timedelta(seconds=number),
            "host": "relay.test",
            "address": "192.0.2.1",
            "transcript": "",
        }
        for number in range(5)
    ]
