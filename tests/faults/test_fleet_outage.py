"""F6, F7: PostgreSQL is stopped without a checkpoint, again and again, and stays away a while."""

from __future__ import annotations

import random
import signal
import threading
import time
from pathlib import Path

import pytest

from support.checker import AcceptedLedger, check, settled
from support.fleet import Fleet, fleet
from support.laboratory import Size, Tally
from support.ledger_relay import LedgerRelay, Options, ledger_relay
from support.senders import Senders, sending
from support.waiting import until

_WELL_AGAIN_SECONDS = 10
_UNDER_WAY_SECONDS = 2  # what was past the dot when the server went may still be taken
_PATIENCE = {
    "queue.claim.LEASE": 6,
    "delivery.supervisor._RENEW_SECONDS": 2,
}


@pytest.mark.timeout(1800)
@pytest.mark.xdist_group("fleet-outage")
def test_a_server_that_is_stopped_hard_loses_nothing(
    tmp_path: Path, chance: random.Random, size: Size, tally: Tally
) -> None:
    """503 with Retry-After until it is back, never 500; what was acknowledged is all there."""
    stops, pause = size(10, 50), threading.Event()
    with (
        ledger_relay(tmp_path, Options(latency_seconds=0.002)) as relay,
        fleet(tmp_path, workers=2, patience=_PATIENCE) as ships,
    ):
        key, ledger = ships.add_relay(relay), AcceptedLedger(tmp_path / "accepted.jsonl")
        slowest = 0.0
        with sending(Senders(ships.front, key, ledger)) as senders:
            for _ in range(stops):
                pause.wait(chance.uniform(0.2, 1))
                ships.server.stop(signal.SIGQUIT)
                ships.server.start()
                slowest = max(slowest, well_again(ledger, relay))
        settled(ships.front, key, seconds=120)
        found = check(ships.front, key, ledger, relay, faults=ships.faults)

    assert found.wrong == [], str(found)
    assert found.lost == 0
    assert found.duplicates == found.explained
    assert set(senders.statuses) <= {202, 503}
    assert senders.without_retry_after == 0
    assert slowest <= _WELL_AGAIN_SECONDS
    told = {"refused": senders.statuses.get(503, 0), "well_again_seconds": round(slowest, 1)}
    tally("F6", stops=stops, **found.counts, **told)


def well_again(ledger: AcceptedLedger, relay: LedgerRelay) -> float:
    """Seconds until mail is taken in, and carried, again."""
    began = time.monotonic()
    acknowledged, taken = len(ledger.read()), len(relay.entries())
    until(
        lambda: len(ledger.read()) > acknowledged and len(relay.entries()) > taken,
        seconds=60,
        what="mail after the server came back",
    )
    return time.monotonic() - began


@pytest.mark.timeout(1800)
@pytest.mark.xdist_group("fleet-outage")
def test_an_outage_is_said_to_callers_and_nothing_is_begun_in_it(
    tmp_path: Path, size: Size, tally: Tally
) -> None:
    """Restarts in a row, then a long absence: no new dot while no outcome can be stored."""
    restarts, every, away = size(2, 20), size(2, 5), size(8, 60)
    pause = threading.Event()
    with (
        ledger_relay(tmp_path, Options(latency_seconds=0.002)) as relay,
        fleet(tmp_path, workers=2, patience=_PATIENCE) as ships,
    ):
        key, ledger = ships.add_relay(relay), AcceptedLedger(tmp_path / "accepted.jsonl")
        with sending(Senders(ships.front, key, ledger)) as senders:
            until(lambda: relay.entries(), what="the first delivery")
            for _ in range(restarts):
                pause.wait(every)
                ships.server.stop(signal.SIGQUIT)
                ships.server.start()
            well_again(ledger, relay)
            begun = _away(ships, relay, away)
            refused = senders.statuses.get(503, 0)
            took = well_again(ledger, relay)
        settled(ships.front, key, seconds=120)
        found = check(ships.front, key, ledger, relay, faults=ships.faults)

    assert found.wrong == [], str(found)
    assert found.lost == 0
    assert found.duplicates == found.explained
    assert refused > 0
    assert set(senders.statuses) <= {202, 503}
    assert senders.without_retry_after == 0
    assert begun == 0
    assert took <= _WELL_AGAIN_SECONDS
    told = {"refused": refused, "begun_while_away": begun, "well_again_seconds": round(took, 1)}
    tally("F7", restarts=restarts, away_seconds=away, **found.counts, **told)


def _away(ships: Fleet, relay: LedgerRelay, seconds: float) -> int:
    """How many messages the relay was given in that time; the server is back afterwards."""
    pause = threading.Event()
    ships.server.stop(signal.SIGQUIT)
    pause.wait(_UNDER_WAY_SECONDS)
    before = len(relay.entries())
    pause.wait(seconds - _UNDER_WAY_SECONDS)
    begun = len(relay.entries()) - before
    ships.server.start()
    return begun
