"""F4: the power goes out, and only what was synced is there afterwards."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pillarbox.base.db.upgrade import check_integrity
from support.checker import AcceptedLedger, check, settled
from support.laboratory import Size, Tally, add_relay
from support.ledger_relay import Options, ledger_relay
from support.powerfail import power_supply
from support.program import new_program
from support.senders import Senders, sending

_WRITER = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("PRAGMA journal_mode = WAL")
database.execute(f"PRAGMA synchronous = {sys.argv[2]}")
database.execute("CREATE TABLE IF NOT EXISTS letters (number INTEGER PRIMARY KEY, octets BLOB)")
for number in range(2000):
    database.execute("INSERT INTO letters VALUES (?, zeroblob(3000))", (number,))
    print(number, flush=True)
print("done", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize(
    ("synchronous", "is_kept"), [("FULL", True), ("NORMAL", False), ("OFF", False)]
)
def test_the_cut_bites(tmp_path: Path, synchronous: str, is_kept: bool, tally: Tally) -> None:
    """A database that syncs its commits keeps them; one that does not loses them here."""
    supply = power_supply(tmp_path / "home", tmp_path)
    database = supply.folder / "letters.db"
    with subprocess.Popen(
        [sys.executable, "-c", _WRITER, database, synchronous],
        env=supply.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as writer:
        assert writer.stdout is not None
        acknowledged = 0
        for line in writer.stdout:
            if line == "done\n":
                break
            acknowledged += 1
        writer.kill()
    supply.cut()

    kept = _letters(database) if database.exists() else 0
    if is_kept:
        assert kept == acknowledged == 2000
        assert check_integrity(database) == []
    else:
        assert kept < acknowledged
    tally("F4-tool", synchronous=synchronous, acknowledged=acknowledged, lost=acknowledged - kept)


@pytest.mark.timeout(1800)
def test_nothing_acknowledged_is_lost_over_power_cuts(
    tmp_path: Path, chance: random.Random, size: Size, tally: Tally
) -> None:
    """Cut at random moments under load, the start included. Lost 0; the file is sound each time."""
    cuts = size(12, 200)
    box = new_program(tmp_path)
    supply = power_supply(box.home, tmp_path)
    box.environment |= supply.environment
    pause, sound = threading.Event(), 0
    try:
        with ledger_relay(tmp_path, Options(latency_seconds=0.002)) as relay:
            box.start()
            add_relay(box, relay)
            key, ledger = box.new_key(), AcceptedLedger(tmp_path / "accepted.jsonl")
            with sending(Senders(box, key, ledger)):
                for number in range(cuts):
                    pause.wait(chance.uniform(0.1, 0.8))
                    box.kill9()
                    supply.cut()
                    sound += check_integrity(box.home / "pillarbox.db") == []
                    if number % 5 == 4:  # out again before it has come up
                        box.start(wait=False)
                        pause.wait(chance.uniform(0.1, 0.9))
                        box.kill9()
                        supply.cut()
                    box.start()
            settled(box, key)
            found = check(box, key, ledger, relay)
    finally:
        box.kill9()

    assert found.wrong == [], str(found)
    assert found.lost == 0
    assert sound == cuts
    assert found.accepted >= 5 * cuts
    assert found.duplicates == found.explained
    tally("F4", cuts=cuts, sound=sound, **found.counts)


def _letters(database: Path) -> int:
    counted = subprocess.run(
        [sys.executable, "-c", _COUNT, database], capture_output=True, text=True
    )
    return int(json.loads(counted.stdout or "0"))


_COUNT = """
import sqlite3, sys
try:
    print(sqlite3.connect(sys.argv[1]).execute("SELECT count(*) FROM letters").fetchone()[0])
except sqlite3.DatabaseError:
    print(0)
"""
