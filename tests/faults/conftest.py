"""How big the faults are, and where what they came to is written down."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from support.laboratory import Size, Tally

FULL = os.environ.get("FAULTS") == "full"
_RESULTS = os.environ.get("FAULTS_RESULTS")
_SCALE = float(os.environ.get("FAULTS_SCALE", "1"))


@pytest.fixture
def size() -> Size:
    """The smaller number for `make test`; of the larger one FAULTS_SCALE for `make faults`."""

    def chosen(small: int, full: int) -> int:
        return max(small, round(full * _SCALE)) if FULL else small

    return chosen


@pytest.fixture
def tally() -> Tally:
    """Write down what a fault came to: its row in docs/reference/reliability.md."""

    def write(fault: str, **counts: float | str) -> None:
        print(fault, counts)
        _note({"fault": fault} | counts)

    return write


def _note(row: Mapping[str, float | str]) -> None:
    if _RESULTS:
        with Path(_RESULTS).open("a") as results:
            results.write(json.dumps(row) + "\n")


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """Of which the seed is printed."""
    seed = int(os.environ.get("FAULTS_SEED", time.time_ns() % 10**9))
    print(f"FAULTS_SEED={seed}")
    _note({"seed": seed, "test": request.node.name})
    return random.Random(seed)
