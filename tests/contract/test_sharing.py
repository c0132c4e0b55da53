"""What several processes may do to one relay, on every database."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert

from pillarbox.base.db.database import Database
from pillarbox.base.ids import Ids
from pillarbox.base.sealing import Keyring
from pillarbox.relays.registry import Registry
from pillarbox.relays.sharing import LEASE, Ask, Permits, reserve, share_of, take
from pillarbox.relays.tables import relay_rests
from support.clocks import HandClock


@pytest.fixture
async def relay_id(database: Database, clock: HandClock, tmp_path: Path) -> str:
    keyring = Keyring.load_or_create(tmp_path / "key")
    registry = Registry(database, keyring, clock, Ids(clock))
    await registry.load()
    return registry.default().id


def ask(
    relay_id: str,
    holder: str,
    now: datetime,
    *,
    wanted: int = 5,
    in_use: int = 0,
    proven: bool = True,
) -> Ask:
    return Ask(
        relay_id=relay_id,
        holder=holder,
        wanted=wanted,
        in_use=in_use,
        most=5,
        is_proven=proven,
        now=now,
    )


@pytest.mark.parametrize(
    ("wanted", "most", "shares"),
    [
        ({"a": 5}, 5, {"a": 5}),
        ({"a": 5, "b": 5}, 5, {"a": 3, "b": 2}),
        ({"a": 1, "b": 5}, 5, {"a": 1, "b": 4}),
        ({"a": 5, "b": 5, "c": 5}, 2, {"a": 1, "b": 1, "c": 0}),
        ({"a": 1, "b": 2, "c": 9}, 9, {"a": 1, "b": 2, "c": 6}),
        ({"a": 0, "b": 5}, 5, {"a": 0, "b": 5}),
    ],
)
def test_sessions_are_shared_evenly(
    wanted: dict[str, int], most: int, shares: dict[str, int]
) -> None:
    """And all of them are given out."""
    assert {name: share_of(wanted, name, most) for name in wanted} == shares


async def test_all_together_never_hold_more_than_the_relay_allows(
    database: Database, clock: HandClock, relay_id: str
) -> None:
    """Six processes ask at once, again and again, keeping what they have until they may not."""
    names = [f"prc_{n}" for n in range(6)]
    held = dict.fromkeys(names, 0)
    for _ in range(4):
        asks = [ask(relay_id, name, clock.now(), in_use=held[name]) for name in names]
        granted = await asyncio.gather(*(database.share(take, each) for each in asks))
        held = dict(zip(names, granted, strict=True))
        assert sum(held.values()) <= 5
        clock.move(seconds=6)

    assert sum(held.values()) == 5


async def test_who_comes_later_gets_a_share_at_the_next_settling(
    database: Database, clock: HandClock, relay_id: str
) -> None:
    first = await database.share(take, ask(relay_id, "prc_a", clock.now()))
    second = await database.share(take, ask(relay_id, "prc_b", clock.now()))
    less = await database.share(take, ask(relay_id, "prc_a", clock.now(), in_use=3))
    more = await database.share(take, ask(relay_id, "prc_b", clock.now()))

    assert (first, second, less, more) == (5, 0, 3, 2)


async def test_a_process_that_is_gone_frees_its_sessions(
    database: Database, clock: HandClock, relay_id: str
) -> None:
    await database.share(take, ask(relay_id, "prc_a", clock.now()))
    clock.move(seconds=LEASE.total_seconds() + 1)

    assert await database.share(take, ask(relay_id, "prc_b", clock.now())) == 5


async def test_a_relay_is_proven_and_probed_by_one_process(
    database: Database, clock: HandClock, relay_id: str
) -> None:
    """However many there are: one sign-in with a password that may be wrong, one probe."""

    async def all_ask(*, proven: bool) -> list[int]:
        asks = [ask(relay_id, f"prc_{n}", clock.now(), wanted=1, proven=proven) for n in range(4)]
        return list(await asyncio.gather(*(database.share(take, each) for each in asks)))

    untried = await all_ask(proven=False)
    row = {
        "relay_id": relay_id,
        "since": clock.now(),
        "begun_at": clock.now(),
        "failures": 1,
        "needs_person": False,
    }
    row |= {"until": clock.now() + timedelta(seconds=5), "cause": "down", "advice": "x"}
    await database.write(lambda connection: connection.execute(insert(relay_rests), row))
    resting = await all_ask(proven=True)
    clock.move(seconds=5)
    probing = await all_ask(proven=True)

    assert sum(untried) == 1
    assert sum(resting) == 0
    assert sum(probing) == 1


async def test_messages_of_all_processes_keep_to_the_minute(
    database: Database, clock: HandClock, relay_id: str
) -> None:
    """At most thirty in any minute, and what was not used comes back."""

    async def wish(wanted: int) -> int:
        permits = Permits(relay_id=relay_id, wanted=wanted, per_minute=30, now=clock.now())
        return await database.share(reserve, permits)

    first = await asyncio.gather(*(wish(12) for _ in range(4)))
    full = await wish(1)
    await wish(-5)
    again = await wish(9)
    clock.move(seconds=59)
    still = await wish(1)
    clock.move(seconds=7)

    assert sorted(first) == [0, 6, 12, 12]
    assert (full, again, still) == (0, 5, 0)
    assert await wish(40) == 30
