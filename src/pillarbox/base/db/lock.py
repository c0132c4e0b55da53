"""One process at a time may write a SQLite file. The lock is the operating system's, by file."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from pillarbox.base.errors import Unusable


class FileLock:
    """
    An advisory lock beside the database, released by the kernel however the process ends.

    Raises Unusable when another process holds it.
    """

    def __init__(self, database: Path) -> None:
        self.path = database.with_name(f"{database.name}.lock")
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            raise Unusable(
                f"another pillarbox process is using {database}; stop it, or talk to it "
                f"by its address"
            ) from None

    def release(self) -> None:
        os.close(self._descriptor)


def is_locked(database: Path) -> bool:
    """Whether a process is using the database at this moment."""
    try:
        FileLock(database).release()
    except Unusable:
        return True
    except OSError:
        return False
    return False
