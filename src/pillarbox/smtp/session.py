"""
A session with a relay: opened once, used for many transactions, closed when in doubt.

The dialogues say what is said; this module plays them on a wire and keeps the record.
"""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any, TypeVar

from pillarbox.base import dial
from pillarbox.base.errors import Invalid
from pillarbox.base.ids import token
from pillarbox.base.secret import Secret
from pillarbox.mail.address import Address
from pillarbox.mail.content import Content
from pillarbox.mail.envelope import Envelope
from pillarbox.mail.outcome import (
    Answer,
    Blame,
    Failed,
    Lack,
    Loss,
    Lost,
    Stage,
    Unknown,
    Withheld,
)
from pillarbox.mail.reply import Reply
from pillarbox.smtp import opening
from pillarbox.smtp.capabilities import Capabilities
from pillarbox.smtp.connecting import Connection, connect
from pillarbox.smtp.dialogue import (
    Beginning,
    Options,
    Outcomes,
    beginning,
    ends_session,
    left_half_way,
    transact,
)
from pillarbox.smtp.discretion import discreet, without
from pillarbox.smtp.endpoint import Credentials, Deadlines, Endpoint, Mechanism, TlsMode
from pillarbox.smtp.probe import Probe, leave, probe
from pillarbox.smtp.steps import (
    Dialogue,
    Flight,
    HangUp,
    Hear,
    Note,
    PointOfNoReturn,
    Pour,
    Say,
    Step,
    Upgrade,
)
from pillarbox.smtp.tls import TlsFacts
from pillarbox.smtp.transcript import Transcript

T = TypeVar("T")
Letter = tuple[Envelope, Content]
NextLetter = Callable[[], Letter | None]
"""Asked with the final dot: whose beginning may go out behind it. It must be transacted next."""
MayStillSend = Callable[[], Awaitable[bool]]
"""Asked once, just before the final dot. False when somebody else may be sending the message."""

_USUALLY = Options()
_QUIT_SECONDS = 5.0  # courtesy has a limit; some relays drop TLS without answering
_RECIPIENT_SECONDS = 10.0  # what each further recipient adds to the phase's deadline


async def open_session(
    endpoint: Endpoint,
    credentials: Credentials | None = None,
    *,
    transcript: Transcript,
    resolver: dial.Resolver = dial.system_resolver,
) -> Session | Failed:
    """
    Connect, greet, secure, authenticate. What failed is a value; nothing is tried twice.

    Raises Invalid if the endpoint's PEM text or EHLO name cannot be used.
    """
    connection = await connect(endpoint, transcript, resolver)
    if isinstance(connection, Failed):
        return connection
    session = Session(endpoint, connection, transcript)
    try:
        refused = await session.open(credentials)
    except BaseException:
        session.abort()
        raise
    if refused is not None:
        await session.quit()
        return refused
    return session


class Session:
    """
    One connection to a relay that has greeted us and let us in.

    opened_at is monotonic seconds of the transcript's clock.
    """

    def __init__(self, endpoint: Endpoint, connection: Connection, transcript: Transcript) -> None:
        self._endpoint = endpoint
        self._deadlines = endpoint.deadlines
        self._connection = connection
        self._wire = connection.wire
        self._phase_ends = 0.0
        self._ask: MayStillSend | None = None
        self._is_half_way = False
        self._begun: tuple[Letter, Beginning] | None = None  # went out behind the last dot
        self._secrets: tuple[Secret, ...] = ()  # said in this session; a reply may repeat them
        self._is_leaving = False  # the relay is, or we cannot follow it any more
        self.transcript = transcript
        self.capabilities = Capabilities()
        self.mechanism: Mechanism | None = None
        self.opened_at = transcript.clock.monotonic()
        self.transactions = 0

    @property
    def peer(self) -> tuple[str, str, int]:
        """Host as configured, IP address and port that we are connected to."""
        return (self._endpoint.host, self._connection.ip, self._connection.port)

    @property
    def tls(self) -> TlsFacts | None:
        return self._connection.tls

    @property
    def is_usable(self) -> bool:
        """Open, and the relay has said nothing since, such as 421."""
        is_open = self._wire.lost is None if self._begun else self._wire.is_quiet
        return is_open and not self._is_leaving

    async def open(self, credentials: Credentials | None) -> Failed | None:
        """The conversation before the first message; None when we are in."""
        limits = self._deadlines
        self._begin_phase(limits.connect + limits.greeting + 2 * limits.command)
        greeted = await self._play(opening.greet(self._endpoint.ehlo_name))
        if not isinstance(greeted, Failed) and self._endpoint.tls is TlsMode.STARTTLS:
            greeted = await self._secure(greeted)
        if isinstance(greeted, Failed):
            return greeted
        self.capabilities = greeted
        return await self._authenticate(credentials) if credentials else None

    async def transact(
        self,
        envelope: Envelope,
        content: Content,
        *,
        options: Options | None = None,
        point_of_no_return: MayStillSend | None = None,
        behind: NextLetter | None = None,
    ) -> Outcomes:
        """
        Hand over one message; what became of each recipient.

        Raises Invalid for content that has not passed the gate. If point_of_no_return
        raises, the connection is closed without the final dot.
        """
        wish = options or _USUALLY
        options = Options(
            use_chunking=wish.use_chunking,
            reset_first=wish.reset_first or self._is_half_way,
            behind=bytes if behind is None else partial(self._begin_next, behind, wish),
            begun=self._was_begun(envelope, content) if self._begun else None,
        )
        self.transactions += 1
        self._ask = point_of_no_return
        limits = self._deadlines
        extra = _RECIPIENT_SECONDS * len(envelope.forward_paths)
        self._begin_phase(2 * limits.command + limits.data + extra)
        outcomes = await self._play(transact(envelope, content, self.capabilities, options))
        self._is_half_way = left_half_way(outcomes)
        for outcome in outcomes.values():
            if isinstance(outcome, Unknown):
                self.abort()
        return outcomes

    async def probe(self, reverse_path: Address | None, forward_path: Address | None) -> Probe:
        """MAIL, RCPT, RSET: whether the relay would take it. No message is sent."""
        self._begin_phase(3 * self._deadlines.command)
        probed = await self._play(probe(reverse_path, forward_path, self.capabilities))
        self._is_half_way = False
        return probed

    async def quit(self) -> None:
        """Say goodbye if we still can, and close (RFC 5321 §4.1.1.10)."""
        if self._begun:
            self.abort()  # the relay waits for content; QUIT would be part of it
        if self.is_usable:
            self._begin_phase(_QUIT_SECONDS)
            await self._play(leave())
        self._wire.close()

    def abort(self) -> None:
        """Close the socket now, without QUIT."""
        self._wire.abort()

    def _was_begun(self, envelope: Envelope, content: Content) -> Beginning | None:
        """What is said of it already. If it was said of another, nothing fits any more."""
        assert self._begun is not None
        (begun_envelope, begun_content), said = self._begun
        self._begun = None
        if begun_envelope is not envelope or begun_content is not content:
            self.abort()
        return said if self._wire.lost is None else None

    def _begin_next(self, behind: NextLetter, options: Options) -> bytes:
        """Only plain letters are begun so; whatever is special about one waits for its turn."""
        letter = behind()
        if letter is None:
            return b""
        with contextlib.suppress(Invalid):  # it is told when its own turn comes
            if said := beginning(*letter, self.capabilities, options):
                self._begun = letter, said
                return said.octets
        return b""

    async def _secure(self, before: Capabilities) -> Capabilities | Failed:
        """What the relay offered before TLS is forgotten (RFC 3207 §4.2)."""
        refused = await self._play(opening.secure(before))
        if refused is not None:
            return refused
        return await self._play(opening.hello(self._endpoint.ehlo_name))

    async def _authenticate(self, credentials: Credentials) -> Failed | None:
        if not self._is_confidential():
            cause = "without TLS a password is sent to this machine only, so it was not sent"
            withheld = Withheld(Lack.TLS, cause)
            return Failed(Stage.AUTH, Blame.RELAY, permanent=False, answer=withheld)
        self._secrets = (credentials.secret,)
        peer = opening.Peer(self._endpoint.host, self._endpoint.port, token())
        result = await self._play(opening.authenticate(credentials, self.capabilities, peer))
        if isinstance(result, Failed):
            return result
        self.mechanism = result
        return None

    def _is_confidential(self) -> bool:
        """TLS, or a connection that does not leave this machine."""
        if self.tls is not None:
            return True
        is_here = ipaddress.ip_address(self._connection.ip).is_loopback
        return is_here and self._endpoint.proxy is None

    async def _play(self, dialogue: Dialogue[T]) -> T:
        """Take each step of a dialogue and tell it what came back."""
        try:
            step = next(dialogue)
            while True:
                step = dialogue.send(await self._take(step))
        except StopIteration as end:
            result: T = end.value
            return result
        except BaseException:
            self.abort()
            raise

    async def _take(self, step: Step) -> Any:
        match step:
            case Say():
                return self._early() or await self._say(step)
            case Flight():
                return await self._fly(step)
            case Pour():
                return await self._pour(step)
            case Hear():
                return await self._hear(step.stage)
            case PointOfNoReturn():
                return await self._pass_point_of_no_return()
            case Upgrade():
                return await self._upgrade()
            case _:
                return self._without_answer(step)

    def _without_answer(self, step: Note | HangUp) -> None:
        if isinstance(step, HangUp):
            self.abort()
            self.transcript.note(Stage.QUIT, f"connection closed: {step.why}")
        else:
            self.transcript.note(step.stage, step.text)

    def _early(self) -> Answer | None:
        """
        What is there before we speak answers nothing that we said.

        A relay that says 421 is leaving, and that is an answer to whatever comes next.
        """
        early = self._wire.early
        if early is None or isinstance(early, Lost):
            return early
        early = discreet(early, self._secrets, Stage.QUIT)
        self.transcript.hear(Stage.QUIT, early)
        if early.code == 421:
            self.abort()
            return early
        lost = Lost(Loss.MALFORMED_REPLY, f"the relay spoke out of turn: {early}"[:200])
        self._wire.abort(lost)
        return lost

    async def _say(self, say: Say) -> Answer:
        self._put_on_record(say)
        self._wire.write(say.octets + say.behind)
        return await self._hear(say.stage)

    async def _fly(self, flight: Flight) -> list[Answer]:
        """The answers, until one of them is the last that there will be."""
        says = flight.says
        early = None if flight.is_said else self._early()
        if early is not None:
            return [early]
        for say in says:
            self._put_on_record(say)
        if not flight.is_said:
            self._wire.write(b"".join([say.octets for say in says]))
        answers = [await self._hear(says[0].stage)]
        for before, say in pairwise(says):
            if ends_session(before.stage, answers[-1]):
                break
            answers.append(await self._hear(say.stage))
        return answers

    def _put_on_record(self, say: Say) -> None:
        self.transcript.say(say.stage, say.octets if say.shown is None else say.shown)

    async def _hear(self, stage: Stage) -> Answer:
        """Most answers of a flight arrive with the first; they need no waiting."""
        answer = self._wire.take() or await self._wire.hear(self._seconds(stage))
        if isinstance(answer, Lost):
            answer = replace(answer, cause=without(answer.cause, self._secrets))
            self.transcript.note(stage, answer.cause)
            return answer
        return self._heard(stage, answer)

    def _heard(self, stage: Stage, reply: Reply) -> Reply:
        if self._secrets:
            reply = discreet(reply, self._secrets, stage)
        self.transcript.hear(stage, reply)
        if ends_session(stage, reply):
            self._is_leaving = True
        return reply

    async def _pour(self, step: Pour) -> Answer | None:
        early = await self._wire.pour(step.pieces, self._deadlines.block)
        self.transcript.say(step.stage, f"({step.size} octets)")
        return early

    async def _pass_point_of_no_return(self) -> bool | Answer:
        """True only if the message is still ours and the relay is still listening."""
        if self._ask is not None and not await self._ask():
            return False
        return self._wire.early or True

    async def _upgrade(self) -> Lost | None:
        lost = await self._connection.upgrade(self._endpoint, self.transcript)
        if lost:
            self.transcript.note(Stage.TLS, lost.cause)
        return lost

    def _begin_phase(self, seconds: float) -> None:
        """However many answers a phase needs, it ends (W12 of the threat model)."""
        self._phase_ends = self._wire.time() + seconds

    def _seconds(self, stage: Stage) -> float:
        if stage is Stage.END_OF_DATA:
            return self._deadlines.final
        left = self._phase_ends - self._wire.time()
        return max(min(_limit(self._deadlines, stage), left), 0.0)


def _limit(deadlines: Deadlines, stage: Stage) -> float:
    if stage is Stage.GREETING:
        return deadlines.greeting
    if stage is Stage.DATA:
        return deadlines.data
    return deadlines.command
