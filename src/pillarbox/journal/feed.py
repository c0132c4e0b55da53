"""
Following the journal as it grows: one look at a time, shared by everybody who follows.

A look asks for the newest id, which costs the same however long the journal is. Who follows
reads from its own cursor, so nobody is handed an entry and nobody's entry can get lost.

With several writers an id can be given out before a smaller one is committed. A reader who went
past such a gap would never see what appears in it. So whoever may be writing there is waited
for, a moment; then the gap is filled or will stay one. SQLite has one writer and no such gaps.
"""

from __future__ import annotations

import asyncio

from pillarbox.base.clock import Clock
from pillarbox.base.db.database import Database
from pillarbox.base.errors import Unavailable
from pillarbox.journal import journal
from pillarbox.journal.journal import Entry

_LOOK_SECONDS = 0.2
_LOOKS_AT_WRITERS, _BREATH_SECONDS = 15, 0.02


class Feed:
    """The journal of one database, for those who want what comes next."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._newest = 0
        self._looking: asyncio.Task[int] | None = None

    async def newest(self) -> int:
        """The id of the latest entry; 0 when there is none."""
        return await self._database.read(journal.newest)

    async def read(self, cursor: int, *, limit: int) -> list[Entry]:
        """Entries after cursor, oldest first, as far as nothing before them can still come."""
        found = await self._after(cursor, limit)
        gap = journal.first_gap(found, cursor, self._clock.now())
        if gap is None or not self._database.is_shared:
            return found
        if not await self._have_ended(await self._database.read(journal.writers)):
            return found[:gap]
        return [each for each in await self._after(cursor, limit) if each.id <= found[-1].id]

    async def _after(self, cursor: int, limit: int) -> list[Entry]:
        return await self._database.read(
            lambda connection: journal.after(connection, cursor, limit=limit)
        )

    async def _have_ended(self, writers: frozenset[str]) -> bool:
        """Whether none of these transactions is open any more, a moment from now."""
        for _ in range(_LOOKS_AT_WRITERS):
            if not writers & await self._database.read(journal.writers):
                return True
            await self._clock.sleep(_BREATH_SECONDS)
        return False

    async def look(self) -> int:
        """The newest id, a moment from now. All who wait at the same time share one look."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(), name="journal feed")
        return await asyncio.shield(self._looking)

    async def _look(self) -> int:
        await self._clock.sleep(_LOOK_SECONDS)
        try:
            self._newest = await self.newest()
        except Unavailable:
            return self._newest  # the database is away; the next look may find it
        return self._newest
