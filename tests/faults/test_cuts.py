"""F10, F11: connections that break at every place, and answers that come late."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from pillarbox.queue.claim import Ticket
from pillarbox.queue.message import Message
from pillarbox.queue.state import DeliveryState
from pillarbox.queue.streams import UNCERTAIN_WAIT
from pillarbox.relays import fields
from support.cutting_proxy import Cut, CuttingProxy, Kind, Side, cutting_proxy
from support.house import House, delivering, open_house
from support.laboratory import Size, Tally
from support.ledger_relay import LedgerRelay, ledger_relay

_SECONDS = 2  # what the relays here are given for each answer
_TEXT = "A line that is as long as lines are in mail.\n.\n..\n" * 200
_INSIDE = 9_000  # octets of the content in which connections break
_SLOW_DISK_SECONDS = 0.5  # every break has arrived before the dot would be said
_ENDS = (DeliveryState.RELAYED, DeliveryState.UNCERTAIN)
_DOT = b"\r\n.\r\n"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a connection breaks. is_after_dot: the relay may have the whole message."""

    name: str
    side: Side
    mark: bytes = b""
    octets: int = 0
    is_after_dot: bool = False
    is_inside: bool = False

    def is_in_doubt(self, kind: Kind) -> bool:
        """Where octets vanish and nobody says so, we cannot know that the dot did not arrive."""
        return self.is_after_dot or (self.is_inside and kind is Kind.BLACKHOLE)

    def ends(self, kind: Kind) -> bool:
        """We wait two minutes for 354, whatever a relay is given for its answers."""
        return kind is not Kind.BLACKHOLE or self.name != "before 354"

    def cut(self, kind: Kind) -> Cut:
        return Cut(kind, self.side, self.mark, self.octets)


def places(inside: int) -> Iterator[Place]:
    """Each stage, before the command arrives and before its answer does; and inside DATA."""
    yield Place("at once", Side.THEIRS)
    yield Place("in the greeting", Side.THEIRS, octets=5)
    for verb in (b"EHLO", b"MAIL", b"RCPT", b"DATA"):
        yield Place(f"in {verb.decode()}", Side.OURS, verb, 2)
    yield Place("in the answer to EHLO", Side.THEIRS, b"PIPELINING")
    yield Place("before the answer to MAIL", Side.THEIRS, b"250 SIZE 50000000\r\n")
    yield Place("in the answer to RCPT", Side.THEIRS, b"2.1.0 ok\r\n", 3)
    yield Place("before 354", Side.THEIRS, b"2.1.5 ok\r\n")
    start = b"DATA\r\n"
    for number in range(inside):
        where = 1 + number * _INSIDE // inside
        yield Place(f"inside DATA {number}", Side.OURS, start, where, is_inside=True)
    yield Place("in the dot", Side.OURS, _DOT, -1, is_after_dot=True)
    yield Place("after the dot", Side.OURS, _DOT, is_after_dot=True)
    yield Place("in the answer to the dot", Side.THEIRS, b"354 go\r\n", 4, is_after_dot=True)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Ten minutes after the dot are two seconds here; people must leave more."""
    names = [name for name in fields.READERS if name.endswith("_timeout_seconds")]
    for name in names:
        monkeypatch.setitem(fields.READERS, name, fields.seconds(1, 900))
    return dict.fromkeys(names, _SECONDS)


async def test_a_broken_connection_is_known_for_what_it_is(
    tmp_path: Path,
    impatient: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
    size: Size,
    tally: Tally,
) -> None:
    """Before the dot nothing is uncertain and nothing is doubled; after it, exactly one is."""
    cases = [(place, kind) for kind in Kind for place in places(size(4, 20)) if place.ends(kind)]
    with ledger_relay(tmp_path) as relay:
        async with open_house(tmp_path) as house, AsyncExitStack() as stack:
            slow_disk(house, monkeypatch)
            proxies = [
                await stack.enter_async_context(cutting_proxy(relay.port, place.cut(kind)))
                for place, kind in cases
            ]
            sent = [
                await send(house, f"{number}@y.test", proxy.port, impatient)
                for number, proxy in enumerate(proxies)
            ]
            async with delivering(house):
                ends = await ended(house, sent)
            wrong = [
                f"{place.name} {kind.value}: {fault}"
                for (place, kind), proxy, end in zip(cases, proxies, ends, strict=True)
                if (fault := await judged(house, place, kind, (proxy, end)))
            ]
            wrong += doubled(relay)

    assert wrong == [], "\n".join(wrong)
    after = sum(place.is_in_doubt(kind) for place, kind in cases)
    tally("F10", cuts=len(cases), before_the_dot=len(cases) - after, after_the_dot=after, wrong=0)


def slow_disk(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The point of no return takes its time to be stored."""
    store = house.queue.point_of_no_return

    async def slowly(tickets: tuple[Ticket, ...]) -> bool:
        await house.equipment.clock.sleep(_SLOW_DISK_SECONDS)
        return await store(tickets)

    monkeypatch.setattr(house.queue, "point_of_no_return", slowly)


async def send(house: House, to: str, port: int, impatient: dict[str, object]) -> str:
    """A message by a relay of its own, so that no rest of one delays another."""
    relay = await house.add_relay(
        name=f"by-{port}", host="127.0.0.1", port=port, tls="none", **impatient
    )
    return await house.send(to, relay=relay.name, draft={"text": _TEXT})


async def ended(house: House, message_ids: list[str], seconds: float = 60) -> list[Message]:
    """The messages once their relays have said what became of them, or nobody can know."""
    waiting = list(message_ids)
    clock = house.equipment.clock
    deadline = clock.monotonic() + seconds
    while waiting and clock.monotonic() < deadline:
        await clock.sleep(0.2)
        seen = [await house.queue.message(each) for each in waiting]
        waiting = [message.id for message in seen if message.state not in _ENDS]
    return [await house.queue.message(each) for each in message_ids]


async def judged(house: House, place: Place, kind: Kind, seen: tuple[CuttingProxy, Message]) -> str:
    """What is wrong with how it ended, or nothing."""
    proxy, end = seen
    (delivery,) = end.deliveries
    history = await house.queue.history(end.id)
    outcomes = [attempt.outcome for attempt in history.attempts]
    if not proxy.has_cut:
        return "the connection was not cut"
    if place.is_in_doubt(kind):
        is_right = delivery.state is DeliveryState.UNCERTAIN and delivery.possible_duplicate
        return "" if is_right and outcomes == ["unknown"] else f"{delivery.state} {outcomes}"
    is_right = delivery.state is DeliveryState.RELAYED and not delivery.possible_duplicate
    return "" if is_right and outcomes[0] == "failed" else f"{delivery.state} {outcomes}"


def doubled(relay: LedgerRelay) -> list[str]:
    """Nothing in doubt is due yet, so nothing at all may be there twice."""
    return [
        f"{which} was taken {count} times" for which, count in relay.copies().items() if count > 1
    ]


@pytest.mark.parametrize("late", [False, True])
async def test_an_answer_to_the_dot_counts_until_the_deadline(
    tmp_path: Path, impatient: dict[str, object], tally: Tally, late: bool
) -> None:
    """In time: relayed, once. Too late: uncertain, and not tried again for a quarter of an hour."""
    milliseconds = _SECONDS * 1000 + 1500 if late else _SECONDS * 1000 - 800
    with ledger_relay(tmp_path) as relay:
        async with open_house(tmp_path) as house:
            sent = await send(house, f"slow-{milliseconds}@y.test", relay.port, impatient)
            async with delivering(house):
                [end] = await ended(house, [sent])

    (delivery,) = end.deliveries
    assert delivery.state is (DeliveryState.UNCERTAIN if late else DeliveryState.RELAYED)
    assert sum(relay.copies().values()) == 1
    if late:
        assert delivery.due_at is not None
        assert delivery.due_at - delivery.changed_at >= UNCERTAIN_WAIT - timedelta(seconds=1)
    tally("F11", late=str(late), copies=1, state=delivery.state.value)
