"""Whether the disk that holds the database has room for more mail."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from pillarbox.base.clock import Clock
from pillarbox.base.db.location import sqlite_path

RESERVE = 64 * 1024 * 1024  # octets; what is under way needs room to be recorded
_LOOK_SECONDS = 1.0


def room_of(url: str, clock: Clock) -> Callable[[], bool]:
    """Whether there is room for more. A server's disk is the server's own business."""
    return Room(sqlite_path(url), clock).is_left if url.startswith("sqlite") else lambda: True


class Room:
    """
    The free space beside a file. Mail is refused while there is still room for the rest:
    a disk that is full to the last block cannot even take down what has been sent.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._folder = path.parent
        self._clock = clock
        self._looked_at = -_LOOK_SECONDS
        self._is_left = True

    def is_left(self) -> bool:
        """Asks the file system at most once a second."""
        now = self._clock.monotonic()
        if now - self._looked_at >= _LOOK_SECONDS:
            facts = os.statvfs(self._folder)
            self._is_left = facts.f_bavail * facts.f_frsize >= RESERVE
            self._looked_at = now
        return self._is_left
