"""F5: nobody hears 202 before the disk said yes, and nobody hears it after the disk said no."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.checker import AcceptedLedger, check, settled
from support.laboratory import Size, Tally, add_relay
from support.ledger_relay import LedgerRelay, ledger_relay
from support.preloading import compiled
from support.program import Program, new_program
from support.senders import Senders, sending
from support.waiting import until


@dataclass(frozen=True, slots=True)
class Watched:
    """A program, everything it writes, syncs and answers in order, and a disk that can fail."""

    box: Program
    relay: LedgerRelay
    log: Path
    failing: Path

    def order(self) -> list[list[str]]:
        return [line.split() for line in self.log.read_text().splitlines()]


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    box = new_program(tmp_path)
    log, failing = tmp_path / "order", tmp_path / "fail-once"
    with ledger_relay(tmp_path) as relay:
        try:
            box.start()
            add_relay(box, relay)
            box.terminate()
            box.environment |= {
                "LD_PRELOAD": str(compiled("watch", tmp_path)),
                "WATCH_LOG": str(log),
                "WATCH_EIO": str(failing),
            }
            box.start()
            yield Watched(box, relay, log, failing)
        finally:
            box.kill9()


def test_every_202_comes_after_the_sync(
    watched: Watched, tmp_path: Path, size: Size, tally: Tally
) -> None:
    """The message is in the log of the database, the log is synced, then the answer leaves."""
    messages = size(150, 500)
    ledger = AcceptedLedger(tmp_path / "accepted.jsonl")
    with sending(Senders(watched.box, watched.box.new_key(), ledger), most=messages):
        pass

    acknowledged = {each for ids in ledger.read().values() for each in ids}
    in_order = synced_first(watched.order())
    assert len(acknowledged) == messages
    assert in_order == acknowledged
    tally("F5", by="HTTP", answered=messages, synced_before=len(in_order))


def test_a_python_program_hears_of_a_message_after_the_sync(
    tmp_path: Path, size: Size, tally: Tally
) -> None:
    """Imported, there is no 202: what counts is when `send` returns."""
    messages, log = size(50, 500), tmp_path / "order"
    box = new_program(tmp_path)
    watching = {"LD_PRELOAD": str(compiled("watch", tmp_path)), "WATCH_LOG": str(log)}
    url = f"sqlite:///{tmp_path / 'pillarbox.db'}"
    done = subprocess.run(
        [sys.executable, "-c", _CALLER, url, str(messages)],
        cwd=tmp_path,
        env=box.surroundings() | watching,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    in_order = synced_first([line.split() for line in log.read_text().splitlines()])
    assert len(in_order) == messages
    tally("F5", by="Python", answered=messages, synced_before=len(in_order))


# Its line looks like an answer of HTTP, which is what the watch takes note of.
_CALLER = """
import os
import sys
from pillarbox import BlockingPillarbox

with BlockingPillarbox(sys.argv[1]) as box:
    for number in range(int(sys.argv[2])):
        sent = box.send(from_="a@shop.test", to="b@kunde.test", subject="n", text="hello")
        os.write(1, f"HTTP/1.1 202 {sent.id}".encode())
"""


def synced_first(order: list[list[str]]) -> set[str]:
    """The messages of which every step came in this order: written, synced, answered."""
    written: dict[str, int] = {}
    answered: dict[str, int] = {}
    syncs = []
    for place, (what, *words) in enumerate(order):
        if what == "wrote":
            for message_id in words:
                written.setdefault(message_id, place)
        elif what == "answered":
            for message_id in words:
                answered.setdefault(message_id, place)
        elif words[-2:] == ["pillarbox.db-wal", "0"]:
            syncs.append(place)
    return {
        each
        for each, place in answered.items()
        if any(written[each] < sync < place for sync in syncs)
    }


def test_after_a_failed_sync_nothing_more_is_taken(
    watched: Watched, tmp_path: Path, tally: Tally
) -> None:
    """
    503 to whoever waits, no second fsync of what may be lost, and the program ends.

    Its next start finds everything that was acknowledged.
    """
    box, ledger = watched.box, AcceptedLedger(tmp_path / "accepted.jsonl")
    key = box.new_key()
    senders = Senders(box, key, ledger)
    with sending(senders):
        until(lambda: senders.handed_over > 40, what="40 messages")
        watched.failing.touch()
        ended = until(box.ended, seconds=60, what="the end of the program")
    order = watched.order()
    failed = order.index(["synced", "pillarbox.db-wal", "-1"])
    retried = [
        words for words in order[failed + 1 :] if words[:2] == ["synced", "pillarbox.db-wal"]
    ]

    assert ended == 4
    assert senders.statuses[503] > 0
    assert set(senders.statuses) == {202, 503}
    assert retried == []
    box.kill9()
    box.start()
    settled(box, key)
    found = check(box, key, ledger, watched.relay)
    assert found.wrong == [], str(found)
    tally("F5-EIO", **found.counts, syncs_retried=len(retried), exit_code=ended)
