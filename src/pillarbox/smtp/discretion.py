"""
Hiding secrets that a server repeats.

We say them by position and never record them, but some servers quote the line that they did
not understand, and that goes into their reply: from there into transcripts, attempts, events
and logs. So a reply is made fit to be shown before anybody but the protocol has seen it. A
short secret is looked for only where we said it, and as a word: hidden everywhere it would
take the letters out of every sentence.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import replace

from pillarbox.base.secret import Secret
from pillarbox.mail.outcome import Stage
from pillarbox.mail.reply import Reply

_BASE64 = re.compile(r"[A-Za-z0-9+/]{8,}={0,2}")
_HIDDEN = "(hidden)"
_CHALLENGE = 334  # RFC 4954 §4: for the mechanism, and never shown


def discreet(reply: Reply, secrets: Sequence[Secret], stage: Stage) -> Reply:
    """The reply without the secrets, as they are and in base64 (RFC 4954 §4)."""
    told = [each for each in secrets if stage is Stage.AUTH or not each.is_short]
    if not told or (stage is Stage.AUTH and reply.code == _CHALLENGE):
        return reply
    lines = tuple(without(line, told) for line in reply.lines)
    return reply if lines == reply.lines else replace(reply, lines=lines)


def without(text: str, secrets: Sequence[Secret]) -> str:
    """The text with each secret in it hidden."""
    for secret in secrets:
        text = _hidden(secret, text)
    return _BASE64.sub(lambda match: _HIDDEN if _quotes(match[0], secrets) else match[0], text)


def _hidden(secret: Secret, text: str) -> str:
    if secret.is_short:
        return secret.hidden_alone_in(text, _HIDDEN)
    return secret.hidden_in(text, _HIDDEN)


def _quotes(token: str, secrets: Sequence[Secret]) -> bool:
    """Whether a base64 token, decoded, has one of the secrets in it."""
    try:
        bare = token.rstrip("=")  # some servers drop the padding
        whole = bare + "=" * (-len(bare) % 4)
        decoded = base64.b64decode(whole, validate=True).decode(errors="replace")
    except binascii.Error:
        return False
    return any(_hidden(secret, decoded) != decoded for secret in secrets)
