"""F12: every reply at every stage, said by a server, and what becomes of the message."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pillarbox.base.clock import SystemClock
from pillarbox.base.secret import Secret
from pillarbox.delivery.judge import judge
from pillarbox.mail.address import Address
from pillarbox.mail.content import Content
from pillarbox.mail.envelope import Envelope
from pillarbox.mail.outcome import Failed, Outcome
from pillarbox.queue.message import Claim, ClaimedDelivery
from pillarbox.queue.settle import settle
from pillarbox.queue.streams import TRANSACTIONAL
from pillarbox.relays.change import RelayChange
from pillarbox.relays.versions import Decision
from pillarbox.smtp.endpoint import Credentials, Deadlines, Endpoint, TlsMode
from pillarbox.smtp.session import open_session
from pillarbox.smtp.transcript import Transcript
from support.clinic import serving
from support.house import open_house
from support.laboratory import Tally
from support.parcels import attempt
from support.source import ROOT

PAGE = ROOT / "docs" / "reference" / "reply-matrix.md"
ANN, BOB = Address.parse("ann@y.test"), Address.parse("bob@y.test")
STAGES = ("greeting", "ehlo", "starttls", "auth", "mail", "rcpt", "data", "end of data", "quit")
CODES = (
    *(200, 211, 220, 235, 250, 251, 252, 354, 421, 450, 451, 452, 454, 455),
    *(500, 501, 502, 503, 504, 521, 530, 534, 535, 538, 541),
    *(550, 551, 552, 553, 554, 555, 556, 571),
)
ODD = {
    "450 lines": b"450-as\r\n450-you\r\n450 wish\r\n",
    "550 lines": b"550-as\r\n550-you\r\n550 wish\r\n",
    "550 bare": b"550\r\n",
    "2": b"2\r\n",
    "abc": b"abc\r\n",
}
ANSWERS = {str(code): b"%d as you wish\r\n" % code for code in CODES} | ODD

_STAGE_OF = {
    b"EHLO": "ehlo",
    b"STAR": "starttls",
    b"AUTH": "auth",
    b"MAIL": "mail",
    b"RCPT": "rcpt",
    b"DATA": "data",
    b"QUIT": "quit",
}
_GOOD = {
    "greeting": b"220 here\r\n",
    "auth": b"235 hello\r\n",
    "data": b"354 go\r\n",
    "quit": b"221 bye\r\n",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One answer at one stage."""

    stage: str
    answer: str

    @property
    def code(self) -> int:
        """0 for what is no reply."""
        return int(self.answer[:3]) if self.answer[:3].isdecimal() and len(self.answer) > 2 else 0

    @property
    def is_expected(self) -> bool:
        """RFC 5321 §4.3.2: 3yz to DATA, 2yz to everything else."""
        return self.code // 100 == (3 if self.stage == "data" else 2)


def cells() -> Iterator[Cell]:
    for stage in STAGES:
        for answer in ANSWERS:
            yield Cell(stage, answer)


def expected(cell: Cell) -> str:
    """
    What must become of the message and of the relay, by the class of the reply alone.

    `queued` means that it waits, untouched, for a relay that rests or needs a person.
    """
    if cell.stage == "quit":
        return "relayed"  # nothing said after the message was taken changes that
    if cell.stage == "starttls" and cell.is_expected:
        return "queued, a person"  # this server knows no TLS: the handshake fails
    if cell.is_expected:
        return "relayed"
    if cell.stage == "end of data" and cell.code < 400:
        return "uncertain"  # neither yes nor no, and the dot has been sent
    if cell.stage == "ehlo" and cell.code in (500, 502, 504, 550, 501, 554, 555):
        return "relayed or queued, rests"  # HELO is tried where EHLO may be unknown
    return _refused(cell)


def _refused(cell: Cell) -> str:
    if cell.code in (0, 530, 534, 535, 538):
        return "queued, a person"  # no SMTP server, or one that wants another sign-in
    if cell.code < 400 or cell.code == 421:
        return "queued, rests"
    if cell.stage == "auth" and cell.code >= 500:
        return "queued, a person"
    if cell.stage in ("greeting", "ehlo", "starttls", "auth"):
        return "queued, rests"
    if cell.code < 500 or (cell.stage, cell.code) == ("rcpt", 552):
        return "deferred"
    return "failed"


async def play(cell: Cell) -> Outcome:
    """One message by a server that gives this answer at this stage, and good ones else."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def say(stage: str) -> None:
            good = _GOOD.get(stage, b"250 ok\r\n")
            if stage == "ehlo":
                extra = {"starttls": b"STARTTLS", "auth": b"AUTH PLAIN"}.get(cell.stage, b"HELP")
                good = b"250-reply.test\r\n250 %b\r\n" % extra
            writer.write(ANSWERS[cell.answer] if stage == cell.stage else good)

        say("greeting")
        while line := await reader.readline():
            if cell.stage == "starttls" and line[:4] == b"STAR" and cell.is_expected:
                writer.write(ANSWERS[cell.answer] + b"no handshake\r\n")
                return
            say(_STAGE_OF.get(line[:4].upper(), "helo"))
            if line[:4] == b"DATA" and (cell.stage != "data" or cell.is_expected):
                await reader.readuntil(b"\r\n.\r\n")
                say("end of data")
            if line[:4] == b"QUIT":
                return

    async with serving(serve) as port:
        endpoint = Endpoint(
            host="127.0.0.1",
            port=port,
            tls=TlsMode.STARTTLS if cell.stage == "starttls" else TlsMode.NONE,
            ehlo_name="me.test",
            deadlines=Deadlines(connect=5, greeting=5, command=5, data=5, block=5, final=5),
        )
        account = Credentials(username="user", secret=Secret("pencil"))
        session = await open_session(
            endpoint,
            account if cell.stage == "auth" else None,
            transcript=Transcript(SystemClock()),
        )
        if isinstance(session, Failed):
            return session
        content = Content.pass_gate(b"Subject: hi\r\n\r\nhello\r\n")
        outcomes = await session.transact(Envelope(BOB, (ANN,)), content)
        await session.quit()
        return outcomes[ANN]


def claim() -> Claim:
    now = datetime(2026, 11, 20, tzinfo=UTC)
    delivery = ClaimedDelivery(
        id="dlv_1",
        forward_path=str(ANN),
        fence=1,
        attempts=0,
        tries=1,
        in_doubt=False,
        expires_at=now + timedelta(days=5),
    )
    return Claim(
        message_id="msg_1",
        relay_id="rly_1",
        stream=TRANSACTIONAL,
        envelope=Envelope(BOB, (ANN,)),
        size=1,
        is_eight_bit=False,
        needs_smtputf8=False,
        claimed_at=now,
        deliveries=(delivery,),
    )


async def test_every_reply_at_every_stage(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, tally: Tally
) -> None:
    """The class of the reply decides; nothing breaks; the page of the matrix is up to date."""
    async with open_house(tmp_path) as house:
        change = RelayChange.read({"name": "x", "host": "reply.test", "port": 25, "tls": "none"})
        relay = await house.registry.add(Decision(change=change, principal="system:test"))
    table: dict[Cell, str] = {}
    for cell in cells():
        judged = judge(await play(cell), relay, began_at=claim().claimed_at)
        made = settle(attempt(claim(), judged.outcome, claim().claimed_at))
        needs = "a person" if judged.trouble and judged.trouble.needs_person else "rests"
        table[cell] = made.state.value + (f", {needs}" if judged.trouble else "")

    wrong = {
        f"{cell.answer} at {cell.stage}": f"{found}, not {expected(cell)}"
        for cell, found in table.items()
        if found not in (expected(cell), *expected(cell).split(" or "))
    }
    assert wrong == {}
    assert not [record for record in caplog.records if record.exc_info]
    made = page(table)
    if not PAGE.exists():
        PAGE.write_text(made)
    assert made == PAGE.read_text(), f"remove {PAGE.name} and run this again to write it anew"
    tally("F12", cells=len(table), wrong=len(wrong))


def page(table: dict[Cell, str]) -> str:
    """The matrix in words."""
    lines = [
        "# What becomes of a message, by the relay's reply",
        "",
        "Made by `make faults` from conversations with a server that gave each of these answers at",
        "each of these stages, with no other words in it. Sentences and enhanced status codes can",
        "say more: see [advice](advice.md). `queued` waits, untouched, for a relay that rests or",
        "needs a person; `abc` and `2` are no replies. QUIT comes after the message was taken.",
        "",
        f"| | {' | '.join(STAGES)} |",
        f"|---|{'---|' * len(STAGES)}",
    ]
    for answer in ANSWERS:
        row = " | ".join(table[Cell(stage, answer)] for stage in STAGES)
        lines.append(f"| `{answer}` | {row} |")
    return "\n".join(lines) + "\n"
