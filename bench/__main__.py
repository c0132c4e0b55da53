"""
Measure, print, and write docs/reference/performance.md: `python -m bench [--rounds N] [--only …]`.

With --only nothing is written: a page is one whole run.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from bench import claims, distance, memory, page, race, scaling, starts
from bench.goals import Goal, goal_table

SECTIONS = ("race", "scaling", "distance", "claims", "memory", "starts")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", action="append", choices=SECTIONS)
    parser.add_argument("--among", action="append", choices=list(race.EVERYBODY))
    wish = parser.parse_args(arguments)
    chosen = wish.only or (["race"] if wish.among else SECTIONS)
    told, goals = "", []
    if "race" in chosen:
        contest = {key: race.EVERYBODY[key] for key in wish.among or race.EVERYBODY}
        runners = race.race(contest, wish.rounds)
        told = race.table(runners)
        print(told, end="\n\n")
        goals += [] if wish.among else race.goals(runners)
    goals += _others(chosen, wish.rounds)
    if goals:
        print(goal_table(goals))
    if not wish.only and not wish.among:
        page.write(told, goals, wish.rounds)


def _others(chosen: Sequence[str], rounds: int) -> list[Goal]:
    goals: list[Goal] = []
    if "scaling" in chosen:
        goals += scaling.goals(scaling.measure(rounds))
    if "distance" in chosen:
        goals += distance.goals(distance.measure(rounds))
    if "claims" in chosen:
        goals += claims.goals(claims.measure())
    if "memory" in chosen:
        goals += memory.measure()
    if "starts" in chosen:
        goals += starts.measure()
    return goals


if __name__ == "__main__":
    main()
