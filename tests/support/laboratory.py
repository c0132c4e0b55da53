"""What all faults share: how big they are, where they are written down, and the usual relay."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from support.checker import AcceptedLedger
from support.ledger_relay import LedgerRelay
from support.program import Program

Size = Callable[[int, int], int]
"""The number for `make test`, and the one for `make faults`; the one that counts now."""
Tally = Callable[..., None]
"""The fault's id and what it came to, by name."""


def add_relay(box: Program, relay: LedgerRelay, *settings: str) -> None:
    """The relay as default, without TLS: nobody listens on loopback."""
    where = ("--host", "127.0.0.1", "--port", str(relay.port), "--tls", "none", "--default")
    added = box.run("relay", "add", "ledger", *where, *settings)
    assert added.returncode == 0, added.stderr


def some_slow(number: int) -> str:
    """Every fourth takes long to say that it has the message: that is when a kill hurts."""
    return f"slow-100-{number}@kunde.test" if number % 4 == 0 else f"user{number}@kunde.test"


def hand_over(
    box: Program,
    key: str,
    ledger: AcceptedLedger,
    count: int,
    *,
    prefix: str = "item",
    **fields: str,
) -> None:
    """So many messages, a hundred at a time. Each is in the ledger when it is acknowledged."""
    for start in range(0, count, 100):
        names = [f"{prefix}-{number}" for number in range(start, min(start + 100, count))]
        items = [
            {
                "from": "shop@shop.test",
                "to": f"{name}@kunde.test",
                "subject": name,
                "text": "Grüße\n.\n" * 40,
                "idempotency_key": name,
                **fields,
            }
            for name in names
        ]
        told = box.ask("POST", "/v1/messages/batch", {"messages": items}, key=key)
        assert told.status == 200, told.body
        for name, each in zip(names, told.body["data"], strict=True):
            assert each["status"] == 202, each
            ledger.append(name, each["message"]["id"])


def cpu_seconds(pid: int) -> float:
    """What a process has used of the processors since its start."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid: int, name: str = "VmRSS") -> int:
    """Octets."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))
