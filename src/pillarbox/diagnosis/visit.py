"""One visit to a relay, by the code that delivers mail: questions, and a letter if asked for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from pillarbox.base import dial
from pillarbox.diagnosis import certificate
from pillarbox.diagnosis.case import Case
from pillarbox.diagnosis.letter import letter
from pillarbox.mail.outcome import Blame, Failed, Loss, Lost, Outcome, Stage, Unknown, refusal
from pillarbox.mail.reply import Reply
from pillarbox.smtp.connecting import Connection, connect
from pillarbox.smtp.endpoint import TlsMode
from pillarbox.smtp.probe import Probe
from pillarbox.smtp.session import Session
from pillarbox.smtp.tls import TlsFacts
from pillarbox.smtp.transcript import Direction, Transcript

VISIT_SECONDS = 24.0  # altogether; the search for a better port has the rest of half a minute
LETTER_SECONDS = 60.0  # more when a letter is sent: many relays read it before they answer

_PLAIN = (Stage.DNS, Stage.CONNECT, Stage.GREETING, Stage.EHLO, Stage.TLS, Stage.AUTH)
_IMPLICIT = (Stage.DNS, Stage.CONNECT, Stage.TLS, Stage.GREETING, Stage.EHLO, Stage.AUTH)
_QUESTIONS = (Stage.MAIL, Stage.RCPT)
_STEP_OF = {
    Stage.PROXY: Stage.CONNECT,
    Stage.STARTTLS: Stage.TLS,
    Stage.END_OF_DATA: Stage.DATA,
    Stage.RSET: Stage.QUIT,
}


@dataclass(slots=True)
class Visit:
    """
    What was seen, also of a visit that went wrong half-way.

    failed is why the session did not open; what the relay said to MAIL and RCPT is in probe,
    and what became of a letter in outcome.
    unbelieved is the certificate that it did not open for.
    """

    transcript: Transcript
    connection: Connection | None = None
    session: Session | None = None
    failed: Failed | None = None
    probe: Probe | None = None
    outcome: Outcome | None = None
    unbelieved: TlsFacts | None = None

    @property
    def tls(self) -> TlsFacts | None:
        return self.connection.tls if self.connection else None

    def refused(self, stage: Stage) -> Failed | None:
        """Why MAIL or RCPT was refused, if it was asked and was; or a letter."""
        if isinstance(self.outcome, Failed):
            return self.outcome if step_of(self.outcome.stage) is stage else None
        if self.probe is None:
            return None
        answer = {Stage.MAIL: self.probe.mail, Stage.RCPT: self.probe.rcpt}.get(stage)
        failed = refusal(stage, answer) if answer else None
        assert not isinstance(failed, Unknown)  # only the final dot ever is
        return failed

    def said(self, stage: Stage) -> Reply | None:
        """The relay's last reply at a stage, as the transcript shows it: safe to print."""
        for entry in reversed(self.transcript.entries):
            if entry.stage is stage and entry.direction is Direction.SERVER:
                lines = entry.text.split("\n")
                return Reply(int(lines[0][:3]), tuple(line[4:] for line in lines))
        return None

    def lines(self) -> tuple[str, ...]:
        """
        The transcript, line by line.

        What a server says that does not speak SMTP is left out: a diagnosis must not be a
        port scanner's eye.
        """
        is_smtp = not (
            self.failed
            and isinstance(self.failed.answer, Lost)
            and self.failed.answer.loss is Loss.NOT_SMTP
        )
        entries = self.transcript.entries
        kept = (each for each in entries if is_smtp or each.stage is not Stage.GREETING)
        return tuple(line for each in kept for line in str(each).split("\n"))

    def noted(self, stage: Stage) -> str | None:
        """The last thing that was noted at a stage."""
        for entry in reversed(self.transcript.entries):
            if entry.stage is stage and entry.direction is Direction.NOTE:
                return entry.text
        return None


async def visit(case: Case, transcript: Transcript, resolver: dial.Resolver) -> Visit:
    """
    Connect, greet, secure, sign in, ask or send, leave. What fails is a value, never repeated.

    Raises Invalid if the endpoint's PEM text or EHLO name cannot be used.
    """
    seen = Visit(transcript)
    is_sending = case.question.is_sending
    seconds = VISIT_SECONDS + LETTER_SECONDS * is_sending
    try:
        async with asyncio.timeout(seconds):
            await _converse(case, seen, resolver)
    except TimeoutError:
        stage = _where(transcript, stages(case.endpoint.tls, is_sending=is_sending))
        cause = f"the relay was not done after {seconds:g} seconds"
        if stage is Stage.DATA:
            seen.outcome = Unknown(cause)
        else:
            seen.failed = _too_late(stage, cause)
    if certificate.is_not_believed(seen.failed):
        seen.unbelieved = await certificate.look(case.endpoint, transcript.clock, resolver)
    return seen


def stages(tls: TlsMode, *, has_token: bool = False, is_sending: bool = False) -> tuple[Stage, ...]:
    """The steps in the order in which a session of this mode takes them; the token before AUTH."""
    *before, auth = _IMPLICIT if tls is TlsMode.IMPLICIT else _PLAIN
    token = (Stage.TOKEN,) if has_token else ()
    sent = (Stage.DATA,) if is_sending else ()
    return (*before, *token, auth, *_QUESTIONS, *sent, Stage.QUIT)


def step_of(stage: Stage) -> Stage:
    """The step of the report that a stage of the session belongs to."""
    return _STEP_OF.get(stage, stage)


async def _converse(case: Case, seen: Visit, resolver: dial.Resolver) -> None:
    connection = await connect(case.endpoint, seen.transcript, resolver)
    if isinstance(connection, Failed):
        seen.failed = connection
        return
    seen.connection = connection
    seen.session = Session(case.endpoint, connection, seen.transcript)
    try:
        seen.failed = await seen.session.open(case.credentials)
        is_signed_in = case.token is None or case.token.token is not None
        if seen.failed is None and case.question.mail_from and is_signed_in:
            await _ask(case, seen, seen.session)
        await seen.session.quit()
    except BaseException:
        seen.session.abort()
        raise


async def _ask(case: Case, seen: Visit, session: Session) -> None:
    """Whether it would take mail; or have it take some."""
    question = case.question
    if not question.is_sending:
        seen.probe = await session.probe(question.mail_from, question.rcpt_to)
        return
    envelope, content = letter(case, seen.transcript.clock.now())
    outcomes = await session.transact(envelope, content)
    seen.outcome = outcomes[envelope.forward_paths[0]]


def _too_late(stage: Stage, cause: str) -> Failed | None:
    """Nobody minds a slow goodbye."""
    if stage is Stage.QUIT:
        return None
    answer = Lost(Loss.TIMEOUT, cause)
    return Failed(stage, Blame.RELAY, permanent=False, answer=answer)


def _where(transcript: Transcript, order: tuple[Stage, ...]) -> Stage:
    """The stage that was not over when time was: the one we spoke in last, or the next."""
    entries = transcript.entries
    if not entries:
        return Stage.DNS
    last = entries[-1]
    place = order.index(step_of(last.stage))
    is_answered = last.direction is not Direction.CLIENT
    return order[min(place + is_answered, len(order) - 1)]
