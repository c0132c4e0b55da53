"""
One relay, many processes: who may hold how many sessions, and who may begin a message.

Each process has one row for each relay that it works for, with a lease: a process that is
gone frees its sessions when the lease ends. Whoever asks holds the relay's row meanwhile, so
that two who ask at once do not both get the last session.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, func, insert, select, update

from pillarbox.base.clock import Clock
from pillarbox.base.db.database import Database
from pillarbox.relays.suspension import is_over
from pillarbox.relays.tables import relay_permits, relay_rests, relay_shares, relays

LEASE = timedelta(seconds=60)
_SPAN = timedelta(seconds=5)  # permits are counted in spans of this length
_MINUTE = timedelta(seconds=65)  # a minute, and the span in which it begins


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """
    What a process wants of a relay: sessions, of `most` for all, of which in_use are open.

    is_proven: this process has carried mail with these settings.
    """

    relay_id: str
    holder: str
    wanted: int
    in_use: int
    most: int
    is_proven: bool
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Permits:
    """A wish for so many messages, of per_minute for all; fewer than none gives some back."""

    relay_id: str
    wanted: int
    per_minute: int
    now: datetime


def share_of(wanted: Mapping[str, int], holder: str, most: int) -> int:
    """
    The holder's share: the same for all who want it, what some do not want for the others.

    What is left over goes to the first by name, so that all who reckon agree.
    """
    left, open_ = most, dict(sorted(wanted.items()))
    while open_:
        even, extra = divmod(left, len(open_))
        content = [name for name, number in open_.items() if number <= even]
        if not content:
            names = list(open_)
            return even + (names.index(holder) < extra)
        if holder in content:
            return open_[holder]
        left -= sum(open_.pop(name) for name in content)
    return 0


def take(connection: Connection, asks: Sequence[Ask]) -> list[int]:
    """For each, how many sessions the holder may have open until its lease ends."""
    order = sorted(range(len(asks)), key=lambda number: asks[number].relay_id)
    granted = {number: _take(connection, asks[number]) for number in order}
    return [granted[number] for number in range(len(asks))]


def reserve(connection: Connection, wishes: Sequence[Permits]) -> list[int]:
    """For each, how many messages may begin; all together no more in any minute."""
    order = sorted(range(len(wishes)), key=lambda number: wishes[number].relay_id)
    granted = {number: _reserve(connection, wishes[number]) for number in order}
    return [granted[number] for number in range(len(wishes))]


class Sharing:
    """This process' part in it. holder is its name among the others."""

    def __init__(self, database: Database, clock: Clock, holder: str) -> None:
        self._database = database
        self.clock = clock
        self.holder = holder

    async def take(self, ask: Ask) -> int:
        return await self._database.share(take, ask)

    async def reserve(self, wish: Permits) -> int:
        return await self._database.share(reserve, wish)


def _take(connection: Connection, ask: Ask) -> int:
    _hold(connection, ask.relay_id)
    columns = relay_shares.c
    ours = (columns.relay_id == ask.relay_id, columns.holder == ask.holder)
    over = (columns.relay_id == ask.relay_id, columns.until <= ask.now)
    connection.execute(delete(relay_shares).where(*over))
    query = select(relay_shares).where(columns.relay_id == ask.relay_id)
    others = [row for row in connection.execute(query) if row.holder != ask.holder]
    is_proven = ask.is_proven or any(row.is_proven for row in others)
    most = _allowed(connection, ask, is_proven=is_proven)
    wanted = {row.holder: row.wanted for row in others if row.wanted} | {ask.holder: ask.wanted}
    free: int = most - sum(row.sessions for row in others)
    granted: int = max(0, min(ask.wanted, share_of(wanted, ask.holder, most), free))
    connection.execute(delete(relay_shares).where(*ours))
    if ask.wanted or ask.in_use:
        row = {"relay_id": ask.relay_id, "holder": ask.holder, "wanted": ask.wanted}
        row |= {"sessions": max(granted, ask.in_use), "is_proven": ask.is_proven}
        connection.execute(insert(relay_shares), row | {"until": ask.now + LEASE})
    return granted


def _allowed(connection: Connection, ask: Ask, *, is_proven: bool) -> int:
    """None while the relay rests, one to probe it or to prove its settings, or all."""
    columns = relay_rests.c
    query = select(columns.begun_at, columns.until).where(columns.relay_id == ask.relay_id)
    rest = connection.execute(query).one_or_none()
    if rest is not None:
        return 1 if is_over(rest.begun_at, rest.until, ask.now) else 0
    return ask.most if is_proven else 1


def _reserve(connection: Connection, wish: Permits) -> int:
    _hold(connection, wish.relay_id)
    columns = relay_permits.c
    of_relay = columns.relay_id == wish.relay_id
    connection.execute(delete(relay_permits).where(of_relay, columns.at <= wish.now - _MINUTE))
    begun: int = connection.scalar(select(func.sum(columns.messages)).where(of_relay)) or 0
    granted = min(wish.wanted, max(0, wish.per_minute - begun))
    span = wish.now - (wish.now - datetime.min.replace(tzinfo=wish.now.tzinfo)) % _SPAN
    of_span = (of_relay, columns.at == span)
    more = {"messages": columns.messages + granted}
    if (
        granted
        and not connection.execute(update(relay_permits).where(*of_span).values(more)).rowcount
    ):
        row = {"relay_id": wish.relay_id, "at": span, "messages": granted}
        connection.execute(insert(relay_permits), row)
    return granted


def _hold(connection: Connection, relay_id: str) -> None:
    connection.execute(select(relays.c.id).where(relays.c.id == relay_id).with_for_update())
