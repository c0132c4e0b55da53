"""A relay 40 ms away, on one connection: how many round trips a message takes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.contender import Contender
from bench.goals import Goal, Range, at_most
from bench.pillarbox_http import add_relay, http_in
from bench.race import Runner, race
from bench.sink import slow_sink
from support.program import new_program

ROUND_TRIP_SECONDS = 0.04
MESSAGES = 90  # fewer than a session carries


@contextmanager
def one_connection() -> Iterator[Contender]:
    with tempfile.TemporaryDirectory() as folder, slow_sink(ROUND_TRIP_SECONDS) as there:
        program = new_program(Path(folder))
        try:
            program.start()
            add_relay(program, there, 1)
            yield http_in("one connection", program, there, MESSAGES)
        finally:
            program.kill9()


def measure(rounds: int) -> Runner:
    return race({"one": one_connection}, rounds)["one"]


def goals(runner: Runner) -> list[Goal]:
    trips = Range.of([1 / rate / ROUND_TRIP_SECONDS for rate in runner.rates])
    about = "round trips a message, relay 40 ms away, 1 connection"
    return [at_most(about, trips, 2.2, 1.2, "trips")]
