"""Waiting for something to become true, with a deadline."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_PAUSE_SECONDS = 0.01


def until(condition: Callable[[], T], *, seconds: float = 10, what: str = "it") -> T:
    """
    The first true value of `condition`, asked for again and again until the deadline.

    Raises TimeoutError, naming `what`, with the last value seen.
    """
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not (value := condition()):
        if time.monotonic() >= deadline:
            raise TimeoutError(f"{what} did not happen within {seconds:g} s; last seen: {value!r}")
        pause.wait(_PAUSE_SECONDS)
    return value
