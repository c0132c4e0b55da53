"""A string that refuses to be printed."""

from __future__ import annotations

import hmac
import re
from typing import NoReturn

_SHORT = 6  # characters


class Secret:
    """Wraps a password or token so that logs, tracebacks and reprs stay clean."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The only way out. Grep for it to audit every use."""
        return self._value

    def hidden_in(self, text: str, instead: str) -> str:
        """The text without this secret, should somebody else have repeated it."""
        return text.replace(self._value, instead) if self._value else text

    def hidden_alone_in(self, text: str, instead: str) -> str:
        """The same, only where it stands alone: a secret of one letter is in every word."""
        alone = rf"(?<!\w){re.escape(self._value)}(?!\w)"
        return re.sub(alone, lambda _: instead, text) if self._value else text

    @property
    def is_short(self) -> bool:
        """Whether other people's sentences may have it in them by chance."""
        return len(self._value) < _SHORT

    def __repr__(self) -> str:
        return "Secret(…)"

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret cannot be pickled")
