"""What somebody wants written, from when they ask until they are told."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

from pillarbox.base import log
from pillarbox.base.db.database import Told

_log = log.logger("database")


class Job(NamedTuple):
    """One item of a shared work."""

    item: Any
    future: asyncio.Future[Any]
    told: Told[Any] | None

    def settle(self, answer: Any) -> None:
        """
        Say what came of it; an exception is raised where it is awaited.

        Raises nothing: others in the same commit are still to be told.
        """
        if not self.future.done():  # else its caller has gone; what is committed stays so
            if isinstance(answer, BaseException):
                self.future.set_exception(answer)
            else:
                self.future.set_result(answer)
        if self.told is None:
            return
        try:
            self.told(answer)
        except Exception as error:  # noqa: BLE001  a caller's own mistake, and not the others'
            _log.error("a caller failed at what it was told", exc_info=error)
