"""A relay, in a process of its own, whose ledger tells afterwards what it was really given."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from support import ledger_server
from support.certificates import Certificates, issue
from support.waiting import until


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the relay offers. Without a username it asks for none."""

    tls: Literal["implicit", "starttls", "none"] = "none"
    username: str = ""
    password: str = ""
    latency_seconds: float = 0
    """Before each answer, as over a long line."""
    size: int = 50_000_000
    smtputf8: bool = True
    port: int = 0
    """0: any that is free."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One recipient of one message that the relay said 250 to, or was about to."""

    message_id: str
    pillarbox_id: str
    sha256: str
    sender: str
    recipient: str


@dataclass(slots=True)
class LedgerRelay:
    """The relay. It may be stopped and started again: same port, same ledger."""

    ledger: Path
    options: Options
    certificates: Certificates
    port: int = 0
    host: str = "localhost"
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def ca_pem(self) -> Path:
        return self.certificates.ca_pem

    def start(self) -> None:
        wish = asdict(self.options) | {
            "ledger": str(self.ledger),
            "certificate": str(self.certificates.server_pem),
            "port": self.port or self.options.port,
        }
        self._process = subprocess.Popen(
            [sys.executable, ledger_server.__file__, json.dumps(wish)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the ledger relay ended at its start; see standard error")
        self.port = int(line)

    def stop(self) -> None:
        """Kill it, connections and all. What is in the ledger stays."""
        if self._process is not None:
            with self._process:
                self._process.kill()
            self._process = None

    def entries(self) -> list[Entry]:
        """Everything taken so far, in order. A line that is being written is not there yet."""
        if not self.ledger.exists():
            return []
        lines = self.ledger.read_bytes().split(b"\n")[:-1]
        return [Entry(**json.loads(line)) for line in lines]

    def copies(self) -> Counter[str]:
        """How often each Message-ID was taken."""
        return Counter(entry.message_id for entry in self.entries())

    def wait_entries(self, count: int, *, seconds: float = 20) -> list[Entry]:
        """All entries, once there are `count`. Raises TimeoutError."""
        until(
            lambda: self.ledger.exists() and self.ledger.read_bytes().count(b"\n") >= count,
            seconds=seconds,
            what=f"{count} entries in the ledger",
        )
        return self.entries()


@contextmanager
def ledger_relay(tmp_path: Path, options: Options | None = None) -> Iterator[LedgerRelay]:
    """Serve until the block ends. What addresses can ask of it: see `ledger_server.Wish`."""
    relay = LedgerRelay(tmp_path / "ledger.jsonl", options or Options(), issue(tmp_path))
    relay.start()
    try:
        yield relay
    finally:
        relay.stop()
