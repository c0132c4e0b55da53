"""Which SQLite this Python has, and whether it is one to be careful with."""

from __future__ import annotations

import sqlite3


def version() -> str:
    """SQLite's own version."""
    return sqlite3.sqlite_version


def has_wal_reset_bug() -> bool:
    """
    3.7.0 to 3.51.2 can damage a file in WAL mode that two connections write at once.

    pillarbox has one writer and a lock; other programs that write the file are the danger.
    """
    return (3, 7, 0) <= sqlite3.sqlite_version_info < (3, 51, 3)
