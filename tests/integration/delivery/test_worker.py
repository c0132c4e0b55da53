"""What becomes of mail at a real relay, and what a bad relay cannot do to it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from pillarbox.queue.state import DeliveryState
from pillarbox.relays.change import RelayChange
from pillarbox.relays.versions import Decision
from support.house import House, delivering
from support.ledger_relay import LedgerRelay, Options, ledger_relay


async def test_a_message_is_relayed_and_its_attempt_tells_everything(
    house: House, relay: LedgerRelay
) -> None:
    await house.carry_by(relay)
    async with delivering(house):
        message = await house.until(await house.send("ann@y.test", "bob@y.test"))

    history = await house.queue.history(message.id)
    assert message.state is DeliveryState.RELAYED
    assert {entry.recipient for entry in relay.entries()} == {"ann@y.test", "bob@y.test"}
    assert [attempt.code for attempt in history.attempts] == [250, 250]
    assert "MAIL FROM:<shop@x.test>" in history.attempts[0].transcript
    (session,) = history.sessions
    assert session.host == f"127.0.0.1:{relay.port}"
    assert session.transcript.startswith("S: 220") or "S: 220" in session.transcript


async def test_each_recipient_has_its_own_end(house: House, relay: LedgerRelay) -> None:
    """One bad address does not harm the others in the same transaction."""
    await house.carry_by(relay)
    async with delivering(house):
        sent = await house.send("ann@y.test", "fail-550@y.test", "defer-451@y.test")
        message = await house.when(
            sent, lambda message: all(each.tries and each.answer for each in message.deliveries)
        )

    assert {each.to: each.state.value for each in message.deliveries} == {
        "ann@y.test": "relayed",
        "fail-550@y.test": "failed",
        "defer-451@y.test": "deferred",
    }


async def test_no_answer_after_the_dot_is_shown_as_that(house: House, relay: LedgerRelay) -> None:
    """It is neither failed nor relayed, and it is not sent again at once."""
    await house.carry_by(relay)
    async with delivering(house):
        sent = await house.send("drop-after-dot@y.test")
        message = await house.until(sent, state=DeliveryState.UNCERTAIN)

    (delivery,) = message.deliveries
    assert delivery.possible_duplicate
    assert delivery.due_at is not None
    assert sum(relay.copies().values()) == 1


async def test_a_closed_connection_before_the_dot_costs_nothing(
    house: House, relay: LedgerRelay
) -> None:
    """Known not to be taken: queued again, the attempt does not count, one copy arrives."""
    await house.carry_by(relay)
    async with delivering(house):
        message = await house.until(await house.send("once-drop-at-data@y.test"), seconds=15)

    (delivery,) = message.deliveries
    assert (delivery.state, delivery.attempts, delivery.tries) == (DeliveryState.RELAYED, 1, 2)
    assert sum(relay.copies().values()) == 1


async def test_a_relay_that_is_down_fails_no_mail(house: House, relay: LedgerRelay) -> None:
    """Its mail waits, one probe at a time goes out, and all of it arrives when it is back."""
    await house.carry_by(relay)
    relay.stop()
    async with delivering(house):
        sent = [await house.send(f"user{n}@y.test") for n in range(20)]
        while house.registry.default().rest is None:
            await house.equipment.clock.sleep(0.01)
        relay.start()
        messages = [await house.until(each, seconds=20) for each in sent]

    assert {message.state for message in messages} == {DeliveryState.RELAYED}
    assert {each.attempts for message in messages for each in message.deliveries} == {1}
    assert house.registry.default().rest is None
    assert set(relay.copies().values()) == {1}


async def test_a_wrong_password_suspends_the_relay_and_keeps_the_mail(
    house: House, tmp_path: Path
) -> None:
    """The relay needs a person. The right password, once given, sends everything."""
    folder = tmp_path / "auth"
    folder.mkdir()
    options = Options(tls="implicit", username="ann", password="right horse")
    with ledger_relay(folder, options) as relay:
        added = await house.add_relay(
            host="localhost",
            port=relay.port,
            tls="implicit",
            auth="password",
            username="ann",
            password="wrong",
            authorities=relay.ca_pem.read_text(),
        )
        async with delivering(house):
            sent = [await house.send(f"user{n}@y.test") for n in range(5)]
            while house.registry.default().rest is None:
                await house.equipment.clock.sleep(0.01)
            rest = house.registry.default().rest
            waiting = [await house.queue.message(each) for each in sent]

            change = RelayChange.read({"password": "right horse"})
            await house.registry.change(added.id, Decision(change=change, principal="test"))
            house.bell.ring()
            messages = [await house.until(each) for each in sent]

    assert rest is not None
    assert rest.needs_person
    assert {each.attempts for message in waiting for each in message.deliveries} == {0}
    assert not {message.state for message in waiting} & {DeliveryState.FAILED}
    assert {message.state for message in messages} == {DeliveryState.RELAYED}


async def test_sessions_are_used_again(house: House, relay: LedgerRelay) -> None:
    """One login, many messages."""
    await house.carry_by(relay, max_connections=1)
    async with delivering(house):
        sent = [await house.send(f"user{n}@y.test") for n in range(10)]
        for each in sent:
            await house.until(each)

    used = {
        attempt.session_id
        for each in sent
        for attempt in (await house.queue.history(each)).attempts
    }
    assert len(used) == 1


async def test_a_pace_is_kept_and_what_is_over_it_waits(house: House, relay: LedgerRelay) -> None:
    await house.carry_by(relay, messages_per_minute=3)
    async with delivering(house):
        sent = [await house.send(f"user{n}@y.test") for n in range(6)]
        await asyncio.to_thread(relay.wait_entries, 3)
        await house.until(sent[2])
    states = [(await house.queue.message(each)).state for each in sent]

    assert states.count(DeliveryState.RELAYED) == 3
    assert states.count(DeliveryState.QUEUED) == 3


async def test_stopping_finishes_what_was_begun_and_gives_back_the_rest(
    house: House, relay: LedgerRelay
) -> None:
    """After a stop nothing is left `sending`, and the next start loses and doubles nothing."""
    await house.carry_by(relay, max_connections=2)
    sent = [await house.send(f"slow-200-{n}@y.test") for n in range(12)]
    async with delivering(house):
        await asyncio.to_thread(relay.wait_entries, 1)
    states = {(await house.queue.message(each)).state for each in sent}
    assert states <= {DeliveryState.RELAYED, DeliveryState.QUEUED}

    async with delivering(house):
        for each in sent:
            await house.until(each)
    assert set(relay.copies().values()) == {1}
    assert len(relay.copies()) == 12


async def test_the_sandbox_captures_and_sends_nothing(house: House) -> None:
    """There from the first start, the default until another is chosen."""
    assert house.registry.default().name == "sandbox"
    async with delivering(house):
        message = await house.until(await house.send("ann@y.test"))

    (delivery,) = message.deliveries
    assert delivery.state is DeliveryState.RELAYED
    assert "captured" in (delivery.answer or "")
    octets = await house.queue.content_of(message.id)
    assert octets is not None
    assert b"\r\n.hello\r\n..world\r\n" in octets


async def test_a_pickup_folder_gets_whole_files(house: House, tmp_path: Path) -> None:
    folder = tmp_path / "pickup"
    folder.mkdir()
    await house.add_relay(kind="pickup", directory=str(folder))
    async with delivering(house):
        message = await house.until(await house.send("ann@y.test"))

    (file,) = folder.iterdir()
    assert file.suffix == ".eml"
    envelope = b"X-Sender: shop@x.test\r\nX-Receiver: ann@y.test\r\n"
    content = await house.queue.content_of(message.id)
    assert content is not None
    assert file.read_bytes() == envelope + content


async def test_a_pickup_folder_that_is_gone_rests_the_relay(house: House, tmp_path: Path) -> None:
    folder = tmp_path / "pickup"
    folder.mkdir()
    await house.add_relay(kind="pickup", directory=str(folder))
    folder.rmdir()
    async with delivering(house):
        sent = await house.send("ann@y.test")
        while house.registry.default().rest is None:
            await house.equipment.clock.sleep(0.01)
        folder.mkdir()
        message = await house.until(sent, seconds=15)

    assert message.state is DeliveryState.RELAYED


async def test_a_session_that_the_relay_closed_meanwhile_is_replaced_unseen(
    house: House, relay: LedgerRelay
) -> None:
    """Idle sessions die; the next message must not pay for it."""
    await house.carry_by(relay, max_connections=1)
    async with delivering(house):
        await house.until(await house.send("ann@y.test"))
        relay.stop()
        relay.start()
        message = await house.until(await house.send("bob@y.test"))

    (delivery,) = message.deliveries
    assert (delivery.state, delivery.tries) == (DeliveryState.RELAYED, 1)


async def test_a_changed_relay_is_used_at_the_next_borrow(
    house: House, relay: LedgerRelay, tmp_path: Path
) -> None:
    """No restart: the old sessions are closed, the next message goes to the new place."""
    await house.carry_by(relay)
    folder = tmp_path / "second"
    folder.mkdir()
    with ledger_relay(folder) as second:
        async with delivering(house):
            await house.until(await house.send("ann@y.test"))
            change = RelayChange.read({"port": second.port})
            await house.registry.change("test", Decision(change=change, principal="test"))
            await house.until(await house.send("bob@y.test"))

        assert [entry.recipient for entry in relay.entries()] == ["ann@y.test"]
        assert [entry.recipient for entry in second.entries()] == ["bob@y.test"]


async def test_a_stolen_lease_stops_the_dot(house: House, relay: LedgerRelay) -> None:
    """The connection is closed without it, and the relay, which did nothing wrong, goes on."""
    await house.carry_by(relay)
    real = house.queue.point_of_no_return
    asked: list[bool] = []

    async def stolen_once(tickets: tuple[tuple[str, int], ...]) -> bool:
        asked.append(await real(tickets))
        return asked[-1] and len(asked) > 1

    house.queue.point_of_no_return = stolen_once  # type: ignore[method-assign]
    async with delivering(house):
        message = await house.until(await house.send("ann@y.test"))

    assert message.deliveries[0].tries == len(asked) == 2
    assert len(relay.entries()) == 1
    assert not message.deliveries[0].possible_duplicate
    assert house.registry.default().rest is None


async def test_mail_of_a_removed_relay_is_held_and_retried_by_another(
    house: House, relay: LedgerRelay
) -> None:
    """It does not vanish with its relay, and the journal says who is to blame for the wait."""
    added = await house.add_relay(host="127.0.0.1", port=relay.port, tls="none")
    sent = await house.send("ann@y.test")
    await house.registry.make_default("sandbox", "key:1")
    await house.registry.remove(added.id, "key:1")
    held = await house.queue.message(sent)

    await house.queue.retry(sent, "key:1", relay_id=house.registry.default().id)
    async with delivering(house):
        message = await house.until(sent)

    assert held.state is DeliveryState.HELD
    assert (message.state, message.relay_id) == (
        DeliveryState.RELAYED,
        house.registry.default().id,
    )
    assert relay.entries() == []
