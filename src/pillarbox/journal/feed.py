"""
Following the journal as it grows: one look at a time, shared by everybody who follows.

A look asks for the newest id, which costs the same however long the journal is. Who follows
reads from its own cursor, so nobody is handed an entry and nobody's entry can get lost.
"""

from __future__ import annotations

import asyncio

from pillarbox.base.clock import Clock
from pillarbox.base.db.database import Database
from pillarbox.base.errors import Unavailable
from pillarbox.journal import journal
from pillarbox.journal.journal import Entry

_LOOK_SECONDS = 0.2


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
        now = self._clock.now()
        return await self._database.read(
            lambda connection: journal.after(connection, cursor, limit=limit, now=now)
        )

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
