"""Octets from a relay, in any pieces, to replies (RFC 5321 §4.2), with limits on everything."""

from __future__ import annotations

import re
from functools import lru_cache

from pillarbox.mail.outcome import Loss, Lost
from pillarbox.mail.reply import Reply

MAX_REPLY = 65_536  # octets of one reply, all lines together
MAX_LINES = 512  # lines of one reply

_TOO_LONG = Lost(
    Loss.REPLY_TOO_LONG,
    f"the relay's answer is longer than {MAX_REPLY} octets or {MAX_LINES} lines",
)
_USUAL_LINE = 200  # octets; relays give the same short answers again and again
_LINE = re.compile(rb"([2-5]\d\d)(?:([ -])([^\r\n]*))?\r?", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class ReplyParser:
    """
    Feed it what arrives; take the replies that are complete.

    After the first thing that is not a reply it answers with the same Lost for ever: where
    one line cannot be understood, nobody knows what the next one answers.
    """

    __slots__ = ("_code", "_lines", "_rest", "_size", "fault")

    def __init__(self) -> None:
        self._rest = bytearray()
        self._lines: list[str] = []
        self._code = 0
        self._size = 0
        self.fault: Lost | None = None

    @property
    def is_between_replies(self) -> bool:
        return not self._rest and not self._lines and self.fault is None

    def feed(self, octets: bytes) -> list[Reply]:
        """The replies that these octets complete; look at `fault` afterwards."""
        replies: list[Reply] = []
        if self.fault:
            return replies
        for line in self._lines_of(octets):
            reply = self._take(line)
            if self.fault:
                return replies
            if reply:
                replies.append(reply)
        if self._size + len(self._rest) > MAX_REPLY:
            self.fault = _TOO_LONG
        elif self._rest and not self._lines and _cannot_begin_reply(self._rest):
            self.fault = _malformed(bytes(self._rest))
        return replies

    def _lines_of(self, octets: bytes) -> list[bytes]:
        """The lines that are complete now, without LF. One octet at a time must stay cheap."""
        if b"\n" not in octets:
            self._rest += octets
            return []
        lines = (bytes(self._rest) + octets if self._rest else octets).split(b"\n")
        self._rest = bytearray(lines.pop())
        return lines

    def _take(self, line: bytes) -> Reply | None:
        if not self._lines and len(line) <= _USUAL_LINE and (usual := _whole(line)):
            return usual
        match = _LINE.fullmatch(line)
        if match is None:
            self.fault = _malformed(line)
            return None
        text = _text(match)
        if match[2] != b"-" and not self._lines:
            if len(line) > MAX_REPLY:
                self.fault = _TOO_LONG
                return None
            return Reply(int(match[1]), (text,) if text else ())
        return self._gather(line, int(match[1]), text, is_last=match[2] != b"-")

    def _gather(self, line: bytes, code: int, text: str, *, is_last: bool) -> Reply | None:
        """RFC 5321 §4.2.1: every line of a reply has the same code."""
        if self._lines and code != self._code:
            self.fault = _malformed(line)
            return None
        self._code = code
        self._lines.append(text)
        self._size += len(line) + 1
        if self._size > MAX_REPLY or len(self._lines) > MAX_LINES:
            self.fault = _TOO_LONG
            return None
        if not is_last:
            return None
        reply = Reply(code, tuple(self._lines))
        self._lines, self._size = [], 0
        return reply


@lru_cache(maxsize=256)
def _whole(line: bytes) -> Reply | None:
    """The reply that is all in this line, or None if the line is anything else."""
    match = _LINE.fullmatch(line)
    if match is None or match[2] == b"-":
        return None
    text = _text(match)
    return Reply(int(match[1]), (text,) if text else ())


def _text(match: re.Match[bytes]) -> str:
    text = match[3].decode(errors="backslashreplace") if match[3] else ""
    if text.isprintable():
        return text
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def _malformed(line: bytes) -> Lost:
    shown = line[:60].decode("ascii", "backslashreplace").rstrip("\r")
    shown = _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", shown)
    return Lost(Loss.MALFORMED_REPLY, f"it answered “{shown}”")


def _cannot_begin_reply(octets: bytearray) -> bool:
    """A TLS alert or another protocol may never send a line end; there is no need to wait."""
    return not all(48 <= octet <= 57 for octet in octets[:3])
