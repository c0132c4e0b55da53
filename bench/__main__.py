"""
Everybody in turn, several rounds, one table: `python -m bench [--rounds N] [--without ours]`.

Rates drift by a factor of two from hour to hour on a shared machine; ratios within one round
hold. So every round measures everybody, and the table gives ratios with their range.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack

from bench.contender import Contender, Figure
from bench.nodemailer_pool import nodemailer_pool
from bench.pillarbox_http import pillarbox_http
from bench.postfix_relay import postfix_relay

OURS = "ours"
MEBIBYTE = 1 << 20

CONTENDERS: dict[str, Callable[[], AbstractContextManager[Contender]]] = {
    "postfix": postfix_relay,
    "composing": lambda: nodemailer_pool("Nodemailer, composing, not durable", 3000, raw=False),
    "raw": lambda: nodemailer_pool("Nodemailer, raw octets, not durable", 6000, raw=True),
    OURS: pillarbox_http,
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--without", action="append", default=[], choices=list(CONTENDERS))
    wish = parser.parse_args(arguments)
    chosen = [key for key in CONTENDERS if key not in wish.without]
    figures = measure(chosen, wish.rounds)
    print(table(figures, base=OURS if OURS in chosen else chosen[0]))


def measure(chosen: Sequence[str], rounds: int) -> dict[str, tuple[str, list[Figure]]]:
    """All figures by contender, in rounds, after one round that is not counted."""
    with ExitStack() as stack:
        there = {key: stack.enter_context(CONTENDERS[key]()) for key in chosen}
        figures: dict[str, tuple[str, list[Figure]]] = {
            key: (contender.name, []) for key, contender in there.items()
        }
        for number in range(rounds + 1):
            for key, contender in there.items():
                figure = contender.measure()
                print(
                    f"round {number}: {contender.name}: {figure.per_second:,.0f}/s", file=sys.stderr
                )
                if number:
                    figures[key][1].append(figure)
    return figures


def table(figures: dict[str, tuple[str, list[Figure]]], base: str) -> str:
    """A line each: rate, the base's rate against it, CPU of a message, memory at the end."""
    own = figures[base][1]
    lines = [
        f"{'':38}{'msg/s':>8}  {base + ' is … times it (min..max)':32}{'CPU/msg':>10}{'memory':>10}"
    ]
    for name, measured in figures.values():
        ratios = [
            mine.per_second / other.per_second for mine, other in zip(own, measured, strict=True)
        ]
        middle = statistics.median(ratios)
        lines.append(
            f"{name:38}{statistics.median(f.per_second for f in measured):8,.0f}  "
            f"{f'{middle:.2f} ({min(ratios):.2f}..{max(ratios):.2f})':32}"
            f"{statistics.median(f.cpu_microseconds for f in measured):7,.0f} µs"
            f"{max(f.octets for f in measured) / MEBIBYTE:7,.0f} MiB"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
