"""F16, F17: the clock on the wall is set while mail is carried, and the program stands still."""

from __future__ import annotations

import os
import random
import signal
import threading
from pathlib import Path

from support.checker import AcceptedLedger, check, settled
from support.clock_preload import wall_clock
from support.laboratory import Size, Tally, add_relay, cpu_seconds
from support.ledger_relay import Options, ledger_relay
from support.program import new_program, program
from support.senders import Senders, sending
from support.waiting import until


def test_setting_the_clock_loses_and_doubles_nothing(
    tmp_path: Path, chance: random.Random, size: Size, tally: Tally
) -> None:
    """An hour forth and back and forty days forth, under load; and it does not spin."""
    clock, jumps = wall_clock(tmp_path), size(4, 40)
    box = new_program(tmp_path, **clock.environment)
    pause = threading.Event()
    try:
        with ledger_relay(tmp_path, Options(latency_seconds=0.002)) as relay:
            box.start()
            add_relay(box, relay)
            key, ledger = box.new_key(), AcceptedLedger(tmp_path / "accepted.jsonl")
            with sending(Senders(box, key, ledger)):
                for number in range(jumps):
                    clock.set(hours=(1, 0, -1, 0)[number % 4])
                    pause.wait(chance.uniform(0.3, 0.6))
                clock.set(hours=-1)
            settled(box, key)
            clock.set(days=40)
            busy = cpu_seconds(box.pid)
            pause.wait(2)
            busy = (cpu_seconds(box.pid) - busy) / 2
            with sending(Senders(box, key, ledger, prefix="later"), most=20):
                pass
            settled(box, key)
            found = check(box, key, ledger, relay)
    finally:
        box.kill9()

    assert found.wrong == [], str(found)
    assert found.lost == found.duplicates == found.uncertain == 0
    assert busy < 0.2
    tally("F16", jumps=jumps + 1, **found.counts)


def test_a_pause_doubles_nothing_in_silence(
    tmp_path: Path, chance: random.Random, size: Size, tally: Tally
) -> None:
    """Stopped at any place of a transaction, the dot included, it goes on where it was."""
    pauses = size(6, 50)
    pause = threading.Event()
    with (
        ledger_relay(tmp_path, Options(latency_seconds=0.01)) as relay,
        program(tmp_path) as box,
    ):
        add_relay(box, relay)
        key, ledger = box.new_key(), AcceptedLedger(tmp_path / "accepted.jsonl")
        with sending(Senders(box, key, ledger)):
            for _ in range(pauses):
                pause.wait(chance.uniform(0.1, 0.3))
                os.kill(box.pid, signal.SIGSTOP)
                pause.wait(0.5)
                os.kill(box.pid, signal.SIGCONT)
        slow = Senders(box, key, ledger, prefix="slow", recipient="slow-800-{}@kunde.test".format)
        taken = len(relay.entries())
        with sending(slow, most=1):
            until(lambda: len(relay.entries()) > taken, what="the dot of the slow message")
            os.kill(box.pid, signal.SIGSTOP)
            pause.wait(1.5)
            os.kill(box.pid, signal.SIGCONT)
        settled(box, key)
        found = check(box, key, ledger, relay)

    assert found.wrong == [], str(found)
    assert found.lost == found.duplicates == found.uncertain == 0
    tally("F17", pauses=pauses + 1, **found.counts)
