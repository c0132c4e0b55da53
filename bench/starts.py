"""How long a person waits: for the help, and until a server is ready."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.goals import Goal, Range, at_most
from support.program import new_program

TIMES = 5


def measure() -> list[Goal]:
    command = [sys.executable, "-m", "pillarbox", "--help"]
    first, later = zip(*(_starts() for _ in range(TIMES)), strict=True)
    helped = Range.of([_seconds(command) for _ in range(TIMES)])
    return [
        at_most("`pillarbox --help`", helped, 0.3, 0.15, "s"),
        at_most("`serve` until ready, an empty home", Range.of(first), 2, 1, "s"),
        at_most("`serve` until ready, later", Range.of(later), 2, 1, "s"),
    ]


def _seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def _starts() -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        program = new_program(Path(folder))
        try:
            times = []
            for _ in range(2):
                began = time.perf_counter()
                program.start()
                times.append(time.perf_counter() - began)
                program.terminate()
        finally:
            program.kill9()
    return times[0], times[1]
