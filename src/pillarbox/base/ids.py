"""
Names for things: `msg_01JD2M6W4Q0000000000000000`.

A prefix that says what it is, ten characters of time, sixteen of chance, so that ids sort
by age and never meet. The alphabet is Crockford's base 32: no I, L, O or U to misread.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime

from pillarbox.base.clock import Clock

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = tuple(a + b for a in _ALPHABET for b in _ALPHABET)
_TIME_BITS, _CHANCE_BITS = 48, 80

Chance = Callable[[int], int]
"""Given a number of bits, a random integer of that size."""


class Ids:
    """Makes ids. Time and chance are arguments, so a test knows every id in advance."""

    def __init__(self, clock: Clock, chance: Chance = secrets.randbits) -> None:
        self._clock = clock
        self._chance = chance

    def new(self, prefix: str) -> str:
        return f"{prefix}_{encode(self._clock.now(), self._chance(_CHANCE_BITS))}"


def encode(moment: datetime, chance: int) -> str:
    """26 characters: milliseconds since 1970, then the 80 bits of chance."""
    value = (int(moment.timestamp() * 1000) % (1 << _TIME_BITS)) << _CHANCE_BITS | chance
    return "".join(_PAIRS[(value >> shift) & 1023] for shift in range(120, -1, -10))


def token(octets: int = 32) -> str:
    """A random secret in URL-safe characters, for keys and links."""
    return secrets.token_urlsafe(octets)


def chance() -> float:
    """A number in [0, 1) for jitter. Nothing secret depends on it."""
    return secrets.randbits(53) / (1 << 53)
