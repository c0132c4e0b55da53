"""
Text in the ASCII of a header: encoded words (RFC 2047), phrases (RFC 5322 §3.2.5), parameters
(RFC 2045 §5.1, RFC 2231).

Text that only looks like an encoded word is encoded too, so that what a reader decodes is
what was written and never something an attacker hid in it.
"""

from __future__ import annotations

import binascii
import re
import unicodedata
from urllib.parse import quote

UNSAFE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""What no header text may hold: controls but the tab, line ends of any kind, half characters."""

MAX_WORD = 75  # RFC 2047 §2

_PLAIN = re.compile(r"[!-~](?:[ -~]*[!-~])?")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~\-]+)*")
_B, _Q, _END = "=?utf-8?b?", "=?utf-8?q?", "?="
_Q_LETTERS = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")
_Q_TABLE = tuple(
    chr(octet) if octet in _Q_LETTERS else "_" if octet == 0x20 else f"={octet:02X}"
    for octet in range(256)
)
_SIMPLE_VALUE = re.compile(r"[ !#-\[\]-~]{1,60}")
_SUBJECT_ROOM = MAX_WORD - len("Subject")
_SHORT_SUBJECT = 60  # characters; with the name it fits into one line
_LONG_WORD = 900
_SECTION = 56  # characters of one RFC 2231 §3 continuation, so that its line stays under 78


def unstructured(text: str, room: int = MAX_WORD) -> list[str]:
    """Free text as pieces between which a line may be folded; joined, they are the value."""
    if not text or _is_plain(text):
        return foldable(text)
    return _spaced(encoded_words(text, room))


def subject(text: str) -> list[str]:
    """
    The subject as pieces. A word too long for one line is cut up as encoded words are.

    Nothing but people reads a subject, so here a long word may be encoded.
    """
    if len(text) <= _SHORT_SUBJECT and _is_plain(text):
        return [text]
    if len(text) > _LONG_WORD and max(map(len, text.split())) > _LONG_WORD:
        return _spaced(encoded_words(text, _SUBJECT_ROOM))
    return unstructured(text, _SUBJECT_ROOM)


def phrase(name: str, room: int = MAX_WORD) -> list[str]:
    """A display name as pieces: atoms, a quoted string, or encoded words."""
    if "=?" in name or "  " in name or not _PLAIN.fullmatch(name):
        return _spaced(encoded_words(name, room))
    if _ATOMS.fullmatch(name):
        return foldable(name)
    return foldable(quoted(name))


def quoted(text: str) -> str:
    """A quoted-string, RFC 5322 §3.2.4."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def foldable(text: str) -> list[str]:
    """Split before each blank; every piece but the first begins with its blanks."""
    if " " not in text and "\t" not in text:
        return [text]
    return re.split(r"(?<=[^ \t])(?=[ \t]+[^ \t])", text)


def encoded_words(text: str, room: int = MAX_WORD) -> list[str]:
    """
    RFC 2047 words of at most `room` characters, in B or Q, whichever needs fewer octets.

    A word never ends inside a character (RFC 2047 §5). The Q alphabet is the one that is
    allowed everywhere, also in a display name (§5 rule 3).
    """
    octets = text.encode()
    space = min(room, MAX_WORD) - len(_B) - len(_END)
    q = sum(len(_Q_TABLE[octet]) for octet in octets)
    if q <= (len(octets) + 2) // 3 * 4:
        return [_Q + chunk + _END for chunk in _q_chunks(text, space)]
    step = space // 4 * 3
    return [
        _B + binascii.b2a_base64(chunk, newline=False).decode() + _END
        for chunk in _b_chunks(octets, step)
    ]


def parameterized(value: str, *parameters: tuple[str, str]) -> list[str]:
    """
    `value; name="text"` as pieces for a Content-Type or Content-Disposition field.

    Beyond short ASCII a text is written as RFC 2231 says, with a plain spelling beside it
    when one is close enough: some readers know only that.
    """
    parts = [value, *(part for name, text in parameters for part in _parameter(name, text))]
    return [part + ";" for part in parts[:-1]] + parts[-1:]


def _parameter(name: str, text: str) -> list[str]:
    """The exact spelling stands first: some readers stop at the first they understand."""
    if _is_simple(text):
        return [f' {name}="{text}"']
    encoded = quote(text, safe="")
    if len(encoded) > _SECTION:
        sections = enumerate(_sections(encoded))
        parts = [f" {name}*{number}*={section}" for number, section in sections]
        parts[0] = parts[0].replace("=", "=utf-8''", 1)
        return parts
    plain = _plain_spelling(text)
    return [f" {name}*=utf-8''{encoded}", *([f' {name}="{plain}"'] if plain else [])]


def _is_simple(text: str) -> bool:
    return bool(_SIMPLE_VALUE.fullmatch(text)) and "=?" not in text and text == text.strip()


def _is_plain(text: str) -> bool:
    """Stands in a header as it is, and does not look like an encoded word."""
    return _PLAIN.fullmatch(text) is not None and "=?" not in text


def _spaced(words: list[str]) -> list[str]:
    return [words[0], *(" " + word for word in words[1:])]


def _q_chunks(text: str, space: int) -> list[str]:
    chunks, chunk = [], ""
    for character in text:
        coded = "".join(_Q_TABLE[octet] for octet in character.encode())
        if len(chunk) + len(coded) > space:
            chunks.append(chunk)
            chunk = ""
        chunk += coded
    return [*chunks, chunk]


def _b_chunks(octets: bytes, step: int) -> list[bytes]:
    chunks, start = [], 0
    while start < len(octets):
        end = start + step
        while end < len(octets) and octets[end] & 0xC0 == 0x80:  # not inside a character
            end -= 1
        chunks.append(octets[start:end])
        start = end
    return chunks


def _sections(encoded: str) -> list[str]:
    """Cut so that no %XX is torn apart."""
    sections, start = [], 0
    while start < len(encoded):
        end = start + _SECTION
        while end < len(encoded) and "%" in encoded[end - 2 : end]:
            end -= 1
        sections.append(encoded[start:end])
        start = end
    return sections


def _plain_spelling(value: str) -> str | None:
    """`Résumé.pdf` as `Resume.pdf`; None when letters would be lost."""
    decomposed = unicodedata.normalize("NFKD", value)
    plain = "".join(c for c in decomposed if not unicodedata.combining(c))
    return plain if _is_simple(plain) else None
