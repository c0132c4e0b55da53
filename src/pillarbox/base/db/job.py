"""What somebody wants written, from when they ask until they are told."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

from pillarbox.base.db.database import Told


class Job(NamedTuple):
    """One item of a shared work."""

    item: Any
    future: asyncio.Future[Any]
    told: Told[Any] | None

    def settle(self, answer: Any) -> None:
        """Say what came of it; an exception is raised where it is awaited."""
        if self.told is not None:
            self.told(answer)
        if self.future.done():  # its caller has gone; what is committed stays committed
            return
        if isinstance(answer, BaseException):
            self.future.set_exception(answer)
        else:
            self.future.set_result(answer)
