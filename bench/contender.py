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
    """
    `hand_over(n)` returns when all n are taken; `pid` is the root of what is charged, and of
    its memory; what is `beside` it, such as a database server, is charged for its CPU too.
    """

    name: str
    messages: int
    pid: int
    sink: Sink
    hand_over: Callable[[int], None]
    beside: tuple[int, ...] = ()

    def measure(self) -> Figure:
        """From the first message handed over to the last one at the sink."""
        before, taken, began = self._cpu_seconds(), self.sink.count(), time.monotonic()
        self.hand_over(self.messages)
        self.sink.wait(taken + self.messages, seconds=LIMIT_SECONDS)
        seconds = time.monotonic() - began
        cpu = (self._cpu_seconds() - before) / self.messages
        return Figure(self.messages / seconds, cpu * 1e6, usage(self.pid).octets)

    def _cpu_seconds(self) -> float:
        return sum(usage(pid).cpu_seconds for pid in (self.pid, *self.beside))
