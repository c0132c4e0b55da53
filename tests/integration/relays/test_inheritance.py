"""A relay that inherits: another one's word counts, live, field by field."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pillarbox.base.secret import Secret
from support.desk import Counter, open_counter

CANARY = "canary-3b7e-secret"
MAIN = {
    "name": "main",
    "host": "mail.example.org",
    "username": "ann",
    "password": CANARY,
    "from": "Main <main@example.org>",
    "max_connections": 3,
}


@pytest.fixture
async def counter(tmp_path: Path) -> AsyncIterator[Counter]:
    async with open_counter(tmp_path) as opened:
        await told(opened, "POST", "", MAIN)
        yield opened


async def told(counter: Counter, method: str, path: str, body: Any = None) -> dict[str, Any]:
    got = await counter.ask(method, f"/v1/relays{path}", body)
    assert got.status_code < 300, got.text
    return dict(got.json())


async def heir(counter: Counter, **fields: Any) -> dict[str, Any]:
    return await told(counter, "POST", "", {"name": "heir", "inherits": "main"} | fields)


def password_of(counter: Counter, name: str) -> Secret | None:
    registry = counter.desk.registry
    return registry.secrets(registry.get(name)).password


async def test_an_heir_says_what_counts_and_where_it_comes_from(counter: Counter) -> None:
    """Everything but what was said of it."""
    shown = await heir(counter, **{"from": "Heir <heir@example.org>"})

    assert (shown["inherits"], shown["host"], shown["max_connections"]) == (
        "main",
        "mail.example.org",
        3,
    )
    assert shown["origins"]["from"] == "own"
    assert shown["origins"]["host"] == "inherited"
    assert shown["password"]["set"] is True
    plain = await told(counter, "GET", "/main")
    assert (plain["inherits"], plain["origins"]["host"]) == (None, "own")
    assert plain["origins"]["pin"] == "default"


async def test_a_change_reaches_the_heirs_at_once(counter: Counter) -> None:
    """As a new version of theirs, with who did it; their own fields stay."""
    await heir(counter, max_connections=7)

    change = {"ehlo_name": "us.example.org", "max_connections": 1}
    await told(counter, "PATCH", "/main", change)

    shown = await told(counter, "GET", "/heir")
    assert (shown["version"], shown["ehlo_name"], shown["max_connections"]) == (
        2,
        "us.example.org",
        7,
    )
    newest = (await told(counter, "GET", "/heir/versions"))["data"][0]
    assert [each["field"] for each in newest["differences"]] == ["ehlo_name"]
    assert newest["principal"].startswith("key:")


async def test_an_emptied_field_is_inherited_again(counter: Counter) -> None:
    """Null goes back to the other relay's word, not to the default."""
    await heir(counter, max_connections=7)

    shown = await told(counter, "PATCH", "/heir", {"max_connections": None})

    assert (shown["max_connections"], shown["origins"]["max_connections"]) == (3, "inherited")


async def test_the_secret_of_the_other_relay_goes_where_that_one_goes(counter: Counter) -> None:
    """A new one counts at once, and nothing of it is copied."""
    await heir(counter, **{"from": "heir@example.org"})
    assert password_of(counter, "heir") == Secret(CANARY)

    await told(counter, "PATCH", "/main", {"password": "another"})

    assert password_of(counter, "heir") == Secret("another")
    assert counter.desk.registry.get("heir").sealed == {}


@pytest.mark.parametrize(
    "own",
    [
        {"host": "evil.example.net"},
        {"port": 587},
        {"username": "eve"},
        {"pin": "a" * 64},
        {"proxy_kind": "http", "proxy_host": "evil.example.net", "proxy_port": 3128},
    ],
    ids=str,
)
async def test_the_secret_of_the_other_relay_goes_nowhere_else(
    counter: Counter, own: dict[str, Any]
) -> None:
    """Whoever may make an heir cannot have the secret sent to a server of theirs."""
    got = await counter.ask("POST", "/v1/relays", {"name": "heir", "inherits": "main"} | own)
    assert [each["pointer"] for each in got.json()["errors"]] == ["/password"]

    await heir(counter)
    got = await counter.ask("PATCH", "/v1/relays/heir", own)
    assert [each["pointer"] for each in got.json()["errors"]] == ["/password"]

    await told(counter, "PATCH", "/heir", own | {"password": "mine"})
    assert password_of(counter, "heir") == Secret("mine")


async def test_an_heir_with_a_secret_of_its_own_waits_when_the_server_moves(
    counter: Counter,
) -> None:
    """What was typed for the old server does not follow to the new one."""
    await heir(counter, username="bob", password="bobs")

    await told(counter, "PATCH", "/main", {"host": "new.example.org", "password": CANARY})

    shown = await told(counter, "GET", "/heir")
    assert (shown["host"], shown["username"]) == ("new.example.org", "bob")
    assert shown["password"]["set"] is False
    assert password_of(counter, "heir") is None


async def test_an_undo_of_the_heir_keeps_what_it_inherits(counter: Counter) -> None:
    """What was said of it alone goes back to being inherited."""
    await heir(counter)
    await told(counter, "PATCH", "/heir", {"max_connections": 7})

    shown = await told(counter, "POST", "/heir/versions/2/undo")
    assert (shown["max_connections"], shown["origins"]["max_connections"]) == (3, "inherited")

    await told(counter, "PATCH", "/main", {"max_connections": 4})
    assert (await told(counter, "GET", "/heir"))["max_connections"] == 4


async def test_inheriting_no_longer_keeps_the_values(counter: Counter) -> None:
    """The lent secret goes: it has to be typed."""
    await heir(counter)

    got = await counter.ask("PATCH", "/v1/relays/heir", {"inherits": None})
    assert [each["pointer"] for each in got.json()["errors"]] == ["/password"]

    shown = await told(counter, "PATCH", "/heir", {"inherits": None, "password": "mine"})
    assert (shown["inherits"], shown["host"]) == (None, "mail.example.org")
    await told(counter, "PATCH", "/main", {"max_connections": 4})
    assert (await told(counter, "GET", "/heir"))["max_connections"] == 3


@pytest.mark.parametrize("inherits", ["nobody", "heir", 5])
async def test_what_nobody_can_inherit_from(counter: Counter, inherits: Any) -> None:
    """A relay that is not there, one that inherits itself, and what is no name."""
    await heir(counter)
    got = await counter.ask("POST", "/v1/relays", {"name": "third", "inherits": inherits})
    assert got.json()["errors"][0]["pointer"] == "/inherits"


async def test_there_is_one_level(counter: Counter) -> None:
    """Whose word counts must be seen at one glance."""
    await heir(counter)
    await told(counter, "POST", "", MAIN | {"name": "other"})
    got = await counter.ask("PATCH", "/v1/relays/main", {"inherits": "other"})
    assert [each["pointer"] for each in got.json()["errors"]] == ["/inherits"]


async def test_a_relay_with_heirs_is_not_removed(counter: Counter) -> None:
    """They are named; without them it goes."""
    await heir(counter)
    got = await counter.ask("DELETE", "/v1/relays/main")
    assert (got.status_code, "heir" in got.json()["detail"]) == (409, True)
    await counter.ask("DELETE", "/v1/relays/heir")
    assert (await counter.ask("DELETE", "/v1/relays/main")).status_code == 204


async def test_everything_is_as_it_was_after_a_restart(counter: Counter) -> None:
    """What is inherited is kept in the database, not in a process."""
    await heir(counter, max_connections=7)
    before = await told(counter, "GET", "/heir")
    await counter.desk.registry.load()
    assert await told(counter, "GET", "/heir") == before
    assert password_of(counter, "heir") == Secret(CANARY)
