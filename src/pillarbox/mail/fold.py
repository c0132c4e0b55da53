"""
Header fields as lines: folded at 78 where a blank allows it (RFC 5322 §2.2.3), never elsewhere.

A token stays whole however long it is. List-Unsubscribe and References stop working when
somebody cuts a URL or an id in two.
"""

from __future__ import annotations

from collections.abc import Sequence

from pillarbox.base.errors import Invalid
from pillarbox.mail.content import MAX_LINE

PREFERRED_LINE = 78  # characters without CRLF, RFC 5322 §2.1.1


def fold(name: str, pieces: Sequence[str]) -> str:
    """
    The field with its CRLF. Every piece but the first begins with the blank to fold at.

    Raises Invalid when a piece does not fit into a line of 998 octets.
    """
    whole = f"{name}: {''.join(pieces)}"
    if len(whole) <= PREFERRED_LINE:
        return whole + "\r\n"
    lines, line = [], f"{name}: {pieces[0]}"
    for piece in pieces[1:]:
        if len(line) + len(piece) > PREFERRED_LINE:
            lines.append(line)
            line = piece
        else:
            line += piece
    lines.append(line)
    if len(whole) > MAX_LINE // 4 and any(len(part.encode()) > MAX_LINE for part in lines):
        raise Invalid(f"{name} has a word that does not fit into a line of {MAX_LINE} octets")
    return "\r\n".join(lines) + "\r\n"
