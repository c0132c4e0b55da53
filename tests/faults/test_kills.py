"""F1, F2, F3: kill -9 at any moment, while everybody sends and asks again by their key."""

from __future__ import annotations

import math
import random
import threading
import time
from pathlib import Path

import pytest

from support.checker import AcceptedLedger, check, settled
from support.laboratory import Size, Tally, add_relay
from support.ledger_relay import LedgerRelay, Options, ledger_relay
from support.program import Program, program
from support.senders import Senders, sending
from support.waiting import until

_START_SECONDS = 20


@pytest.mark.timeout(1800)
def test_nothing_is_lost_or_doubled_in_silence_over_kills(
    tmp_path: Path, chance: random.Random, size: Size, tally: Tally
) -> None:
    """Lost 0, one message a key, and every second copy was called uncertain before it was sent."""
    kills = size(20, 200)
    restarts = []
    with (
        ledger_relay(tmp_path, Options(latency_seconds=0.002)) as relay,
        program(tmp_path) as box,
    ):
        add_relay(box, relay)
        key, ledger = box.new_key(), AcceptedLedger(tmp_path / "accepted.jsonl")
        pause = threading.Event()
        with sending(Senders(box, key, ledger)) as senders:
            for _ in range(kills):
                pause.wait(chance.uniform(0.02, 0.4))
                box.kill9()
                restarts.append(_start(box, relay))
        settled(box, key)
        found = check(box, key, ledger, relay)

    assert found.wrong == [], str(found)
    assert found.lost == 0
    assert found.accepted >= 10 * kills
    assert found.duplicates == found.explained <= 8 * kills
    assert senders.repeats > 0  # or nobody was ever cut off
    slowest = math.ceil(max(restarts))
    tally("F1-F3", kills=kills, **found.counts, repeats=senders.repeats, restart_seconds=slowest)


def _start(box: Program, relay: LedgerRelay) -> float:
    """Seconds from the start to the first delivery."""
    before, began = (
        len(relay.ledger.read_bytes() if relay.ledger.exists() else b""),
        time.monotonic(),
    )
    box.start()
    until(
        lambda: relay.ledger.exists() and relay.ledger.stat().st_size > before,
        seconds=_START_SECONDS,
        what="the first delivery after the start",
    )
    return time.monotonic() - began
