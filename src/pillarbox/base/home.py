"""
The home folder: whether this user can have it, and making it.

Whatever stands in the way is told as one sentence with the whole path, before anything else
is tried: a folder that belongs to somebody else is no mistake of ours.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pillarbox.base.config import Config
from pillarbox.base.db.location import is_postgresql, sqlite_path
from pillarbox.base.errors import Unusable


def exists(config: Config) -> bool:
    """
    Whether there is a pillarbox to ask: its database is there, or is not ours to make.

    Raises Unusable when this user may not look.
    """
    if is_postgresql(config.database):
        return True
    try:
        return sqlite_path(config.database).exists()
    except OSError as error:
        raise _unusable(config, str(error.strerror)) from None


def prepare(config: Config) -> None:
    """Make the folders. Raises Unusable when this user cannot."""
    if why := obstacle(config):
        raise _unusable(config, why)
    for folder in _folders(config):
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise _unusable(config, f"{folder}: {error.strerror}") from None


def obstacle(config: Config) -> str | None:
    """Why this user cannot make or use the home, in a few words. Leaves nothing behind."""
    for folder in _folders(config):
        place = folder
        while not _is_there(place) and place != place.parent:
            place = place.parent
        if not place.is_dir():
            return f"{place} is not a folder"
        try:
            tempfile.TemporaryFile(dir=place).close()  # has no name, or loses it at once
        except OSError as error:
            return f"{place}: {error.strerror}" if error.strerror else f"{place} takes no files"
    for file in _files(config):
        if _is_there(file) and not os.access(file, os.R_OK | os.W_OK):
            return f"{file} belongs to somebody else"
    return None


def remedy(config: Config) -> str:
    """What helps against an obstacle."""
    return f"Make {config.home} yours, or set PILLARBOX_HOME to a folder that is."


def _unusable(config: Config, why: str) -> Unusable:
    return Unusable(
        f"the home {config.home} cannot be written by this user ({why}). {remedy(config)}"
    )


def _folders(config: Config) -> Iterator[Path]:
    yield config.home.absolute()
    if not is_postgresql(config.database):
        yield sqlite_path(config.database).absolute().parent


def _files(config: Config) -> Iterator[Path]:
    if not is_postgresql(config.database):
        database = sqlite_path(config.database)
        yield database
        for end in ("-wal", "-shm", ".lock"):
            yield database.with_name(f"{database.name}{end}")


def _is_there(path: Path) -> bool:
    """Also when nobody may look: then what is above it is the obstacle."""
    try:
        return path.exists()
    except OSError:
        return False
