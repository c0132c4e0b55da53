"""Asking a relay what it would take without sending it anything, and saying goodbye."""

from __future__ import annotations

from dataclasses import dataclass

from pillarbox.mail.address import Address
from pillarbox.mail.outcome import Answer, Lack, Stage, Withheld, refusal
from pillarbox.smtp.capabilities import Capabilities
from pillarbox.smtp.command import command, path
from pillarbox.smtp.steps import Dialogue, Say


@dataclass(frozen=True, slots=True)
class Probe:
    """What the relay said to MAIL and to RCPT. rcpt is None if MAIL was refused or none asked."""

    mail: Answer
    rcpt: Answer | None


def probe(
    reverse_path: Address | None, forward_path: Address | None, capabilities: Capabilities
) -> Dialogue[Probe]:
    """MAIL, RCPT, RSET (RFC 5321 §4.1.1.5). RSET is said whatever came before it."""
    needs_utf8 = any(address and address.needs_smtputf8 for address in (reverse_path, forward_path))
    if needs_utf8 and not capabilities.smtputf8:
        cause = "an address needs SMTPUTF8, which the relay does not offer"
        return Probe(Withheld(Lack.SMTPUTF8, cause), None)
    mail_line = f"MAIL FROM:{path(reverse_path)}{' SMTPUTF8' if needs_utf8 else ''}"
    mail = yield Say(Stage.MAIL, command(mail_line, utf8=needs_utf8))
    rcpt: Answer | None = None
    if forward_path and not refusal(Stage.MAIL, mail):
        rcpt_line = f"RCPT TO:{path(forward_path)}"
        rcpt = yield Say(Stage.RCPT, command(rcpt_line, utf8=needs_utf8))
    yield Say(Stage.RSET, command("RSET"))
    return Probe(mail, rcpt)


def leave() -> Dialogue[Answer]:
    """RFC 5321 §4.1.1.10; what the relay says to it changes nothing."""
    answer: Answer = yield Say(Stage.QUIT, command("QUIT"))
    return answer
