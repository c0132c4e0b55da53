"""Messages ready to be stored, and attempts as they end, for tests of the queue."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import count
from typing import Any

from pillarbox.mail.address import Address
from pillarbox.mail.content import Content
from pillarbox.mail.envelope import Envelope
from pillarbox.mail.outcome import Blame, Failed, Loss, Lost, Outcome, Relayed, Stage, Unknown
from pillarbox.mail.reply import Reply
from pillarbox.queue.message import Attempt, Claim, Parcel
from pillarbox.queue.streams import TRANSACTIONAL

RELAY = "rly_1"
OK = Relayed(Reply(250, ("2.0.0 queued",)))
NO_SUCH_USER = Failed(
    Stage.RCPT, Blame.RECIPIENT, permanent=True, answer=Reply(550, ("5.1.1 no such user",))
)
GREYLISTED = Failed(
    Stage.RCPT, Blame.RECIPIENT, permanent=False, answer=Reply(450, ("4.2.0 greylisted",))
)
UNREACHABLE = Failed(
    Stage.CONNECT, Blame.RELAY, permanent=False, answer=Lost(Loss.REFUSED, "connection refused")
)
NO_ANSWER = Unknown("connection reset after the final dot")

_numbers = count(1)


def parcel(now: datetime, *recipients: str, **changes: Any) -> Parcel:
    """A message to the recipients (ann@x.org when there is none), accepted now."""
    number = next(_numbers)
    paths = tuple(Address.parse(each) for each in recipients or ("ann@x.org",))
    made = Parcel(
        id=f"msg_{number:08}",
        accepted_at=now,
        inlet="python",
        principal="system:test",
        stream=TRANSACTIONAL,
        relay_id=RELAY,
        envelope=Envelope(Address.parse("from@x.org"), paths),
        content=Content.pass_gate(b"Subject: hi\r\n\r\nhello\r\n"),
        from_header="from@x.org",
        subject="hi",
        message_id_header=f"<{number}@x.org>",
        expires_at=now + timedelta(days=5),
        delivery_ids=tuple(f"dlv_{number:08}_{n}" for n, _ in enumerate(paths)),
    )
    return made._replace(**changes)


def attempt(claim: Claim, outcome: Outcome, now: datetime, *, which: int = 0) -> Attempt:
    """How one delivery of a claim ended, with no jitter."""
    delivery = claim.deliveries[which]
    return Attempt(
        id=f"att_{delivery.id}_{delivery.tries}",
        message_id=claim.message_id,
        delivery=delivery,
        stream=claim.stream,
        relay_id=claim.relay_id,
        relay_version=1,
        session_id=None,
        started_at=now,
        ended_at=now,
        outcome=outcome,
        advice=None,
        transcript="C: MAIL FROM:<from@x.org>",
        chance=0.5,
    )
