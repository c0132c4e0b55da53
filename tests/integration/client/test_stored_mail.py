"""What may be done to mail that is stored, in Python: hold, release, another time, again, many."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pillarbox import BlockingPillarbox, Message, Pillarbox
from pillarbox.base.errors import Conflict, Mismatch, Rejected
from pillarbox.client.fields import MessageFields

HELLO: MessageFields = {
    "from_": "Ann <ann@example.org>",
    "to": ["bob@example.org", "cy@example.org"],
    "subject": "Hi",
    "text": "Hi",
}


async def test_held_released_and_moved(home: Path) -> None:
    """Each call says how the message stands after it."""
    later = datetime(2090, 1, 1, tzinfo=UTC)
    async with Pillarbox(deliver=False) as box:
        sent = await box.send(**HELLO)

        assert (await box.messages.hold(sent.id)).state == "held"
        assert (await box.messages.release(sent.id)).state == "queued"
        with pytest.raises(Rejected, match="366 days"):
            await box.messages.reschedule(sent.id, later)
        soon = datetime.now(UTC) + timedelta(hours=1)
        assert (await box.messages.reschedule(sent.id, soon)).state == "scheduled"
        assert (await box.messages.reschedule(sent.id, None)).state == "queued"


async def test_what_is_relayed_cannot_be_held_and_can_be_resent(home: Path) -> None:
    """To one of its recipients, once however often the call is repeated."""
    async with Pillarbox() as box:
        sent = await box.messages.wait((await box.send(**HELLO)).id, timeout_seconds=20)

        with pytest.raises(Conflict, match="nothing to hold: its deliveries are relayed"):
            await box.messages.hold(sent.id)
        again = await box.messages.resend(sent.id, to="bob@example.org", idempotency_key="k")
        twice = await box.messages.resend(sent.id, to="bob@example.org", idempotency_key="k")
        first = await box.messages.get(sent.id)

    assert again.id == twice.id != sent.id
    assert (again.resent_from, first.resent_as) == (sent.id, (again.id,))
    assert [each.to for each in again.deliveries] == ["bob@example.org"]


async def test_many_at_once(home: Path) -> None:
    """The stored message or the error of each, in order; the errors are those of one alone."""
    bad: MessageFields = {**HELLO, "to": "nobody"}
    keyed: MessageFields = {**HELLO, "idempotency_key": "order-1"}
    other: MessageFields = {**HELLO, "subject": "other", "idempotency_key": "order-1"}
    async with Pillarbox(deliver=False) as box:
        first, second, third, fourth = await box.send_many([HELLO, bad, keyed, other])
        assert len(await box.messages.list()) == 2
        with pytest.raises(Rejected, match="at most 100"):
            await box.send_many([HELLO] * 101)

    assert isinstance(first, Message)
    assert isinstance(second, Rejected)
    assert [each.field for each in second.problems] == ["to"]
    assert isinstance(third, Message)
    assert isinstance(fourth, Mismatch)


def test_without_async_they_are_the_same(home: Path) -> None:
    with BlockingPillarbox(deliver=False) as box:
        (sent,) = box.send_many([HELLO])
        assert isinstance(sent, Message)
        assert box.messages.hold(sent.id).state == "held"
