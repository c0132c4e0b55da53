"""`docs/reference/performance.md`: what a run measured."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench.goals import Goal, goal_table

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "performance.md"

_TEXT = """# How fast, and how large

Made by `make bench` on {day}: {machine}. Source, engine, database and sink share its cores.
Rates differ from machine to machine and from hour to hour; what is compared runs in turns
within one run, {rounds} rounds after one that is not counted, and a ratio is taken round by
round: its median, with the least and the most.

## Against others

The message is 5,252 octets of text and HTML, to one recipient; twenty clients, twenty
connections to the sink. *Durable* means on stable storage before the answer: SQLite with WAL
and `synchronous=FULL`, PostgreSQL with `synchronous_commit=on`, Postfix as it is. Nodemailer's
pool keeps nothing. CPU is that of all processes of the engine, its database's too; memory is
the engine's alone.

{race}

## What is to be reached

{goals}
"""


def write(race: str, goals: Sequence[Goal], rounds: int) -> None:
    now = datetime.now(UTC)
    PAGE.write_text(
        _TEXT.format(
            day=f"{now.day} {now:%B %Y}",
            machine=_machine(),
            rounds=rounds,
            race=race,
            goals=goal_table(goals),
        )
    )


def _machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    python = platform.python_version()
    return f"{len(models)} cores of {models[0]}, {platform.system()}, Python {python}"
