"""
The seam to the database: what everything above may ask of it, whichever database it is.

A *work* is a plain function of a SQLAlchemy connection. It runs inside a transaction that it
shares with whoever else is writing at this moment; if it raises, its own changes are undone
and nobody else's. It must not wait for anything but the database.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from pillarbox.base.clock import Clock
from pillarbox.base.db.bell import Bell
from pillarbox.base.db.tally import Commits

T = TypeVar("T")
Item = TypeVar("Item")
Result = TypeVar("Result")

Work = Callable[[Connection], T]
SharedWork = Callable[[Connection, Sequence[Item]], Sequence[Result]]
Told = Callable[[Result | BaseException], None]
"""Hears what came of a work, as soon as it is committed or has failed. It does not raise."""


class Database(Protocol):
    """What accept, delivery and the rest see of a database."""

    @property
    def is_shared(self) -> bool:
        """Whether other processes may be working on it at this moment."""
        ...

    @property
    def clock(self) -> Clock:
        """The time that everybody who works on this database goes by."""
        ...

    @property
    def bell(self) -> Bell:
        """Rings for work that was stored, also by other processes."""
        ...

    @property
    def changes(self) -> Bell:
        """Rings for settings that were changed, by whomever."""
        ...

    @property
    def commits(self) -> Commits:
        """What was committed by this process."""
        ...

    async def write(self, work: Work[T]) -> T:
        """Run work in a transaction; return when it is committed and on stable storage."""
        ...

    def share(
        self, work: SharedWork[Item, Result], item: Item, told: Told[Result] | None = None
    ) -> asyncio.Future[Result]:
        """
        As `write`, but everybody who calls with the same work now shares one call of it.

        Asked for at once, not when it is awaited. A future that is cancelled stops nothing:
        told is called all the same, before whoever awaits the future goes on.
        """
        ...

    async def read(self, work: Work[T]) -> T:
        """Run work on a connection that cannot write, beside whatever is being written."""
        ...

    async def failed(self) -> str:
        """Wait until nothing can be written any more, before a new start; return why."""
        ...

    async def close(self) -> None:
        """Finish what is pending, then let go of the database."""
        ...
