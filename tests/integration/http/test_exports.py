"""Exports hold no secrets, and imports bring none that goes elsewhere."""

from __future__ import annotations

from typing import Any

import pytest

from pillarbox.base.secret import Secret
from support.desk import OPERATOR_TOKEN, Counter

CANARY = "canary-77ae-secret"
OFFICE = {
    "name": "office",
    "host": "mail.example.org",
    "username": "ann",
    "password": CANARY,
    "from": "Ann <ann@example.org>",
    "bcc": ["archive@example.org"],
    "headers": {"X-App": "1"},
}


async def exported(counter: Counter) -> dict[str, Any]:
    await counter.ask("POST", "/v1/relays", OFFICE)
    got = await counter.ask("GET", "/v1/relays/office/export")
    assert got.status_code == 200, got.text
    assert CANARY not in got.text
    return dict(got.json())


async def test_an_export_comes_back_as_it_was_but_for_its_secret(counter: Counter) -> None:
    """Which is asked for, and then everything is there."""
    kept = await exported(counter)
    assert kept["asks_for"] == ["password"]

    without = await counter.ask("POST", "/v1/relays/import", kept | {"name": "copy"})
    assert [each["pointer"] for each in without.json()["errors"]] == ["/password"]

    copy = kept | {"name": "copy", "password": "typed"}
    got = await counter.ask("POST", "/v1/relays/import", copy)
    assert got.status_code == 201, got.text
    told, before = got.json()["relay"], (await counter.ask("GET", "/v1/relays/office")).json()
    differs = {name for name in before if before[name] != told[name]}
    assert differs <= {"id", "name", "password", "version", "changed_at"}
    registry = counter.desk.registry
    assert registry.secrets(registry.get("copy")).password == Secret("typed")


async def test_a_place_is_exported_and_a_key_cannot_import_it(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a secret is is no secret; reading it is for whoever is on this machine."""
    monkeypatch.setenv("OFFICE_PASSWORD", CANARY)
    here = {"authorization": f"Bearer {OPERATOR_TOKEN}"}
    await counter.ask("POST", "/v1/relays", OFFICE | {"password": "env:OFFICE_PASSWORD"}, **here)
    kept = (await counter.ask("GET", "/v1/relays/office/export")).json()
    assert (kept["settings"]["password"], kept["asks_for"]) == ("env:OFFICE_PASSWORD", [])

    got = await counter.ask("POST", "/v1/relays/import", kept | {"name": "copy"})
    assert [each["pointer"] for each in got.json()["errors"]] == ["/password"]
    said = kept | {"name": "copy", "password": "env:OFFICE_PASSWORD"}
    got = await counter.ask("POST", "/v1/relays/import", said)
    assert [each["pointer"] for each in got.json()["errors"]] == ["/password"]
    got = await counter.ask("POST", "/v1/relays/import", said, **here)
    assert got.status_code == 201, got.text


async def test_a_file_does_not_name_a_secret_of_this_machine_by_itself(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be somebody else's, with a host of theirs: the operator says the place too."""
    monkeypatch.setenv("OFFICE_PASSWORD", CANARY)
    here = {"authorization": f"Bearer {OPERATOR_TOKEN}"}
    theirs = {"host": "evil.example", "username": "ann", "password": "env:OFFICE_PASSWORD"}

    umbraco = {name.title(): value for name, value in theirs.items()}
    for more in ({"settings": theirs}, {"settings": umbraco, "format": "umbraco"}):
        got = await counter.ask("POST", "/v1/relays/import", {"name": "copy"} | more, **here)
        assert got.status_code == 422, got.text
        [fault] = got.json()["errors"]
        assert fault["pointer"] == "/password"
        assert "--set password=env:OFFICE_PASSWORD" in got.text
        assert CANARY not in got.text
    assert (await counter.ask("GET", "/v1/relays/copy")).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"settings": 5},
        {"settings": {}, "format": "sendmail"},
        {"settings": {"hots": "x"}},
        {"settings": {"host": "h.example", "password": "••••", "username": "a"}},
    ],
    ids=str,
)
async def test_what_cannot_be_imported_is_refused(counter: Counter, body: dict[str, Any]) -> None:
    """And nothing is stored."""
    got = await counter.ask("POST", "/v1/relays/import", {"name": "copy"} | body)
    assert got.status_code == 422, got.text
    assert (await counter.ask("GET", "/v1/relays/copy")).status_code == 404
