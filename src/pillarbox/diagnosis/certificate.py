"""
Looking at a certificate that is not believed, to say what is wrong with it.

The session that refused it never shows it. So there is a second connection with a pin that
no certificate has: it ends, unverified, before anything is said over TLS.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import replace
from datetime import datetime

from pillarbox.base import dial
from pillarbox.base.clock import Clock
from pillarbox.mail.outcome import Failed, Loss, Lost
from pillarbox.smtp.connecting import Connection, connect
from pillarbox.smtp.endpoint import Endpoint, TlsMode, Trust
from pillarbox.smtp.session import Session
from pillarbox.smtp.tls import TlsFacts, facts_of
from pillarbox.smtp.transcript import Transcript

LOOK_SECONDS = 5.0

_NOBODYS_PIN = "0" * 64
_NOT_BELIEVED = frozenset(
    {
        Loss.CERTIFICATE_EXPIRED,
        Loss.CERTIFICATE_NOT_YET_VALID,
        Loss.CERTIFICATE_NAME,
        Loss.CERTIFICATE_SELF_SIGNED,
        Loss.CERTIFICATE_UNTRUSTED,
        Loss.CERTIFICATE_PIN,
    }
)


def is_not_believed(failed: Failed | None) -> bool:
    """Whether a session ended because of the certificate."""
    return (
        failed is not None
        and isinstance(failed.answer, Lost)
        and failed.answer.loss in _NOT_BELIEVED
    )


async def look(endpoint: Endpoint, clock: Clock, resolver: dial.Resolver) -> TlsFacts | None:
    """The certificate that this endpoint shows to everybody. None if it does not now."""
    trust = Trust(pin=_NOBODYS_PIN, server_name=endpoint.trust.server_name)
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            return await _look(replace(endpoint, trust=trust), Transcript(clock), resolver)
    except TimeoutError:
        return None


def in_words(facts: TlsFacts, now: datetime) -> str:
    """Names, issuer and dates, on one line."""
    names = ", ".join(facts.names) or facts.subject
    return f"certificate for {names}; issued by {facts.issuer}; {_dates(facts, now)}"


async def _look(
    endpoint: Endpoint, transcript: Transcript, resolver: dial.Resolver
) -> TlsFacts | None:
    in_the_clear = replace(endpoint, tls=TlsMode.NONE)
    connection = await connect(in_the_clear, transcript, resolver)
    if isinstance(connection, Failed):
        return None
    try:
        if endpoint.tls is TlsMode.IMPLICIT:
            await connection.upgrade(endpoint, transcript)
        else:
            await Session(endpoint, connection, transcript).open(None)
        return _shown(connection)
    finally:
        connection.wire.abort()


def _shown(connection: Connection) -> TlsFacts | None:
    secured = connection.wire.transport.get_extra_info("ssl_object")
    return facts_of(secured) if isinstance(secured, ssl.SSLObject) else None


def _dates(facts: TlsFacts, now: datetime) -> str:
    if now < facts.not_before:
        return f"valid from {_day(facts.not_before)}"
    if now > facts.not_after:
        return f"expired on {_day(facts.not_after)}"
    days = (facts.not_after - now).days
    return f"expires on {_day(facts.not_after)}, in {days} days"


def _day(moment: datetime) -> str:
    return f"{moment.day} {moment:%B %Y}"
