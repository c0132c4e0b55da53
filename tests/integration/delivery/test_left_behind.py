"""Mail that would be nobody's: of a relay that went while it was on its way, of a lost lease."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pillarbox.delivery.carriers import Errand, PickupCarrier
from pillarbox.delivery.pace import LocalPace
from pillarbox.delivery.sweeper import Sweeper
from pillarbox.mail.content import Content
from pillarbox.mail.outcome import Failed, Loss, Lost
from pillarbox.queue.retention import Retention
from pillarbox.queue.state import DeliveryState
from support.databases import KINDS
from support.house import House, open_house


@pytest.fixture(params=KINDS)
async def house(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[House]:
    async with open_house(tmp_path, kind=request.param) as opened:
        yield opened


async def test_what_comes_back_to_a_relay_that_is_gone_is_held(house: House) -> None:
    """Killed while it was being sent, and its relay removed meanwhile: a person sees it."""
    added = await house.add_relay(host="127.0.0.1", port=9, tls="none")
    sent = await house.send("ann@y.test")
    (claim,) = await house.queue.claim(added.id, 5)
    await house.registry.make_default("sandbox", "key:1")
    await house.registry.remove(added.id, "key:1")
    await house.queue.release(claim.tickets, wait=house.equipment.clock.now() - claim.claimed_at)

    clock = house.equipment.clock
    await Sweeper(house.queue, house.registry, clock, Retention()).sweep()

    message = await house.queue.message(sent)
    assert message.state is DeliveryState.HELD


async def test_mail_of_a_relay_that_is_there_is_left_alone(house: House) -> None:
    await house.add_relay(host="127.0.0.1", port=9, tls="none")
    sent = await house.send("ann@y.test")

    clock = house.equipment.clock
    await Sweeper(house.queue, house.registry, clock, Retention()).sweep()

    assert (await house.queue.message(sent)).state is DeliveryState.QUEUED


async def test_a_file_is_written_by_who_holds_the_lease_only(house: House, tmp_path: Path) -> None:
    """The file is the final dot of a pickup folder: whoever collects it has the message."""
    folder = tmp_path / "pickup"
    folder.mkdir()
    added = await house.add_relay(kind="pickup", directory=str(folder))
    await house.send("ann@y.test")
    (claim,) = await house.queue.claim(added.id, 5)
    octets = await house.queue.content_of(claim.message_id)
    assert octets is not None

    async def no() -> bool:
        return False

    errand = Errand(claim, Content.pass_gate(octets), no)
    carried = await PickupCarrier(folder, house.equipment.clock).carry(errand, lambda: None)

    (outcome,) = carried.outcomes.values()
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.answer, Lost)
    assert outcome.answer.loss is Loss.LET_GO
    assert list(folder.iterdir()) == []


async def test_what_is_given_back_does_not_count(house: House) -> None:
    """A message that began and was put back begins once, as far as the relay's pace goes."""
    relay = await house.add_relay(host="127.0.0.1", port=9, tls="none", messages_per_minute=3)
    pace = LocalPace(house.equipment.clock)
    await pace.messages(relay, 3, 0)

    for _ in range(5):
        pace.begin()
        pace.put_back()

    assert await pace.messages(relay, 3, 0) == 3
