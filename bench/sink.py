"""Postfix's smtp-sink: takes mail as fast as anything here can send it, and counts."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.peers import free_ports, is_listening, need
from support.waiting import until

_COUNT = re.compile(rb"mesg=(\d+)")
_TAIL = 200


@dataclass(frozen=True, slots=True)
class Sink:
    """A running sink."""

    port: int
    counter: Path

    def count(self) -> int:
        """Messages taken since the start."""
        with self.counter.open("rb") as counter:
            counter.seek(max(0, self.counter.stat().st_size - _TAIL))
            counts = _COUNT.findall(counter.read())
        return int(counts[-1]) if counts else 0

    def wait(self, count: int, *, seconds: float) -> None:
        until(lambda: self.count() >= count, seconds=seconds, what=f"relaying {count} messages")


@contextmanager
def sink() -> Iterator[Sink]:
    [port] = free_ports(1)
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory() as folder:
        counter = Path(folder) / "count"
        with counter.open("wb") as output:
            command = [need("smtp-sink"), *user, "-c", f"127.0.0.1:{port}", "1000"]
            server = subprocess.Popen(command, stdout=output)
        try:
            until(lambda: is_listening(port), what="smtp-sink's start")
            yield Sink(port, counter)
        finally:
            server.kill()
            server.wait()
