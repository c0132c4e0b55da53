"""F15b, F18, F19: much that waits for a relay that is away, beside a dead one; slow clients."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from support.checker import AcceptedLedger, all_messages, check, settled
from support.laboratory import Size, Tally, add_relay, resident
from support.ledger_relay import ledger_relay
from support.peers import free_ports
from support.program import Program, program
from support.senders import Senders, sending
from support.waiting import until

_MAX_CONNECTIONS = 5
_ESTABLISHED = "01"


@pytest.mark.timeout(900)
def test_a_relay_that_comes_back_is_not_run_over(tmp_path: Path, size: Size, tally: Tally) -> None:
    """
    While it is away one delivery at a time asks for it; then all goes out, on few connections.

    Beside it another relay is dead for good, with as much waiting for it.
    """
    waiting = size(300, 10_000)
    with ledger_relay(tmp_path) as relay, program(tmp_path) as box:
        add_relay(box, relay, "--set", f"max_connections={_MAX_CONNECTIONS}")
        (dead,) = free_ports(1)
        where = ("--host", "127.0.0.1", "--port", str(dead), "--tls", "none")
        assert box.run("relay", "add", "dead", *where).returncode == 0
        key, ledger = box.new_key(), AcceptedLedger(tmp_path / "accepted.jsonl")
        dead_ledger = AcceptedLedger(tmp_path / "dead.jsonl")
        relay.stop()
        with sending(Senders(box, key, ledger), most=waiting):
            pass
        dead_mail = Senders(box, key, dead_ledger, prefix="dead", fields={"relay": "dead"})
        with sending(dead_mail, most=waiting // 2):
            pass
        tries = sum(tries_of(box, key))
        memory = resident(box.pid)
        relay.start()
        with connections_to(relay.port) as seen:
            relay.wait_entries(1, seconds=200)
            began = time.monotonic()
            relay.wait_entries(waiting, seconds=600)
            took = time.monotonic() - began
        until(lambda: "relayed" in states(box, key), what="the record of the last")
        copies = relay.copies()
        grown = resident(box.pid) - memory

    assert tries <= 2 * (_MAX_CONNECTIONS + 8)
    assert len(copies) == waiting
    assert set(copies.values()) == {1}
    assert 1 <= max(seen) <= _MAX_CONNECTIONS
    assert grown < 50_000_000
    assert waiting < 10_000 or waiting / took >= 83
    told = {"drained_per_second": round(waiting / took), "memory_grown_megabytes": grown // 10**6}
    tally("F18", waited=waiting, beside_a_dead_relay=waiting // 2, duplicates=0, lost=0, **told)
    tally(
        "F19",
        waited=waiting,
        tries_while_away=f"≤ {2 * (_MAX_CONNECTIONS + 8)}",
        connections=f"≤ {_MAX_CONNECTIONS}",
    )


def tries_of(box: Program, key: str) -> list[int]:
    return [each["tries"] for message in all_messages(box, key) for each in message["deliveries"]]


def states(box: Program, key: str) -> set[str]:
    return {message["state"] for message in all_messages(box, key)}


@contextmanager
def connections_to(port: int) -> Iterator[list[int]]:
    """How many there were to this port, looked at all the time while the block runs."""
    seen, ended = [0], threading.Event()

    def look() -> None:
        while not ended.wait(0.005):
            rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
            to_port = [row for row in rows if int(row[2].split(":")[1], 16) == port]
            seen.append(sum(row[3] == _ESTABLISHED for row in to_port))

    watch = threading.Thread(target=look, daemon=True)
    watch.start()
    yield seen
    ended.set()
    watch.join()


def test_slow_clients_do_not_hold_up_others(tmp_path: Path, size: Size, tally: Tally) -> None:
    """Hundreds that never finish their request, and drip; who does, /readyz too, is answered."""
    slow, normal = size(200, 500), size(100, 2000)
    with ledger_relay(tmp_path) as relay, program(tmp_path) as box, ExitStack() as stack:
        add_relay(box, relay)
        key, ledger = box.new_key(), AcceptedLedger(tmp_path / "accepted.jsonl")
        clients = [stack.enter_context(dripping(box, number)) for number in range(slow)]
        senders = Senders(box, key, ledger)
        with kept_dripping(clients), sending(senders, most=normal):
            until(box.is_ready, what="/readyz, among all of them")
        settled(box, key)
        found = check(box, key, ledger, relay)

    p99 = sorted(senders.seconds)[int(len(senders.seconds) * 0.99)]
    assert found.wrong == [], str(found)
    assert senders.statuses == {202: normal}
    assert p99 <= 1
    tally("F15b", slow_clients=slow, answered=normal, p99_seconds=round(p99, 3))


def dripping(box: Program, number: int) -> socket.socket:
    """A client that has said the beginning of a request."""
    client = socket.create_connection(("127.0.0.1", box.http_port), timeout=10)
    client.sendall(b"POST /v1/messages HTTP/1.1\r\nHost: x\r\n"[: 10 + number % 30])
    return client


@contextmanager
def kept_dripping(clients: list[socket.socket]) -> Iterator[None]:
    """An octet each, again and again; who was sent away stays away."""
    ended = threading.Event()

    def drip() -> None:
        while not ended.wait(0.5):
            for client in clients:
                with suppress(OSError):
                    client.send(b"x")

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    yield
    ended.set()
    thread.join()
