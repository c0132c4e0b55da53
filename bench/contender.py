"""Somebody who carries mail from here to the sink, and how well."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from bench.sink import Sink
from bench.usage import usage

LIMIT_SECONDS = 60  # of one measurement


@dataclass(frozen=True, slots=True)
class Figure:
    """One measurement."""

    per_second: float
    cpu_microseconds: float
    octets: int


@dataclass(frozen=True, slots=True)
class Contender:
    """`hand_over(n)` returns when all n are taken; `pid` is the root of what is charged."""

    name: str
    messages: int
    pid: int
    sink: Sink
    hand_over: Callable[[int], None]

    def measure(self) -> Figure:
        """From the first message handed over to the last one at the sink."""
        before, taken, began = usage(self.pid), self.sink.count(), time.monotonic()
        self.hand_over(self.messages)
        self.sink.wait(taken + self.messages, seconds=LIMIT_SECONDS)
        seconds, after = time.monotonic() - began, usage(self.pid)
        cpu = (after.cpu_seconds - before.cpu_seconds) / self.messages
        return Figure(self.messages / seconds, cpu * 1e6, after.octets)
