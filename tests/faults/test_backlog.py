"""F15a, F18: one relay that drips and one that is dead, and what the others notice of it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from pillarbox.base.db.open import OpenDatabase
from pillarbox.queue.queue import Queue
from support.checker import AcceptedLedger
from support.dripping_relay import dripping_relay
from support.laboratory import Size, Tally, add_relay, hand_over, resident
from support.ledger_relay import ledger_relay
from support.peers import free_ports
from support.program import Program, program

_HEALTHY = 19
_MEGABYTE = 1_000_000


@pytest.mark.timeout(900)
def test_a_relay_that_drips_does_not_slow_the_others(
    tmp_path: Path, size: Size, tally: Tally
) -> None:
    """Nineteen carry all they have while the twentieth is still not done with its greeting."""
    each, rounds = size(5, 100), size(1, 3)
    ledger = AcceptedLedger(tmp_path / "accepted.jsonl")
    with ledger_relay(tmp_path) as relay, dripping_relay() as port, program(tmp_path) as box:
        add_relay(box, relay)
        key = box.new_key()
        for number in range(_HEALTHY):
            _add(box, key, f"relay-{number}", relay.port)
        _add(box, key, "dripping", port)

        def seconds(name: str) -> float:
            """For `each` messages through each of the nineteen, from the first to the last."""
            taken, began = len(relay.entries()), time.monotonic()
            for number in range(_HEALTHY):
                prefix = f"{name}-{number}"
                hand_over(box, key, ledger, each, prefix=prefix, relay=f"relay-{number}")
            relay.wait_entries(taken + _HEALTHY * each, seconds=300)
            return time.monotonic() - began

        seconds("warm")
        alone = min(seconds(f"alone-{number}") for number in range(rounds))
        hand_over(box, key, ledger, 100, prefix="dripping", relay="dripping")
        beside = min(seconds(f"beside-{number}") for number in range(rounds))
        waiting = box.ask("GET", "/v1/messages?relay=dripping&limit=100", key=key).body["data"]

    assert {message["state"] for message in waiting} <= {"queued", "sending"}
    assert len(waiting) == 100
    rates = {"alone": alone, "beside": beside}
    told = {f"{name}_per_second": round(_HEALTHY * each / took) for name, took in rates.items()}
    tally("F15a", relays=_HEALTHY + 1, messages=_HEALTHY * each, **told, kept=_share(alone, beside))


@pytest.mark.timeout(3000)
def test_what_waits_for_a_dead_relay_is_in_nobodys_way(
    tmp_path: Path, size: Size, tally: Tally
) -> None:
    """However much it is: memory stays, a claim is quick, and mail for another relay goes out."""
    waiting, healthy, claims = size(300, 100_000), size(50, 500), size(20, 500)
    ledger = AcceptedLedger(tmp_path / "accepted.jsonl")
    with ledger_relay(tmp_path) as relay, program(tmp_path) as box:
        add_relay(box, relay)
        key, (dead,) = box.new_key(), free_ports(1)
        dead_id = _add(box, key, "dead", dead)

        def seconds(name: str) -> float:
            taken, began = len(relay.entries()), time.monotonic()
            hand_over(box, key, ledger, healthy, prefix=name)
            relay.wait_entries(taken + healthy, seconds=300)
            return time.monotonic() - began

        seconds("warm")
        alone, before = min(seconds("alone"), seconds("again")), resident(box.pid)
        hand_over(box, key, ledger, waiting, prefix="dead", relay="dead")
        beside = min(seconds("beside"), seconds("and"))
        grown = resident(box.pid) - before
        copies = relay.copies()
        box.kill9()
        took = sorted(asyncio.run(_claims(box, dead_id, claims)))

    assert len(copies) == 5 * healthy
    assert set(copies.values()) == {1}
    p99 = round(1000 * took[len(took) * 99 // 100], 1)
    told = {"memory_grown_megabytes": grown // _MEGABYTE, "claim_p99_milliseconds": p99}
    tally("F18-dead", waiting=waiting, **told, healthy_takes=f"{beside / alone:.2f} times as long")


async def _claims(box: Program, relay_id: str, count: int) -> list[float]:
    """How long each takes, with its commit: in seconds, of ten messages each."""
    took = []
    async with OpenDatabase(f"sqlite:///{box.home / 'pillarbox.db'}") as database:
        queue = Queue(database, database.clock, database.bell)
        for _ in range(count):
            began = time.monotonic()
            claimed = await queue.claim(relay_id, 10)
            took.append(time.monotonic() - began)
            assert claimed
    return took


def _add(box: Program, key: str, name: str, port: int) -> str:
    """One more relay on this machine; its id."""
    wish = {"name": name, "kind": "smtp", "host": "127.0.0.1", "port": port, "tls": "none"}
    added = box.ask("POST", "/v1/relays", wish, key=key)
    assert added.status == 201, added.body
    return str(added.body["id"])


def _share(alone: float, beside: float) -> str:
    return f"{min(alone / beside, 9.99):.0%}"
