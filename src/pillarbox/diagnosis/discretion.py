"""
The last look at a report before anybody sees it: a server may have repeated our secrets.

Sessions hide those of the sign-in by themselves (smtp/discretion.py). Here are all that the
relay has, such as the proxy's, and short ones again, line by line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import fields, replace

from pillarbox.base.secret import Secret
from pillarbox.diagnosis.findings import Report, Step
from pillarbox.diagnosis.words import bounded
from pillarbox.mail.outcome import Stage
from pillarbox.relays.relay import Secrets
from pillarbox.smtp.discretion import without

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
    return replace(step, evidence=bounded(without(step.evidence, told)))


def _discreet_lines(lines: Iterable[str], held: list[Secret]) -> Iterator[str]:
    long = [each for each in held if not each.is_short]
    is_signing_in = False
    for line in lines:
        if line.startswith("C: "):
            # A client line without a verb goes on with what the one before began.
            is_signing_in = _AUTH.match(line) is not None or (
                is_signing_in and not _VERB.match(line)
            )
        yield without(line, held if is_signing_in else long)
