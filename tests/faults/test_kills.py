"""F2, F3: kill -9 at any moment, while everybody sends and asks again by their key."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from support.checker import AcceptedLedger, all_messages, check, settled
from support.laboratory import Size, Tally, add_relay, hand_over, some_slow
from support.ledger_relay import LedgerRelay, Options, ledger_relay
from support.program import Program, program
from support.senders import Senders, sending
from support.waiting import until

_START_SECONDS = 60
_FIRST_DELIVERY_SECONDS = 5


@pytest.mark.timeout(1800)
@pytest.mark.xdist_group("kills")
def test_nothing_is_lost_or_doubled_in_silence_over_kills(
    tmp_path: Path, chance: random.Random, size: Size, tally: Tally
) -> None:
    """
    Lost 0, one message a key, and every second copy was called uncertain before it was sent.

    What is uncertain at the end, somebody has sent again: those are the second copies.
    """
    kills = size(20, 200)
    with (
        ledger_relay(tmp_path, Options(latency_seconds=0.002)) as relay,
        program(tmp_path) as box,
    ):
        add_relay(box, relay)
        key, ledger = box.new_key(), AcceptedLedger(tmp_path / "accepted.jsonl")
        pause, senders = threading.Event(), Senders(box, key, ledger, recipient=some_slow)
        with sending(senders, count=size(4, 20)):
            for _ in range(kills):
                pause.wait(chance.uniform(0.02, 0.4))
                box.kill9()
                _start(box, relay)
        settled(box, key, seconds=300)
        doubtful = [each["id"] for each in all_messages(box, key) if each["state"] == "uncertain"]
        for each in doubtful:
            assert box.ask("POST", f"/v1/messages/{each}/retry", {}, key=key).status < 300
        settled(box, key, seconds=300, doubts=True)
        found = check(box, key, ledger, relay)

    assert found.wrong == [], str(found)
    assert found.lost == found.uncertain == 0
    assert found.accepted >= 10 * kills
    assert found.duplicates == found.explained <= 8 * kills
    assert senders.repeats > 0  # or nobody was ever cut off
    tally("F2", kills=kills, **found.counts, sent_again=len(doubtful), repeats=senders.repeats)


@pytest.mark.timeout(1800)
@pytest.mark.xdist_group("kills")
def test_a_start_with_much_that_waits_is_quick(tmp_path: Path, size: Size, tally: Tally) -> None:
    """Killed again and again with a full queue: each start carries something within seconds."""
    waiting, kills = size(300, 10_000), size(3, 100)
    starts = []
    with (
        ledger_relay(tmp_path, Options(latency_seconds=0.05)) as relay,
        program(tmp_path) as box,
    ):
        add_relay(box, relay, "--set", "max_connections=1")
        key, ledger = box.new_key(), AcceptedLedger(tmp_path / "accepted.jsonl")
        hand_over(box, key, ledger, waiting)
        for _ in range(kills):
            box.kill9()
            starts.append(_start(box, relay))
        left = waiting - len(relay.entries())
        relay.stop()
        relay.options = replace(relay.options, latency_seconds=0)
        relay.start()
        assert box.run("relay", "set", "ledger", "--set", "max_connections=20").returncode == 0
        settled(box, key, seconds=300)
        found = check(box, key, ledger, relay)

    assert found.wrong == [], str(found)
    assert found.lost == 0
    assert found.duplicates == found.explained
    assert left > waiting / 2
    quick = sum(each <= _FIRST_DELIVERY_SECONDS for each in starts)
    assert quick > 0  # how many depends on what else the machine does
    told = {"within_five_seconds": quick, "slowest_start_seconds": round(max(starts), 1)}
    tally("F3", waiting=waiting, kills=kills, **found.counts, **told)


def _start(box: Program, relay: LedgerRelay) -> float:
    """Seconds from the start to the first delivery."""
    before = relay.ledger.stat().st_size if relay.ledger.exists() else 0
    began = time.monotonic()
    box.start()
    until(
        lambda: relay.ledger.exists() and relay.ledger.stat().st_size > before,
        seconds=_START_SECONDS,
        what="the first delivery after the start",
    )
    return time.monotonic() - began
