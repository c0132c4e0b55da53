"""
Where a running server can be found by the same person's other programs.

`server.json` in the home folder holds the address and a token; whoever can read the home
folder owns the installation anyway. It is written when the server is ready and removed when
it stops; what a killed server leaves behind is recognised by the database lock.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from pillarbox.base.db.lock import is_locked

_NAME = "server.json"


@dataclass(frozen=True, slots=True)
class RunningServer:
    """Its process id, its address, and the operator's token for as long as it runs."""

    pid: int
    url: str
    token: str = field(repr=False)


def announce(home: Path, url: str, token: str) -> None:
    """Write the file, readable by its owner only."""
    partial = home / f"{_NAME}.part"
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump({"pid": os.getpid(), "url": url, "token": token}, file)
    partial.replace(home / _NAME)


def withdraw(home: Path) -> None:
    """Remove the file, if it is there."""
    with contextlib.suppress(FileNotFoundError):
        (home / _NAME).unlink()


def find(home: Path, database: Path) -> RunningServer | None:
    """The server that uses this database now, or None."""
    if not is_locked(database):
        return None
    try:
        fields = json.loads((home / _NAME).read_text())
        return RunningServer(int(fields["pid"]), str(fields["url"]), str(fields["token"]))
    except (OSError, ValueError, KeyError):
        return None
