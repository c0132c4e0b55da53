"""What a relay answers: RFC 5321 §4.2 reply codes with RFC 3463 enhanced status codes."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ENHANCED = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})(?: |$)")


@dataclass(frozen=True, slots=True)
class EnhancedStatus:
    """class.subject.detail, RFC 3463 §2."""

    klass: int
    subject: int
    detail: int

    def __str__(self) -> str:
        return f"{self.klass}.{self.subject}.{self.detail}"


@dataclass(frozen=True, slots=True)
class Reply:
    """A code and its lines of text, without the code, the hyphen and the line ends."""

    code: int
    lines: tuple[str, ...]

    @property
    def is_transient(self) -> bool:
        return 400 <= self.code < 500

    @property
    def enhanced(self) -> EnhancedStatus | None:
        """The status after the code, when the relay sends one and it agrees with the code."""
        match = _ENHANCED.match(self.lines[0]) if self.lines else None
        if match is None or int(match[1]) != self.code // 100:
            return None
        return EnhancedStatus(*map(int, match.groups()))

    @property
    def text(self) -> str:
        """The lines joined, without the enhanced status that each of them may repeat."""
        lines = (_ENHANCED.sub("", line, count=1).strip() for line in self.lines)
        return " ".join(line for line in lines if line)

    def __str__(self) -> str:
        return f"{self.code} {' '.join(self.lines)}".rstrip()
