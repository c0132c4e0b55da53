"""What a relay says it can do: the answer to EHLO (RFC 5321 §4.1.1.1) as a value."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pillarbox.mail.reply import Reply

_MAX_SIZE_DIGITS = 20  # RFC 1870 §4
_FLAGS = {
    "PIPELINING": "pipelining",  # RFC 2920
    "8BITMIME": "eight_bit_mime",  # RFC 6152
    "SMTPUTF8": "smtputf8",  # RFC 6531
    "DSN": "dsn",  # RFC 3461
    "ENHANCEDSTATUSCODES": "enhanced_status_codes",  # RFC 2034
    "CHUNKING": "chunking",  # RFC 3030
    "STARTTLS": "starttls",  # RFC 3207
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """
    True only for what this session was offered, after TLS if there is TLS.

    size is in octets: None when the relay does not say, 0 when it says that it has no fixed
    limit (RFC 1870 §4). mechanisms are upper case, in the relay's order. others holds the
    lines that we have no use for, as they came.
    """

    name: str = ""
    pipelining: bool = False
    eight_bit_mime: bool = False
    smtputf8: bool = False
    dsn: bool = False
    enhanced_status_codes: bool = False
    chunking: bool = False
    starttls: bool = False
    size: int | None = None
    mechanisms: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    @classmethod
    def parse(cls, reply: Reply) -> Capabilities:
        """Tolerant of case, of repeats and of `AUTH=LOGIN`, which servers said before RFC 4954."""
        flags: dict[str, bool] = {}
        size: int | None = None
        mechanisms: dict[str, None] = {}
        others: list[str] = []
        for line in reply.lines[1:]:
            keyword, *parameters = line.replace("AUTH=", "AUTH ", 1).upper().split() or [""]
            if keyword in _FLAGS:
                flags[_FLAGS[keyword]] = True
            elif keyword == "SIZE":
                size = _size(parameters)
            elif keyword == "AUTH":
                mechanisms |= dict.fromkeys(parameters)
            elif keyword:
                others.append(line)
        return cls(
            name=_name(reply.lines),
            size=size,
            mechanisms=tuple(mechanisms),
            others=tuple(others),
            **flags,
        )

    def has_room_for(self, octets: int) -> bool:
        """Whether SIZE allows a message of that many octets."""
        return not self.size or octets <= self.size


def _size(parameters: list[str]) -> int | None:
    """SIZE without a number says nothing about the limit (RFC 1870 §4): no limit is known."""
    number = parameters[0] if parameters else "0"
    if len(number) > _MAX_SIZE_DIGITS or not (number.isascii() and number.isdigit()):
        return None
    return int(number)


def _name(lines: Iterable[str]) -> str:
    """The name by which the relay greets us; the text after it is for people."""
    first = next(iter(lines), "")
    return first.split(" ", 1)[0]
