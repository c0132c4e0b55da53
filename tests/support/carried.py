"""Ends the attempts of a queue as one likes, for tests that look at what is shown of them."""

from __future__ import annotations

from datetime import timedelta

from pillarbox.base.clock import Clock
from pillarbox.base.ids import Ids
from pillarbox.mail.outcome import Blame, Failed, Outcome, Relayed, Stage, Unknown
from pillarbox.mail.reply import Reply
from pillarbox.queue.message import Attempt, Claim, SessionFacts
from pillarbox.queue.queue import Queue

CAPTURED = Relayed(Reply(250, ("2.0.0 captured by the sandbox; nothing was sent",)))
RELAYED = Relayed(Reply(250, ("2.0.0 Ok: queued as 4Xk2",)))
NO_SUCH_USER = Failed(
    Stage.RCPT,
    Blame.RECIPIENT,
    permanent=True,
    answer=Reply(550, ("5.1.1 <bob@example.org>: Recipient address rejected: User unknown",)),
)
GREYLISTED = Failed(
    Stage.RCPT,
    Blame.RECIPIENT,
    permanent=False,
    answer=Reply(451, ("4.7.1 Greylisted, see you again in five minutes",)),
)
IN_DOUBT = Unknown("the connection was closed after the final dot")

TRANSCRIPT = """\
C: MAIL FROM:<ann@example.org> SIZE=512
S: 250 2.1.0 Ok
C: RCPT TO:<bob@example.org>
S: {answer}
"""
OPENING = """\
S: 220 mail.example.org ESMTP
C: EHLO pillarbox.example.org
S: 250-mail.example.org
S: 250-STARTTLS
S: 250 AUTH PLAIN LOGIN
C: AUTH PLAIN (secret)
S: 235 2.7.0 Authentication successful
"""


async def carry(
    queue: Queue, clock: Clock, relay_id: str, outcome: Outcome, *, advice: str | None = None
) -> int:
    """End everything that is due at this relay with this outcome; how many deliveries."""
    ids = Ids(clock)
    claims = await queue.claim(relay_id, 100)
    for claim in claims:
        for attempt in _attempts(claim, ids, clock, outcome, advice):
            assert await queue.record(attempt)
    return sum(len(claim.deliveries) for claim in claims)


def _attempts(
    claim: Claim, ids: Ids, clock: Clock, outcome: Outcome, advice: str | None
) -> list[Attempt]:
    now = clock.now()
    session = SessionFacts(
        id=ids.new("ses"),
        opened_at=now,
        host="mail.example.org",
        address="192.0.2.25",
        tls={"version": "TLSv1.3", "cipher": "TLS_AES_256_GCM_SHA384"},
        mechanism="PLAIN",
        transcript=OPENING,
    )
    return [
        Attempt(
            id=ids.new("att"),
            message_id=claim.message_id,
            delivery=delivery,
            stream=claim.stream,
            relay_id=claim.relay_id,
            relay_version=1,
            session_id=session.id,
            started_at=now,
            ended_at=now + timedelta(milliseconds=184),
            outcome=outcome,
            advice=advice,
            transcript=TRANSCRIPT.format(answer=getattr(outcome, "answer", "250 2.1.5 Ok")),
            chance=0.5,
            session=session if number == 0 else None,
        )
        for number, delivery in enumerate(claim.deliveries)
    ]
