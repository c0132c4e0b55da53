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
_TIME_BITS, _CHANCE_LETTERS = 48, 16
_PAGE = 100 * _CHANCE_LETTERS
# 256 octets on 32 letters: eight octets each, so no letter comes more often than another.
_LETTER_OF_OCTET = (_ALPHABET * 8).encode()

Chance = Callable[[int], str]
"""Given a number, as many random letters of the alphabet."""


class PooledChance:
    """The system's randomness, asked for a page at a time: an id each asks costs a system call."""

    def __init__(self) -> None:
        self._page = ""
        self._used = 0

    def __call__(self, letters: int) -> str:
        start, self._used = self._used, self._used + letters
        if self._used > len(self._page):
            self._page = secrets.token_bytes(_PAGE).translate(_LETTER_OF_OCTET).decode()
            start, self._used = 0, letters
        return self._page[start : self._used]


class Ids:
    """Makes ids. Time and chance are arguments, so a test knows every id in advance."""

    def __init__(self, clock: Clock, chance: Chance | None = None) -> None:
        self._clock = clock
        self._chance = chance or PooledChance()
        self._moment: datetime | None = None
        self._time = ""

    def new(self, prefix: str, at: datetime | None = None) -> str:
        """An id of now, or of a moment that was just asked for; it is spelled once for several."""
        if at is None or at is not self._moment:
            self._moment = at or self._clock.now()
            self._time = time_of(self._moment)
        return f"{prefix}_{self._time}{self._chance(_CHANCE_LETTERS)}"


def time_of(moment: datetime) -> str:
    """The ten characters that an id of this millisecond begins with."""
    return _time(int(moment.timestamp() * 1000) % (1 << _TIME_BITS))


@lru_cache(maxsize=4)
def _time(milliseconds: int) -> str:
    return "".join([_ALPHABET[(milliseconds >> shift) & 31] for shift in range(45, -1, -5)])


def token(octets: int = 32) -> str:
    """A random secret in URL-safe characters, for keys and links."""
    return secrets.token_urlsafe(octets)


def chance() -> float:
    """A number in [0, 1) for jitter. Nothing secret depends on it."""
    return secrets.randbits(53) / (1 << 53)
