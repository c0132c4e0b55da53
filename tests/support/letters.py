"""Messages as applications write them: attachments, UTF-8, dots and long lines."""

from __future__ import annotations

import base64
import random
from typing import Any

_WORDS = (
    "Grüße naïve façade 日本語 Ελληνικά русский ‘quoted’ — ok … €5 .dot ..two".split()  # noqa: SIM905
)


def letter(number: int, chance: random.Random) -> dict[str, Any]:
    """The body of POST /v1/messages for message `number`; the same for the same seed."""
    lines = [" ".join(chance.choices(_WORDS, k=chance.randint(0, 14))) for _ in range(20)]
    lines += [".", "..", ".leading", "", "x" * chance.randint(60, 1200), "."]
    chance.shuffle(lines)
    text = "\n".join(lines)
    made: dict[str, Any] = {
        "from": "Bestellungen – Laden <shop@shop.test>",
        "to": [f"Ärzte {number} <user{number}@kunde.test>"],
        "subject": f"#{number} {' '.join(chance.choices(_WORDS, k=5))}",
        "text": text,
        "headers": {"X-Number": str(number)},
    }
    if number % 2:
        made["html"] = f"<p>{'</p><p>'.join(lines)}</p>"
    if number % 3 == 0:
        made["cc"] = f"copy{number}@kunde.test"
    if number % 4 == 0:
        made["attachments"] = [_attachment(number, chance) for _ in range(chance.randint(1, 3))]
    return made


def _attachment(number: int, chance: random.Random) -> dict[str, str]:
    octets = chance.randbytes(chance.choice((0, 1, 57, 4096, 60_000)))
    return {
        "filename": f"Prüfung {number}-{chance.randrange(10**6)}.bin",
        "content_type": "application/octet-stream",
        "content": base64.b64encode(octets).decode(),
    }
