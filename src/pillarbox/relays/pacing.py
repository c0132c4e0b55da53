"""
How many sessions a relay gets after it has complained: half as many, then slowly more again.

A complaint says "too many connections" or "slow down" (kind `pace` in replies.toml). Mail is
delayed by it and never refused. How long to wait is never read from what the server wrote.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, insert, select

from pillarbox.journal import journal
from pillarbox.journal.events import RelayRecovered, RelaySlowed
from pillarbox.relays.tables import relay_slowdowns

RECOVERY = timedelta(minutes=5)  # without a complaint, for each session that comes back


@dataclass(frozen=True, slots=True, kw_only=True)
class Slowdown:
    """What a relay has been cut down to, at the last complaint that counted, and why."""

    relay_id: str
    since: datetime
    at: datetime
    connections: int
    cause: str
    advice: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """
    A relay said that it gets too much at once. advice is an id of replies.toml.

    most is what its settings allow; began_at is when the attempt began that heard it.
    """

    relay_id: str
    relay_name: str
    most: int
    began_at: datetime
    cause: str
    advice: str


def connections_allowed(slowdown: Slowdown | None, most: int, now: datetime) -> int:
    """One more for each RECOVERY without complaint, and never more than `most`."""
    if slowdown is None:
        return most
    return max(1, min(most, slowdown.connections + (now - slowdown.at) // RECOVERY))


def after_complaint(
    complaint: Complaint, before: Slowdown | None, now: datetime
) -> Slowdown | None:
    """
    Half of what is allowed now, or None when it was one already and the relay must rest.

    An attempt that began before the last cut says nothing about the cut: it changes nothing.
    """
    if before is not None and complaint.began_at <= before.at:
        return before
    allowed = connections_allowed(before, complaint.most, now)
    if allowed == 1:
        return None
    fresh = Slowdown(
        relay_id=complaint.relay_id,
        since=now,
        at=now,
        connections=allowed // 2,
        cause=complaint.cause,
        advice=complaint.advice,
    )
    return fresh if before is None else replace(fresh, since=before.since)


def slowdowns(connection: Connection) -> dict[str, Slowdown]:
    """The relays that are slowed, by id."""
    rows = connection.execute(select(relay_slowdowns))
    return {row.relay_id: Slowdown(**row._mapping) for row in rows}


def slow(connection: Connection, complaint: Complaint, now: datetime) -> bool:
    """Take note of a complaint. False: there is nothing left to halve, so the relay must rest."""
    before = slowdowns(connection).get(complaint.relay_id)
    after = after_complaint(complaint, before, now)
    if after is None or after is before:
        return after is not None
    forget(connection, complaint.relay_id)
    connection.execute(insert(relay_slowdowns), _row(after))
    event = RelaySlowed(
        relay_id=complaint.relay_id,
        relay=complaint.relay_name,
        connections=after.connections,
        cause=after.cause,
        advice=after.advice,
    )
    journal.write(connection, [(now, event)])
    return True


def recover(connection: Connection, most: Mapping[str, tuple[str, int]], now: datetime) -> bool:
    """
    End the slowdowns that have come back to all sessions; whether there was one.

    most has the name and max_connections of each relay by id.
    """
    ended = [
        each
        for each in slowdowns(connection).values()
        if each.relay_id in most and has_recovered(each, most[each.relay_id][1], now)
    ]
    for each in ended:
        forget(connection, each.relay_id)
        event = RelayRecovered(relay_id=each.relay_id, relay=most[each.relay_id][0])
        journal.write(connection, [(now, event)])
    return bool(ended)


def has_recovered(slowdown: Slowdown, most: int, now: datetime) -> bool:
    """Whether it has all its sessions again."""
    return connections_allowed(slowdown, most, now) >= most


def forget(connection: Connection, relay_id: str) -> None:
    """Without a word: somebody has changed the relay, or said that it may go on."""
    connection.execute(delete(relay_slowdowns).where(relay_slowdowns.c.relay_id == relay_id))


def _row(each: Slowdown) -> dict[str, object]:
    return {column.name: getattr(each, column.name) for column in relay_slowdowns.columns}
