"""
Who carries how much: everybody in turn, several rounds.

Rates drift by a factor of two from hour to hour on a shared machine; ratios within one round
hold. So every round measures everybody, and what counts is ratios with their range.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass

from bench.contender import Contender, Figure
from bench.django_post_office import django_post_office
from bench.goals import Goal, Range, at_least
from bench.nodemailer_pool import nodemailer_pool
from bench.pillarbox_http import on_postgresql, on_sqlite
from bench.postfix_relay import postfix_relay

MEBIBYTE = 1 << 20
OURS = ("SQLite", "PostgreSQL")
Contest = Mapping[str, Callable[[], AbstractContextManager[Contender]]]

EVERYBODY: Contest = {
    "postfix": postfix_relay,
    "composing": lambda: nodemailer_pool("Nodemailer, composing, not durable", 3000, raw=False),
    "raw": lambda: nodemailer_pool("Nodemailer, raw octets, not durable", 6000, raw=True),
    "django, SQLite": lambda: django_post_office("SQLite"),
    "django, PostgreSQL": lambda: django_post_office("PostgreSQL"),
    "SQLite": on_sqlite,
    "PostgreSQL": on_postgresql,
}


@dataclass(frozen=True, slots=True)
class Runner:
    """A contender and what was measured, a figure a round."""

    name: str
    figures: list[Figure]

    @property
    def rates(self) -> list[float]:
        return [figure.per_second for figure in self.figures]

    @property
    def cpu(self) -> list[float]:
        return [figure.cpu_microseconds for figure in self.figures]


def race(contest: Contest, rounds: int) -> dict[str, Runner]:
    """All figures by contender, in rounds, after one round that is not counted."""
    with ExitStack() as stack:
        there = {key: stack.enter_context(enter()) for key, enter in contest.items()}
        runners = {key: Runner(contender.name, []) for key, contender in there.items()}
        for number in range(rounds + 1):
            for key, contender in there.items():
                figure = contender.measure()
                print(
                    f"round {number}: {contender.name}: {figure.per_second:,.0f}/s", file=sys.stderr
                )
                if number:
                    runners[key].figures.append(figure)
    return runners


def table(runners: Mapping[str, Runner]) -> str:
    """A line each: rate, how many times it ours is, CPU of a message, memory at the end."""
    ours = [key for key in OURS if key in runners]
    heads = ["", "msg/s", *(f"{key} is … times it" for key in ours), "CPU a message", "memory"]
    lines = [_line(heads), "|---" * len(heads) + "|"]
    for runner in runners.values():
        ratios = [Range.of_ratios(runners[key].rates, runner.rates) for key in ours]
        octets = max(figure.octets for figure in runner.figures)
        cells = [
            runner.name,
            f"{statistics.median(runner.rates):,.0f}",
            *map(str, ratios),
            f"{statistics.median(runner.cpu):,.0f} µs",
            f"{octets / MEBIBYTE:,.0f} MiB",
        ]
        lines.append(_line(cells))
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def goals(runners: Mapping[str, Runner]) -> Sequence[Goal]:
    """Against the others of the same run."""

    def times(ours: str, other: str) -> Range:
        return Range.of_ratios(runners[ours].rates, runners[other].rates)

    cpu = Range.of_ratios(runners["postfix"].cpu, runners["SQLite"].cpu)
    postgresql = times("PostgreSQL", "django, PostgreSQL")
    return [
        at_least(
            "HTTP in → relay, SQLite, against tuned Postfix", times("SQLite", "postfix"), 4, 10
        ),
        at_least("against Nodemailer's pool, composing", times("SQLite", "composing"), 1.5, 3),
        at_least("against Nodemailer's pool, raw octets", times("SQLite", "raw"), 0.6, 1.2),
        at_least("against django-post_office, SQLite", times("SQLite", "django, SQLite"), 10, 25),
        at_least("against django-post_office, PostgreSQL", postgresql, 10, 25),
        at_least("Postfix's CPU a message against ours", cpu, 8, 18),
        at_least(
            "PostgreSQL, one node, against tuned Postfix", times("PostgreSQL", "postfix"), 3, 6
        ),
    ]
