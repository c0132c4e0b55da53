"""What a relay was: every version with who and when, and changes that are taken back."""

from __future__ import annotations

from typing import Any

import pytest
import trustme

from pillarbox.base.secret import Secret
from support.desk import Counter

FIRST = "canary-7f3a91-first"
SECOND = "canary-7f3a91-second"
OFFICE = {
    "name": "office",
    "host": "mail.example.org",
    "username": "ann",
    "password": FIRST,
    "from": "Ann <ann@example.org>",
}


async def changed(counter: Counter, **fields: Any) -> dict[str, Any]:
    got = await counter.ask("PATCH", "/v1/relays/office", fields)
    assert got.status_code == 200, got.text
    return dict(got.json())


async def undone(counter: Counter, version: int, /, **secrets: Any) -> Any:
    return await counter.ask("POST", f"/v1/relays/office/versions/{version}/undo", secrets or None)


async def stored(counter: Counter) -> Secret | None:
    """The password that a session would get."""
    registry = counter.desk.registry
    return registry.secrets(registry.get("office")).password


@pytest.fixture
async def office(counter: Counter) -> Counter:
    got = await counter.ask("POST", "/v1/relays", OFFICE)
    assert got.status_code == 201, got.text
    return counter


async def test_every_version_says_what_changed_who_and_when(office: Counter) -> None:
    """Newest first; of secrets only that they were given."""
    await changed(office, max_connections=2, **{"from": "Bob <bob@example.org>"})
    await changed(office, password=SECOND)

    got = await office.ask("GET", "/v1/relays/office/versions")

    third, second, first = got.json()["data"]
    assert [each["version"] for each in (third, second, first)] == [3, 2, 1]
    assert [each["current"] for each in (third, second, first)] == [True, False, False]
    assert second["differences"] == [
        {"field": "from", "before": "Ann <ann@example.org>", "after": "Bob <bob@example.org>"},
        {"field": "max_connections", "before": 5, "after": 2},
    ]
    assert (third["differences"], third["secrets"]) == ([], {"password": "given"})
    assert first["secrets"] == {"password": "given"}
    assert all(each["principal"].startswith("key:") for each in (third, second, first))
    assert second["changed_at"] == "2026-11-20T12:00:00.000Z"
    assert "canary" not in got.text


async def test_an_old_version_can_be_read(office: Counter) -> None:
    """With its name and settings as they were, and without a secret."""
    await changed(office, name="bureau", port=587, password=SECOND)

    got = await office.ask("GET", "/v1/relays/bureau/versions/1")

    told = got.json()
    assert (told["name"], told["settings"]["port"]) == ("office", 465)
    assert "password" not in told["settings"]
    assert "canary" not in got.text


async def test_undo_takes_back_one_change_and_leaves_later_ones(office: Counter) -> None:
    """As a new version that says what it undid."""
    await changed(office, max_connections=2)
    await changed(office, reply_to="help@example.org")

    told = (await undone(office, 2)).json()

    assert (told["version"], told["max_connections"]) == (4, 5)
    assert told["reply_to"] == "help@example.org"
    newest = (await office.ask("GET", "/v1/relays/office/versions")).json()["data"][0]
    assert newest["undoes"] == 2
    events = (await office.ask("GET", "/v1/events")).json()["data"]
    (event,) = [each for each in events if each["facts"].get("undoes")]
    assert (event["name"], event["facts"]["undoes"]) == ("relay.changed", 2)
    assert event["facts"]["fields"] == ["max_connections"]


async def test_an_undo_can_be_undone(office: Counter) -> None:
    """What was taken back comes again."""
    await changed(office, max_connections=2)
    assert (await undone(office, 2)).json()["max_connections"] == 5
    assert (await undone(office, 3)).json()["max_connections"] == 2


async def test_a_name_is_taken_back_too(office: Counter) -> None:
    """Unless somebody else has it by now."""
    await changed(office, name="bureau")
    await office.ask("POST", "/v1/relays", {"name": "office", "kind": "sandbox"})

    taken = await office.ask("POST", "/v1/relays/bureau/versions/2/undo")
    assert [each["pointer"] for each in taken.json()["errors"]] == ["/name"]

    await office.ask("DELETE", "/v1/relays/office")
    got = await office.ask("POST", "/v1/relays/bureau/versions/2/undo")
    assert got.json()["name"] == "office"


async def test_undoing_a_move_brings_the_secret_of_the_old_place_back(office: Counter) -> None:
    """It was sealed for that place and never replaced there; the new place's does not follow."""
    await changed(office, host="elsewhere.example.org", password=SECOND)
    assert await stored(office) == Secret(SECOND)

    told = (await undone(office, 2)).json()

    assert (told["host"], told["password"]["set"]) == ("mail.example.org", True)
    assert await stored(office) == Secret(FIRST)


async def test_a_replaced_secret_is_gone(office: Counter) -> None:
    """Undoing the version that replaced it brings nothing back, and says so."""
    await changed(office, password=SECOND)

    got = await undone(office, 2)

    assert got.status_code == 409
    assert "password" in got.json()["detail"]
    assert await stored(office) == Secret(SECOND)


async def test_a_cleared_secret_is_gone_everywhere(office: Counter) -> None:
    """Also from old versions: an undo asks for it."""
    await changed(office, host="elsewhere.example.org", password=SECOND)
    await changed(office, auth="none", password=None)

    got = await undone(office, 3)
    assert got.status_code == 422
    assert [each["pointer"] for each in got.json()["errors"]] == ["/password"]

    told = (await undone(office, 3, password=SECOND)).json()
    assert (told["auth"], told["username"], told["password"]["set"]) == ("password", "ann", True)
    assert await stored(office) == Secret(SECOND)

    back = await undone(office, 2)
    assert [each["pointer"] for each in back.json()["errors"]] == ["/password"]


async def test_what_was_changed_again_is_not_taken_back(office: Counter) -> None:
    """The later change stands in the way, and is named."""
    await changed(office, max_connections=2)
    await changed(office, max_connections=3)

    got = await undone(office, 2)

    assert got.status_code == 409
    assert "version 3 changed max_connections again" in got.json()["detail"]


async def test_an_undo_that_would_contradict_the_rest_is_refused(office: Counter) -> None:
    """A pin and uploaded authorities exclude each other, whatever way they come together."""
    await changed(office, pin="a" * 64, password=FIRST)
    await changed(office, pin=None, password=FIRST)
    authority = trustme.CA().cert_pem.bytes().decode()
    await changed(office, authorities=authority, password=FIRST)

    got = await undone(office, 3)

    assert got.status_code == 422
    assert "/pin" in [each["pointer"] for each in got.json()["errors"]]


@pytest.mark.parametrize(
    ("version", "status", "words"),
    [(1, 409, "first"), (9, 404, "no version 9"), (2, 409, "nothing to take back")],
)
async def test_what_cannot_be_undone(
    office: Counter, version: int, status: int, words: str
) -> None:
    """The first version, one that is not there, one that changed nothing."""
    await changed(office, max_connections=5)

    got = await undone(office, version)

    assert got.status_code == status
    assert words in got.json()["detail"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [({"host": "x.example.org"}, "/host"), ({"password": "••••"}, "/password"), ({"x": 1}, "/x")],
)
async def test_an_undo_takes_secrets_and_nothing_else(
    office: Counter, body: dict[str, Any], pointer: str
) -> None:
    """A new destination cannot ride along."""
    await changed(office, max_connections=2)

    got = await undone(office, 2, **body)

    assert got.status_code == 422
    assert pointer in [each["pointer"] for each in got.json()["errors"]]


async def test_who_undoes_second_is_told(office: Counter) -> None:
    """With If-Match or version, an undo of something that has moved on is refused."""
    await changed(office, max_connections=2)

    assert (await undone(office, 2, version=1)).status_code == 409
    assert (await undone(office, 2, version=2)).status_code == 200


@pytest.mark.parametrize("version", ["x", "-1", "1.5", "²", "9999999999999"])
async def test_a_version_is_a_number(office: Counter, version: str) -> None:
    got = await office.ask("GET", f"/v1/relays/office/versions/{version}")
    assert got.status_code == 422
