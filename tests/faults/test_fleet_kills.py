"""F1 on PostgreSQL: four workers, and at any moment one of them is killed."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path

import pytest

from support.checker import AcceptedLedger, check, settled
from support.fleet import fleet
from support.laboratory import Size, Tally, some_slow
from support.ledger_relay import Options, ledger_relay
from support.senders import Senders, sending
from support.waiting import until

_WORKERS = 4
_DONE_SECONDS = 120
_PATIENCE = {
    "queue.claim.FINAL_LEASE": 20,  # for eleven minutes: whoever died past the dot
    "queue.settle.UNCERTAIN_WAIT": 3,  # for a quarter of an hour: its second copy
    "queue.streams.UNCERTAIN_WAIT": 3,
}
_LESS = {  # in small
    "queue.claim.LEASE": 5,
    "relays.sharing.LEASE": 5,
    "delivery.supervisor._RENEW_SECONDS": 1.5,
    "delivery.pace._ASK_AGAIN": 1,
}


@pytest.mark.timeout(1800)
@pytest.mark.xdist_group("fleet-kills")
def test_any_worker_may_be_killed_at_any_moment(
    tmp_path: Path, chance: random.Random, size: Size, tally: Tally
) -> None:
    """Lost 0; each second copy was called uncertain before; all is done soon after the last."""
    kills, messages = size(20, 200), size(600, 5000)
    patience = _PATIENCE | ({} if kills >= 100 else _LESS)
    pause = threading.Event()
    with (
        ledger_relay(tmp_path, Options(latency_seconds=0.005)) as relay,
        fleet(tmp_path, workers=_WORKERS, patience=patience) as ships,
    ):
        key = ships.add_relay(relay, "--set", f"max_connections={8 * _WORKERS}")
        ledger = AcceptedLedger(tmp_path / "accepted.jsonl")
        with sending(Senders(ships.front, key, ledger, recipient=some_slow)) as senders:
            for _ in range(kills):
                pause.wait(chance.uniform(0.1, 0.5) if kills < 100 else chance.uniform(0.2, 1.2))
                worker = chance.choice(ships.workers)
                worker.kill9()
                worker.start("--only", "worker", wait=False)
            began = time.monotonic()
            until(lambda: senders.handed_over >= messages, seconds=300, what="load")
        settled(ships.front, key, seconds=_DONE_SECONDS, doubts=True)
        took = time.monotonic() - began
        found = check(ships.front, key, ledger, relay, faults=ships.faults)

    assert found.wrong == [], str(found)
    assert found.lost == 0
    assert found.uncertain == 0  # each of them was tried again
    assert found.duplicates == found.explained <= 8 * kills
    assert took <= _DONE_SECONDS
    tally("F1", kills=kills, workers=_WORKERS, **found.counts, done_seconds=round(took))
