"""The client's rows of the threat model, one named test each (W2 to W12)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from pillarbox.base.clock import SystemClock
from pillarbox.base.errors import Invalid
from pillarbox.base.secret import Secret
from pillarbox.mail.address import Address
from pillarbox.mail.content import Content
from pillarbox.mail.envelope import Envelope
from pillarbox.mail.outcome import Blame, Failed, Lack, Loss, Lost, Stage, Withheld
from pillarbox.smtp import connecting
from pillarbox.smtp.capabilities import Capabilities
from pillarbox.smtp.command import command
from pillarbox.smtp.dialogue import transact
from pillarbox.smtp.endpoint import Credentials, Deadlines, Endpoint, TlsMode
from pillarbox.smtp.session import Session, open_session
from pillarbox.smtp.transcript import Transcript
from support.scripted_relay import scripted_relay

LOGIN = Credentials(username="user", secret=Secret("pencil"))
SHORT = Deadlines(greeting=0.3, command=0.3, data=0.3, block=0.3, final=0.3)
ENVELOPE = Envelope(None, (Address.parse("ann@example.test"),))
CONTENT = Content.pass_gate(b"Subject: hi\r\n\r\nhello\r\n")
HELLO = "S: 220 relay.test\nC: EHLO localhost\nS: 250 relay.test\n"

Speak = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def peer(speak: Speak) -> AsyncIterator[int]:
    """Whatever a hostile relay may do, on one port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await speak(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def meet(
    port: int, tls: TlsMode = TlsMode.NONE, credentials: Credentials | None = None
) -> Session | Failed:
    endpoint = Endpoint(host="127.0.0.1", port=port, tls=tls, deadlines=SHORT)
    return await open_session(endpoint, credentials, transcript=Transcript(SystemClock()))


def loss(result: object) -> Loss:
    assert isinstance(result, Failed)
    assert isinstance(result.answer, Lost)
    return result.answer.loss


def lack(result: object) -> Lack:
    assert isinstance(result, Failed)
    assert isinstance(result.answer, Withheld)
    return result.answer.lack


@pytest.mark.parametrize(
    "octets", [b"a\n.\r\nMAIL\r\n", b"a\r.\r\n", b"a\n.\n", b"a\r\n.\r", b"a", b""]
)
def test_w02_content_that_another_server_could_split_does_not_reach_the_wire(
    octets: bytes,
) -> None:
    """A lone CR or LF is refused once more, even if somebody made a Content without the gate."""
    smuggled = Content(octets, is_eight_bit=False, needs_smtputf8=False)
    with pytest.raises(Invalid):
        next(transact(ENVELOPE, smuggled, Capabilities()))


async def test_w04_plaintext_after_starttls_ends_the_session() -> None:
    """What somebody in between adds before the handshake is not taken for the relay's word."""
    script = """
        S: 220 relay.test
        C: EHLO localhost
        S: 250-relay.test
        S: 250 STARTTLS
        C: STARTTLS
        S: 220 go
        S: 250-relay.test
        S: 250 AUTH PLAIN
    """
    async with scripted_relay(script) as relay:
        failed = await meet(relay.port, TlsMode.STARTTLS, LOGIN)

    assert loss(failed) is Loss.PLAINTEXT_AFTER_STARTTLS
    assert relay.lines == ["EHLO localhost", "STARTTLS"]


@pytest.mark.parametrize(
    ("script", "stage"),
    [
        (HELLO, Stage.STARTTLS),
        (HELLO + "S: 250 STARTTLSX", Stage.STARTTLS),
        (
            "S: 220 x\nC: EHLO localhost\nS: 250-x\nS: 250 STARTTLS\nC: STARTTLS\nS: 454 no",
            Stage.STARTTLS,
        ),
        (
            "S: 220 x\nC: EHLO localhost\nS: 250-x\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\n.",
            Stage.TLS,
        ),
        ("S: 220 x\nC: EHLO localhost\nS: 502 what\nC: HELO localhost\nS: 250 x", Stage.STARTTLS),
    ],
    ids=["stripped", "misspelt", "454", "handshake dropped", "helo"],
)
async def test_w05_without_tls_nothing_is_said(script: str, stage: Stage) -> None:
    """STARTTLS that is stripped, refused or broken is a failure: no AUTH, no MAIL."""
    if "STARTTLSX" in script:
        script = "S: 220 x\nC: EHLO localhost\nS: 250-x\nS: 250 STARTTLSX"
    async with scripted_relay(script) as relay:
        failed = await meet(relay.port, TlsMode.STARTTLS, LOGIN)

    assert isinstance(failed, Failed)
    assert failed.stage is stage
    assert failed.blame is Blame.RELAY
    assert not failed.permanent
    said = {line.split(" ")[0] for line in relay.lines}
    assert said <= {"EHLO", "HELO", "STARTTLS", "QUIT"}


async def test_w07_a_password_is_not_said_in_the_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without TLS only this machine may hear it; anywhere else it is withheld."""
    connected = connecting.connect

    async def from_afar(*arguments: object) -> object:
        connection = await connected(*arguments)  # type: ignore[arg-type]
        assert isinstance(connection, connecting.Connection)
        connection.ip = "192.0.2.1"
        return connection

    monkeypatch.setattr("pillarbox.smtp.session.connect", from_afar)
    script = "S: 220 x\nC: EHLO localhost\nS: 250-x\nS: 250 AUTH PLAIN"
    async with scripted_relay(script) as relay:
        failed = await meet(relay.port, TlsMode.NONE, LOGIN)

    assert lack(failed) is Lack.TLS
    assert relay.lines in (["EHLO localhost", "QUIT"], ["EHLO localhost"])


async def test_w07_one_mechanism_is_tried_once() -> None:
    """After 535 the session is over; LOGIN is not tried although it is offered."""
    script = """
        S: 220 x
        C: EHLO localhost
        S: 250-x
        S: 250 AUTH PLAIN LOGIN CRAM-MD5
        C: AUTH PLAIN AHVzZXIAcGVuY2ls
        S: 535 5.7.8 no
    """
    async with scripted_relay(script) as relay:
        failed = await meet(relay.port, TlsMode.NONE, LOGIN)

    assert isinstance(failed, Failed)
    assert (failed.stage, failed.blame, failed.permanent) == (Stage.AUTH, Blame.RELAY, False)


@pytest.mark.parametrize("text", ["a\r\nRCPT TO:<x>", "a\nb", "a\0", "a\x7f", "é", ""])
def test_w10_a_command_cannot_become_two(text: str) -> None:
    """The writer refuses everything but printable ASCII."""
    with pytest.raises(Invalid):
        command(f"EHLO {text}" if text else "")


@pytest.mark.parametrize("text", ["a\r\nb", "a\x85b", "a\u2028b", "a\x1fb", "a\ud800b"])
def test_w10_utf8_does_not_open_the_door(text: str) -> None:
    """With SMTPUTF8 letters pass, and line ends of every alphabet still do not."""
    with pytest.raises(Invalid):
        command(f"RCPT TO:<{text}>", utf8=True)
    assert command("RCPT TO:<bjørn@x.test>", utf8=True) == "RCPT TO:<bjørn@x.test>\r\n".encode()


async def test_w10_an_ehlo_name_cannot_carry_a_command() -> None:
    """It raises, and the connection is closed."""
    async with scripted_relay("S: 220 x") as relay:
        endpoint = Endpoint(
            host="127.0.0.1", port=relay.port, tls=TlsMode.NONE, ehlo_name="a\r\nMAIL FROM:<>"
        )
        with pytest.raises(Invalid):
            await open_session(endpoint, transcript=Transcript(SystemClock()))
    assert relay.octets == b""


@pytest.mark.parametrize(
    "flood",
    [b"220-x\r\n" * 600, b"220-" + b"x" * 70_000 + b"\r\n", b"220 " + b"x" * 200_000],
    ids=["lines", "long line", "no line end"],
)
async def test_w12_a_reply_has_an_end(flood: bytes) -> None:
    """Too many lines or octets close the socket."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(flood)
        await reader.read()

    async with peer(speak) as port:
        assert loss(await meet(port)) is Loss.REPLY_TOO_LONG


async def test_w12_a_slow_drip_does_not_move_the_deadline() -> None:
    """Octets that keep coming, each just in time, do not keep us: the reply has one deadline."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220-")
        while not reader.at_eof() and not writer.is_closing():
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with peer(speak) as port, asyncio.timeout(3):
        assert loss(await meet(port)) is Loss.TIMEOUT


async def test_w12_silence_ends_at_every_stage() -> None:
    """A relay that stops answering is left after the deadline, wherever it stops."""
    async with scripted_relay(HELLO + "C: MAIL FROM:<>") as relay:
        session = await meet(relay.port)
        assert isinstance(session, Session)
        outcomes = await session.transact(ENVELOPE, CONTENT)
        assert loss(outcomes[ENVELOPE.forward_paths[0]]) is Loss.TIMEOUT
        assert not session.is_usable


async def test_w12_an_answer_before_the_question_is_not_taken_for_one() -> None:
    """What the relay says unasked ends the session, or a message gets another one's outcome."""
    async with scripted_relay(HELLO + "S: 250 unasked") as relay:
        session = await meet(relay.port)
        assert isinstance(session, Session)
        while session.is_usable:
            await asyncio.sleep(0)
        outcomes = await session.transact(ENVELOPE, CONTENT)

    assert loss(outcomes[ENVELOPE.forward_paths[0]]) is Loss.MALFORMED_REPLY
    assert relay.lines == ["EHLO localhost"]


async def test_a_421_while_idle_is_the_answer_to_what_comes_next() -> None:
    """The relay got tired of waiting: transient, and MAIL is not even said."""
    async with scripted_relay(HELLO + "S: 421 4.4.2 idle too long\n.") as relay:
        session = await meet(relay.port)
        assert isinstance(session, Session)
        while session.is_usable:
            await asyncio.sleep(0)
        outcomes = await session.transact(ENVELOPE, CONTENT)

    outcome = outcomes[ENVELOPE.forward_paths[0]]
    assert isinstance(outcome, Failed)
    assert (outcome.blame, outcome.permanent) == (Blame.RELAY, False)
    assert relay.lines == ["EHLO localhost"]


async def test_a_connection_lost_before_the_final_dot_is_not_uncertain() -> None:
    """The relay goes while we ask whether we may; the dot is not said and we know that."""
    script = HELLO + "C: MAIL FROM:<>\nS: 250 ok\nC: RCPT TO:<ann@example.test>\nS: 250 ok\n"
    script += "C: DATA\nS: 354 go\nC: Subject: hi\nC:\nC: hello\n."
    async with scripted_relay(script) as relay:
        session = await meet(relay.port)
        assert isinstance(session, Session)

        async def ask_slowly() -> bool:
            while session.is_usable:
                await asyncio.sleep(0)
            return True

        outcomes = await session.transact(ENVELOPE, CONTENT, point_of_no_return=ask_slowly)

    outcome = outcomes[ENVELOPE.forward_paths[0]]
    assert loss(outcome) is Loss.CLOSED
    assert isinstance(outcome, Failed)
    assert (outcome.stage, outcome.permanent) == (Stage.DATA, False)
    assert relay.lines[-1] == "hello"


async def test_an_error_while_asking_closes_the_connection_without_the_dot() -> None:
    """If the database is gone, nobody may send the dot."""
    script = HELLO + "C: MAIL FROM:<>\nS: 250 ok\nC: RCPT TO:<ann@example.test>\nS: 250 ok\n"
    script += "C: DATA\nS: 354 go\nC: Subject: hi\nC:\nC: hello"
    async with scripted_relay(script) as relay:
        session = await meet(relay.port)
        assert isinstance(session, Session)

        async def fail() -> bool:
            raise OSError("the disk is gone")

        with pytest.raises(OSError, match="the disk is gone"):
            await session.transact(ENVELOPE, CONTENT, point_of_no_return=fail)
    assert relay.lines[-1] == "hello"


async def test_a_probe_sends_no_message() -> None:
    """MAIL, RCPT, RSET: what the relay would say, and the session can still be used."""
    script = HELLO + "C: MAIL FROM:<>\nS: 250 ok\nC: RCPT TO:<ann@example.test>\nS: 550 no\n"
    script += "C: RSET\nS: 250 ok"
    async with scripted_relay(script) as relay:
        session = await meet(relay.port)
        assert isinstance(session, Session)
        probed = await session.probe(None, ENVELOPE.forward_paths[0])
        assert session.is_usable
        await session.quit()

    assert (str(probed.mail), str(probed.rcpt)) == ("250 ok", "550 no")
