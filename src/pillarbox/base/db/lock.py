"""
One process at a time may write a SQLite file. The lock is the operating system's, by file.

The file says who holds it, for people; only the lock itself decides.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pillarbox.base.clock import SystemClock
from pillarbox.base.errors import Unusable

_WORDS = 2  # of a command line: `message list`. What follows may be private
_LONGEST = 4096  # octets


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that uses a database, as it put itself down. since is aware."""

    pid: int
    command: str
    since: datetime

    def __str__(self) -> str:
        return f"pid {self.pid}, {self.command}, since {self.since.astimezone():%H:%M}"


class FileLock:
    """
    An advisory lock beside the database, released by the kernel however the process ends.

    Raises Unusable when another process holds it, or when it cannot be made.
    """

    def __init__(self, database: Path) -> None:
        self.path = _beside(database)
        try:
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Unusable(f"{self.path} cannot be written: {error.strerror}") from None
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            raise Unusable(
                f"another pillarbox process{in_brackets(holder(database))} is using {database};"
                " stop it, or talk to it by its address"
            ) from None
        self._sign()

    def release(self) -> None:
        os.close(self._descriptor)

    def _sign(self) -> None:
        since = SystemClock().now().isoformat()
        who = {"pid": os.getpid(), "command": _command(), "since": since}
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, json.dumps(who).encode(), 0)


def is_locked(database: Path) -> bool:
    """Whether a process is using the database at this moment. Nothing is made for asking."""
    try:
        descriptor = os.open(_beside(database), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def holder(database: Path) -> Holder | None:
    """Who has put itself down as using it last. Ask is_locked whether that still is so."""
    try:
        with _beside(database).open("rb") as file:
            told = json.loads(file.read(_LONGEST))
        return Holder(int(told["pid"]), str(told["command"]), datetime.fromisoformat(told["since"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def in_brackets(who: Holder | None) -> str:
    """` (pid 4711, pillarbox serve, since 17:18)`, or nothing."""
    return f" ({who})" if who else ""


def _beside(database: Path) -> Path:
    return database.with_name(f"{database.name}.lock")


def _command() -> str:
    """The program and its first words. No options: they may say what nobody should read."""
    called, *arguments = sys.argv or ["python"]
    name = Path(called).name
    words = []
    for each in arguments[:_WORDS]:
        if each.startswith("-"):
            break
        words.append(each)
    if name in ("__main__.py", "pillarbox"):
        follows = ["--wait"] if words == ["send"] and "--wait" in arguments else []
        return " ".join(["pillarbox", *words, *follows])
    return name or "python"
