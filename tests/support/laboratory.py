"""What all faults share: how big they are, where they are written down, and the usual relay."""

from __future__ import annotations

from collections.abc import Callable

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
