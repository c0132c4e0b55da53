"""F17 on PostgreSQL: a worker stands still for twice its lease, and another takes over."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.checker import AcceptedLedger, check, settled
from support.fleet import Fleet, fleet
from support.laboratory import Size, Tally
from support.ledger_relay import ledger_relay
from support.program import Program
from support.senders import Senders, sending
from support.waiting import until

_LEASE_SECONDS = 1.5
_FINAL_SECONDS = 2.5
_PATIENCE = {
    "queue.claim.LEASE": _LEASE_SECONDS,
    "queue.claim.FINAL_LEASE": _FINAL_SECONDS,
    "queue.settle.UNCERTAIN_WAIT": 0.5,
    "queue.streams.UNCERTAIN_WAIT": 0.5,
    "relays.sharing.LEASE": _LEASE_SECONDS,
    "delivery.pace._ASK_AGAIN": 0.5,
    "delivery.supervisor._RENEW_SECONDS": 0.4,
    "delivery.sweeper._SWEEP_SECONDS": 0.3,
}
_AT_ONCE = 3
_UNDER_WAY = "SELECT count(*) FROM deliveries WHERE state = 'sending' AND pointed_at IS {} NULL"
_LARGE = "a line of the large message\n" * 600_000  # 16 MB: more than fits between two sockets


@dataclass(frozen=True, slots=True)
class Place:
    """Where a worker is stopped, by what addresses ask of the relay."""

    name: str
    recipient: str
    at_once: int = _AT_ONCE
    is_after_dot: bool = False
    text: str = "hello\n"


PLACES = (
    Place("claimed or before 354", "wait-2500-{}@kunde.test"),
    Place("inside DATA", "drag-4000-{}@kunde.test", at_once=1, text=_LARGE),
    Place("after the dot", "slow-1200-{}@kunde.test", is_after_dot=True),
)


@pytest.mark.timeout(3000)
@pytest.mark.xdist_group("fleet-pause")
def test_a_worker_that_stood_still_sends_nothing_twice(
    tmp_path: Path, size: Size, tally: Tally
) -> None:
    """Before the dot no second copy at all; after it one, and it was called uncertain before."""
    pauses = size(1, 50)
    with (
        ledger_relay(tmp_path) as relay,
        fleet(tmp_path, workers=2, patience=_PATIENCE) as ships,
    ):
        key = ships.add_relay(relay, "--set", f"max_connections={_AT_ONCE}")
        ledger = AcceptedLedger(tmp_path / "accepted.jsonl")
        doubled = []
        for place in PLACES:
            for number in range(pauses):
                name = f"pause-{PLACES.index(place)}-{number}"
                round_ = Round(ships, place, name, number % 2)
                round_.hand_over(key, ledger)
                settled(ships.front, key, doubts=True)
            doubled.append(sum(count > 1 for count in relay.copies().values()))
        found = check(ships.front, key, ledger, relay, faults=ships.faults)
        (taken_over,) = ships.rows("SELECT count(*) AS deliveries FROM deliveries WHERE fence > 1")

    assert found.wrong == [], str(found)
    assert found.lost == 0
    assert doubled[:2] == [0, 0]
    assert 1 <= doubled[2] == found.duplicates == found.explained <= _AT_ONCE * pauses
    assert taken_over["deliveries"] >= pauses * len(PLACES)
    told = {"taken_over": taken_over["deliveries"], **found.counts}
    tally("F17-fleet", places=len(PLACES), pauses_each=pauses, **told)


@dataclass(frozen=True, slots=True)
class Round:
    """One pause. The worker `which` of two is stopped, the other one has to take over."""

    ships: Fleet
    place: Place
    name: str
    which: int

    def hand_over(self, key: str, ledger: AcceptedLedger) -> None:
        holder, other = self.ships.workers[self.which], self.ships.workers[1 - self.which]
        recipient, fields = self.place.recipient.format, {"text": self.place.text}
        letters = Senders(self.ships.front, key, ledger, self.name, recipient, fields)
        with stopped(other):
            with sending(letters, most=self.place.at_once):
                pass
            until(self.is_there, seconds=30, what=self.name)
            os.kill(holder.pid, signal.SIGSTOP)
        threading.Event().wait(2 * _FINAL_SECONDS)
        os.kill(holder.pid, signal.SIGCONT)

    def is_there(self) -> bool:
        """Whether one of them is at the place, as far as the database knows of it."""
        (row,) = self.ships.rows(_UNDER_WAY.format("NOT" if self.place.is_after_dot else ""))
        return bool(row["count"])


@contextmanager
def stopped(worker: Program) -> Iterator[None]:
    os.kill(worker.pid, signal.SIGSTOP)
    yield
    os.kill(worker.pid, signal.SIGCONT)
