"""
A session's record: who said what, when, without secrets and without the content.

Recording is cheap and rendering is not, because every session records and few are read.
Secrets are left out by position (the dialogue says what may be shown), never by searching.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from pillarbox.base.clock import Clock
from pillarbox.mail.outcome import Stage
from pillarbox.mail.reply import Reply

_MAX_ENTRIES = 400  # the opening and the latest transactions; older ones give way
_KEPT_FIRST = 40  # entries of the opening, which diagnosis always wants
_MAX_LINE = 1_000  # characters shown of one line
_CHALLENGE = 334  # RFC 4954 §4
_UNPRINTABLE = re.compile(
    r"[^\x20-\x7e\u00a1-\ud7ff\ue000-\U0010ffff]|[\u200b-\u200f\u2028-\u202e\u2060-\u206f]"
)


class Direction(Enum):
    CLIENT = "C"
    SERVER = "S"
    NOTE = "*"


@dataclass(frozen=True, slots=True)
class Entry:
    """One command, reply or note. milliseconds count from the start of the session."""

    milliseconds: float
    stage: Stage
    direction: Direction
    text: str

    def __str__(self) -> str:
        lines = self.text.split("\n")
        return "\n".join(f"{self.direction.value}: {line}" for line in lines)


_CLIENT, _SERVER, _NOTE = (direction.value for direction in Direction)
_Raw = tuple[float, Stage, str, bytes | str | Reply]


class Transcript:
    """Grows while a session lasts, up to a limit; the middle is forgotten first."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._now = clock.monotonic
        self._start = clock.monotonic()
        self._raw: list[_Raw] = []
        self._forgotten = 0

    def say(self, stage: Stage, said: bytes | str) -> None:
        """What we said; text when the octets hold a secret or content."""
        self._raw.append((self._now(), stage, _CLIENT, said))

    def hear(self, stage: Stage, reply: Reply) -> None:
        """What the relay answered."""
        self._raw.append((self._now(), stage, _SERVER, reply))
        if len(self._raw) > _MAX_ENTRIES:
            self._forget()

    def note(self, stage: Stage, text: str) -> None:
        """What happened without anybody saying it."""
        self._raw.append((self._now(), stage, _NOTE, text))
        if len(self._raw) > _MAX_ENTRIES:
            self._forget()

    def mark(self) -> int:
        """Where we are, for `since`."""
        return self._forgotten + len(self._raw)

    def since(self, mark: int) -> tuple[Entry, ...]:
        """Everything recorded after the mark and not yet forgotten."""
        return self._entries(self._raw[max(mark - self._forgotten, 0) :])

    def text_since(self, mark: int) -> str:
        """The same, rendered."""
        raws = self._raw[max(mark - self._forgotten, 0) :]
        return "\n".join([_line(stage, direction, said) for _, stage, direction, said in raws])

    @property
    def entries(self) -> tuple[Entry, ...]:
        return self._entries(self._raw)

    def milliseconds(self) -> dict[Stage, float]:
        """How long each stage made us wait: the time before everything that we did not say."""
        waits: dict[Stage, float] = {}
        before = self._start
        for at, stage, direction, _ in self._raw:
            if direction != _CLIENT:
                waits[stage] = waits.get(stage, 0.0) + (at - before) * 1000
            before = at
        return waits

    def __str__(self) -> str:
        return "\n".join(map(str, self.entries))

    def _forget(self) -> None:
        latest = _MAX_ENTRIES // 2
        self._forgotten += len(self._raw) - _KEPT_FIRST - latest
        self._raw = self._raw[:_KEPT_FIRST] + self._raw[-latest:]

    def _entries(self, raws: Sequence[_Raw]) -> tuple[Entry, ...]:
        return tuple(
            Entry((at - self._start) * 1000, stage, Direction(direction), _shown(stage, said))
            for at, stage, direction, said in raws
        )


def _line(stage: Stage, direction: str, said: bytes | str | Reply) -> str:
    shown = _shown(stage, said)
    if "\n" in shown:
        shown = shown.replace("\n", f"\n{direction}: ")
    return f"{direction}: {shown}"


def _shown(stage: Stage, said: bytes | str | Reply) -> str:
    if isinstance(said, Reply):
        return _reply_shown(stage, said)
    if isinstance(said, bytes):
        said = said.decode(errors="backslashreplace").removesuffix("\r\n")
    return _safe(said)


def _reply_shown(stage: Stage, reply: Reply) -> str:
    code, lines = reply.code, reply.lines
    if code == _CHALLENGE and stage is Stage.AUTH:
        return f"{code} (challenge)"
    if not lines:
        return str(code)
    *others, last = map(_safe, lines)
    return "\n".join([*[f"{code}-{line}" for line in others], f"{code} {last}"]).rstrip()


def _safe(text: str) -> str:
    """One line that cannot move a cursor, hide text or go on for ever."""
    text = text if len(text) <= _MAX_LINE else text[:_MAX_LINE] + "…"
    if text.isascii() and text.isprintable():
        return text
    return _UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape").decode(), text)
