"""Where all mail goes: Postfix's smtp-sink, as fast as anything can send, or one that is far."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
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
    """smtp-sink: it answers at once."""
    [port] = free_ports(1)
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    with _running([need("smtp-sink"), *user, "-c", f"127.0.0.1:{port}", "1000"], port) as there:
        yield there


@contextmanager
def slow_sink(seconds: float) -> Iterator[Sink]:
    """One that answers each flight of commands after this time."""
    [port] = free_ports(1)
    command = [sys.executable, "-m", "bench.slow_sink", str(port), str(seconds)]
    with _running(command, port) as there:
        yield there


@contextmanager
def _running(command: Sequence[str], port: int) -> Iterator[Sink]:
    with tempfile.TemporaryDirectory() as folder:
        counter = Path(folder) / "count"
        with counter.open("wb") as output:
            server = subprocess.Popen(command, stdout=output)
        try:
            until(lambda: is_listening(port), what=f"{command[0]}'s start")
            yield Sink(port, counter)
        finally:
            server.kill()
            server.wait()
