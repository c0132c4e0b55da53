"""
What takes mail for a relay: an SMTP session, the sandbox, or a pickup folder.

A carrier is opened for one version of one relay and used until it is closed. What it makes
of a message is an outcome for each forward path, as a value.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from pillarbox.base.clock import Clock
from pillarbox.base.durable import sync
from pillarbox.base.ids import Ids
from pillarbox.base.secret import Secret
from pillarbox.mail.address import Address
from pillarbox.mail.content import Content
from pillarbox.mail.outcome import Blame, Failed, Loss, Lost, Outcome, Relayed, Stage
from pillarbox.mail.reply import Reply
from pillarbox.queue.message import Claim, SessionFacts
from pillarbox.relays.relay import RelayKind, Secrets, credentials, endpoint
from pillarbox.relays.versions import Relay
from pillarbox.smtp.session import Letter, MayStillSend, Session, open_session
from pillarbox.smtp.transcript import Transcript


class Errand(NamedTuple):
    """A message on its way. may_send is asked just before the relay can take it."""

    claim: Claim
    content: Content
    may_send: MayStillSend


Behind = Callable[[], Errand | None]
"""Asked with the end of one message: what the same carrier takes next, to begin it at once."""


class Carried(NamedTuple):
    """What became of each forward path, and what was said about it, without secrets."""

    outcomes: Mapping[Address, Outcome]
    transcript: str


@dataclass(frozen=True, slots=True)
class Unopened:
    """A session that did not come about: why, and what was said until then."""

    failure: Failed
    transcript: str


class Carrier(Protocol):
    """
    Opened for one relay version.

    transactions counts what it has taken, opened_at is monotonic seconds, facts tell of the
    session where there is one.
    """

    @property
    def transactions(self) -> int: ...

    @property
    def opened_at(self) -> float: ...

    @property
    def facts(self) -> SessionFacts | None: ...

    @property
    def is_usable(self) -> bool: ...

    async def carry(self, errand: Errand, behind: Behind) -> Carried: ...

    def drop(self) -> None:
        """Let go at once, in the middle of whatever was begun."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Opening:
    """What is needed to open a carrier."""

    relay: Relay
    secrets: Secrets
    ehlo_name: str
    clock: Clock
    ids: Ids
    token: Secret | None = None


async def open_carrier(opening: Opening) -> Carrier | Unopened:
    """Connect, greet, secure, authenticate; or nothing at all, for the kinds that need none."""
    match opening.relay.settings.kind:
        case RelayKind.SANDBOX:
            return SandboxCarrier(opening.clock)
        case RelayKind.PICKUP:
            return PickupCarrier(Path(opening.relay.settings.directory or "."), opening.clock)
        case RelayKind.SMTP:
            return await _open_smtp(opening)


class SandboxCarrier:
    """Takes everything and sends nothing: the message stays in the database to be looked at."""

    facts = None
    is_usable = True

    def __init__(self, clock: Clock) -> None:
        self.opened_at = clock.monotonic()
        self.transactions = 0

    async def carry(self, errand: Errand, behind: Behind) -> Carried:
        self.transactions += 1
        captured = Relayed(Reply(250, ("2.0.0 captured by the sandbox; nothing was sent",)))
        return Carried(dict.fromkeys(errand.claim.envelope.forward_paths, captured), "")

    def drop(self) -> None:
        return None

    async def close(self) -> None:
        return None


class PickupCarrier:
    """
    Writes each message as a file.

    The same message has the same name, so twice is once until somebody collects it. The file is
    the final dot here: what may be written is noted before.
    """

    facts = None
    is_usable = True

    def __init__(self, directory: Path, clock: Clock) -> None:
        self._directory = directory
        self.opened_at = clock.monotonic()
        self.transactions = 0

    async def carry(self, errand: Errand, behind: Behind) -> Carried:
        self.transactions += 1
        claim = errand.claim
        if not await errand.may_send():
            return Carried(dict.fromkeys(claim.envelope.forward_paths, _let_go()), "")
        file = self._directory / f"{claim.deliveries[0].id}.eml"
        outcome: Outcome = Relayed(Reply(250, (f"2.0.0 written as {file.name}",)))
        try:
            await asyncio.to_thread(_write, file, _with_envelope(claim, errand.content))
        except OSError as error:
            lost = Lost(Loss.UNREACHABLE, f"{file} could not be written: {error.strerror}")
            outcome = Failed(Stage.CONNECT, Blame.RELAY, permanent=False, answer=lost)
        return Carried(dict.fromkeys(claim.envelope.forward_paths, outcome), "")

    def drop(self) -> None:
        return None

    async def close(self) -> None:
        return None


def _let_go() -> Failed:
    lost = Lost(Loss.LET_GO, "we lost the right to hand this message over")
    return Failed(Stage.DATA, Blame.RELAY, permanent=False, answer=lost)


class SmtpCarrier:
    """A session with a server."""

    def __init__(self, session: Session, facts: SessionFacts) -> None:
        self._session = session
        self.facts = facts
        self.opened_at = session.opened_at

    @property
    def transactions(self) -> int:
        return self._session.transactions

    @property
    def is_usable(self) -> bool:
        return self._session.is_usable

    async def carry(self, errand: Errand, behind: Behind) -> Carried:
        def next_letter() -> Letter | None:
            following = behind()
            return None if following is None else (following.claim.envelope, following.content)

        mark = self._session.transcript.mark()
        outcomes = await self._session.transact(
            errand.claim.envelope,
            errand.content,
            point_of_no_return=errand.may_send,
            behind=next_letter,
        )
        return Carried(outcomes, self._session.transcript.text_since(mark))

    def drop(self) -> None:
        self._session.abort()

    async def close(self) -> None:
        await self._session.quit()


def was_stale(carrier: Carrier, carried: Carried) -> bool:
    """A kept session that the relay had closed before our first word: nothing was tried."""
    return carrier.transactions > 1 and all(map(_is_unheard, carried.outcomes.values()))


def _is_unheard(outcome: Outcome) -> bool:
    return (
        isinstance(outcome, Failed)
        and outcome.stage is Stage.MAIL
        and isinstance(outcome.answer, Lost)
        and outcome.answer.loss is Loss.CLOSED
    )


async def _open_smtp(opening: Opening) -> SmtpCarrier | Unopened:
    settings, transcript = opening.relay.settings, Transcript(opening.clock)
    opened_at = opening.clock.now()
    session = await open_session(
        endpoint(settings, opening.secrets, ehlo_name=opening.ehlo_name),
        credentials(settings, opening.secrets, opening.token),
        transcript=transcript,
    )
    if isinstance(session, Failed):
        return Unopened(session, str(transcript))
    host, address, port = session.peer
    facts = SessionFacts(
        id=opening.ids.new("ses"),
        opened_at=opened_at,
        host=f"{host}:{settings.port}",
        address=f"{address}:{port}",
        tls=_tls(session),
        mechanism=session.mechanism.value if session.mechanism else None,
        transcript=str(transcript),
    )
    return SmtpCarrier(session, facts)


def _tls(session: Session) -> dict[str, str] | None:
    facts = session.tls
    if facts is None:
        return None
    return {"version": facts.version, "cipher": facts.cipher, "sha256": facts.sha256}


def _with_envelope(claim: Claim, content: Content) -> bytes:
    """
    The envelope as the first lines, as pickup directories have it, then the content.

    Without it whoever picks the file up cannot know the Bcc recipients.
    """
    sender = claim.envelope.reverse_path or ""
    lines = [
        f"X-Sender: {sender}",
        *(f"X-Receiver: {path}" for path in claim.envelope.forward_paths),
    ]
    return "".join(f"{line}\r\n" for line in lines).encode() + content.octets


def _write(file: Path, octets: bytes) -> None:
    """Whole or not at all, and on stable storage before we say that it is relayed."""
    partial = file.with_suffix(".part")
    with partial.open("wb") as out:
        out.write(octets)
        out.flush()
        os.fsync(out.fileno())
    partial.replace(file)
    sync(file.parent)
