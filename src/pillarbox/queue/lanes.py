"""
Lanes: whoever sends has one, and lanes are served in turn. One sender's million delays nobody.

A lane is a small number made of the principal, or of its tenant, kept with each delivery and
part of the index of what is due. To find the lanes that have something due, a claim jumps from
one to the next in that index: it costs a look for each lane, however much waits in it.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import groupby
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Integer,
    ScalarSelect,
    Select,
    Subquery,
    bindparam,
    exists,
    func,
    literal_column,
    select,
    union_all,
)

from pillarbox.queue.streams import STREAMS
from pillarbox.queue.tables import deliveries

AT_ONCE = 8  # full lanes that share a claim; the others have their turn with the next
MOST = 24  # lanes that are looked at for a claim

PRIORITIES = sorted(stream.priority for stream in STREAMS.values())
_NOBODY = -1  # before every lane


@lru_cache(maxsize=4096)
def lane_of(sender: str) -> int:
    """The same number in every process; two senders may share one by chance, 1 in 2^31."""
    return zlib.crc32(sender.encode()) & 0x7FFF_FFFF


class Turns:
    """Which lane of each relay was served last in this process. Lost with it, to no harm."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, int], int] = {}

    def after(self, relay_id: str) -> dict[str, int]:
        """The parameters of `standing`: behind which lane the next turn begins."""
        return {f"after_{each}": self._last.get((relay_id, each), _NOBODY) for each in PRIORITIES}

    def serve(self, relay_id: str, priority: int, lane: int) -> None:
        """Its turn is now; the others come first after it."""
        self._last[relay_id, priority] = lane


def served(standing: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int, int]]:
    """(priority, lane, how many lanes of it are left) in the order of service: urgent first."""
    by_priority = sorted(standing, key=lambda each: each[0])
    for priority, group in groupby(by_priority, key=lambda each: each[0]):
        lanes = [lane for _, lane in group]
        for number, lane in enumerate(lanes):
            yield priority, lane, len(lanes) - number


def share(limit: int, room: int, lanes_left: int) -> int:
    """How many of a claim of `limit` a lane gets, when there is room for so many more."""
    return min(room, max(-(-limit // AT_ONCE), -(-room // lanes_left)))


def standing(*, is_listed: bool = False) -> Select[Any]:
    """
    Priority and lane of what is due, each priority beginning with the next turn.

    Parameters: wanted_relay, at, most, after_0 and so on; wanted_list with is_listed.
    """
    turn = _round(is_listed=is_listed)
    return (
        select(turn.c.priority, turn.c.lane)
        .where(turn.c.lane.is_not(None), exists(due_in(turn, is_listed=is_listed)))
        .limit(bindparam("most"))
    )


def due_since() -> Select[datetime]:
    """Since when something is due. Parameters as for `standing`, without most."""
    turn = _round(is_listed=False)
    first = due_in(turn, is_listed=False).with_only_columns(func.min(deliveries.c.due_at))
    return select(func.min(first.scalar_subquery())).where(turn.c.lane.is_not(None))


def due_in(turn: CTE, *, is_listed: bool) -> Select[str]:
    """What is due in this lane."""
    columns = deliveries.c
    query = select(columns.id).where(
        columns.relay_id == bindparam("wanted_relay"),
        columns.priority == turn.c.priority,
        columns.lane == turn.c.lane,
        columns.due_at.is_not(None),
        columns.due_at <= bindparam("at"),
    )
    if is_listed:
        query = query.where(columns.stand_ins == bindparam("wanted_list"), ~columns.in_doubt)
    return query.correlate(turn)


def _round(*, is_listed: bool) -> CTE:
    """Every lane with something waiting, once; a lane of NULL where there is none."""
    start = _starts()
    first = _next(start, start.c.priority, start.c.after, is_listed=is_listed)
    turn = select(start.c.priority, first.label("lane")).cte("turn", recursive=True)
    following = _next(turn, turn.c.priority, turn.c.lane, is_listed=is_listed)
    # UNION without ALL: the round ends where it comes by a lane again.
    return turn.union(select(turn.c.priority, following).where(turn.c.lane.is_not(None)))


def _starts() -> Subquery:
    rows = [
        select(
            literal_column(str(each), Integer).label("priority"),
            bindparam(f"after_{each}", type_=Integer).label("after"),
        )
        for each in PRIORITIES
    ]
    return union_all(*rows).subquery("start")


def _next(
    of: CTE | Subquery, priority: ColumnElement[int], lane: ColumnElement[int], *, is_listed: bool
) -> ColumnElement[int]:
    """The lane after this one, or else the first of all."""

    def least(*also: ColumnElement[bool]) -> ScalarSelect[int]:
        place = (columns.relay_id == bindparam("wanted_relay"), columns.priority == priority)
        query = select(func.min(columns.lane)).where(*place, columns.due_at.is_not(None), *also)
        return query.correlate(of).scalar_subquery()

    columns = deliveries.alias().c
    listed = (columns.stand_ins == bindparam("wanted_list"),) if is_listed else ()
    return func.coalesce(least(*listed, columns.lane > lane), least(*listed))
