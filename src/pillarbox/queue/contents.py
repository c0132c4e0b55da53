"""
The octets of messages as they are kept: in parts, so that a large one is not held four times.

A database makes copies of whatever is stored or read in one piece: what is bound, the record,
the pages. Most messages are one part.
"""

from __future__ import annotations

from io import BytesIO

from sqlalchemy import Connection, bindparam, select

from pillarbox.base.db.rows import Rows
from pillarbox.queue.tables import contents

PART = 1024 * 1024  # octets

Row = tuple[str, int, bytes | memoryview]

_PARTS = Rows(contents, "message_id", "part", "octets")
_PART = select(contents.c.octets).where(
    contents.c.message_id == bindparam("of_message"), contents.c.part == bindparam("number")
)


def store(connection: Connection, kept: list[tuple[str, bytes]]) -> None:
    """(message id, octets) each."""
    _PARTS.store(connection, [(key, 0, octets) for key, octets in kept if len(octets) <= PART])
    for key, octets in kept:
        if len(octets) > PART:
            view = memoryview(octets)
            for number, start in enumerate(range(0, len(octets), PART)):
                _PARTS.store(connection, [(key, number, view[start : start + PART])])


def content_of(connection: Connection, message_id: str) -> bytes | None:
    """The octets that every attempt sends, or None once retention has dropped them."""
    first: bytes | None = connection.scalar(_PART, {"of_message": message_id, "number": 0})
    if first is None or len(first) < PART:
        return first
    whole, number = BytesIO(), 0
    part: bytes | None = first
    del first
    while part is not None:
        whole.write(part)
        number += 1
        part = connection.scalar(_PART, {"of_message": message_id, "number": number})
    return whole.getvalue()
