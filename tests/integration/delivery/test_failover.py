"""While a relay is out the next one of its list carries its mail, and no longer than that."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, update

from pillarbox.accept.resend import Resend
from pillarbox.access.principal import OPERATOR
from pillarbox.mail.mailbox import Mailbox
from pillarbox.queue.state import DeliveryState
from pillarbox.queue.tables import deliveries
from pillarbox.relays.change import RelayChange
from pillarbox.relays.registry import Decision
from pillarbox.relays.routing import read_rules
from pillarbox.relays.suspension import Trouble
from pillarbox.relays.versions import Relay
from support.counting_relay import CountingRelay, counting_relay
from support.house import House, delivering, looked_round


async def add(house: House, name: str, server: CountingRelay, **fields: Any) -> Relay:
    typed = {"name": name, "host": "127.0.0.1", "port": server.port, "tls": "none", **fields}
    change = RelayChange.read(typed)
    return await house.registry.add(Decision(change=change, principal="test"))


async def route(house: House, *relays: str, **when: str) -> None:
    await replace(house, [{"when": when, "relays": list(relays)}])


async def put_out(house: House, relay: Relay) -> None:
    """As a wrong password does: it waits for a person."""
    trouble = Trouble(
        relay_id=relay.id,
        relay_version=relay.version,
        relay_name=relay.name,
        needs_person=True,
        cause="The password is wrong.",
        advice="auth.wrong-password",
    )
    await house.registry.rest(trouble)


async def test_the_next_relay_carries_it_while_the_first_is_out_and_not_after(
    house: House,
) -> None:
    """There and back; every attempt says by which relay it was made."""
    async with counting_relay() as one, counting_relay() as two:
        first, second = await add(house, "first", one), await add(house, "second", two)
        await route(house, "first", "second")
        waiting = [await house.send(f"before{n}@y.test") for n in range(5)]
        await put_out(house, first)
        async with delivering(house):
            moved = [await house.until(each) for each in waiting]
            during = one.connections
            await house.registry.resume_now("first", "test")
            after = await house.until(await house.send("after@y.test"))
        attempts = (await house.queue.history(moved[0].id)).attempts

    assert during == 0
    assert sorted(two.recipients) == sorted(f"before{n}@y.test" for n in range(5))
    assert one.recipients == ["after@y.test"]
    assert after.state is DeliveryState.RELAYED
    assert {each.relay_id for each in attempts} == {second.id}
    assert {each.relay_id for message in moved for each in message.deliveries} == {first.id}


async def test_mail_without_a_stand_in_waits_for_its_relay(house: House) -> None:
    """Only what a rule gives away is taken."""
    async with counting_relay() as one, counting_relay() as two:
        first = await add(house, "first", one)
        await add(house, "second", two)
        await route(house, "first", "second", sender_domain="x.test")
        taken = await house.send("ann@y.test")
        stays = await house.send(
            "bob@y.test", relay="first", draft={"from_": Mailbox.parse("shop@other.test")}
        )
        await put_out(house, first)
        async with delivering(house) as supervisor:
            await house.until(taken)
            await looked_round(house, supervisor)
        message = await house.queue.message(stays)

    assert message.state is DeliveryState.QUEUED
    assert two.recipients == ["ann@y.test"]


async def test_a_relay_of_another_sender_is_not_asked(house: House) -> None:
    """It would refuse the sender, and the mail would fail for good."""
    async with counting_relay() as one, counting_relay() as two:
        first = await add(house, "first", one)
        await add(house, "second", two, **{"from": "info@elsewhere.test"})
        await route(house, "first", "second")
        sent = await house.send("ann@y.test")
        await put_out(house, first)
        async with delivering(house) as supervisor:
            await looked_round(house, supervisor)
        message = await house.queue.message(sent)

    assert message.state is DeliveryState.QUEUED
    assert two.connections == 0


async def test_mail_in_doubt_does_not_change_relays(house: House) -> None:
    """The first relay may have it: a second copy by another way would be one nobody can explain."""
    async with counting_relay() as one, counting_relay() as two:
        first = await add(house, "first", one)
        await add(house, "second", two)
        await route(house, "first", "second")
        sent = await house.send("ann@y.test")
        await house.database.write(_doubt)
        await put_out(house, first)
        async with delivering(house) as supervisor:
            other = await house.until(await house.send("bob@y.test"))
            await looked_round(house, supervisor)
        message = await house.queue.message(sent)

    assert other.state is DeliveryState.RELAYED
    assert message.state is DeliveryState.QUEUED
    assert two.recipients == ["bob@y.test"]


def _doubt(connection: Connection) -> None:
    connection.execute(update(deliveries).values(in_doubt=True))


async def test_each_recipient_goes_where_its_domain_goes(house: House) -> None:
    async with counting_relay() as one, counting_relay() as two:
        await add(house, "first", one)
        await add(house, "second", two)
        zoe = {"when": {"recipient_domain": "z.test"}, "relays": ["second"]}
        await replace(house, [zoe, {"relays": ["first"]}])
        async with delivering(house):
            await house.until(await house.send("ann@y.test", "zoe@z.test"))

    assert (one.recipients, two.recipients) == (["ann@y.test"], ["zoe@z.test"])


async def test_what_is_sent_again_has_the_stand_ins_of_today(house: House) -> None:
    """Each recipient's copy goes where it went, and to who stands in there now."""
    async with counting_relay() as one, counting_relay() as two, counting_relay() as three:
        first = await add(house, "first", one)
        await add(house, "second", two)
        await add(house, "third", three)
        rules: list[dict[str, Any]] = [
            {"when": {"recipient_domain": "z.test"}, "relays": ["second"]},
            {"relays": ["first"]},
        ]
        await replace(house, rules)
        async with delivering(house):
            sent = await house.send("ann@y.test", "zoe@z.test")
            await house.until(sent)
            await replace(house, [*rules[:1], {"relays": ["first", "third"]}])
            await put_out(house, first)
            await house.until(await resent(house, sent))

    assert (one.recipients, three.recipients) == (["ann@y.test"], ["ann@y.test"])
    assert two.recipients == ["zoe@z.test"] * 2


async def test_what_is_sent_again_follows_the_routes_when_its_relay_is_gone(house: House) -> None:
    async with counting_relay() as one, counting_relay() as two:
        await add(house, "first", one)
        await add(house, "second", two)
        await route(house, "first")
        async with delivering(house):
            sent = await house.send("ann@y.test")
            await house.until(sent)
            await route(house, "second")
            await house.registry.remove("first", "test")
            await house.until(await resent(house, sent))

    assert (one.recipients, two.recipients) == (["ann@y.test"], ["ann@y.test"])


async def replace(house: House, rules: list[dict[str, Any]]) -> None:
    read = read_rules(rules, lambda name: house.registry.get(name).id)
    await house.registry.routing.replace(read, "test")


async def resent(house: House, message_id: str) -> str:
    wish = Resend(message_id=message_id, principal=OPERATOR, inlet="python")
    return (await house.acceptance.resend(wish)).message_id
