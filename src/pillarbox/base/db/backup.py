"""
A copy of a SQLite database while it is being written, and putting such a copy in its place.

The copy is read by one connection that cannot write, in one transaction: it is the database
as it was at one moment, and the writer goes on meanwhile. PostgreSQL has its own tools.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

from pillarbox.base.db.upgrade import Condition, check_integrity, inspect
from pillarbox.base.durable import sync
from pillarbox.base.errors import Conflict, NotFound, Unavailable, Unusable

_BESIDE = ("-wal", "-shm")


def back_up(database: Path, target: Path) -> int:
    """
    Copy the database to target, checked and on stable storage; its size in octets.

    Target is one file that needs no other, for its owner only. Raises NotFound, Conflict when
    target exists, and Unavailable when it cannot be read or written; nothing is left then.
    """
    if inspect(database) is Condition.ABSENT:
        raise NotFound(f"there is no database at {database}")
    if target.exists():
        raise Conflict(f"{target} exists and was not touched; name another file")
    partial = target.with_name(f"{target.name}.part")
    try:
        _copy(database, partial)
        _refuse_damaged(partial)
        _settle(partial, "DELETE")  # readable where nothing can be written beside it
        partial.replace(target)
        sync(target.parent)
    except (OSError, sqlite3.Error) as error:
        raise Unavailable(f"{target} could not be written: {error}") from None
    finally:
        _remove(partial)
    return target.stat().st_size


def take_copy(backup: Path, place: Path) -> Path:
    """
    A checked copy of a backup beside the place where it shall be; the backup stays as it is.

    Raises NotFound, and Unusable when it is damaged, another program's, or newer than we are.
    """
    if not backup.exists():
        raise NotFound(f"there is no file {backup}")
    copy = place.with_name(f"{place.name}.restoring")
    _remove(copy)
    try:
        if inspect(backup) is Condition.ABSENT:
            raise Unusable(f"{backup} is empty. Nothing was changed")
        _copy(backup, copy)
        _refuse_damaged(copy)
        _settle(copy, "WAL")
    except (OSError, sqlite3.Error) as error:
        _remove(copy)
        raise Unusable(f"{backup} cannot be restored: {error}. Nothing was changed") from None
    except Unusable:
        _remove(copy)
        raise
    return copy


def put_in_place(copy: Path, place: Path, aside: Path) -> Path | None:
    """
    Make copy the database at place. What was there is kept as aside, which is returned.

    At every moment there is a whole database at place, the old one or the new one.
    """
    _settle(copy, "WAL")
    kept = None
    if place.exists():
        _fold_in(place)
        os.link(place, aside)
        kept = aside
    for ending in _BESIDE:  # what is left belongs to the old database, and never to the new one
        beside = place.with_name(place.name + ending)
        if beside.exists():
            beside.replace(aside.with_name(aside.name + ending))
    copy.replace(place)
    sync(place.parent)
    return kept


def discard(copy: Path) -> None:
    """Leave nothing of a copy that is not wanted any more."""
    _remove(copy)


def _copy(source: Path, target: Path) -> None:
    os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    reader = sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, timeout=10)
    writer = sqlite3.connect(target)
    try:
        reader.backup(writer)  # all pages at once: one moment, however long it takes
    finally:
        writer.close()
        reader.close()


def _settle(file: Path, journal_mode: str) -> None:
    """One file on stable storage, with nothing beside it."""
    connection = sqlite3.connect(file)
    connection.execute(f"PRAGMA journal_mode = {journal_mode}")
    connection.close()
    sync(file)


def _fold_in(database: Path) -> None:
    """Bring the write-ahead log home. A database too damaged for that keeps it beside it."""
    with contextlib.suppress(sqlite3.Error):
        connection = sqlite3.connect(database, timeout=10)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()


def _refuse_damaged(file: Path) -> None:
    found = check_integrity(file)
    if found:
        raise Unusable(f"the copy is damaged: {found[0]}. Nothing was changed")


def _remove(file: Path) -> None:
    for ending in ("", *_BESIDE, "-journal", ".lock"):
        file.with_name(file.name + ending).unlink(missing_ok=True)
