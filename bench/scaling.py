"""One, two and four workers on one PostgreSQL, for a relay that takes 20 ms over each answer."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from bench.contender import Contender
from bench.django_post_office import own_postgres
from bench.goals import Goal, Range, at_least
from bench.pillarbox_http import add_relay, http_in
from bench.race import Contest, Runner, race
from bench.sink import slow_sink
from support.program import new_program
from support.waiting import until

ANSWER_SECONDS = 0.02
CONNECTIONS = 5  # to the relay, for each worker: what a relay has when nobody says otherwise
MESSAGES = 300  # for each worker


@contextmanager
def workers(count: int) -> Iterator[Contender]:
    """A process that takes mail in, and this many that carry it."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        there = stack.enter_context(slow_sink(ANSWER_SECONDS))
        server = stack.enter_context(own_postgres())
        front = new_program(folder, PILLARBOX_DATABASE_URL=asyncio.run(server.create()))
        stack.callback(front.kill9)
        front.start("--only", "http")
        add_relay(front, there, CONNECTIONS * count)
        carriers = [replace(front) for _ in range(count)]
        for carrier in carriers:
            stack.callback(carrier.kill9)
            carrier.start("--only", "worker", wait=False)
        until(lambda: front.transcript().count("ready") > count, seconds=30, what="all workers")
        beside = (server.pid, *(carrier.pid for carrier in carriers))
        contender = http_in(f"{count} workers", front, there, MESSAGES * count)
        yield replace(contender, beside=beside)


def measure(rounds: int) -> dict[str, Runner]:
    contest: Contest = {str(count): lambda count=count: workers(count) for count in (1, 2, 4)}
    return race(contest, rounds)


def goals(runners: dict[str, Runner]) -> list[Goal]:
    def against_one(count: str) -> Range:
        return Range.of_ratios(runners[count].rates, runners["1"].rates)

    about = "PostgreSQL, {} workers against 1, relay with 20 ms answers"
    return [
        at_least(about.format(2), against_one("2"), 1.8, 1.95),
        at_least(about.format(4), against_one("4"), 3.2, 3.8),
    ]
