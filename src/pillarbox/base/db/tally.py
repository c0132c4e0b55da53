"""How much was committed, and how many works shared each commit. Plain numbers, always counting."""

from __future__ import annotations

from bisect import bisect_left

BOUNDS = (1, 2, 5, 10, 20, 50, 100, 200, 500)  # works in one commit


class Commits:
    """Counts for one database in one process."""

    def __init__(self) -> None:
        self.commits = 0
        self.works = 0
        self._sizes = [0] * (len(BOUNDS) + 1)

    def count(self, works: int) -> None:
        """One commit, shared by so many works."""
        self.commits += 1
        self.works += works
        self._sizes[bisect_left(BOUNDS, works)] += 1

    def cumulative(self) -> list[tuple[str, int]]:
        """For each bound, how many commits had at most so many works; the last bound is +Inf."""
        total, buckets = 0, []
        for bound, size in zip((*map(str, BOUNDS), "+Inf"), self._sizes, strict=True):
            total += size
            buckets.append((bound, total))
        return buckets
