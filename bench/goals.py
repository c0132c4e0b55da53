"""What is to be reached, first and at last, and what was measured against it."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Range:
    """A median with what it came from."""

    middle: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Range:
        return cls(statistics.median(values), min(values), max(values))

    @classmethod
    def of_ratios(cls, ours: Sequence[float], others: Sequence[float]) -> Range:
        """Round by round."""
        return cls.of([mine / other for mine, other in zip(ours, others, strict=True)])

    def __str__(self) -> str:
        if self.least == self.most:
            return f"{self.middle:.2f}"
        return f"{self.middle:.2f} ({self.least:.2f}–{self.most:.2f})"


@dataclass(frozen=True, slots=True)
class Goal:
    """One figure: first to be at `first`, at last at `aim`. Bigger is better, or smaller."""

    what: str
    measured: Range
    first: float
    aim: float
    unit: str = "×"
    bigger_is_better: bool = True

    @property
    def reached(self) -> str:
        for name, level in (("aim", self.aim), ("first", self.first)):
            middle = self.measured.middle
            if middle >= level if self.bigger_is_better else middle <= level:
                return name
        return "not yet"

    def row(self) -> str:
        sign = "≥" if self.bigger_is_better else "≤"
        measured = f"{self.measured} {self.unit}"
        levels = [f"{sign} {level:g} {self.unit}" for level in (self.first, self.aim)]
        return f"| {self.what} | {measured} | {' | '.join(levels)} | {self.reached} |"


def at_least(what: str, measured: Range, first: float, aim: float) -> Goal:
    """A ratio that is to be big."""
    return Goal(what, measured, first, aim)


def at_most(what: str, measured: Range, first: float, aim: float, unit: str = "×") -> Goal:
    """Something that is to be small."""
    return Goal(what, measured, first, aim, unit, bigger_is_better=False)


def goal_table(goals: Sequence[Goal]) -> str:
    head = "| | measured | first | aim | reached |\n|---|---|---|---|---|\n"
    return head + "\n".join(goal.row() for goal in goals)
