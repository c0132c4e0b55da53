"""What people may do to mail that waits, on every database: hold, release, another send_at."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from pillarbox.base.errors import Conflict, Invalid, NotFound
from pillarbox.queue.message import Claim, Delivery, Message
from pillarbox.queue.queue import Queue
from pillarbox.queue.state import DeliveryState
from pillarbox.queue.streams import CODE, TRANSACTIONAL
from support.clocks import HandClock
from support.parcels import (
    GREYLISTED,
    NO_ANSWER,
    NO_SUCH_USER,
    OK,
    RELAY,
    attempt,
    parcel,
)

WHO = "key:1"
HOUR = timedelta(hours=1)


async def claimed(queue: Queue) -> list[Claim]:
    return await queue.claim(RELAY, 10)


async def only(queue: Queue, message_id: str) -> tuple[Message, Delivery]:
    message = await queue.message(message_id)
    (delivery,) = message.deliveries
    return message, delivery


async def test_what_is_held_waits_until_it_is_released(queue: Queue, clock: HandClock) -> None:
    sent = parcel(clock.now())
    await queue.enqueue(sent)

    assert await queue.hold(sent.id, WHO) == 1
    clock.move(hours=5)
    assert await claimed(queue) == []

    assert await queue.release_held(sent.id, WHO) == 1
    (claim,) = await claimed(queue)
    assert claim.message_id == sent.id


async def test_a_message_released_early_still_waits_for_its_time(
    queue: Queue, clock: HandClock
) -> None:
    sent = parcel(clock.now(), send_at=clock.now() + HOUR)
    await queue.enqueue(sent)
    await queue.hold(sent.id, WHO)

    await queue.release_held(sent.id, WHO)

    _, delivery = await only(queue, sent.id)
    assert (delivery.state, delivery.due_at) == (DeliveryState.SCHEDULED, sent.send_at)


async def test_mail_whose_relay_is_gone_is_released_to_another(
    queue: Queue, clock: HandClock
) -> None:
    sent = parcel(clock.now())
    await queue.enqueue(sent)
    await queue.hold(sent.id, WHO)

    await queue.release_held(sent.id, WHO, relay_id="rly_2")

    assert await claimed(queue) == []
    (claim,) = await queue.claim("rly_2", 1)
    assert claim.message_id == sent.id


async def test_what_is_held_still_dies_in_its_time(queue: Queue, clock: HandClock) -> None:
    """Released too late, it is not sent: the sweep ends it."""
    sent = parcel(clock.now(), stream=CODE, expires_at=clock.now() + CODE.lifetime)
    await queue.enqueue(sent)
    await queue.hold(sent.id, WHO)
    clock.move(minutes=10)

    await queue.release_held(sent.id, WHO)

    assert await claimed(queue) == []
    assert await queue.expire() == 1


@pytest.mark.parametrize("verb", ["hold", "release_held", "reschedule"])
async def test_each_is_refused_for_what_is_not_there(queue: Queue, verb: str) -> None:
    arguments = (None,) if verb == "reschedule" else ()
    with pytest.raises(NotFound):
        await getattr(queue, verb)("msg_none", WHO, *arguments)


async def test_what_is_being_sent_is_neither_held_nor_moved(queue: Queue, clock: HandClock) -> None:
    sent = parcel(clock.now())
    await queue.enqueue(sent)
    (claim,) = await claimed(queue)

    with pytest.raises(Conflict, match="being sent at this moment"):
        await queue.hold(sent.id, WHO)
    with pytest.raises(Conflict, match="being sent at this moment"):
        await queue.reschedule(sent.id, WHO, clock.now() + HOUR)
    with pytest.raises(Conflict, match="nothing to release"):
        await queue.release_held(sent.id, WHO)
    assert await queue.record(attempt(claim, OK, clock.now()))


async def test_a_code_in_doubt_is_not_sent_by_way_of_hold_and_release(
    queue: Queue, clock: HandClock
) -> None:
    """At most once: nothing waits by itself, so there is nothing to hold."""
    sent = parcel(clock.now(), stream=CODE)
    await queue.enqueue(sent)
    (claim,) = await claimed(queue)
    await queue.record(attempt(claim, NO_ANSWER, clock.now()))

    with pytest.raises(Conflict, match="uncertain"):
        await queue.hold(sent.id, WHO)


@pytest.mark.parametrize(
    ("first", "then", "state"),
    [
        (None, HOUR, DeliveryState.SCHEDULED),
        (HOUR, 3 * HOUR, DeliveryState.SCHEDULED),
        (HOUR, None, DeliveryState.QUEUED),
    ],
)
async def test_another_send_at(
    queue: Queue,
    clock: HandClock,
    first: timedelta | None,
    then: timedelta | None,
    state: DeliveryState,
) -> None:
    """Later, earlier or now; the lifetime begins when it is sent."""
    start = clock.now()
    begins = start + (first or timedelta(0))
    sent = parcel(
        start, send_at=begins if first else None, expires_at=begins + TRANSACTIONAL.lifetime
    )
    await queue.enqueue(sent)
    clock.move(minutes=10)
    wanted = start + then if then else None

    assert await queue.reschedule(sent.id, WHO, wanted) == 1

    message, delivery = await only(queue, sent.id)
    due_at = wanted or clock.now()
    assert (message.send_at, delivery.state, delivery.due_at) == (wanted, state, due_at)
    assert message.expires_at == due_at + TRANSACTIONAL.lifetime
    clock.move(seconds=(due_at - clock.now()).total_seconds())
    assert len(await claimed(queue)) == 1


async def test_a_named_end_stays_and_send_at_must_come_before_it(
    queue: Queue, clock: HandClock
) -> None:
    """Nothing is half done: after the refusal it is as it was."""
    ends = clock.now() + HOUR
    sent = parcel(clock.now(), expires_at=ends)
    await queue.enqueue(sent)
    before = await queue.message(sent.id)

    with pytest.raises(Invalid, match="expires_at is before send_at"):
        await queue.reschedule(sent.id, WHO, ends + HOUR)
    assert await queue.message(sent.id) == before

    await queue.reschedule(sent.id, WHO, ends - HOUR / 2)
    assert (await queue.message(sent.id)).expires_at == ends


async def test_a_held_message_takes_another_send_at_and_stays_held(
    queue: Queue, clock: HandClock
) -> None:
    sent = parcel(clock.now())
    await queue.enqueue(sent)
    await queue.hold(sent.id, WHO)
    later = clock.now() + HOUR

    await queue.reschedule(sent.id, WHO, later)

    assert (await only(queue, sent.id))[1].state is DeliveryState.HELD
    await queue.release_held(sent.id, WHO)
    assert (await only(queue, sent.id))[1].due_at == later


async def test_what_was_tried_keeps_its_send_at(queue: Queue, clock: HandClock) -> None:
    sent = parcel(clock.now())
    await queue.enqueue(sent)
    (claim,) = await claimed(queue)
    await queue.record(attempt(claim, GREYLISTED, clock.now()))

    with pytest.raises(Conflict, match="until the first attempt"):
        await queue.reschedule(sent.id, WHO, clock.now() + HOUR)


async def test_a_dead_code_is_not_tried_again_by_anybody(queue: Queue, clock: HandClock) -> None:
    """What it says is worth nothing any more; other mail gets its lifetime again."""
    code = parcel(clock.now(), stream=CODE, expires_at=clock.now() + CODE.lifetime)
    mail = parcel(clock.now(), expires_at=clock.now() + CODE.lifetime)
    for each in (code, mail):
        await queue.enqueue(each)
    for claim in await claimed(queue):
        await queue.record(attempt(claim, NO_SUCH_USER, clock.now()))
    clock.move(minutes=11)

    with pytest.raises(Conflict, match="a code is never sent after that"):
        await queue.retry(code.id, WHO)
    await queue.retry(mail.id, WHO)

    assert (await queue.message(mail.id)).expires_at == clock.now() + TRANSACTIONAL.lifetime
    assert [claim.message_id for claim in await claimed(queue)] == [mail.id]


async def test_a_retry_gives_a_living_code_no_more_time(queue: Queue, clock: HandClock) -> None:
    dies_at = clock.now() + CODE.lifetime
    sent = parcel(clock.now(), stream=CODE, expires_at=dies_at)
    await queue.enqueue(sent)
    (claim,) = await claimed(queue)
    await queue.record(attempt(claim, NO_SUCH_USER, clock.now()))
    clock.move(minutes=5)

    await queue.retry(sent.id, WHO)

    (again,) = await claimed(queue)
    assert again.deliveries[0].expires_at == dies_at


async def test_a_code_that_dies_in_a_workers_hands_is_not_sent(
    queue: Queue, clock: HandClock
) -> None:
    """The last look is the point of no return: the dot is not said, so nothing is uncertain."""
    sent = parcel(clock.now(), stream=CODE, expires_at=clock.now() + timedelta(seconds=30))
    await queue.enqueue(sent)
    (claim,) = await claimed(queue)
    clock.move(seconds=30)

    assert not await queue.point_of_no_return(claim.tickets)
    await queue.release(claim.tickets, wait=timedelta(0))

    assert await queue.expire() == 1
    assert (await only(queue, sent.id))[1].state is DeliveryState.EXPIRED


async def test_claiming_and_cancelling_at_once_leave_one_winner(
    queue: Queue, clock: HandClock
) -> None:
    """Whoever is first: a message is withdrawn or it is sent, never both."""
    sent = [parcel(clock.now()) for _ in range(30)]
    for each in sent:
        await queue.enqueue(each)

    claiming = asyncio.gather(*(queue.claim(RELAY, 5) for _ in range(6)))
    withdrawn = await asyncio.gather(
        *(queue.cancel(each.id, WHO) for each in sent), return_exceptions=True
    )
    claims = await claiming

    sending = {claim.message_id for batch in claims for claim in batch}
    for each, outcome in zip(sent, withdrawn, strict=True):
        assert isinstance(outcome, Conflict) == (each.id in sending), outcome


async def test_a_resent_message_and_its_original_know_each_other(
    queue: Queue, clock: HandClock
) -> None:
    first = parcel(clock.now())
    await queue.enqueue(first)
    again = parcel(clock.now())._replace(resent_from=first.id)
    await queue.enqueue(again)

    assert (await queue.message(again.id)).resent_from == first.id
    assert (await queue.history(first.id)).resent_as == (again.id,)
    assert (await queue.history(again.id)).resent_as == ()
