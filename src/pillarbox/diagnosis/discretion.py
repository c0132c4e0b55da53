"""
The last look at a report before anybody sees it: a server may have repeated our secrets.

We say them by position and never record them, but some servers quote the line they did not
understand, and that goes into their reply.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import fields, replace

from pillarbox.base.secret import Secret
from pillarbox.diagnosis.findings import Report, Step
from pillarbox.diagnosis.words import bounded
from pillarbox.relays.relay import Secrets

_BASE64 = re.compile(r"[A-Za-z0-9+/]{8,}={0,2}")
_HIDDEN = "(hidden)"


def discreet(report: Report, secrets: Secrets) -> Report:
    """The same report, printable, without the secrets as they are and in base64 (RFC 4954 §4)."""
    held = [value for each in fields(secrets) if (value := getattr(secrets, each.name))]
    return replace(
        report,
        steps=tuple(_discreet_step(step, held) for step in report.steps),
        transcript=tuple(_without(line, held) for line in report.transcript),
    )


def _discreet_step(step: Step, held: list[Secret]) -> Step:
    return replace(step, evidence=bounded(_without(step.evidence, held)))


def _without(text: str, held: list[Secret]) -> str:
    for secret in held:
        text = secret.hidden_in(text, _HIDDEN)
    return _BASE64.sub(lambda match: _HIDDEN if _quotes(match[0], held) else match[0], text)


def _quotes(token: str, held: list[Secret]) -> bool:
    """Whether a base64 token, decoded, has one of the secrets in it."""
    try:
        bare = token.rstrip("=")  # some servers drop the padding
        whole = bare + "=" * (-len(bare) % 4)
        decoded = base64.b64decode(whole, validate=True).decode(errors="replace")
    except binascii.Error:
        return False
    return any(secret.hidden_in(decoded, "") != decoded for secret in held)
