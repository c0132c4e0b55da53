"""Many messages in one request: each has its own answer, and one bad one harms no other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import Connection

from pillarbox.queue.enqueue import enqueue
from pillarbox.queue.message import Parcel, Receipt
from support.desk import HELLO, Counter

BATCH = "/v1/messages/batch"


def messages(*items: Any) -> dict[str, Any]:
    return {"messages": list(items)}


async def test_a_bad_message_is_named_and_the_others_are_stored(counter: Counter) -> None:
    """In the order of the request, each with the status that it would have had alone."""
    body = messages(
        HELLO,
        HELLO | {"to": "nobody", "stream": "carrier-pigeon"},
        17,
        HELLO | {"send_at": "2020-01-01T00:00:00Z"},
        HELLO | {"subject": "last"},
    )

    got = await counter.ask("POST", BATCH, body)

    assert got.status_code == 200
    results = got.json()["data"]
    assert [each["status"] for each in results] == [202, 422, 422, 422, 202]
    faults = {fault["pointer"] for fault in results[1]["problem"]["errors"]}
    assert faults == {"/to", "/stream"}
    assert results[2]["problem"]["errors"][0]["pointer"] == ""
    assert results[3]["problem"]["code"] == "validation_error"
    assert results[4]["message"]["subject"] == "last"
    assert await counter.count() == 2


async def test_items_of_a_batch_share_a_commit(counter: Counter) -> None:
    """A hundred messages are one transaction, not a hundred."""
    sizes: list[int] = []
    share = counter.desk.database.share

    def counting(connection: Connection, parcels: Sequence[Parcel]) -> list[Receipt]:
        sizes.append(len(parcels))
        return enqueue(connection, parcels)

    async def counted(_: Any, item: Any) -> Any:
        return await share(counting, item)

    counter.desk.database.share = counted  # type: ignore[method-assign]
    got = await counter.ask("POST", BATCH, messages(*[HELLO] * 100))

    assert [each["status"] for each in got.json()["data"]] == [202] * 100
    assert sizes == [100]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/messages"),
        ({"messages": []}, "/messages"),
        ({"messages": None}, "/messages"),
        ({"messages": HELLO}, "/messages"),
        ({"messages": [HELLO] * 101}, "/messages"),
        ({"messages": [HELLO], "dry_run": True}, "/dry_run"),
    ],
)
async def test_what_is_no_batch(counter: Counter, body: Any, pointer: str) -> None:
    """One answer for the whole of it, and nothing is stored."""
    got = await counter.ask("POST", BATCH, body)

    assert got.status_code == 422
    assert got.json()["errors"][0]["pointer"] == pointer
    assert await counter.count() == 0


async def test_the_limit_is_told(counter: Counter) -> None:
    got = await counter.ask("POST", BATCH, messages(*[HELLO] * 101))

    assert "at most 100 messages; this one has 101" in got.json()["detail"]


async def test_a_repeated_batch_stores_nothing_twice(counter: Counter) -> None:
    """The key of the batch covers each of its places."""
    body = messages(HELLO, HELLO | {"to": "nobody"}, HELLO | {"subject": "other"})
    first = await counter.ask("POST", BATCH, body, idempotency_key="batch-1")
    second = await counter.ask("POST", BATCH, body, idempotency_key="batch-1")

    before, after = first.json()["data"], second.json()["data"]
    assert [each["status"] for each in after] == [202, 422, 202]
    assert [each["replayed"] for each in after] == [True, False, True]
    assert [before[n]["message"]["id"] for n in (0, 2)] == [
        after[n]["message"]["id"] for n in (0, 2)
    ]
    assert await counter.count() == 2


async def test_a_mended_batch_stores_what_was_missing(counter: Counter) -> None:
    """After the bad one is corrected, the same key takes it and repeats the others."""
    await counter.ask("POST", BATCH, messages(HELLO, {"to": "nobody"}), idempotency_key="b")
    mended = await counter.ask("POST", BATCH, messages(HELLO, HELLO), idempotency_key="b")

    assert [each["replayed"] for each in mended.json()["data"]] == [True, False]
    assert await counter.count() == 2


async def test_a_place_with_another_message_is_refused(counter: Counter) -> None:
    """That one only."""
    await counter.ask("POST", BATCH, messages(HELLO, HELLO), idempotency_key="b")
    other = messages(HELLO | {"subject": "other"}, HELLO)

    got = (await counter.ask("POST", BATCH, other, idempotency_key="b")).json()["data"]

    assert [each["status"] for each in got] == [422, 202]
    assert got[0]["problem"]["code"] == "idempotency_mismatch"
    assert await counter.count() == 2


async def test_a_key_of_its_own_is_the_same_alone_and_in_a_batch(counter: Counter) -> None:
    """Programs that change from one way to the other send nothing twice."""
    alone = await counter.ask("POST", "/v1/messages", HELLO, idempotency_key="order-1")

    item = HELLO | {"idempotency_key": "order-1"}
    got = (await counter.ask("POST", BATCH, messages(item, item))).json()["data"]

    assert [each["message"]["id"] for each in got] == [alone.json()["id"]] * 2
    assert await counter.count() == 1


async def test_one_key_for_two_messages_of_a_batch(counter: Counter) -> None:
    """The first has it; the second is told."""
    first, second = (HELLO | {"idempotency_key": "k", "subject": each} for each in "ab")

    got = (await counter.ask("POST", BATCH, messages(first, second, HELLO))).json()["data"]

    assert [each["status"] for each in got] == [202, 422, 202]


async def test_half_a_character_is_the_fault_of_one_message(counter: Counter) -> None:
    """Also what is wrong with the JSON itself stays with the message that it is in."""
    bad = json.dumps(HELLO)[:-1] + ', "subject": "\\ud800"}'
    body = f'{{"messages": [{json.dumps(HELLO)}, {bad}]}}'

    got = await counter.ask("POST", BATCH, content=body)

    results = got.json()["data"]
    assert [each["status"] for each in results] == [202, 422]
    assert {each["pointer"] for each in results[1]["problem"]["errors"]} == {"/subject"}
    assert await counter.count() == 1


async def test_keys_that_are_none(counter: Counter) -> None:
    """The batch's own is a fault of the batch, an item's of the item."""
    whole = await counter.ask("POST", BATCH, messages(HELLO), idempotency_key="a b")
    item = await counter.ask("POST", BATCH, messages(HELLO | {"idempotency_key": "a b"}))

    assert whole.status_code == 422
    assert whole.json()["errors"][0]["header"] == "Idempotency-Key"
    problem = item.json()["data"][0]["problem"]
    assert problem["errors"][0]["pointer"] == "/idempotency_key"
    assert await counter.count() == 0
