"""
The test mail of a diagnosis: a short letter to one recipient, sent because somebody asked for it.

It is in no queue and is not signed: it shows whether the relay takes mail of this sender, up to
the end of DATA. What becomes of mail like any other is for the test message of a saved relay.
"""

from __future__ import annotations

from datetime import datetime

from pillarbox.base.errors import Invalid, Rejected
from pillarbox.base.ids import token
from pillarbox.diagnosis.case import Case, Question
from pillarbox.mail.address import Address
from pillarbox.mail.compose import compose
from pillarbox.mail.content import Content
from pillarbox.mail.draft import Draft
from pillarbox.mail.envelope import Envelope
from pillarbox.mail.mailbox import Mailbox
from pillarbox.relays.addresses import covers
from pillarbox.relays.relay import RelayKind, RelaySettings

_TEXT = """\
This is a test mail.

A diagnosis sent it by {host} port {port}. If you can read this, that server takes mail and
delivers it to you.
"""


def check_letter(settings: RelaySettings, question: Question) -> None:
    """Raises Rejected when no test mail can be sent, or the relay is not to be used for it."""
    problems = []
    if settings.kind is not RelayKind.SMTP:
        told = "only a server can be sent a test mail by a diagnosis: send a message to try this"
        problems.append(Invalid(told, field="send"))
    author, reader = _author(settings, question), question.rcpt_to
    if author is None:
        problems.append(Invalid("a test mail needs a sender: set from", field="from"))
    elif settings.senders and not covers(settings.senders, author.address):
        told = f"this relay does not send for {author.address}: see its senders"
        problems.append(Invalid(told, field="from"))
    if reader is None:
        problems.append(Invalid("a test mail needs a recipient", field="to"))
    elif _is_kept_from(settings, reader):
        told = f"this relay does not send to {reader}: see its recipients"
        problems.append(Invalid(told, field="to"))
    if problems:
        raise Rejected(problems)


def letter(case: Case, now: datetime) -> tuple[Envelope, Content]:
    """Who writes to whom, and the octets. The case has been checked."""
    author, reader = _author(case.settings, case.question), case.question.rcpt_to
    assert author is not None
    assert reader is not None
    host, port = case.settings.host, case.settings.port
    draft = Draft(
        from_=author,
        to=(Mailbox("", reader),),
        subject=f"Test mail through {host}",
        text=_TEXT.format(host=host, port=port),
    )
    domain = author.address.domain
    domain = "pillarbox.invalid" if domain.startswith("[") else domain
    content = compose(draft, message_id=f"<{token(16)}@{domain}>", date=now)
    return Envelope(case.question.mail_from, (reader,)), content


def _author(settings: RelaySettings, question: Question) -> Mailbox | None:
    """Who was named for this diagnosis, or else the relay's own From."""
    own = settings.from_
    named = question.mail_from
    if named is None or (own and own.address == named):
        return own
    return Mailbox("", named)


def _is_kept_from(settings: RelaySettings, reader: Address) -> bool:
    is_limited = bool(settings.recipients or settings.redirect_to)
    return is_limited and not covers(settings.recipients, reader)
