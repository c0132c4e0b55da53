"""
When a relay rests: its mail waits and loses no attempts, and one delivery at a time probes it.

A relay that cannot be reached comes back by itself, soon at first. One that needs a person
(a wrong password, a closed account) is probed rarely, so that no account is locked by us.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, insert, select

from pillarbox.journal import journal
from pillarbox.journal.events import Event, RelayRested, RelayResumed, RelaySuspended
from pillarbox.relays import pacing
from pillarbox.relays.pacing import Complaint
from pillarbox.relays.tables import relay_rests

_REST = tuple(timedelta(seconds=each) for each in (5, 15, 60, 120, 300, 600, 900))
_NEEDS_PERSON = tuple(timedelta(minutes=each) for each in (15, 60))
_TOLERANCE = timedelta(seconds=10)  # clocks are slewed, and processes' clocks differ a little


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """
    Why a relay is not used now, and when it is probed next.

    since is the first failure in a row, begun_at the last one.
    """

    relay_id: str
    since: datetime
    begun_at: datetime
    until: datetime
    failures: int
    needs_person: bool
    cause: str
    advice: str

    def is_over(self, now: datetime) -> bool:
        """Whether a probe may go."""
        return is_over(self.begun_at, self.until, now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """
    A failure that was the relay's. advice is an id of replies.toml; rest_for is how long the
    relay itself, or its provider's pages, say that it takes. A complaint about pace slows the
    relay, and rests it only when there is nothing left to slow.
    """

    relay_id: str
    relay_version: int
    relay_name: str
    needs_person: bool
    cause: str
    advice: str
    rest_for: timedelta | None = None
    complaint: Complaint | None = None


def rest_after(trouble: Trouble, before: Rest | None, now: datetime) -> Rest:
    """The rest that follows a failure; each further failure in a row rests longer."""
    failures = before.failures + 1 if before else 1
    waits = _NEEDS_PERSON if trouble.needs_person else _REST
    return Rest(
        relay_id=trouble.relay_id,
        since=min(before.since, now) if before else now,
        begun_at=now,
        until=now + (trouble.rest_for or waits[min(failures, len(waits)) - 1]),
        failures=failures,
        needs_person=trouble.needs_person,
        cause=trouble.cause,
        advice=trouble.advice,
    )


def is_over(begun_at: datetime, until: datetime, now: datetime) -> bool:
    """
    Whether a rest from `begun_at` has ended.

    One that was begun in what is the future now was begun by a clock that was fast: nobody
    knows how much of it is left, and to wait for the hour would be to wait for the whole jump.
    """
    return until <= now or begun_at > now + _TOLERANCE


def rests(connection: Connection) -> dict[str, Rest]:
    """The relays that rest, by id."""
    return {row.relay_id: Rest(**row._mapping) for row in connection.execute(select(relay_rests))}


def rest(connection: Connection, trouble: Trouble, now: datetime) -> Rest | None:
    """
    Rest a relay, or slow it where that is enough.

    While a rest lasts, further failures of sessions that were already under way change nothing.
    """
    before = rests(connection).get(trouble.relay_id)
    if before is not None and not before.is_over(now):
        return before
    if trouble.complaint is not None and pacing.slow(connection, trouble.complaint, now):
        return before
    after = rest_after(trouble, before, now)
    connection.execute(delete(relay_rests).where(relay_rests.c.relay_id == trouble.relay_id))
    connection.execute(insert(relay_rests), _row(after))
    if before is None or before.needs_person != after.needs_person:
        journal.write(connection, [(now, _event(after, trouble.relay_name))])
    return after


def resume(
    connection: Connection,
    relay_id: str,
    relay_name: str,
    now: datetime,
    *,
    principal: str | None = None,
) -> bool:
    """End a rest, if there is one; whether there was. principal is whoever said so."""
    ended = connection.execute(delete(relay_rests).where(relay_rests.c.relay_id == relay_id))
    if ended.rowcount:
        resumed = RelayResumed(relay_id=relay_id, relay=relay_name, principal=principal)
        journal.write(connection, [(now, resumed)])
    return bool(ended.rowcount)


def _row(each: Rest) -> dict[str, object]:
    return {column.name: getattr(each, column.name) for column in relay_rests.columns}


def _event(after: Rest, relay_name: str) -> Event:
    if after.needs_person:
        return RelaySuspended(
            relay_id=after.relay_id, relay=relay_name, cause=after.cause, advice=after.advice
        )
    return RelayRested(
        relay_id=after.relay_id,
        relay=relay_name,
        cause=after.cause,
        until=after.until.isoformat(),
    )
