"""Who may send by a relay, who may get its mail, and who gets a copy of everything."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from pillarbox.queue.tables import deliveries
from support.desk import HELLO, Counter


async def relay(counter: Counter, **fields: Any) -> None:
    got = await counter.ask("POST", "/v1/relays", {"name": "shop", "kind": "sandbox"} | fields)
    assert got.status_code == 201, got.text


async def sent(counter: Counter, **fields: Any) -> dict[str, Any]:
    got = await counter.ask("POST", "/v1/messages", HELLO | {"relay": "shop"} | fields)
    assert got.status_code == 202, got.text
    return dict((await counter.ask("GET", f"/v1/messages/{got.json()['id']}")).json())


async def refused(counter: Counter, **fields: Any) -> dict[str, str]:
    got = await counter.ask("POST", "/v1/messages", HELLO | {"relay": "shop"} | fields)
    assert got.status_code == 422, got.text
    return {each["pointer"]: each["detail"] for each in got.json()["errors"]}


async def content(counter: Counter, message: dict[str, Any]) -> str:
    return (await counter.ask("GET", f"/v1/messages/{message['id']}/content")).text


def to(message: dict[str, Any]) -> list[str]:
    return [each["to"] for each in message["deliveries"]]


async def test_failures_return_to_the_reverse_path(counter: Counter) -> None:
    """MAIL FROM is the relay's, From stays the author's."""
    await relay(counter, reverse_path="bounces@example.org")

    message = await sent(counter)

    assert message["reverse_path"] == "bounces@example.org"
    assert message["from"] == "ann@example.org"
    assert "bounces@" not in await content(counter, message)


@pytest.mark.parametrize("senders", [["ann@example.org"], "example.org", "@example.org", "*.org"])
async def test_listed_senders_may_send(counter: Counter, senders: Any) -> None:
    """Addresses, domains, and everything below a domain."""
    await relay(counter, senders=senders)
    assert (await sent(counter))["from"] == "ann@example.org"


@pytest.mark.parametrize("senders", [["bob@example.org"], "example.com", "*.example.org"])
async def test_other_senders_are_refused(counter: Counter, senders: Any) -> None:
    """Before anything is stored, and who may is said."""
    await relay(counter, senders=senders)

    told = await refused(counter)

    assert set(told) == {"/from"}
    assert "“shop” sends for" in told["/from"]
    assert await counter.count() == 0


async def test_a_sender_header_is_no_way_round(counter: Counter) -> None:
    """Who really sent it counts too (RFC 5322 §3.6.2)."""
    await relay(counter, senders="example.org")
    assert set(await refused(counter, sender="eve@example.com")) == {"/sender"}


async def test_other_senders_are_rewritten(counter: Counter) -> None:
    """The name stays, answers go to the author, and MAIL FROM is the relay's sender."""
    own = {"from": "Shop <shop@example.org>", "senders": "example.org", "other_senders": "rewrite"}
    await relay(counter, **own)

    message = await sent(counter, **{"from": "Eve <eve@example.com>"})
    kept = await sent(counter)

    text = await content(counter, message)
    assert message["from"] == "Eve <shop@example.org>"
    assert message["reverse_path"] == "shop@example.org"
    assert "Reply-To: Eve <eve@example.com>" in text
    assert kept["from"] == "ann@example.org"


async def test_rewriting_keeps_the_authors_own_reply_to(counter: Counter) -> None:
    own = {"from": "shop@example.org", "senders": "example.org", "other_senders": "rewrite"}
    await relay(counter, **own, reply_to="desk@example.org")

    message = await sent(counter, **{"from": "eve@example.com", "reply_to": "team@example.com"})

    text = await content(counter, message)
    assert "Reply-To: team@example.com" in text
    assert "desk@" not in text


async def test_an_archive_gets_a_copy_of_everything(counter: Counter) -> None:
    """In the envelope only: nobody reads of it in the message."""
    await relay(counter, bcc=["archive@example.org", "bob@example.org"])

    message = await sent(counter)

    assert to(message) == ["bob@example.org", "archive@example.org"]
    assert "archive@" not in await content(counter, message)


async def test_staging_sends_everything_to_one_address(counter: Counter) -> None:
    """Once, however many it was for; what people read stays as it was."""
    await relay(counter, redirect_to="staging@example.org")

    message = await sent(counter, to=["bob@example.com", "eve@example.com"], cc=["a@example.net"])

    assert to(message) == ["staging@example.org"]
    assert "To: bob@example.com, eve@example.com" in await content(counter, message)


async def test_staging_lets_a_list_through(counter: Counter) -> None:
    """Colleagues get their mail, customers do not."""
    await relay(counter, redirect_to="staging@example.org", recipients="example.org")

    message = await sent(counter, to=["bob@example.org", "customer@example.com"])

    assert to(message) == ["bob@example.org", "staging@example.org"]


async def test_recipients_alone_refuse_the_others(counter: Counter) -> None:
    """Each by its address, and nothing is stored."""
    await relay(counter, recipients="example.org")

    told = await refused(counter, to=["bob@example.org", "customer@example.com"])

    assert "not to customer@example.com" in told["/to"]
    assert await counter.count() == 0


async def test_a_resend_is_under_todays_rules(counter: Counter) -> None:
    """What went out before the relay was for staging goes to the one address now."""
    await relay(counter)
    message = await sent(counter)
    await counter.ask("PATCH", "/v1/relays/shop", {"redirect_to": "staging@example.org"})

    again = await counter.ask("POST", f"/v1/messages/{message['id']}/resend")

    assert again.status_code == 202, again.text
    assert to(again.json()) == ["staging@example.org"]


async def test_a_message_that_the_relay_will_not_take_is_refused_at_once(counter: Counter) -> None:
    """By its size as it is sent, with attachments in base64."""
    await relay(counter, max_octets=1000)

    got = await counter.ask("POST", "/v1/messages", HELLO | {"relay": "shop", "text": "x" * 2000})

    assert (got.status_code, got.json()["code"]) == (413, "payload_too_large")
    assert "“shop” takes 1,000" in got.json()["detail"]


async def test_who_lets_more_people_through_does_not_stand_in(counter: Counter) -> None:
    """Staging mail would reach customers on the day that the staging relay is out."""
    await counter.ask("POST", "/v1/relays", {"name": "a", "host": "a.example.org"})
    await counter.ask("POST", "/v1/relays", {"name": "b", "host": "b.example.org"})
    rules = {"rules": [{"when": {}, "relays": ["a", "b"]}]}
    assert (await counter.ask("PUT", "/v1/routes", rules)).status_code == 200

    async def stand_ins() -> list[str | None]:
        got = await counter.ask("POST", "/v1/messages", HELLO)
        of_message = deliveries.c.message_id == got.json()["id"]
        query = select(deliveries.c.stand_ins).where(of_message)
        return await counter.desk.database.read(lambda box: [*box.scalars(query)])

    assert (await stand_ins())[0]
    await counter.ask("PATCH", "/v1/relays/a", {"redirect_to": "staging@example.org"})
    assert await stand_ins() == [None]
    await counter.ask("PATCH", "/v1/relays/b", {"redirect_to": "staging@example.org"})
    assert (await stand_ins())[0]


@pytest.mark.parametrize(
    ("fields", "pointer", "words"),
    [
        ({"other_senders": "rewrite", "from": "a@b.example"}, "/other_senders", "senders"),
        ({"other_senders": "rewrite", "senders": "b.example"}, "/from", "enter the sender"),
        ({"senders": "c.example", "from": "a@b.example"}, "/senders", "Add it"),
        ({"senders": ["a@b.example", 5]}, "/senders/1", "a text, not a number"),
        ({"senders": "a b"}, "/senders/0", "neither an address nor a domain"),
        ({"bcc": "archive"}, "/bcc/0", "not an address"),
        ({"bcc": [f"a{n}@b.example" for n in range(6)]}, "/bcc", "at most 5"),
        ({"bcc": {"a": "b"}}, "/bcc", "a list, not an object"),
        ({"recipients": [f"d{n}.example" for n in range(201)]}, "/recipients", "at most 200"),
        ({"redirect_to": "a@b.example, c@d.example"}, "/redirect_to", ""),
        ({"reverse_path": "Ann <a@b.example>"}, "/reverse_path", ""),
        ({"max_octets": 1}, "/max_octets", "between 1000"),
    ],
)
async def test_what_makes_no_sense_is_refused(
    counter: Counter, fields: dict[str, Any], pointer: str, words: str
) -> None:
    """Each with its field and its cure."""
    got = await counter.ask("POST", "/v1/relays", {"name": "shop", "kind": "sandbox"} | fields)

    assert got.status_code == 422, got.text
    told = {each["pointer"]: each["detail"] for each in got.json()["errors"]}
    assert set(told) == {pointer}
    assert words in told[pointer]


@pytest.mark.parametrize("nothing", [None, "", [], " , "])
async def test_nothing_is_everybody(counter: Counter, nothing: Any) -> None:
    """Null, an empty text and an empty list all mean that there is no list."""
    await relay(counter, senders="example.org", recipients="example.org", bcc="a@example.org")

    cleared = {"senders": nothing, "recipients": nothing, "bcc": nothing}
    told = (await counter.ask("PATCH", "/v1/relays/shop", cleared)).json()

    assert [told[name] for name in cleared] == [[], [], []]
