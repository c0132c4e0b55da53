"""What a dialogue can ask of a session, one step at a time."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from pillarbox.mail.outcome import Stage


class Say(NamedTuple):
    """
    One command. Its answer comes back.

    shown is what the transcript may keep when the octets hold a secret. behind goes out in the
    same write: what is said next, without waiting for the answer (RFC 2920). It is put on record
    when its own turn comes.
    """

    stage: Stage
    octets: bytes
    shown: str | None = None
    behind: bytes = b""


class Flight(NamedTuple):
    """
    Several commands in one write (RFC 2920). Their answers come back, as many as there are
    before the session ends.

    is_said: they went out behind what was said before, and only their answers are due.
    """

    says: tuple[Say, ...]
    is_said: bool = False


@dataclass(frozen=True, slots=True)
class Hear:
    """An answer that is due without saying anything, such as the greeting."""

    stage: Stage


class Pour(NamedTuple):
    """
    Content on its way. None comes back, or Lost, or the Reply of a relay that did not wait.

    size is in octets, for the transcript.
    """

    stage: Stage
    pieces: Iterable[bytes]
    size: int


@dataclass(frozen=True, slots=True)
class PointOfNoReturn:
    """
    The octets that come next may make the relay take the message. A bool comes back.

    False means: do not say them, close the connection. Somebody else may be sending this.
    """


@dataclass(frozen=True, slots=True)
class Upgrade:
    """TLS from here on. None comes back, or Lost."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something for the transcript that nobody said. None comes back."""

    stage: Stage
    text: str


@dataclass(frozen=True, slots=True)
class HangUp:
    """Close the connection now; the relay must not make sense of what it has. None comes back."""

    why: str


Step = Say | Flight | Hear | Pour | PointOfNoReturn | Upgrade | Note | HangUp

T = TypeVar("T")
Dialogue = Generator[Step, Any, T]
"""Yields steps and is sent what each step says comes back; returns what became of it."""
