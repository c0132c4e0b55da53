"""
The last look at a report before anybody sees it: a server may have repeated our secrets.

We say them by position and never record them, but some servers quote the line they did not
understand, and that goes into their reply. A short secret is looked for only where we said
it, and as a word: hidden everywhere it would take the letters out of every sentence.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator
from dataclasses import fields, replace

from pillarbox.base.secret import Secret
from pillarbox.diagnosis.findings import Report, Step
from pillarbox.diagnosis.words import bounded
from pillarbox.mail.outcome import Stage
from pillarbox.relays.relay import Secrets

_BASE64 = re.compile(r"[A-Za-z0-9+/]{8,}={0,2}")
_HIDDEN = "(hidden)"
_AUTH = re.compile(r"C: AUTH\b", re.IGNORECASE)
_VERB = re.compile(r"C: (EHLO|HELO|MAIL|RCPT|RSET|NOOP|QUIT)\b", re.IGNORECASE)


def discreet(report: Report, secrets: Secrets) -> Report:
    """The same report, printable, without the secrets as they are and in base64 (RFC 4954 §4)."""
    held = [value for each in fields(secrets) if (value := getattr(secrets, each.name))]
    return replace(
        report,
        steps=tuple(_discreet_step(step, held) for step in report.steps),
        transcript=tuple(_discreet_lines(report.transcript, held)),
    )


def _discreet_step(step: Step, held: list[Secret]) -> Step:
    told = [each for each in held if step.stage is Stage.AUTH or not each.is_short]
    return replace(step, evidence=bounded(_without(step.evidence, told)))


def _discreet_lines(lines: Iterable[str], held: list[Secret]) -> Iterator[str]:
    long = [each for each in held if not each.is_short]
    is_signing_in = False
    for line in lines:
        if line.startswith("C: "):
            # A client line without a verb goes on with what the one before began.
            is_signing_in = _AUTH.match(line) is not None or (
                is_signing_in and not _VERB.match(line)
            )
        yield _without(line, held if is_signing_in else long)


def _without(text: str, held: list[Secret]) -> str:
    for secret in held:
        text = _hidden(secret, text)
    return _BASE64.sub(lambda match: _HIDDEN if _quotes(match[0], held) else match[0], text)


def _hidden(secret: Secret, text: str) -> str:
    if secret.is_short:
        return secret.hidden_alone_in(text, _HIDDEN)
    return secret.hidden_in(text, _HIDDEN)


def _quotes(token: str, held: list[Secret]) -> bool:
    """Whether a base64 token, decoded, has one of the secrets in it."""
    try:
        bare = token.rstrip("=")  # some servers drop the padding
        whole = bare + "=" * (-len(bare) % 4)
        decoded = base64.b64decode(whole, validate=True).decode(errors="replace")
    except binascii.Error:
        return False
    return any(_hidden(secret, decoded) != decoded for secret in held)
