"""Dropping old rows a few at a time, so that nobody who writes meanwhile waits long."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, delete, select


def drop_older(connection: Connection, at: Column[Any], before: datetime, most: int) -> int:
    """
    Drop rows whose moment `at` is before that, the oldest first; how many.

    At most `most` of them, and those of the same moment as the last. The column has an index.
    """
    edge = select(at).where(at < before).order_by(at).offset(most - 1).limit(1)
    last = connection.scalar(edge)
    is_old = at < before if last is None else at <= last
    return connection.execute(delete(at.table).where(is_old)).rowcount
