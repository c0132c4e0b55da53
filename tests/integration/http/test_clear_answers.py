"""Each mistake has its own clear answer, and leaves nothing half done."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from pillarbox.accept.accept import Acceptance
from pillarbox.accept.capacity import Capacity
from pillarbox.base.errors import Unavailable
from pillarbox.base.ids import Ids
from support.clocks import HandClock
from support.desk import HELLO, Counter

MESSAGES = "/v1/messages"
BATCH = "/v1/messages/batch"


class Row(NamedTuple):
    """What is asked, and how it is answered."""

    body: dict[str, Any]
    status: int
    code: str
    pointer: str | None
    words: str
    path: str = MESSAGES
    key: str = ""


def late(**times: str) -> dict[str, Any]:
    return HELLO | times


ROWS = {
    "send_at in the past": Row(
        late(send_at="2026-11-20T11:00:00Z"), 422, "validation_error", "/send_at", "in the past"
    ),
    "send_at too far ahead": Row(
        late(send_at="2029-01-01T00:00:00Z"), 422, "validation_error", "/send_at", "366 days ahead"
    ),
    "expires_at before send_at": Row(
        late(send_at="2026-11-20T15:00:00Z", expires_at="2026-11-20T14:00:00Z"),
        422,
        "validation_error",
        "/expires_at",
        "before send_at",
    ),
    "expires_at in the past": Row(
        late(expires_at="2026-11-20T11:00:00Z"),
        422,
        "validation_error",
        "/expires_at",
        "in the past",
    ),
    "unknown stream": Row(
        HELLO | {"stream": "pigeon"},
        422,
        "validation_error",
        "/stream",
        "use transactional, code, bulk",
    ),
    "unknown relay": Row(
        HELLO | {"relay": "nowhere"}, 422, "validation_error", "/relay", "no relay “nowhere”"
    ),
    "batch over its limit": Row(
        {"messages": [HELLO] * 101},
        422,
        "validation_error",
        "/messages",
        "at most 100 messages; this one has 101",
        path=BATCH,
    ),
    "key reused with another body": Row(
        HELLO | {"subject": "other"},
        422,
        "idempotency_mismatch",
        None,
        "used for another request; nothing was stored",
        key="used",
    ),
}


@pytest.mark.parametrize("name", ROWS)
async def test_a_mistake_is_answered(counter: Counter, name: str) -> None:
    """Status, code, the field and words that say what to do; nothing is stored."""
    await counter.ask("POST", MESSAGES, HELLO, idempotency_key="used")
    row = ROWS[name]

    got = await counter.ask("POST", row.path, row.body, idempotency_key=row.key)

    told = got.json()
    assert (got.status_code, told["code"]) == (row.status, row.code)
    assert got.headers["content-type"] == "application/problem+json"
    assert told["errors"][0].get("pointer") == row.pointer
    assert row.words in told["errors"][0]["detail"]
    assert await counter.count() == 1


async def test_cancel_after_the_point_of_no_return(counter: Counter) -> None:
    """409, and the attempt goes on as if nobody had asked."""
    made = (await counter.ask("POST", MESSAGES, HELLO)).json()
    queue = counter.desk.queue
    (claim,) = await queue.claim(counter.desk.registry.default().id, 1)
    assert await queue.point_of_no_return(claim.tickets)

    got = await counter.ask("POST", f"{MESSAGES}/{made['id']}/cancel")

    assert (got.status_code, got.json()["code"]) == (409, "conflict")
    assert "it can no longer be withdrawn" in got.json()["detail"]
    assert (await counter.ask("GET", f"{MESSAGES}/{made['id']}")).json()["state"] == "sending"
    assert await queue.point_of_no_return(claim.tickets)


def limited(counter: Counter, *, has_room: bool = True, max_waiting: int = 10) -> None:
    """The same desk with less capacity."""
    desk = counter.desk
    capacity = Capacity(
        desk.queue, counter.clock, has_room=lambda: has_room, max_waiting=max_waiting
    )
    acceptance = Acceptance(desk.queue, desk.registry, counter.clock, Ids(counter.clock), capacity)
    object.__setattr__(desk, "acceptance", acceptance)


@pytest.mark.parametrize("path", [MESSAGES, BATCH])
async def test_a_full_disk(counter: Counter, path: str) -> None:
    """507 with a time to come back, before the body is looked at; a repeat has its answer."""
    first = await counter.ask("POST", MESSAGES, HELLO, idempotency_key="k")
    limited(counter, has_room=False)

    got = await counter.ask("POST", path, content="not even JSON")

    assert (got.status_code, got.json()["code"]) == (507, "insufficient_storage")
    assert got.headers["retry-after"] == "30"
    again = await counter.ask("POST", MESSAGES, HELLO, idempotency_key="k")
    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])
    new = await counter.ask("POST", MESSAGES, HELLO, idempotency_key="new")
    assert new.status_code == 507
    assert await counter.count() == 1


async def test_a_full_queue(counter: Counter) -> None:
    """503 until enough has come to its end; what is sent again counts too."""
    limited(counter, max_waiting=2)
    taken = [await counter.ask("POST", MESSAGES, HELLO) for _ in range(2)]
    path = f"{MESSAGES}/{taken[0].json()['id']}"

    for asked in (MESSAGES, BATCH, f"{path}/resend"):
        got = await counter.ask("POST", asked)
        assert (got.status_code, got.json()["code"]) == (503, "queue_full"), asked
        assert got.headers["retry-after"] == "30"
    assert await counter.count() == 2

    await counter.ask("POST", f"{path}/cancel")
    assert isinstance(counter.clock, HandClock)
    counter.clock.move(seconds=2)
    assert (await counter.ask("POST", MESSAGES, HELLO)).status_code == 202


async def test_waiting_mail_is_counted_only_when_the_queue_is_nearly_full(
    counter: Counter,
) -> None:
    """Once at the start, then not until so many have been taken as may wait."""
    limited(counter, max_waiting=20)
    asked: list[int] = []
    real = counter.desk.queue.waiting

    async def counted() -> int:
        asked.append(await real())
        return asked[-1]

    counter.desk.queue.waiting = counted  # type: ignore[method-assign]
    for _ in range(20):
        assert (await counter.ask("POST", MESSAGES, HELLO)).status_code == 202

    assert asked == [0]


@pytest.mark.parametrize("path", [MESSAGES, BATCH])
async def test_a_database_that_is_away(counter: Counter, path: str) -> None:
    """503 for the whole request, a batch too: all of it may be repeated."""

    async def away(*_: object) -> object:
        raise Unavailable("nothing was stored: the database is away")

    await counter.ask("POST", MESSAGES, HELLO)
    counter.desk.database.share = away  # type: ignore[method-assign]
    body = HELLO if path == MESSAGES else {"messages": [HELLO, HELLO]}

    got = await counter.ask("POST", path, body)

    assert (got.status_code, got.json()["code"]) == (503, "temporarily_unavailable")
    assert int(got.headers["retry-after"]) >= 1
