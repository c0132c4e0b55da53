"""
Names for things: `msg_01JD2M6W4Q0000000000000000`.

A prefix that says what it is, ten characters of time, sixteen of chance, so that ids sort
by age and never meet. The alphabet is Crockford's base 32: no I, L, O or U to misread.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache

from pillarbox.base.clock import Clock

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = tuple(a + b for a in _ALPHABET for b in _ALPHABET)
_TIME_BITS, _CHANCE_BITS = 48, 80
_CHANCE_SHIFTS = range(_CHANCE_BITS - 10, -1, -10)
_PAGE = 1000  # octets: a hundred ids

Chance = Callable[[int], int]
"""Given a number of bits, a multiple of eight, a random integer of that size."""


class PooledChance:
    """The system's randomness, asked for a page at a time: an id each asks costs a system call."""

    def __init__(self) -> None:
        self._pool = b""

    def __call__(self, bits: int) -> int:
        octets = bits // 8
        if len(self._pool) < octets:
            self._pool = secrets.token_bytes(_PAGE)
        taken, self._pool = self._pool[:octets], self._pool[octets:]
        return int.from_bytes(taken)


class Ids:
    """Makes ids. Time and chance are arguments, so a test knows every id in advance."""

    def __init__(self, clock: Clock, chance: Chance | None = None) -> None:
        self._clock = clock
        self._chance = chance or PooledChance()

    def new(self, prefix: str) -> str:
        return f"{prefix}_{encode(self._clock.now(), self._chance(_CHANCE_BITS))}"


def encode(moment: datetime, chance: int) -> str:
    """26 characters: milliseconds since 1970, then the 80 bits of chance."""
    return _time(int(moment.timestamp() * 1000) % (1 << _TIME_BITS)) + "".join(
        [_PAIRS[(chance >> shift) & 1023] for shift in _CHANCE_SHIFTS]
    )


@lru_cache(maxsize=4)
def _time(milliseconds: int) -> str:
    """The first ten characters, which all ids of a millisecond share."""
    return "".join([_PAIRS[(milliseconds >> shift) & 1023] for shift in range(40, -1, -10)])


def token(octets: int = 32) -> str:
    """A random secret in URL-safe characters, for keys and links."""
    return secrets.token_urlsafe(octets)


def chance() -> float:
    """A number in [0, 1) for jitter. Nothing secret depends on it."""
    return secrets.randbits(53) / (1 << 53)
