"""What SQLite does when there is no room: all or nothing, and the answer is true."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

from pillarbox.base.db.bell import Bell
from pillarbox.base.errors import Unavailable
from pillarbox.mail.content import Content
from pillarbox.queue.browse import Page
from pillarbox.queue.queue import Queue
from support.clocks import HandClock
from support.databases import open_database
from support.parcels import parcel


async def test_whoever_is_told_that_nothing_was_stored_is_told_the_truth(tmp_path: Path) -> None:
    """SQLite undoes the whole shared transaction when the disk is full, not one item's part."""
    clock = HandClock()
    big = Content.pass_gate(b"Subject: big\r\n\r\n" + b"yyyyyyyy\r\n" * 3000)
    async with open_database("sqlite", tmp_path) as database:
        transact = cast("Any", database)._transact
        (pages,) = transact.execute("PRAGMA page_count").fetchone()
        transact.execute(f"PRAGMA max_page_count={pages + 200}")
        queue = Queue(database, clock, Bell())
        sent = [parcel(clock.now(), content=big) for _ in range(80)]

        answers = []
        for start in range(0, len(sent), 20):
            batch = sent[start : start + 20]
            answers += await asyncio.gather(*map(queue.enqueue, batch), return_exceptions=True)
        stored, _ = await queue.messages(Page(limit=100))

        refused = [answer for answer in answers if isinstance(answer, BaseException)]
        acknowledged = {each.message_id for each in answers if not isinstance(each, BaseException)}
        assert refused
        assert {type(error) for error in refused} == {Unavailable}
        assert {message.id for message in stored} == acknowledged

        transact.execute(f"PRAGMA max_page_count={pages + 20_000}")
        again = parcel(clock.now())
        assert (await queue.enqueue(again)).message_id == again.id
