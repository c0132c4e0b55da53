"""An address with the name of whoever reads it, RFC 5322 §3.4."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pillarbox.base.errors import Invalid
from pillarbox.mail import words
from pillarbox.mail.address import MAX_PATH, Address

MAX_NAME = 255  # characters

_ROOM = 64  # for an encoded word, so that it fits beside the longest field name we write
_ANGLE = re.compile(r'(?P<name>.*?)\s*<(?P<address>(?:"(?:[^"\\]|\\.)*"|[^<>"\\])*)>')
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_UNQUOTED = re.compile(r'[^"<>,;]*')
_SEVERAL = re.compile(r"@.*[,;\s].*@")


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A display name as people read it, not as headers spell it, and an address."""

    name: str
    address: Address

    def __post_init__(self) -> None:
        if not self.name:
            return
        if words.UNSAFE.search(self.name) or "\t" in self.name:
            raise Invalid("a name must not contain control characters or line ends")
        if len(self.name) > MAX_NAME:
            raise Invalid(f"a name is at most {MAX_NAME} characters long")

    @classmethod
    def parse(cls, text: str) -> Mailbox:
        """
        `a@b.example`, `Name <a@b.example>` or `"Name, with a comma" <a@b.example>`: one, no more.

        Raises Invalid, in words for the person who typed it.
        """
        if words.UNSAFE.search(text) or "\t" in text:
            raise Invalid("an address must not contain control characters or line ends")
        if len(text) > 2 * MAX_NAME + MAX_PATH + len('"" <>'):  # every character escaped
            raise Invalid(f"a name is at most {MAX_NAME} characters long")
        try:
            return cls._parse_one(text.strip())
        except Invalid:
            if _SEVERAL.search(text):
                raise Invalid(
                    f"“{text}” holds more than one address: pass a list with one address each"
                ) from None
            raise

    @classmethod
    def _parse_one(cls, text: str) -> Mailbox:
        match = _ANGLE.fullmatch(text) if text.endswith(">") else None
        if match is None:
            return cls("", Address.parse(text))
        return cls(_name(match["name"], text), Address.parse(match["address"]))

    def pieces(self) -> list[str]:
        """How a header spells it, in pieces between which a line may be folded."""
        if not self.name:
            return [str(self.address)]
        return [*words.phrase(self.name, _ROOM), f" <{self.address}>"]

    def __str__(self) -> str:
        """For people, and for `parse`: the name is not encoded."""
        if not self.name:
            return str(self.address)
        needs_quotes = not _UNQUOTED.fullmatch(self.name) or self.name != self.name.strip()
        return f"{words.quoted(self.name) if needs_quotes else self.name} <{self.address}>"


def _name(text: str, whole: str) -> str:
    if _QUOTED.fullmatch(text):
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    if not _UNQUOTED.fullmatch(text):
        raise Invalid(f'“{whole}”: put the name in quotes: "Name, Given" <name@domain>')
    return text
