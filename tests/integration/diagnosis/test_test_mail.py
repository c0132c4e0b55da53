"""A diagnosis that goes up to the end of DATA, because a test mail was asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_string
from pathlib import Path
from typing import Any

import pytest

from pillarbox.base.errors import Rejected
from pillarbox.diagnosis import visit
from pillarbox.diagnosis.findings import Report, Status, Step
from pillarbox.mail.address import Address
from pillarbox.mail.outcome import Stage
from pillarbox.relays.change import RelayChange
from support.clinic import Clinic, serving, step
from support.desk import open_counter
from support.house import open_house

HOST = "relay.test"
ANN = Address.parse("ann@b.example")
SENDGRID = (
    "550 The from address does not match a verified Sender Identity. Mail cannot be sent until"
    " this error is resolved. Visit https://sendgrid.com/docs/for-developers/sending-email/"
    "sender-identity/ to see the Sender Identity requirements"
)


@dataclass
class Taker:
    """A server that answers the final dot as it is told; None is silence."""

    port: int = 0
    at_the_end: str | None = "250 2.0.0 queued as 4711"
    at_rcpt: str = "250 2.1.5 fine"
    heard: list[str] = field(default_factory=list)
    letters: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 relay.test ESMTP\r\n")
        while line := (await reader.readline()).decode().rstrip():
            self.heard.append(line.partition(" ")[0])
            if line == "DATA":
                writer.write(b"354 go\r\n")
                self.letters.append((await reader.readuntil(b"\r\n.\r\n")).decode())
                if self.at_the_end is None:
                    continue
            answer = {"RCPT": self.at_rcpt, "DATA": self.at_the_end}.get(self.heard[-1], "250 ok")
            writer.write(f"{answer}\r\n".encode())

    def typed(self, **more: Any) -> dict[str, Any]:
        return {"host": HOST, "port": self.port, "tls": "none", "from": "me@a.example", **more}


@asynccontextmanager
async def taker(**more: Any) -> AsyncIterator[Taker]:
    it = Taker(**more)
    async with serving(it.serve) as it.port:
        yield it


async def sent(it: Taker, to: Address | None = ANN, **more: Any) -> Report:
    diagnosis = Clinic(hosts={HOST: "127.0.0.1"}).diagnosis()
    change = RelayChange.read(it.typed(**more))
    return await diagnosis.of_change(change, rcpt_to=to, is_sending=True)


def the_failure(report: Report, stage: Stage) -> Step:
    """What failed is this stage, and nothing else did."""
    [broken] = [each for each in report.steps if each.status is Status.FAIL]
    assert broken.stage is stage
    return broken


async def test_a_test_mail_is_sent_and_the_servers_words_are_shown() -> None:
    """Typed settings are enough; the letter is a proper message."""
    async with taker() as it:
        report = await sent(it)

    assert report.is_well
    data = step(report, Stage.DATA)
    assert (data.label, data.evidence) == ("Test mail", "250 2.0.0 queued as 4711")
    assert data.milliseconds is not None
    assert [each.stage for each in report.steps][-3:] == [Stage.RCPT, Stage.DATA, Stage.QUIT]
    letter = message_from_string(it.letters[0])
    assert (letter["From"], letter["To"]) == ("me@a.example", "ann@b.example")
    assert letter["Date"]
    assert letter["Message-ID"].endswith("@a.example>")
    assert f"{HOST} port {it.port}" in letter.get_payload()


async def test_nothing_is_sent_unless_asked() -> None:
    """The same question without the word: MAIL, RCPT, RSET, and no step of that name."""
    async with taker() as it:
        clinic = Clinic(hosts={HOST: "127.0.0.1"})
        report = await clinic.diagnose(it.typed(), to="ann@b.example")

    assert it.heard == ["EHLO", "MAIL", "RCPT", "RSET", "QUIT"]
    assert Stage.DATA not in [each.stage for each in report.steps]


@pytest.mark.parametrize(
    ("words", "more", "advice", "cause"),
    [
        (SENDGRID, {"preset": "sendgrid", "auth": "none"}, "sendgrid.sender-identity", "sender"),
        ("554 5.7.1 spam message rejected", {}, None, None),
        ("451 4.7.1 try again later", {}, None, None),
    ],
)
async def test_a_refusal_at_the_end_is_explained(
    words: str, more: dict[str, Any], advice: str | None, cause: str | None
) -> None:
    """By the catalogue, as in delivery. Also one for now: somebody wanted it sent."""
    async with taker(at_the_end=words) as it:
        report = await sent(it, **more)

    broken = the_failure(report, Stage.DATA)
    assert broken.evidence.startswith(words[:80])
    assert broken.advice_id
    assert broken.cause
    assert broken.fix
    if advice:
        assert broken.advice_id == advice
        assert cause is not None
        assert cause in broken.cause


async def test_a_recipient_that_is_refused_gets_no_letter() -> None:
    """The step is that of the recipient; the letter never began."""
    async with taker(at_rcpt="550 5.1.1 no such user") as it:
        report = await sent(it)

    the_failure(report, Stage.RCPT)
    assert it.letters == []
    assert step(report, Stage.DATA).status is Status.SKIP


async def test_silence_after_the_final_dot_is_called_that(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can know whether it was sent, so we say exactly that, and send no second one."""
    monkeypatch.setattr(visit, "VISIT_SECONDS", 0.5)
    monkeypatch.setattr(visit, "LETTER_SECONDS", 0.5)
    async with taker(at_the_end=None) as it:
        report = await sent(it)

    broken = the_failure(report, Stage.DATA)
    assert broken.cause is not None
    assert "nobody knows" in broken.cause
    assert "ann@b.example" in (broken.fix or "")
    assert len(it.letters) == 1


@pytest.mark.parametrize(
    ("to", "more", "faulty"),
    [
        (None, {}, "to"),
        (ANN, {"from": None}, "from"),
        (ANN, {"recipients": ["c.example"]}, "to"),
        (ANN, {"recipients": ["c.example"], "redirect_to": "x@c.example"}, "to"),
    ],
)
async def test_what_the_relay_is_not_for_is_not_sent(
    to: Address | None, more: dict[str, Any], faulty: str
) -> None:
    """A staging relay stays one, and a letter needs somebody at both ends."""
    async with taker() as it:
        with pytest.raises(Rejected) as refused:
            await sent(it, to, **more)

    assert [each.field for each in refused.value.problems] == [faulty]
    assert it.heard == []


async def test_a_saved_relay_sends_with_its_own_settings(tmp_path: Path) -> None:
    """The letter is in no queue; the message of another sender is that sender's."""
    async with taker() as it, open_house(tmp_path) as house:
        relay = await house.add_relay(**it.typed(host="127.0.0.1"))
        diagnosis = Clinic().diagnosis(house.registry)
        boss = Address.parse("boss@a.example")
        report = await diagnosis.of_relay(relay, mail_from=boss, rcpt_to=ANN, is_sending=True)

    assert report.is_well
    assert message_from_string(it.letters[0])["From"] == "boss@a.example"


async def test_over_http_for_typed_and_for_saved_settings(tmp_path: Path) -> None:
    """`send` with `to`; alone it is refused, with the field that is missing."""
    async with taker() as it, open_counter(tmp_path) as desk:
        typed = it.typed(host="127.0.0.1")
        typed["to"] = "ann@b.example"
        unsaved = await desk.ask("POST", "/v1/relays/diagnose", typed | {"send": True})
        saved = typed | {"name": "main"}
        del saved["to"]
        await desk.ask("POST", "/v1/relays", saved)
        body = {"to": "ann@b.example", "send": True}
        kept = await desk.ask("POST", "/v1/relays/main/diagnose", body)
        alone = await desk.ask("POST", "/v1/relays/main/diagnose", {"send": True})

    for answer in (unsaved, kept):
        [data] = [each for each in answer.json()["steps"] if each["stage"] == "data"]
        assert (data["status"], data["evidence"]) == ("ok", "250 2.0.0 queued as 4711")
    assert alone.status_code == 422
    assert alone.json()["errors"][0]["pointer"] == "/to"
    assert len(it.letters) == 2
