"""F22: killed while it makes or upgrades its database."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pillarbox.base.db.upgrade import check_integrity
from support import hurried
from support.checker import AcceptedLedger, all_messages, check, settled
from support.databases import KINDS
from support.laboratory import Size, Tally, add_relay, hand_over
from support.ledger_relay import LedgerRelay, ledger_relay
from support.next_release import NEW_COLUMN, STEPS, STOP_AT, next_release
from support.peers import free_ports
from support.postgres import shared_postgres
from support.program import Program, new_program
from support.waiting import until

_PATIENCE = {
    "delivery.sweeper._SWEEP_SECONDS": 0.2,  # what expires does so soon
    "queue.claim.FINAL_LEASE": 10,  # on PostgreSQL what was being sent is taken back after it
}
_SENDING = 2  # when it is killed
_DOUBTFUL = 2  # a relay that hangs up more often is trusted with less at once


def test_a_migration_that_was_killed_is_done_again(
    tmp_path: Path, chance: random.Random, size: Size, tally: Tally
) -> None:
    """Wherever the first start was cut off, the next one comes up on a sound file."""
    kills, pause = size(5, 60), threading.Event()
    for number in range(kills):
        folder = tmp_path / str(number)
        folder.mkdir()
        box = new_program(folder)
        try:
            box.start(wait=False)
            pause.wait(chance.uniform(0.3, 1.2))
            box.kill9()
            box.start()
            assert box.new_key().startswith("pb_")
            assert check_integrity(box.home / "pillarbox.db") == []
        finally:
            box.kill9()
    tally("F22-new", kills=kills, sound=kills)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("kind", KINDS)
def test_mail_in_every_state_outlives_an_upgrade_that_is_killed(
    tmp_path: Path, chance: random.Random, size: Size, tally: Tally, kind: str
) -> None:
    """Stopped at any step, the old rows are all there; done, they are; then all mail goes on."""
    each, kills = size(2, 200), size(1, 5 * STEPS)
    steps = [chance.randrange(STEPS) for _ in range(kills)] if kills < STEPS else _in_turn(kills)
    with ledger_relay(tmp_path) as relay, opened(tmp_path, kind) as place:
        box, ledger = place.box, AcceptedLedger(tmp_path / "accepted.jsonl")
        key = fill(box, relay, ledger, each)
        box.kill9()
        before = place.rows()
        box.environment["PYTHONPATH"] = str(next_release(tmp_path))
        for number, step in enumerate(steps):
            mark = tmp_path / f"stopped-{number}"
            box.environment[STOP_AT] = f"{step}:{mark}"
            box.start(wait=False)
            until(mark.exists, seconds=30, what=f"step {step} of the migration")
            box.kill9()
            assert place.rows() == before, f"killed at step {step}"
        del box.environment[STOP_AT]
        assert box.run("db", "upgrade").returncode == 0
        assert place.rows() == before
        box.start()
        known_to(box, key)
        assert box.run("relay", "set", "away", "--port", str(relay.port)).returncode == 0
        box.run("relay", "resume", "ledger")  # it may rest, after what it did before the kills
        settled(box, key, seconds=180)
        found = check(box, key, ledger, relay, faults=place.faults)
        box.kill9()
        del box.environment["PYTHONPATH"]
        back = box.run("serve")

    assert found.wrong == [], str(found)
    assert found.lost == 0
    assert back.returncode == 4
    assert "newer pillarbox" in back.stderr
    tally("F22", database=kind, states=len(STATES), kills=kills, **found.counts)


def _in_turn(kills: int) -> list[int]:
    return [number % STEPS for number in range(kills)]


@dataclass(frozen=True, slots=True)
class Place:
    """A program and its database, which can be looked at from beside it."""

    box: Program
    url: str

    def rows(self) -> dict[str, list[str]]:
        """Everything that is in it, by table, without what the next release adds."""
        listed = (
            "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'"
            if self.url
            else "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
        )
        tables = {row["name"] for row in self._found(listed)} - {"alembic_version"}
        return {table: sorted(self._told(table)) for table in tables}

    def faults(self) -> list[str]:
        if self.url:
            return shared_postgres().faults(self.url)
        return check_integrity(self._file)

    @property
    def _file(self) -> Path:
        return self.box.home / "pillarbox.db"

    def _told(self, table: str) -> Iterator[str]:
        for row in self._found(f'SELECT * FROM "{table}"'):
            yield repr(sorted((name, row[name]) for name in row.keys() if name != NEW_COLUMN))  # noqa: SIM118  a Row is no mapping

    def _found(self, query: str) -> list[Any]:
        if self.url:
            return asyncio.run(shared_postgres().execute(query, url=self.url))
        with closing(sqlite3.connect(f"{self._file.as_uri()}?mode=ro", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            return connection.execute(query).fetchall()


@contextmanager
def opened(folder: Path, kind: str) -> Iterator[Place]:
    """A server of this release, on an empty database."""
    url = asyncio.run(shared_postgres().create()) if kind == "postgresql" else ""
    box = new_program(folder, **({"PILLARBOX_DATABASE_URL": url} if url else {}))
    box.command = hurried.command(_PATIENCE)
    try:
        box.start()
        yield Place(box, url)
    finally:
        box.kill9()


STATES = (
    "scheduled",
    "queued",
    "sending",
    "deferred",
    "uncertain",
    "held",
    "relayed",
    "failed",
    "expired",
    "cancelled",
)


def fill(box: Program, relay: LedgerRelay, ledger: AcceptedLedger, each: int) -> str:
    """So many messages in every state, and a few being sent; a key for the API."""
    add_relay(box, relay, "--set", "max_connections=10")
    (nobody,) = free_ports(1)
    key = box.new_key()
    known_to(box, key)
    away = {"name": "away", "kind": "smtp", "host": "127.0.0.1", "port": nobody, "tls": "none"}
    assert box.ask("POST", "/v1/relays", away, key=key).status == 201
    now = datetime.now(UTC)
    tomorrow = (now + timedelta(days=1)).isoformat()
    soon = (datetime.now(UTC) + timedelta(seconds=3 + each / 20)).isoformat()
    hand_over(box, key, ledger, each, prefix="relayed")
    hand_over(box, key, ledger, each, prefix="fail-550")
    hand_over(box, key, ledger, each, prefix="defer-451")
    hand_over(box, key, ledger, each, prefix="queued", relay="away")
    hand_over(box, key, ledger, each, prefix="scheduled", send_at=tomorrow)
    hand_over(box, key, ledger, each, prefix="expired", relay="away", expires_at=soon)
    for act in ("hold", "cancel"):
        hand_over(box, key, ledger, each, prefix=act, send_at=tomorrow)
    for message in list(all_messages(box, key)):
        act = message["deliveries"][0]["to"].partition("-")[0]
        if act in ("hold", "cancel"):
            path = f"/v1/messages/{message['id']}/{act}"
            assert box.ask("POST", path, {}, key=key).status == 200
    wanted = Counter(dict.fromkeys(STATES, each) | {"sending": 0, "uncertain": 0})
    for number in range(min(each, _DOUBTFUL)):
        hand_over(box, key, ledger, 1, prefix=f"drop-after-dot-{number}")
        wanted["uncertain"] += 1
        reached(box, key, wanted)
    hand_over(box, key, ledger, _SENDING, prefix="slow-600000")
    wanted["sending"] = _SENDING
    reached(box, key, wanted)
    return key


def reached(box: Program, key: str, wanted: Counter[str]) -> None:
    """Wait until there are so many messages in each state."""
    until(
        lambda: states(box, key) == +wanted,
        seconds=60,
        what=str(wanted),
    )


def states(box: Program, key: str) -> Counter[str]:
    return Counter(message["state"] for message in all_messages(box, key))


def known_to(box: Program, key: str) -> None:
    """On PostgreSQL the server hears of a relay and a key that a command made."""
    until(
        lambda: box.ask("GET", "/v1/relays/ledger", key=key).status == 200,
        what="the notice of a new relay and its key",
    )
