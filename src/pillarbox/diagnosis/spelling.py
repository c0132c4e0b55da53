"""How far one word is from another, in slips of the finger (Damerau and Levenshtein)."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MOST_SLIPS = 2  # more is another word


def slips(typed: str, meant: str) -> int:
    """Letters left out, put in, taken for another or exchanged with their neighbour."""
    before: list[int] = []
    last = list(range(len(meant) + 1))
    for row, letter in enumerate(typed, 1):
        now = [row]
        for column, wanted in enumerate(meant, 1):
            cost = min(last[column] + 1, now[column - 1] + 1, last[column - 1] + (letter != wanted))
            if _is_exchanged(typed, meant, row, column):
                cost = min(cost, before[column - 2] + 1)
            now.append(cost)
        before, last = last, now
    return last[-1]


def nearest(typed: str, known: Iterable[str]) -> str | None:
    """The known word that is at most MOST_SLIPS away; of several the one that looks most alike."""
    near = (word for word in known if abs(len(word) - len(typed)) <= MOST_SLIPS)
    far = {word: slips(typed, word) for word in near}
    close = [word for word, distance in far.items() if distance <= MOST_SLIPS]
    return min(close, key=lambda word: (far[word], -_likeness(typed, word)), default=None)


def _is_exchanged(typed: str, meant: str, row: int, column: int) -> bool:
    if row < 2 or column < 2:
        return False
    return typed[row - 1] == meant[column - 2] and typed[row - 2] == meant[column - 1]


def _likeness(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other).ratio()
