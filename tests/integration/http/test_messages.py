"""Messages over HTTP: handed over, seen, withdrawn, tried again."""

from __future__ import annotations

import email
import json

import pytest

from support.desk import HELLO, Counter


async def test_a_message_is_taken(counter: Counter) -> None:
    """202 with an id and one delivery a recipient, and it is stored."""
    got = await counter.ask("POST", "/v1/messages", HELLO | {"cc": ["Cy <cy@example.org>"]})

    assert got.status_code == 202
    told = got.json()
    assert told["id"].startswith("msg_")
    assert got.headers["location"] == f"/v1/messages/{told['id']}"
    assert [(each["to"], each["state"]) for each in told["deliveries"]] == [
        ("bob@example.org", "queued"),
        ("cy@example.org", "queued"),
    ]
    assert all(each["id"].startswith("dlv_") for each in told["deliveries"])
    assert (told["state"], told["relay"], told["stream"]) == ("queued", "sandbox", "transactional")
    assert (told["subject"], told["from"]) == ("Hi", "ann@example.org")
    assert told["created_at"] == "2026-11-20T12:00:00.000Z"
    assert await counter.count() == 1


async def test_everything_a_message_may_have(counter: Counter) -> None:
    """Each field arrives in the octets, or beside them."""
    everything = {
        "from": {"email": "ann@example.org", "name": "Ann Ä"},
        "sender": "robot@example.org",
        "to": ["Bob <bob@example.org>", {"email": "cy@example.org"}],
        "cc": "dee@example.org",
        "bcc": ["eve@example.org"],
        "reply_to": ["help@example.org"],
        "subject": "Grüße",
        "text": "Hello",
        "html": "<p>Hello</p>",
        "attachments": [
            {"filename": "a.txt", "content": "aGk="},
            {
                "filename": "b.png",
                "content": "aGk=\n",
                "content_type": "image/png",
                "content_id": "logo",
            },
        ],
        "headers": {"X-Order": "1"},
        "list_unsubscribe": {"url": "https://example.org/u", "one_click": True},
        "priority": "high",
        "calendar": {
            "method": "REQUEST",
            "content": "BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nEND:VCALENDAR\r\n",
        },
        "relay": "sandbox",
        "stream": "bulk",
        "send_at": "2026-11-20T14:00:00.5+01:00",
        "expires_at": "2026-11-21T12:00:00Z",
        "tags": ["a", "b"],
        "metadata": {"order": "1"},
        "dry_run": False,
    }
    got = await counter.ask("POST", "/v1/messages", everything)

    assert got.status_code == 202, got.text
    told = got.json()
    assert told["state"] == "scheduled"
    assert told["send_at"] == "2026-11-20T13:00:00.500Z"
    assert (told["tags"], told["metadata"]) == (["a", "b"], {"order": "1"})
    content = await counter.ask("GET", f"/v1/messages/{told['id']}/content")
    message = email.message_from_bytes(content.content)
    assert message["X-Order"] == "1"
    assert message["Bcc"] is None
    assert message["Sender"] == "robot@example.org"
    assert message["Reply-To"] == "help@example.org"
    assert message["List-Unsubscribe"] == "<https://example.org/u>"
    names = [part.get_filename() for part in message.walk() if part.get_filename()]
    assert {"a.txt", "b.png"} <= set(names)


async def test_null_is_as_good_as_left_out(counter: Counter) -> None:
    """Programs that write every field of theirs are understood."""
    got = await counter.ask("POST", "/v1/messages", HELLO | {"cc": None, "send_at": None})

    assert got.status_code == 202


async def test_a_dry_run_stores_nothing(counter: Counter) -> None:
    """200 with the octets that would have been sent."""
    got = await counter.ask("POST", "/v1/messages", HELLO | {"dry_run": True})

    assert got.status_code == 200
    assert "Subject: Hi\r\n" in got.json()["content"]
    assert await counter.count() == 0


@pytest.mark.parametrize("spelled", ["order-1", '"order-1"'])
async def test_a_repeat_gets_the_same_answer(counter: Counter, spelled: str) -> None:
    """Same key, same request, whatever the order of its fields: one message."""
    first = await counter.ask("POST", "/v1/messages", HELLO, Idempotency_Key="order-1")
    turned = dict(reversed(HELLO.items()))
    again = await counter.ask("POST", "/v1/messages", turned, Idempotency_Key=spelled)

    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json() == first.json()
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert await counter.count() == 1


async def test_a_key_is_good_for_one_request(counter: Counter) -> None:
    """Another request under the same key is refused, and nothing is stored."""
    await counter.ask("POST", "/v1/messages", HELLO, Idempotency_Key="order-1")
    other = HELLO | {"subject": "Another"}
    got = await counter.ask("POST", "/v1/messages", other, Idempotency_Key="order-1")

    assert (got.status_code, got.json()["code"]) == (422, "idempotency_mismatch")
    assert got.json()["errors"][0]["header"] == "Idempotency-Key"
    assert await counter.count() == 1


async def test_two_programs_may_use_the_same_key(counter: Counter) -> None:
    """A name for a request belongs to who made it."""
    await counter.ask("POST", "/v1/messages", HELLO, Idempotency_Key="1")
    other = (await counter.ask("POST", "/v1/keys", {"name": "other"})).json()["key"]
    counter.key = other
    got = await counter.ask("POST", "/v1/messages", HELLO, Idempotency_Key="1")

    assert got.status_code == 202
    assert await counter.count() == 2


@pytest.mark.parametrize("key", ["a b", "x" * 256, '""', "\xe4"])
async def test_keys_that_are_none(counter: Counter, key: str) -> None:
    """1 to 255 printable ASCII characters."""
    headers = {
        "authorization": f"Bearer {counter.key}",
        "idempotency-key": key.encode("latin-1"),
    }
    got = await counter.client.post("/v1/messages", json=HELLO, headers=headers)

    assert got.status_code == 422
    assert got.json()["errors"][0]["header"] == "Idempotency-Key"
    assert await counter.count() == 0


async def test_pages_go_both_ways(counter: Counter) -> None:
    """Newest first, with a cursor that leads on."""
    ids = []
    for number in range(5):
        counter.clock.move(seconds=1)  # type: ignore[attr-defined]
        got = await counter.ask("POST", "/v1/messages", HELLO | {"subject": str(number)})
        ids.insert(0, got.json()["id"])

    first = (await counter.ask("GET", "/v1/messages?limit=2")).json()
    assert [each["id"] for each in first["data"]] == ids[:2]
    assert (first["object"], first["has_more"], first["next_cursor"]) == ("list", True, ids[1])
    rest = (await counter.ask("GET", f"/v1/messages?after={first['next_cursor']}")).json()
    assert [each["id"] for each in rest["data"]] == ids[2:]
    assert (rest["has_more"], rest["next_cursor"]) == (False, None)
    back = (await counter.ask("GET", f"/v1/messages?before={ids[4]}&limit=2")).json()
    assert [each["id"] for each in back["data"]] == ids[2:4]
    assert back["next_cursor"] == ids[2]


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("state=queued", 1),
        ("state=relayed", 0),
        ("relay=sandbox", 1),
        ("to=bob@EXAMPLE.org", 1),
        ("to=nobody@example.org", 0),
    ],
)
async def test_messages_can_be_found(counter: Counter, query: str, count: int) -> None:
    """By state, relay and recipient, as people write them."""
    await counter.ask("POST", "/v1/messages", HELLO)

    got = await counter.ask("GET", f"/v1/messages?{query}")

    assert len(got.json()["data"]) == count


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=x", "limit"),
        ("state=sent", "state"),
        ("colour=red", "colour"),
    ],
)
async def test_a_question_that_makes_no_sense(counter: Counter, query: str, field: str) -> None:
    """The parameter is named."""
    got = await counter.ask("GET", f"/v1/messages?{query}")

    assert got.status_code == 422
    assert got.json()["errors"][0]["parameter"] == field


async def test_a_message_tells_its_story(counter: Counter) -> None:
    """Deliveries, attempts, sessions and events in one answer."""
    made = (await counter.ask("POST", "/v1/messages", HELLO)).json()

    told = (await counter.ask("GET", f"/v1/messages/{made['id']}")).json()

    assert told["events"][0]["name"] == "message.accepted"
    assert (told["attempts"], told["sessions"]) == ([], [])
    assert told["reverse_path"] == "ann@example.org"
    assert told["message_id"] == f"<{made['id']}@example.org>"


async def test_content_is_a_file_and_never_a_page(counter: Counter) -> None:
    """A browser must save it, not show it."""
    made = (await counter.ask("POST", "/v1/messages", HELLO)).json()

    got = await counter.ask("GET", f"/v1/messages/{made['id']}/content")

    assert got.headers["content-type"] == "message/rfc822"
    assert got.headers["content-disposition"].startswith("attachment")
    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.content.endswith(b"\r\n")


async def test_a_message_is_withdrawn_and_not_twice(counter: Counter) -> None:
    """Cancel, then there is nothing left to cancel or to try again."""
    made = (await counter.ask("POST", "/v1/messages", HELLO)).json()
    path = f"/v1/messages/{made['id']}"

    got = await counter.ask("POST", f"{path}/cancel")
    assert (got.status_code, got.json()["state"], got.json()["changed"]) == (200, "cancelled", 1)

    again = await counter.ask("POST", f"{path}/cancel", {})
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    retried = await counter.ask("POST", f"{path}/retry")
    assert retried.status_code == 409


async def test_actions_take_no_fields(counter: Counter) -> None:
    """What would be ignored is refused."""
    made = (await counter.ask("POST", "/v1/messages", HELLO)).json()

    got = await counter.ask("POST", f"/v1/messages/{made['id']}/cancel", {"only": "bob"})

    assert (got.status_code, got.json()["errors"][0]["pointer"]) == (422, "/only")


@pytest.mark.parametrize("action", ["", "/content", "/cancel", "/retry"])
async def test_a_message_that_is_not_there(counter: Counter, action: str) -> None:
    """404 with a problem, for whatever one wants of it."""
    method = "POST" if action in {"/cancel", "/retry"} else "GET"
    got = await counter.ask(method, f"/v1/messages/msg_nothing{action}")

    assert got.status_code == 404
    assert got.headers["content-type"] == "application/problem+json"


async def test_answers_are_json_whatever_is_in_them(counter: Counter) -> None:
    """Text from outside arrives as it was."""
    subject = "日本語 \u202e 😀 <script>"
    made = await counter.ask("POST", "/v1/messages", HELLO | {"subject": subject})

    assert json.loads(made.content)["subject"] == subject
