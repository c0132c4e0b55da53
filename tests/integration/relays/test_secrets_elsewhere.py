"""Secrets that stay in the environment or a file: read when used, and by nobody from elsewhere."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pillarbox.base.reference import Unresolved
from pillarbox.base.sealing import CannotOpen
from pillarbox.base.secret import Secret
from support.desk import OPERATOR_TOKEN, Counter, open_counter

VARIABLE = "OFFICE_PASSWORD"
OFFICE = {"name": "office", "host": "mail.example.org", "username": "ann"}
HERE = {"authorization": f"Bearer {OPERATOR_TOKEN}"}


@pytest.fixture
async def counter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Counter]:
    monkeypatch.setenv(VARIABLE, "first-canary")
    async with open_counter(tmp_path) as opened:
        yield opened


async def add(counter: Counter, password: str, **fields: Any) -> Any:
    body = OFFICE | fields | {"password": password}
    return await counter.ask("POST", "/v1/relays", body, **HERE)


def used(counter: Counter) -> Secret | None:
    """What a session would sign in with."""
    registry = counter.desk.registry
    return registry.secrets(registry.get("office")).password


async def test_a_variable_is_read_when_it_is_used(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it is is shown, what it is is neither shown nor stored."""
    got = await add(counter, f"env:{VARIABLE}")

    assert got.status_code == 201, got.text
    assert got.json()["password"]["reference"] == f"env:{VARIABLE}"
    assert "canary" not in got.text
    assert used(counter) == Secret("first-canary")
    monkeypatch.setenv(VARIABLE, "second-canary")
    assert used(counter) == Secret("second-canary")


async def test_a_file_is_read_without_its_line_end(counter: Counter, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("in a file\n")
    assert (await add(counter, f"file:{file}")).status_code == 201
    assert used(counter) == Secret("in a file")


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("env:NOBODY_SETS_THIS", "no variable NOBODY_SETS_THIS"),
        ("env:", "name of a variable"),
        ("env:A B", "name of a variable"),
        ("env:PILLARBOX_HOME", "our own options"),
        ("file:relative", "whole path"),
        ("file:/nowhere/at/all", "No such file"),
        ("file:/", "Is a directory"),
    ],
)
async def test_a_reference_that_leads_nowhere_is_refused(
    counter: Counter, reference: str, words: str
) -> None:
    """With its name, when it is saved, not when mail is waiting."""
    got = await add(counter, reference)
    assert got.status_code == 422
    (fault,) = got.json()["errors"]
    assert fault["pointer"] == "/password"
    assert words in fault["detail"]


async def test_what_went_away_later_is_named(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The relay waits for a person; a diagnosis says what is missing."""
    await add(counter, f"env:{VARIABLE}")
    monkeypatch.delenv(VARIABLE)

    with pytest.raises(Unresolved, match=f"env:{VARIABLE}"):
        used(counter)
    got = await counter.ask("POST", "/v1/relays/office/diagnose", {}, **HERE)
    assert VARIABLE in got.text


async def test_a_key_from_elsewhere_cannot_read_our_environment(counter: Counter) -> None:
    """Otherwise a relay of one's own would be a way to read every variable and file."""
    body = OFFICE | {"password": f"env:{VARIABLE}"}
    added = await counter.ask("POST", "/v1/relays", body)
    await add(counter, f"env:{VARIABLE}")
    changed = await counter.ask("PATCH", "/v1/relays/office", {"password": "file:/etc/passwd"})
    tried = await counter.ask("POST", "/v1/relays/diagnose", body)

    for got in (added, changed, tried):
        assert got.status_code == 422, got.text
        assert [each["pointer"] for each in got.json()["errors"]] == ["/password"]
        assert "canary" not in got.text


@pytest.mark.parametrize(
    "change", [{"host": "evil.example.net"}, {"username": "eve"}, {"port": 587}], ids=str
)
async def test_a_reference_does_not_follow_to_another_destination(
    counter: Counter, change: dict[str, Any]
) -> None:
    """It is bound like a secret: whoever may change settings cannot send it elsewhere."""
    await add(counter, f"env:{VARIABLE}")
    got = await counter.ask("PATCH", "/v1/relays/office", change)
    assert [each["pointer"] for each in got.json()["errors"]] == ["/password"]


async def test_a_hand_in_the_database_cannot_change_the_place(counter: Counter) -> None:
    """The octets prove which place was given for this destination."""
    await add(counter, f"env:{VARIABLE}")
    registry = counter.desk.registry
    relay = registry.get("office")

    for slot, sealed in relay.sealed.items():
        forged = replace(relay, sealed={slot: replace(sealed, reference="file:/etc/passwd")})
        with pytest.raises(CannotOpen):
            registry.secrets(forged)
