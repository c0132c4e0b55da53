"""Relays that are tried while nobody looks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import insert
from structlog.testing import capture_logs

from pillarbox.diagnosis import rounds
from pillarbox.diagnosis.diagnose import Diagnosis
from pillarbox.diagnosis.rounds import Rhythm, Rounds
from pillarbox.journal import journal
from pillarbox.queue.tables import sessions
from pillarbox.relays.suspension import Trouble
from pillarbox.relays.versions import Relay
from support.clinic import OFF_THE_NET, serving
from support.clocks import HandClock
from support.house import House, open_house

HOUR = timedelta(hours=1)


@dataclass
class Ward:
    """A house with one relay on this machine, whose server can be told to refuse."""

    house: House
    clock: HandClock
    rounds: Rounds
    relay: Relay
    heard: list[str] = field(default_factory=list)
    refuses: bool = False

    def now(self) -> Relay:
        return self.house.registry.get(self.relay.id)

    async def names(self) -> list[str]:
        """Events about checks, oldest first."""
        found = await self.house.database.read(lambda each: journal.before(each, 10**9, limit=100))
        return [each.name for each in found if each.name.startswith("relay.check")]


@asynccontextmanager
async def ward(folder: Path, **more: Any) -> AsyncIterator[Ward]:
    clock = HandClock()
    box: list[Ward] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 relay.test ESMTP\r\n")
        while line := (await reader.readline()).decode().rstrip():
            box[0].heard.append(line.partition(" ")[0])
            bad = box[0].refuses and line.startswith("AUTH")
            hello = "250-relay.test\r\n250 AUTH PLAIN"
            good = hello if line.startswith("EHLO") else "235 2.7.0 in"
            writer.write(f"{'535 5.7.8 no' if bad else good}\r\n".encode())

    async with serving(serve) as port, open_house(folder, clock=clock) as house:
        settings = {"host": "127.0.0.1", "port": port, "tls": "none", "from": "a@b.example"}
        login = {"auth": "password", "username": "ann", "password": "pencil-sharpener"}
        relay = await house.add_relay(**settings, **login, **more)
        diagnosis = Diagnosis(house.registry, clock, OFF_THE_NET)
        rhythm = Rhythm(HOUR, lambda: 0.5)
        doctor = Rounds(house.database, house.registry, diagnosis, clock, rhythm)
        box.append(Ward(house, clock, doctor, relay))
        yield box[0]


async def test_a_relay_is_tried_up_to_sign_in(tmp_path: Path) -> None:
    """Each hour, not sooner; no sender and no recipient is named."""
    async with ward(tmp_path) as here:
        await here.house.registry.note_check(here.relay, is_well=True)
        here.clock.move(minutes=59)
        await here.rounds.look()
        assert here.heard == []

        here.clock.move(minutes=2)
        await here.rounds.look()
        assert here.heard == ["EHLO", "AUTH", "QUIT"]
        assert here.now().checked_at == here.clock.now()
        assert await here.names() == []


async def test_only_changes_are_told(tmp_path: Path) -> None:
    """Works, fails, fails, works: one event for worse, one for better."""
    async with ward(tmp_path) as here:
        await here.house.registry.note_check(here.relay, is_well=True)
        for refuses in (True, True, False, False):
            here.refuses = refuses
            here.clock.move(hours=30)
            await here.rounds.look()
            assert here.now().checked_well is not refuses
        assert await here.names() == ["relay.check_failed", "relay.check_passed"]


async def test_what_does_not_work_is_tried_less_and_less(tmp_path: Path) -> None:
    """Two hours after the first failure, then four: nobody is locked out by us."""
    async with ward(tmp_path) as here:
        here.refuses = True
        await here.house.registry.note_check(here.relay, is_well=True)
        tried = []
        for hour in range(1, 16):
            here.clock.move(hours=1, seconds=1)
            here.heard.clear()
            await here.rounds.look()
            tried += [hour] if here.heard else []
        assert tried == [1, 3, 7, 15]


async def test_what_nobody_has_tried_is_left_alone(tmp_path: Path) -> None:
    """A draft is not ours to sign in with."""
    async with ward(tmp_path) as here:
        here.clock.move(hours=5)
        await here.rounds.look()
        assert here.heard == []


async def test_a_relay_that_rests_is_left_to_delivery(tmp_path: Path) -> None:
    """Its next delivery is the probe; two who knock are one too many."""
    async with ward(tmp_path) as here:
        await here.house.registry.note_check(here.relay, is_well=True)
        trouble = Trouble(
            relay_id=here.relay.id,
            relay_version=here.relay.version,
            relay_name=here.relay.name,
            needs_person=True,
            cause="The password is wrong.",
            advice="auth.wrong-password",
        )
        await here.house.registry.rest(trouble)
        here.clock.move(hours=5)
        await here.rounds.look()
        assert here.heard == []


async def test_a_relay_that_carries_mail_is_not_tried(tmp_path: Path) -> None:
    """A session of delivery says more; an hour after the last one it is tried again."""
    async with ward(tmp_path) as here:
        await here.house.registry.note_check(here.relay, is_well=True)
        here.clock.move(minutes=90)
        session = insert(sessions).values(
            id="ses_1",
            relay_id=here.relay.id,
            relay_version=here.relay.version,
            opened_at=here.clock.now(),
            host="127.0.0.1",
            address="127.0.0.1",
            transcript="",
        )
        await here.house.database.write(lambda each: each.execute(session) and None)
        here.clock.move(minutes=59)
        await here.rounds.look()
        assert here.heard == []

        here.clock.move(minutes=2)
        await here.rounds.look()
        assert here.heard == ["EHLO", "AUTH", "QUIT"]


async def test_a_change_is_one_line_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the name, the cause and the advice; nothing while it stays as it is."""
    monkeypatch.setattr(rounds, "_log", structlog.get_logger())
    async with ward(tmp_path) as here:
        await here.house.registry.note_check(here.relay, is_well=True)
        with capture_logs() as lines:
            for refuses in (True, True, False, False):
                here.refuses = refuses
                here.clock.move(hours=30)
                await here.rounds.look()

    told = [each for each in lines if "relay" in each]
    assert [each["event"] for each in told] == [
        "a relay no longer lets us in",
        "a relay works again",
    ]
    assert [each["log_level"] for each in told] == ["warning", "info"]
    assert told[0]["relay"] == here.relay.name
    assert told[0]["advice"] == "auth.credentials"
    assert "password" in told[0]["cause"]


async def test_who_was_first_spares_the_others(tmp_path: Path) -> None:
    """Two processes at the same hour: the second sees that it has been tried."""
    async with ward(tmp_path) as here:
        await here.house.registry.note_check(here.relay, is_well=True)
        house = here.house
        diagnosis = Diagnosis(house.registry, here.clock, OFF_THE_NET)
        rhythm = Rhythm(HOUR, lambda: 0.5)
        other = Rounds(house.database, house.registry, diagnosis, here.clock, rhythm)
        here.clock.move(minutes=61)
        await here.rounds.look()
        await other.look()
        assert here.heard == ["EHLO", "AUTH", "QUIT"]


async def test_a_defect_with_one_relay_ends_no_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is passed over, and the relay is tried when it works again."""
    async with ward(tmp_path) as here:
        await here.house.registry.note_check(here.relay, is_well=True)
        here.clock.move(hours=2)
        with monkeypatch.context() as broken:
            broken.setattr(here.rounds._diagnosis, "of_sign_in", None)
            await here.rounds.look()
        assert here.heard == []
        await here.rounds.look()
        assert here.heard == ["EHLO", "AUTH", "QUIT"]
