"""
Looking for a port that answers, when the one that was typed does not.

Only on the host that was typed, only on ports where relays listen, and only up to EHLO: no
user name, no password and no client certificate is shown to a port that nobody chose.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace

from pillarbox.base import dial
from pillarbox.base.clock import Clock
from pillarbox.diagnosis import certificate
from pillarbox.diagnosis.case import Case, hurried
from pillarbox.mail.outcome import Failed, Lack, Loss, Lost, Stage, Withheld
from pillarbox.mail.reply import Reply
from pillarbox.relays.defaults import agree
from pillarbox.smtp.capabilities import Capabilities
from pillarbox.smtp.connecting import connect
from pillarbox.smtp.endpoint import Deadlines, Endpoint, TlsMode
from pillarbox.smtp.session import Session
from pillarbox.smtp.transcript import Transcript

SEARCH_SECONDS = 6.0  # altogether; the doors are tried side by side

Door = tuple[int, TlsMode]

USUAL_DOORS: tuple[Door, ...] = (
    (465, TlsMode.IMPLICIT),  # RFC 8314 §3.3
    (587, TlsMode.STARTTLS),  # RFC 6409 §3.1
    (2525, TlsMode.STARTTLS),  # where hosters block the others
    (25, TlsMode.STARTTLS),
)

_PATIENCE = Deadlines(connect=4, greeting=4, command=4)
_NO_CONNECTION = frozenset({Loss.REFUSED, Loss.TIMEOUT, Loss.UNREACHABLE})
_NOT_THIS_MODE = frozenset(
    {Loss.NOT_TLS, Loss.TLS_FAILED, Loss.TIMEOUT, Loss.CLOSED, Loss.NOT_SMTP, Loss.MALFORMED_REPLY}
)
_LOSSES = {
    Stage.CONNECT: _NO_CONNECTION,
    Stage.TLS: _NOT_THIS_MODE,
    Stage.GREETING: _NOT_THIS_MODE,
    Stage.EHLO: frozenset({Loss.CLOSED, Loss.TIMEOUT}),
}


@dataclass(frozen=True, slots=True)
class Search:
    """The other ports we looked at, and the doors where this relay would work, best first."""

    ports: tuple[int, ...] = ()
    answering: tuple[Door, ...] = ()


async def search(
    case: Case, usual: Iterable[Door], clock: Clock, resolver: dial.Resolver
) -> Search:
    """Try the same port in another mode, then the provider's ports, then the usual ones."""
    doors = _other_doors(case, usual)
    others = dict.fromkeys(port for port, _ in doors if port != case.endpoint.port)
    return Search(tuple(others), await _answering(case, doors, clock, resolver))


async def is_open(endpoint: Endpoint, clock: Clock, resolver: dial.Resolver) -> bool:
    """Whether a relay is there that can be believed and offers a way to sign in."""
    try:
        async with asyncio.timeout(SEARCH_SECONDS):
            heard = await _hello(hurried(endpoint, _PATIENCE), clock, resolver)
    except TimeoutError:
        return False
    return isinstance(heard, Capabilities) and bool(heard.mechanisms)


def may_be_the_wrong_door(case: Case, failed: Failed) -> bool:
    """Whether another port or TLS mode could help. A wrong password is wrong on each of them."""
    match failed.answer:
        case Lost(loss=loss):
            return loss in _LOSSES.get(failed.stage, frozenset())
        case Withheld(lack=lack):
            return lack in (Lack.STARTTLS, Lack.AUTH)
        case Reply(code=code):
            # RFC 3207 §4: "must issue a STARTTLS command first".
            return code == 530 and case.endpoint.tls is TlsMode.NONE
    return False


def _other_doors(case: Case, usual: Iterable[Door]) -> tuple[Door, ...]:
    port, tls = case.endpoint.port, case.endpoint.tls
    same = [(port, mode) for mode in (TlsMode.IMPLICIT, TlsMode.STARTTLS)]
    preset = case.preset
    known = [(preset.port, preset.tls), *preset.alternatives] if preset else []
    doors = dict.fromkeys([*same, *known, *usual])
    return tuple(door for door in doors if door != (port, tls) and agree(*door))


async def _answering(
    case: Case, doors: tuple[Door, ...], clock: Clock, resolver: dial.Resolver
) -> tuple[Door, ...]:
    """Side by side, and nobody is waited for longer than SEARCH_SECONDS."""
    if not doors:
        return ()
    knocks = [asyncio.create_task(_knock(case, door, clock, resolver)) for door in doors]
    try:
        await asyncio.wait(knocks, timeout=SEARCH_SECONDS)
        opened = [knock.done() and knock.result() for knock in knocks]
    finally:
        for knock in knocks:
            knock.cancel()
        await asyncio.gather(*knocks, return_exceptions=True)
    return tuple(door for door, is_open in zip(doors, opened, strict=True) if is_open)


async def _knock(case: Case, door: Door, clock: Clock, resolver: dial.Resolver) -> bool:
    """Greeted, secured, and offered a way to sign in if we need one."""
    heard = await _hello(_behind(case.endpoint, door), clock, resolver)
    if isinstance(heard, Failed):
        return _is_secured(case, door, heard)
    return case.credentials is None or bool(heard.mechanisms)


async def _hello(
    endpoint: Endpoint, clock: Clock, resolver: dial.Resolver
) -> Capabilities | Failed:
    """What is offered after EHLO, over TLS where that is the mode."""
    transcript = Transcript(clock)
    connection = await connect(endpoint, transcript, resolver)
    if isinstance(connection, Failed):
        return connection
    session = Session(endpoint, connection, transcript)
    try:
        failed = await session.open(None)
    except BaseException:
        session.abort()
        raise
    await session.quit()
    return failed or session.capabilities


def _is_secured(case: Case, door: Door, failed: Failed) -> bool:
    """The typed port speaks TLS this way, though we do not believe its certificate yet."""
    return door[0] == case.endpoint.port and certificate.is_not_believed(failed)


def elsewhere(endpoint: Endpoint, host: str, door: Door) -> Endpoint:
    """A door of another host, which is believed as the public is, not as the one typed."""
    trust = replace(endpoint.trust, pin=None, server_name=None)
    return _behind(replace(endpoint, host=host, trust=trust), door)


def _behind(endpoint: Endpoint, door: Door) -> Endpoint:
    """Another door of the same host. It has the same trust, and nothing of ours to show."""
    port, tls = door
    trust = replace(endpoint.trust, client_certificate=None, client_key=None)
    return hurried(replace(endpoint, port=port, tls=tls, trust=trust), _PATIENCE)
