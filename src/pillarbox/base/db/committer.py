"""
The thread that waits for the disk: COMMIT runs here, beside the event loop.

A thread of its own, because a commit is the most frequent thing that we do off the loop, and
an executor's futures would cost more than handing it over.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Callable
from queue import SimpleQueue

Then = Callable[[sqlite3.Error | None], None]


class Committer:
    """Commits one connection, once each time it is told to."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._told: SimpleQueue[tuple[asyncio.AbstractEventLoop, Then] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="pillarbox-commit", daemon=True)
        self._thread.start()

    def commit(self, then: Then) -> None:
        """Commit; then is called on this loop, with what went wrong or None."""
        self._told.put((asyncio.get_running_loop(), then))

    def close(self) -> None:
        """Return when the thread has ended."""
        self._told.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (told := self._told.get()) is not None:
            loop, then = told
            failure: sqlite3.Error | None = None
            try:
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                failure = error
            with contextlib.suppress(RuntimeError):  # the loop has ended; nobody is left to tell
                loop.call_soon_threadsafe(then, failure)
