"""What machines say, in words: capabilities, sizes and durations, each on one bounded line."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pillarbox.smtp.capabilities import Capabilities

MAX_EVIDENCE = 600  # characters

_UNPRINTABLE = re.compile(
    r"[^\x20-\x7e\u00a1-\ud7ff\ue000-\U0010ffff]|[\u200b-\u200f\u2028-\u202e\u2060-\u206f]"
)
_EXTENSIONS = (
    ("starttls", "STARTTLS"),
    ("pipelining", "pipelining"),
    ("eight_bit_mime", "8-bit content"),
    ("smtputf8", "addresses in UTF-8"),
    ("chunking", "chunking"),
    ("dsn", "delivery status notifications"),
)


def bounded(text: str) -> str:
    """One printable line of at most MAX_EVIDENCE characters."""
    text = _UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape").decode(), text)
    return text if len(text) <= MAX_EVIDENCE else text[: MAX_EVIDENCE - 1] + "…"


def in_words(capabilities: Capabilities) -> str:
    """What the relay offers, the way to sign in first."""
    mechanisms = ", ".join(capabilities.mechanisms)
    offers = [f"sign-in by {mechanisms}" if mechanisms else "no sign-in"]
    if capabilities.size:
        offers.append(f"messages up to {_size(capabilities.size)}")
    offers += [words for name, words in _EXTENSIONS if getattr(capabilities, name)]
    return f"{capabilities.name} offers {', '.join(offers)}"


def seconds_in_words(seconds: float) -> str:
    """Rounded as a person would: `10 seconds`, `0.4 seconds`."""
    rounded = round(seconds) if seconds >= 1 else round(seconds, 1)
    return "1 second" if rounded == 1 else f"{rounded:g} seconds"


def listed(numbers: Sequence[int]) -> str:
    """`465, 587 and 25`."""
    *most, last = map(str, numbers)
    return f"{', '.join(most)} and {last}" if most else last


def _size(octets: int) -> str:
    megabytes = octets / 1_000_000
    return f"{megabytes:.3g} MB" if megabytes >= 1 else f"{octets} octets"
