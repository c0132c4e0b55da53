"""Events as a stream: from where the reader was, each once, and no reader harms the others."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from pillarbox.base.clock import SystemClock
from pillarbox.base.config import Listen
from pillarbox.base.http import Ask, Http, HttpAnswer
from pillarbox.client.answers import Event
from pillarbox.client.client import Pillarbox
from pillarbox.inlets.http import streams
from pillarbox.inlets.http.server import Server
from support.desk import HELLO, Counter, open_counter


@dataclass(slots=True)
class Place:
    """A server on a port, which can go and come back."""

    counter: Counter
    port: int = 0
    server: Server | None = None
    running: asyncio.Task[None] | None = None

    async def open(self) -> None:
        self.counter.app.state.streams.is_ending = False
        self.server = Server(self.counter.app, Listen("127.0.0.1", self.port))
        self.port = self.server.port
        self.running = asyncio.create_task(self.server.run())

    async def close(self) -> None:
        assert self.server is not None
        assert self.running is not None
        self.server.stop()
        await asyncio.wait_for(self.running, 5)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def streams(self) -> streams.Streams:
        found: streams.Streams = self.counter.app.state.streams
        return found

    async def send(self, count: int = 1) -> list[str]:
        """The ids of so many messages."""
        answers = [await self.counter.ask("POST", "/v1/messages", HELLO) for _ in range(count)]
        return [each.json()["id"] for each in answers]

    def http(self) -> Http:
        return Http(self.url, headers={"Authorization": f"Bearer {self.counter.key}"})


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with open_counter(tmp_path, SystemClock()) as counter:
        opened = Place(counter)
        await opened.open()
        yield opened
        await opened.close()


async def some(events: AsyncIterator[Event], count: int) -> list[Event]:
    async with asyncio.timeout(10):
        return [await anext(events) for _ in range(count)]


async def raw(place: Place, query: str = "", **headers: str) -> list[str]:
    """The first lines that a stream sends, up to an event."""
    http = place.http()
    try:
        ask = Ask(method="GET", path=f"/v1/events/stream{query}", headers=headers)
        async with http.stream(ask) as answer, asyncio.timeout(10):
            assert not isinstance(answer, HttpAnswer)
            lines = []
            async for line in answer:
                lines.append(line)
                if line.startswith("data:"):
                    return lines
    finally:
        await http.close()
    raise AssertionError("no event came")


async def test_a_reader_hears_what_happens_from_now_on(place: Place) -> None:
    """Each event has its id, its name and its JSON; nothing from before is repeated."""
    await place.send(2)
    async with Pillarbox(place.url, key=place.counter.key) as box:
        events = box.events()
        hearing = asyncio.create_task(some(events, 3))
        while place.streams.open == 0:
            await asyncio.sleep(0.01)
        sent = await place.send(3)
        heard = await hearing
        await events.aclose()

    assert [each.message_id for each in heard] == sent
    assert {each.name for each in heard} == {"message.accepted"}
    assert heard[0].facts == {"deliveries": 1}


async def test_a_reader_who_comes_back_misses_nothing(place: Place) -> None:
    """The server stops while somebody listens, mail arrives, the server returns: each once."""
    async with Pillarbox(place.url, key=place.counter.key) as box:
        events = box.events(after=0)
        begun = await some(events, 2)
        first = await place.send(2)
        heard = await some(events, 2)
        await place.close()
        away = await place.send(3)
        await place.open()
        heard += await some(events, 3)
        await events.aclose()

    assert [each.name for each in begun] == ["relay.added", "key.created"]
    assert [each.message_id for each in heard] == first + away
    assert [each.id for each in heard] == sorted({each.id for each in heard})


async def test_last_event_id_wins_over_after(place: Place) -> None:
    """A browser that reconnects repeats its address and says where it was in the header."""
    await place.send(3)

    begun = await raw(place, "?after=0")
    resumed = await raw(place, "?after=0", **{"Last-Event-ID": "2"})

    assert begun[:3] == ["retry: 2000", "id: 0", ""]
    assert "id: 1" in begun
    assert resumed[1] == "id: 2"
    assert resumed[3:5] == ["id: 3", "event: message.accepted"]


@pytest.mark.parametrize("wrong", ["x", "-1", "9" * 19, "1.0"])
async def test_a_cursor_that_is_no_number_is_refused(place: Place, wrong: str) -> None:
    """Before anything is sent, by the name of the header."""
    answer = await place.counter.ask("GET", "/v1/events/stream", Last_Event_ID=wrong)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["header"] == "Last-Event-ID"


@asynccontextmanager
async def listening(place: Place) -> AsyncIterator[socket.socket]:
    """Somebody who asks for the stream and reads nothing of it."""
    text = (
        f"GET /v1/events/stream?after=0 HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: Bearer {place.counter.key}\r\n\r\n"
    )
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(deaf, ("127.0.0.1", place.port))
        await loop.sock_sendall(deaf, text.encode())
        yield deaf


async def test_a_reader_who_does_not_read_is_let_go(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it does not take is not kept for it without bound."""
    monkeypatch.setattr(streams, "_PATIENCE_SECONDS", 0.3)
    monkeypatch.setattr(streams, "_HEARTBEAT_SECONDS", 0.1)
    monkeypatch.setattr(streams, "written", lambda entries: "x" * 8_000_000)
    async with listening(place), asyncio.timeout(10):
        while place.streams.open == 0:
            await asyncio.sleep(0.01)
        while place.streams.open == 1:
            await asyncio.sleep(0.01)


async def test_there_is_an_end_to_the_number_of_streams(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One too many hears when to ask again; one that left makes room."""
    monkeypatch.setattr(streams, "MAX_STREAMS", 1)
    async with asyncio.timeout(10), listening(place):
        while place.streams.open == 0:
            await asyncio.sleep(0.01)
        refused = await place.counter.ask("GET", "/v1/events/stream")
        assert refused.status_code == 503
        assert refused.headers["retry-after"]
    async with asyncio.timeout(10):
        while place.streams.open:
            await asyncio.sleep(0.01)
    await place.send()
    assert await raw(place, "?after=0")


async def test_silence_is_filled_with_heartbeats(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proxies close what says nothing, and a reader would not know that we are gone."""
    monkeypatch.setattr(streams, "_HEARTBEAT_SECONDS", 0.1)
    http = place.http()
    try:
        async with http.stream(Ask(method="GET", path="/v1/events/stream")) as answer:
            assert not isinstance(answer, HttpAnswer)
            async with asyncio.timeout(10):
                while await anext(answer) != ":":
                    pass
    finally:
        await http.close()


async def test_without_a_port_the_list_is_asked(tmp_path: Path) -> None:
    """In one process `events` does the same, by asking again."""
    async with Pillarbox(f"sqlite:///{tmp_path}/box.db", deliver=False) as box:
        events = box.events()
        hearing = asyncio.create_task(some(events, 1))
        await asyncio.sleep(0)
        message = await box.send(from_="a@example.org", to="b@example.org", text="Hi")
        [before] = (await box.journal.list(limit=1)).items
        heard = [] if not hearing.done() else await hearing
        if not heard:
            await box.send(from_="a@example.org", to="b@example.org", text="Hi")
            heard = await hearing
        await events.aclose()

    assert before.message_id == message.id
    assert heard[0].name == "message.accepted"


async def test_the_last_events_come_without_a_cursor(place: Place) -> None:
    """`before` reads the journal from its end, oldest first all the same."""
    sent = await place.send(5)
    page = (await place.counter.ask("GET", f"/v1/events?before={2**63 - 1}&limit=2")).json()

    assert [each["message_id"] for each in page["data"]] == sent[-2:]
    assert page["has_more"]
    earlier = await place.counter.ask("GET", f"/v1/events?before={page['data'][0]['id']}&limit=9")
    assert [each["message_id"] for each in earlier.json()["data"]][-3:] == sent[:3]
