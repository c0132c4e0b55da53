"""What one may do to a stored message over HTTP: hold, release, another send_at, resend."""

from __future__ import annotations

import email
from typing import Any

import pytest

from support.clocks import HandClock
from support.desk import HELLO, Counter

LATER = "2026-11-20T18:00:00Z"


async def sent(counter: Counter, **fields: Any) -> str:
    """The path of a new message."""
    made = await counter.ask("POST", "/v1/messages", HELLO | fields)
    assert made.status_code == 202, made.text
    return f"/v1/messages/{made.json()['id']}"


async def claim_all(counter: Counter) -> None:
    await counter.desk.queue.claim(counter.desk.registry.default().id, 100)


async def test_held_and_released(counter: Counter) -> None:
    """The message says so, and so does its timeline."""
    path = await sent(counter)

    held = (await counter.ask("POST", f"{path}/hold")).json()
    assert (held["state"], held["changed"]) == ("held", 1)
    released = (await counter.ask("POST", f"{path}/release")).json()
    assert (released["state"], released["changed"]) == ("queued", 1)

    told = (await counter.ask("GET", path)).json()
    names = [event["name"] for event in told["events"]]
    assert names == ["message.accepted", "delivery.held", "delivery.released"]


async def test_another_send_at(counter: Counter) -> None:
    """Later, and then after all now."""
    path = await sent(counter)

    later = (await counter.ask("PATCH", path, {"send_at": LATER})).json()
    assert later["state"] == "scheduled"
    assert (await counter.ask("GET", path)).json()["send_at"] == "2026-11-20T18:00:00.000Z"
    now = (await counter.ask("PATCH", path, {"send_at": None})).json()
    assert now["state"] == "queued"


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        ({"send_at": "2026-11-20T11:00:00Z"}, 422, "/send_at"),
        ({"send_at": "2028-11-20T11:00:00Z"}, 422, "/send_at"),
        ({"send_at": "tomorrow"}, 422, "/send_at"),
        ({"send_at": "2026-11-21T12:00:00Z"}, 422, "/send_at"),  # after its expires_at
        ({}, 422, "/send_at"),
        ({"subject": "Hello"}, 422, "/subject"),
    ],
)
async def test_a_send_at_that_cannot_be(
    counter: Counter, body: dict[str, str], status: int, pointer: str
) -> None:
    """The field is named and the message is as it was."""
    path = await sent(counter, expires_at="2026-11-21T00:00:00Z")
    before = (await counter.ask("GET", path)).json()

    got = await counter.ask("PATCH", path, body)

    assert (got.status_code, got.json()["errors"][0]["pointer"]) == (status, pointer)
    assert (await counter.ask("GET", path)).json() == before


@pytest.mark.parametrize(
    ("method", "action", "body", "words"),
    [
        ("POST", "/cancel", None, "can no longer be withdrawn"),
        ("POST", "/hold", None, "nothing to hold"),
        ("POST", "/release", None, "nothing to release"),
        ("POST", "/retry", None, "nothing to try again"),
        ("PATCH", "", {"send_at": LATER}, "until the first attempt"),
    ],
)
async def test_nothing_is_changed_while_it_is_being_sent(
    counter: Counter, method: str, action: str, body: Any, words: str
) -> None:
    """409, in words that say why."""
    path = await sent(counter)
    await claim_all(counter)
    before = (await counter.ask("GET", path)).json()

    got = await counter.ask(method, f"{path}{action}", body)

    assert (got.status_code, got.json()["code"]) == (409, "conflict")
    assert words in got.json()["detail"]
    assert "sent at this moment" in got.json()["detail"]
    assert (await counter.ask("GET", path)).json() == before


@pytest.mark.parametrize("action", ["hold", "release", "resend"])
async def test_actions_on_a_message_that_is_not_there(counter: Counter, action: str) -> None:
    got = await counter.ask("POST", f"/v1/messages/msg_nothing/{action}")

    assert (got.status_code, got.json()["code"]) == (404, "not_found")


async def test_a_resent_message_is_a_new_one(counter: Counter) -> None:
    """Other id, Message-ID and Date; every other octet as it was; each knows of the other."""
    path = await sent(
        counter,
        to=["bob@example.org", "cy@example.org"],
        attachments=[{"filename": "a.txt", "content": "aGk="}],
        tags=["invoice"],
    )
    assert isinstance(counter.clock, HandClock)
    counter.clock.move(hours=1)

    made = await counter.ask("POST", f"{path}/resend")

    assert made.status_code == 202, made.text
    again = made.json()
    assert path.endswith(again["resent_from"])
    assert again["tags"] == ["invoice"]
    assert [each["to"] for each in again["deliveries"]] == ["bob@example.org", "cy@example.org"]
    first, second = [
        (await counter.ask("GET", f"{each}/content")).content
        for each in (path, made.headers["location"])
    ]
    changed = [
        (old, new)
        for old, new in zip(first.split(b"\r\n"), second.split(b"\r\n"), strict=True)
        if old != new
    ]
    assert [old.partition(b":")[0] for old, _ in changed] == [b"Date", b"Message-ID"]
    assert again["id"] in email.message_from_bytes(second)["Message-ID"]
    told = (await counter.ask("GET", path)).json()
    assert told["resent_as"] == [again["id"]]
    assert told["events"][-1]["name"] == "message.resent"


async def test_a_resend_to_some_of_its_recipients(counter: Counter) -> None:
    """However the address is written; the others get nothing."""
    path = await sent(counter, to=["bob@example.org", "cy@example.org"])

    made = await counter.ask("POST", f"{path}/resend", {"to": "Cy <cy@EXAMPLE.org>"})

    assert [each["to"] for each in made.json()["deliveries"]] == ["cy@example.org"]


async def test_a_resend_to_strangers(counter: Counter) -> None:
    """It is no way to send something to somebody else."""
    path = await sent(counter)

    got = await counter.ask("POST", f"{path}/resend", {"to": ["bob@example.org", "x@y.test"]})

    assert (got.status_code, got.json()["errors"][0]["pointer"]) == (422, "/to/1")
    assert await counter.count() == 1


async def test_a_resend_is_idempotent(counter: Counter) -> None:
    """One new message a key."""
    path = await sent(counter)

    first = await counter.ask("POST", f"{path}/resend", idempotency_key="again-1")
    second = await counter.ask("POST", f"{path}/resend", idempotency_key="again-1")
    other = await counter.ask(
        "POST", f"{path}/resend", {"to": "bob@example.org"}, idempotency_key="again-1"
    )

    assert first.json()["id"] == second.json()["id"]
    assert second.headers["idempotent-replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")
    assert await counter.count() == 2


async def test_a_dead_code_is_not_resent(counter: Counter) -> None:
    """While it lives it is, and dies when the first would have died."""
    path = await sent(counter, stream="code")
    ends = (await counter.ask("GET", path)).json()["expires_at"]
    assert isinstance(counter.clock, HandClock)
    counter.clock.move(minutes=5)

    alive = await counter.ask("POST", f"{path}/resend")
    assert alive.json()["expires_at"] == ends
    counter.clock.move(minutes=5)
    dead = await counter.ask("POST", f"{path}/resend")

    assert (dead.status_code, dead.json()["code"]) == (409, "conflict")
    assert "a code is never sent after that" in dead.json()["detail"]
