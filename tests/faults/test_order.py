"""F5: nobody hears 202 before the disk said yes, and nobody hears it after the disk said no."""

from __future__ import annotations

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

    written: dict[str, int] = {}
    answered: dict[str, int] = {}
    syncs = []
    for place, (what, *words) in enumerate(watched.order()):
        if what == "wrote":
            for message_id in words:
                written.setdefault(message_id, place)
        elif what == "answered":
            for message_id in words:
                answered.setdefault(message_id, place)
        elif words[-2:] == ["pillarbox.db-wal", "0"]:
            syncs.append(place)
    acknowledged = {each for ids in ledger.read().values() for each in ids}
    in_order = {
        each
        for each in acknowledged
        if any(written[each] < place < answered[each] for place in syncs)
    }
    assert len(acknowledged) == messages
    assert in_order == acknowledged
    tally("F5", answered=messages, synced_before=len(in_order))


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
