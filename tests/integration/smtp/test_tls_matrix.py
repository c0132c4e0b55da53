"""Certificates × how TLS begins: what is believed, and what is said when it is not."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from pillarbox.base.clock import SystemClock
from pillarbox.base.secret import Secret
from pillarbox.mail.outcome import Failed, Loss, Lost, Stage
from pillarbox.smtp.endpoint import Credentials, Deadlines, Endpoint, TlsMode, Trust
from pillarbox.smtp.session import Session, open_session
from pillarbox.smtp.transcript import Transcript
from support.certificates import Presented, present

MODES = pytest.mark.parametrize("mode", [TlsMode.IMPLICIT, TlsMode.STARTTLS])
LOGIN = Credentials(username="user", secret=Secret("pencil"))

REFUSED = {
    "expired": Loss.CERTIFICATE_EXPIRED,
    "not-yet": Loss.CERTIFICATE_NOT_YET_VALID,
    "wrong-name": Loss.CERTIFICATE_NAME,
    "self-signed": Loss.CERTIFICATE_SELF_SIGNED,
}


class Relay:
    """Speaks TLS as told and remembers every command, in the clear and inside TLS."""

    def __init__(self, context: ssl.SSLContext, mode: TlsMode) -> None:
        self.commands: list[str] = []
        self.port = 0
        self._context = context
        self._mode = mode

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(b"220 relay.test ESMTP\r\n")
            while line := (await reader.readline()).decode().strip():
                self.commands.append(line)
                await self._answer(line, writer)
        except (OSError, ssl.SSLError):
            pass
        finally:
            writer.close()

    async def _answer(self, line: str, writer: asyncio.StreamWriter) -> None:
        match line.split(" ", 1)[0]:
            case "EHLO":
                writer.write(b"250-relay.test\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n")
            case "STARTTLS":
                writer.write(b"220 go\r\n")
                await writer.drain()
                await writer.start_tls(self._context)
            case "AUTH":
                writer.write(b"235 in\r\n")
            case _:
                writer.write(b"250 ok\r\n")


@asynccontextmanager
async def relay(presented: Presented, mode: TlsMode) -> AsyncIterator[Relay]:
    served = Relay(presented.context, mode)
    context = presented.context if mode is TlsMode.IMPLICIT else None
    async with await asyncio.start_server(served.serve, "127.0.0.1", 0, ssl=context) as server:
        served.port = server.sockets[0].getsockname()[1]
        yield served


async def meet(served: Relay, mode: TlsMode, trust: Trust) -> Session | Failed:
    endpoint = Endpoint(host="localhost", port=served.port, tls=mode, trust=trust)
    return await open_session(endpoint, LOGIN, transcript=Transcript(SystemClock()))


def _is_innocent(commands: list[str]) -> bool:
    """Nothing but hello in the clear: no AUTH, no MAIL, no second EHLO."""
    return [command.split(" ")[0] for command in commands] in ([], ["EHLO", "STARTTLS"])


@MODES
async def test_an_uploaded_authority_is_believed(mode: TlsMode) -> None:
    """And what was agreed is there to be shown."""
    presented = present("good")
    async with relay(presented, mode) as served:
        session = await meet(served, mode, Trust(authorities=presented.authorities))

        assert isinstance(session, Session)
        assert session.tls is not None
        assert session.tls.names == ("localhost",)
        assert session.tls.sha256 == presented.sha256
        assert session.tls.version == "TLS 1.3"
        assert served.commands[-1].startswith("AUTH PLAIN")
        session.abort()


@MODES
@pytest.mark.parametrize("kind", REFUSED)
async def test_a_bad_certificate_ends_it_before_a_word(mode: TlsMode, kind: str) -> None:
    """Its exact fault is named, and no octet of AUTH or MAIL goes out."""
    presented = present(kind)
    async with relay(presented, mode) as served:
        failed = await meet(served, mode, Trust(authorities=presented.authorities))

        assert isinstance(failed, Failed)
        assert failed.stage is Stage.TLS
        assert isinstance(failed.answer, Lost)
        assert failed.answer.loss is REFUSED[kind]
        assert _is_innocent(served.commands)


@MODES
async def test_an_unknown_authority_is_not_believed(mode: TlsMode) -> None:
    """The system does not know it, and neither does another uploaded one."""
    for trust in (Trust(), Trust(authorities=present("good").authorities)):
        async with relay(present("good"), mode) as served:
            failed = await meet(served, mode, trust)

            assert isinstance(failed, Failed)
            assert isinstance(failed.answer, Lost)
            assert failed.answer.loss is Loss.CERTIFICATE_UNTRUSTED
            assert _is_innocent(served.commands)


@MODES
@pytest.mark.parametrize("kind", ["good", "expired", "wrong-name", "self-signed"])
async def test_a_pin_is_enough(mode: TlsMode, kind: str) -> None:
    """With a pin neither chain, name nor dates are looked at."""
    presented = present(kind)
    async with relay(presented, mode) as served:
        session = await meet(served, mode, Trust(pin=presented.sha256))

        assert isinstance(session, Session)
        session.abort()


@MODES
@pytest.mark.parametrize("kind", ["good", "expired"])
async def test_a_wrong_pin_ends_it_before_a_word(mode: TlsMode, kind: str) -> None:
    """A pin is always compared, whatever else may be right about the certificate."""
    async with relay(present(kind), mode) as served:
        failed = await meet(served, mode, Trust(pin="0" * 64))

        assert isinstance(failed, Failed)
        assert isinstance(failed.answer, Lost)
        assert failed.answer.loss is Loss.CERTIFICATE_PIN
        assert _is_innocent(served.commands)


async def test_a_port_without_tls_is_recognised() -> None:
    """Implicit TLS towards a port that begins in the clear."""
    async with relay(present("good"), TlsMode.STARTTLS) as served:
        failed = await meet(served, TlsMode.IMPLICIT, Trust())

        assert isinstance(failed, Failed)
        assert isinstance(failed.answer, Lost)
        assert failed.answer.loss is Loss.NOT_TLS


async def test_old_tls_is_refused() -> None:
    """A relay that speaks TLS 1.2 where 1.3 is asked for."""
    presented = present("good")
    presented.context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with relay(presented, TlsMode.IMPLICIT) as served:
        trust = Trust(authorities=presented.authorities, minimum_version="1.3")
        failed = await meet(served, TlsMode.IMPLICIT, trust)

        assert isinstance(failed, Failed)
        assert isinstance(failed.answer, Lost)
        assert failed.answer.loss is Loss.TLS_FAILED
        assert _is_innocent(served.commands)


async def test_a_port_that_wants_tls_is_no_smtp_server_in_the_clear() -> None:
    """Without TLS towards port 465 nothing is ever heard; it ends with the deadline."""
    presented = present("good")
    async with relay(presented, TlsMode.IMPLICIT) as served:
        endpoint = Endpoint(
            host="localhost",
            port=served.port,
            tls=TlsMode.NONE,
            deadlines=Deadlines(greeting=0.2),
        )
        failed = await open_session(endpoint, transcript=Transcript(SystemClock()))

        assert isinstance(failed, Failed)
        assert failed.stage is Stage.GREETING
