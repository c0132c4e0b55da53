"""What every database must do for the queue: nothing lost, nothing twice, one holder at a time."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from datetime import timedelta

import pytest

from pillarbox.base.errors import Conflict, Mismatch, NotFound
from pillarbox.mail.address import Address
from pillarbox.mail.content import Content
from pillarbox.mail.envelope import Envelope
from pillarbox.queue.browse import Page
from pillarbox.queue.contents import PART
from pillarbox.queue.message import Claim, Destination, Idempotency
from pillarbox.queue.queue import Queue
from pillarbox.queue.retention import Retention
from pillarbox.queue.state import DeliveryState
from pillarbox.queue.streams import BULK, CODE
from support.clocks import HandClock
from support.parcels import (
    GREYLISTED,
    NO_ANSWER,
    NO_SUCH_USER,
    OK,
    RELAY,
    UNREACHABLE,
    attempt,
    parcel,
)


async def claimed(queue: Queue, limit: int = 10) -> list[Claim]:
    return await queue.claim(RELAY, limit)


async def state_of(queue: Queue, message_id: str) -> DeliveryState:
    return (await queue.message(message_id)).state


async def test_a_stored_message_is_claimed_with_everything_it_takes_to_send_it(
    queue: Queue, clock: HandClock
) -> None:
    """Envelope, octets and lease come in one go."""
    sent = parcel(clock.now(), "ann@x.org", "bob@x.org")
    await queue.enqueue(sent)

    (claim,) = await claimed(queue)

    assert claim.envelope == sent.envelope
    assert claim.octets == sent.content.octets
    assert [delivery.tries for delivery in claim.deliveries] == [1, 1]
    assert await state_of(queue, sent.id) is DeliveryState.SENDING


async def test_everything_about_a_message_is_kept(queue: Queue, clock: HandClock) -> None:
    """What is read later is what the receipt showed."""
    plain = parcel(clock.now())
    rich = parcel(
        clock.now() + timedelta(microseconds=1),
        "ann@x.org",
        '"b b"@x.org',
        envelope=Envelope(None, (Address.parse("ann@x.org"), Address.parse('"b b"@x.org'))),
        content=Content.pass_gate("a: ä\r\n\r\nhö\r\n".encode()),
        subject="half ä “quoted”",
        send_at=clock.now() + timedelta(hours=1),
        tags=("a", "b"),
        metadata={"order": "ä\n"},
        resent_from=plain.id,
        destinations=(Destination("rly_2", "rly_3,rly_4"), Destination("rly_5")),
    )
    for each in (plain, rich):
        receipt = await queue.enqueue(each)
        assert await queue.message(each.id) == receipt.message
        assert await queue.content_of(each.id) == each.content.octets


async def test_a_claimed_delivery_is_not_claimed_again(queue: Queue, clock: HandClock) -> None:
    await queue.enqueue(parcel(clock.now()))
    await claimed(queue)

    assert await claimed(queue) == []


async def test_many_claimers_never_share_a_delivery(queue: Queue, clock: HandClock) -> None:
    for _ in range(40):
        await queue.enqueue(parcel(clock.now()))

    batches = await asyncio.gather(*(claimed(queue, 7) for _ in range(10)))
    ids = [claim.message_id for batch in batches for claim in batch]

    assert len(ids) == len(set(ids)) == 40


async def test_a_large_content_is_read_when_its_turn_comes(queue: Queue, clock: HandClock) -> None:
    """A batch of claims does not bring a batch of attachments into memory."""
    octets = b"Subject: big\r\n\r\n" + b"line\r\n" * 20_000
    big = Content.pass_gate(octets)
    sent = parcel(clock.now(), content=big)
    await queue.enqueue(sent)

    (claim,) = await claimed(queue)

    assert claim.octets is None
    assert await queue.content_of(claim.message_id) == big.octets


async def test_urgent_streams_are_claimed_first(queue: Queue, clock: HandClock) -> None:
    """A sign-in code does not stand behind a newsletter."""
    for stream in (BULK, CODE):
        for _ in range(3):
            await queue.enqueue(parcel(clock.now(), stream=stream))

    claims = await claimed(queue, 3)

    assert [claim.stream for claim in claims] == [CODE] * 3


async def test_scheduled_mail_waits_for_its_time(queue: Queue, clock: HandClock) -> None:
    sent = parcel(clock.now(), send_at=clock.now() + timedelta(hours=1))
    await queue.enqueue(sent)

    assert await claimed(queue) == []
    assert await state_of(queue, sent.id) is DeliveryState.SCHEDULED
    clock.move(hours=1)
    assert len(await claimed(queue)) == 1


@pytest.mark.parametrize(
    ("outcome", "state", "counted"),
    [
        (OK, DeliveryState.RELAYED, 1),
        (NO_SUCH_USER, DeliveryState.FAILED, 1),
        (GREYLISTED, DeliveryState.DEFERRED, 1),
        (NO_ANSWER, DeliveryState.UNCERTAIN, 1),
        (UNREACHABLE, DeliveryState.QUEUED, 0),  # the relay's fault costs the mail nothing
    ],
)
async def test_an_outcome_becomes_a_state(
    queue: Queue, clock: HandClock, outcome: object, state: DeliveryState, counted: int
) -> None:
    """Design §6, row by row; the attempt, the state and the event are all there."""
    sent = parcel(clock.now())
    await queue.enqueue(sent)
    (claim,) = await claimed(queue)

    assert await queue.record(attempt(claim, outcome, clock.now()))  # type: ignore[arg-type]

    (delivery,) = (await queue.message(sent.id)).deliveries
    history = await queue.history(sent.id)
    assert (delivery.state, delivery.attempts) == (state, counted)
    assert [each.outcome for each in history.attempts] == [type(outcome).__name__.lower()]


async def test_each_recipient_has_its_own_outcome(queue: Queue, clock: HandClock) -> None:
    sent = parcel(clock.now(), "ann@x.org", "bob@x.org", "cid@x.org")
    await queue.enqueue(sent)
    (claim,) = await claimed(queue)

    for which, outcome in enumerate((OK, NO_SUCH_USER, GREYLISTED)):
        await queue.record(attempt(claim, outcome, clock.now(), which=which))

    states = {each.to: each.state.value for each in (await queue.message(sent.id)).deliveries}
    assert states == {"ann@x.org": "relayed", "bob@x.org": "failed", "cid@x.org": "deferred"}


async def test_only_the_holder_of_the_fence_ends_an_attempt(queue: Queue, clock: HandClock) -> None:
    """A worker that slept through its lease cannot overwrite what its successor found out."""
    sent = parcel(clock.now())
    await queue.enqueue(sent)
    (old,) = await claimed(queue)
    clock.move(seconds=61)
    assert await queue.recover(everything=False) == 1
    (new,) = await claimed(queue)

    assert not await queue.point_of_no_return(old.tickets)
    assert not await queue.record(attempt(old, NO_SUCH_USER, clock.now()))
    assert await queue.record(attempt(new, OK, clock.now()))
    assert await state_of(queue, sent.id) is DeliveryState.RELAYED


async def test_a_lease_that_is_renewed_is_kept(queue: Queue, clock: HandClock) -> None:
    await queue.enqueue(parcel(clock.now()))
    (claim,) = await claimed(queue)
    clock.move(seconds=50)

    assert await queue.renew(list(claim.tickets)) == set(claim.tickets)
    clock.move(seconds=50)
    assert await queue.recover(everything=False) == 0


async def test_renewing_never_shortens_the_lease_past_the_dot(
    queue: Queue, clock: HandClock
) -> None:
    """The answer to the final dot may take ten minutes (RFC 5321 §4.5.3.2.6)."""
    await queue.enqueue(parcel(clock.now()))
    (claim,) = await claimed(queue)
    await queue.point_of_no_return(claim.tickets)

    await queue.renew(list(claim.tickets))
    clock.move(minutes=10, seconds=30)

    assert await queue.recover(everything=False) == 0


async def test_a_crash_before_the_dot_is_tried_again_and_after_it_is_uncertain(
    queue: Queue, clock: HandClock
) -> None:
    before, after = parcel(clock.now()), parcel(clock.now())
    await queue.enqueue(before)
    await queue.enqueue(after)
    claims = {claim.message_id: claim for claim in await claimed(queue)}
    assert await queue.point_of_no_return(claims[after.id].tickets)

    await queue.recover(everything=True)

    assert await state_of(queue, before.id) is DeliveryState.QUEUED
    assert await state_of(queue, after.id) is DeliveryState.UNCERTAIN
    (delivery,) = (await queue.message(after.id)).deliveries
    assert delivery.possible_duplicate


async def test_mail_in_doubt_is_tried_again_by_its_stream(queue: Queue, clock: HandClock) -> None:
    """Transactional mail after a quarter of an hour, the same octets; a code never."""
    mail, code = parcel(clock.now()), parcel(clock.now(), stream=CODE)
    for each in (mail, code):
        await queue.enqueue(each)
    for claim in await claimed(queue):
        await queue.record(attempt(claim, NO_ANSWER, clock.now()))
    clock.move(minutes=16)
    await queue.expire()

    (again,) = await claimed(queue)

    assert again.message_id == mail.id
    assert again.octets == mail.content.octets
    assert await state_of(queue, code.id) is DeliveryState.UNCERTAIN


async def test_a_code_is_never_sent_after_it_is_dead(queue: Queue, clock: HandClock) -> None:
    sent = parcel(clock.now(), stream=CODE, expires_at=clock.now() + timedelta(minutes=10))
    await queue.enqueue(sent)
    clock.move(minutes=10)

    assert await claimed(queue) == []
    assert await queue.expire() == 1
    assert await state_of(queue, sent.id) is DeliveryState.EXPIRED


async def test_a_repeat_with_the_same_key_stores_nothing_more(
    queue: Queue, clock: HandClock
) -> None:
    """The first and every further request get the same receipt, also at the same moment."""
    key = Idempotency("system", "order-17", "f" * 64)
    parcels = [parcel(clock.now(), idempotency=key) for _ in range(5)]

    receipts = await asyncio.gather(*map(queue.enqueue, parcels))

    assert len({receipt.message_id for receipt in receipts}) == 1
    assert [receipt.replayed for receipt in receipts].count(False) == 1
    assert len((await queue.messages(Page()))[0]) == 1


async def test_a_key_with_another_request_is_refused_and_harms_nobody_beside_it(
    queue: Queue, clock: HandClock
) -> None:
    """One bad item in a shared commit is its own; the others are stored."""
    await queue.enqueue(parcel(clock.now(), idempotency=Idempotency("system", "k", "a" * 64)))
    other = parcel(clock.now(), idempotency=Idempotency("system", "k", "b" * 64))
    good = parcel(clock.now())

    results = await asyncio.gather(
        queue.enqueue(other), queue.enqueue(good), return_exceptions=True
    )

    assert isinstance(results[0], Mismatch)
    assert await state_of(queue, good.id) is DeliveryState.QUEUED
    with pytest.raises(NotFound):
        await queue.message(other.id)


async def test_cancelling_takes_back_what_has_not_left(queue: Queue, clock: HandClock) -> None:
    sent = parcel(clock.now())
    await queue.enqueue(sent)

    assert await queue.cancel(sent.id, "key:1") == 1
    assert await claimed(queue) == []
    assert await state_of(queue, sent.id) is DeliveryState.CANCELLED


async def test_what_is_being_sent_or_has_left_cannot_be_cancelled(
    queue: Queue, clock: HandClock
) -> None:
    sent = parcel(clock.now())
    await queue.enqueue(sent)
    (claim,) = await claimed(queue)

    with pytest.raises(Conflict, match="being sent at this moment"):
        await queue.cancel(sent.id, "key:1")
    await queue.record(attempt(claim, OK, clock.now()))
    with pytest.raises(Conflict, match="relayed"):
        await queue.cancel(sent.id, "key:1")


async def test_failed_mail_can_be_tried_again_by_a_person(queue: Queue, clock: HandClock) -> None:
    sent = parcel(clock.now())
    await queue.enqueue(sent)
    (claim,) = await claimed(queue)
    await queue.record(attempt(claim, NO_SUCH_USER, clock.now()))

    assert await queue.retry(sent.id, "key:1") == 1

    (again,) = await claimed(queue)
    assert (again.message_id, again.deliveries[0].tries) == (sent.id, 2)


async def test_relayed_mail_is_not_tried_again(queue: Queue, clock: HandClock) -> None:
    sent = parcel(clock.now())
    await queue.enqueue(sent)
    (claim,) = await claimed(queue)
    await queue.record(attempt(claim, OK, clock.now()))

    with pytest.raises(Conflict, match="relayed"):
        await queue.retry(sent.id, "key:1")


async def test_a_given_back_claim_costs_no_try(queue: Queue, clock: HandClock) -> None:
    await queue.enqueue(parcel(clock.now()))
    (claim,) = await claimed(queue)

    await queue.release(claim.tickets, wait=timedelta(0))

    (again,) = await claimed(queue)
    assert again.deliveries[0].tries == 1


@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, PART + 1, 3 * PART, 3 * PART + 7])
async def test_a_large_content_comes_back_whole(queue: Queue, clock: HandClock, size: int) -> None:
    """It is kept in parts."""
    octets = random.Random(size).randbytes(size)
    sent = parcel(clock.now())
    sent = sent._replace(content=replace(sent.content, octets=octets))

    await queue.enqueue(sent)

    assert await queue.content_of(sent.id) == octets
    assert await queue.content_of("msg_unknown") is None


async def test_a_point_that_was_stored_unheard_is_given_back(
    queue: Queue, clock: HandClock
) -> None:
    """The commit was done and the word of it lost: who did not send the dot may say so."""
    await queue.enqueue(parcel(clock.now()))
    (claim,) = await claimed(queue)
    assert await queue.point_of_no_return(claim.tickets)

    await queue.release(claim.tickets, wait=timedelta(0))

    (again,) = await claimed(queue)
    assert not again.deliveries[0].in_doubt
    await queue.release(claim.tickets, wait=timedelta(0))  # of an old fence: nothing happens
    assert await queue.point_of_no_return(again.tickets)


async def test_lists_are_newest_first_and_pages_meet(queue: Queue, clock: HandClock) -> None:
    """after and before walk through everything once, in both directions."""
    ids = []
    for _ in range(7):
        sent = parcel(clock.now())
        await queue.enqueue(sent)
        ids.append(sent.id)
    newest_first = ids[::-1]

    first, more = await queue.messages(Page(limit=3))
    second, _ = await queue.messages(Page(limit=3, after=first[-1].id))
    back, _ = await queue.messages(Page(limit=3, before=second[0].id))

    assert more
    assert [each.id for each in first + second] == newest_first[:6]
    assert [each.id for each in back] == newest_first[:3]


async def test_finished_mail_is_forgotten_in_its_time_and_waiting_mail_never(
    queue: Queue, clock: HandClock
) -> None:
    done, waiting = parcel(clock.now()), parcel(clock.now())
    await queue.enqueue(done)
    (claim,) = await claimed(queue)
    await queue.record(attempt(claim, OK, clock.now()))
    await queue.enqueue(waiting)
    kept = Retention(content=timedelta(days=1), history=timedelta(days=2))

    clock.move(days=1, seconds=1)
    await queue.forget(kept)
    assert await queue.content_of(done.id) is None
    assert (await queue.message(done.id)).state is DeliveryState.RELAYED

    clock.move(days=2)
    await queue.forget(kept)
    with pytest.raises(NotFound):
        await queue.message(done.id)
    assert await queue.content_of(waiting.id) is not None


async def test_recipients_of_one_message_travel_together(queue: Queue, clock: HandClock) -> None:
    """One transaction, whatever the batch size, as long as they are due together."""
    await queue.enqueue(parcel(clock.now(), "ann@x.org", "bob@x.org", "cid@x.org"))

    (claim,) = await claimed(queue, 1)

    assert len(claim.deliveries) == 3


async def test_a_dot_that_is_not_sent_leaves_nothing_uncertain(
    queue: Queue, clock: HandClock
) -> None:
    """One lost lease stops the whole transaction; the others are simply queued again."""
    sent = parcel(clock.now(), "ann@x.org", "bob@x.org")
    await queue.enqueue(sent)
    (claim,) = await claimed(queue)
    await queue.record(attempt(claim, OK, clock.now()))

    assert not await queue.point_of_no_return(claim.tickets)
    await queue.recover(everything=True)

    states = {each.to: each.state.value for each in (await queue.message(sent.id)).deliveries}
    assert states == {"ann@x.org": "relayed", "bob@x.org": "queued"}
