"""Ids, secrets, log lines and API keys."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from pillarbox.access.keys import Keys
from pillarbox.access.principal import OPERATOR, Principal, PrincipalKind
from pillarbox.base.errors import Invalid, NotFound, Unauthenticated
from pillarbox.base.ids import Ids, time_of
from pillarbox.base.log import redact
from pillarbox.base.secret import Secret
from support.clocks import HandClock
from support.databases import open_database


def test_ids_sort_by_age() -> None:
    clock = HandClock()
    ids = Ids(clock, chance=lambda letters: "0" * letters)
    made = []
    for _ in range(5):
        made.append(ids.new("msg"))
        clock.move(milliseconds=1)

    assert made == sorted(made)
    assert len(set(made)) == 5
    assert all(len(each) == len("msg_") + 26 for each in made)


def test_an_id_has_sixteen_letters_of_chance_after_its_time() -> None:
    """80 bits: every letter of the alphabet, as often as the others, in every place."""
    clock = HandClock()
    ids = Ids(clock)

    made = [ids.new("msg") for _ in range(20_000)]

    assert {each[:14] for each in made} == {f"msg_{time_of(clock.now())}"}
    assert len(set(made)) == len(made)
    for place in range(14, 30):
        counts = Counter(each[place] for each in made)
        assert set(counts) == set("0123456789ABCDEFGHJKMNPQRSTVWXYZ")
        assert max(counts.values()) < 2 * 20_000 / 32


def test_a_secret_does_not_come_out_by_accident() -> None:
    secret = Secret("hunter2")

    assert "hunter2" not in f"{secret} {secret!r} {[secret]} {secret:>20}"
    for leak in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            leak(secret)


@pytest.mark.parametrize(
    "line",
    [
        {"event": "x", "password": "canary"},
        {"event": "C: AUTH PLAIN canary"},
        {"event": "x", "header": "Bearer canary"},
        {"event": "x", "why": "key pb_01ABC_canary is wrong"},
        {"event": "x", "Authorization": "canary"},
    ],
)
def test_log_lines_lose_secrets(line: dict[str, object]) -> None:
    assert "canary" not in str(redact(None, "info", dict(line)))


def test_log_lines_stay_lines() -> None:
    """Text from outside cannot forge a second line or move the cursor."""
    line = redact(None, "info", {"event": "a\r\nb\x1b[2J"})

    assert line["event"] == "a\\x0d\\x0ab\\x1b[2J"


async def test_a_key_opens_until_it_is_revoked(tmp_path: Path) -> None:
    clock = HandClock()
    async with open_database("sqlite", tmp_path) as database:
        keys = Keys(database, clock, Ids(clock))
        key, text = await keys.create("shop", OPERATOR)
        assert keys.authenticate(text) == Principal(PrincipalKind.KEY, key.id)

        again = Keys(database, clock, Ids(clock))
        await again.load()
        assert again.authenticate(text).id == key.id

        clock.move(hours=1)
        revoked = await keys.revoke(key.id, OPERATOR)
        assert revoked.revoked_at == key.created_at + timedelta(hours=1)
        with pytest.raises(Unauthenticated):
            keys.authenticate(text)


async def test_what_is_stored_of_a_key_does_not_open_anything(tmp_path: Path) -> None:
    clock = HandClock()
    async with open_database("sqlite", tmp_path) as database:
        keys = Keys(database, clock, Ids(clock))
        _, text = await keys.create("shop", OPERATOR)

    files = b"".join(each.read_bytes() for each in tmp_path.glob("pillarbox.db*"))
    assert text.rpartition("_")[2].encode() not in files


@pytest.mark.parametrize("wrong", ["", "pb_", "pb__", "pb_x_y", "key", "pb_01ABC", "\ud800"])
async def test_wrong_keys_are_all_refused_alike(tmp_path: Path, wrong: str) -> None:
    clock = HandClock()
    async with open_database("sqlite", tmp_path) as database:
        keys = Keys(database, clock, Ids(clock))
        with pytest.raises(Unauthenticated, match="not known"):
            keys.authenticate(wrong)


@pytest.mark.parametrize("name", ["", "   ", "x" * 81, "a\nb"])
async def test_a_key_needs_a_name_that_can_be_shown(tmp_path: Path, name: str) -> None:
    clock = HandClock()
    async with open_database("sqlite", tmp_path) as database:
        with pytest.raises(Invalid):
            await Keys(database, clock, Ids(clock)).create(name, OPERATOR)


async def test_revoking_what_is_not_there_says_so(tmp_path: Path) -> None:
    clock = HandClock()
    async with open_database("sqlite", tmp_path) as database:
        with pytest.raises(NotFound):
            await Keys(database, clock, Ids(clock)).revoke("key_x", OPERATOR)


def test_a_library_is_quiet_until_somebody_listens() -> None:
    """Nothing on stdout or stderr; who listens gets one line without secrets or locals."""
    look = (
        "from pillarbox.base.log import logger\n"
        "try:\n    hushed = 'hunter2'; raise ValueError('Bearer hunter3')\n"
        "except ValueError: logger('test').exception('it broke', password='hunter4')\n"
    )
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    listening = f"import logging; logging.basicConfig()\n{look}"
    told = subprocess.run([sys.executable, "-c", listening], capture_output=True, text=True).stderr
    assert "it broke" in told
    assert "ValueError" in told
    assert "hunter" not in told
    assert told.count("\n") == 1
