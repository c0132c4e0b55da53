"""The short way for messages answers as the long one does, and steps aside when it must."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from pillarbox.base.config import Listen
from pillarbox.inlets.http.gate import Gate
from pillarbox.inlets.http.server import Server
from support.desk import HELLO, Counter

GOOD = json.dumps(HELLO).encode()


class Caller:
    """Speaks HTTP on one connection, octet by octet as it is told."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def say(self, octets: bytes) -> None:
        self._writer.write(octets)
        await self._writer.drain()

    async def hear(self) -> tuple[str, dict[str, str], Any]:
        """Status line, headers and JSON of one answer."""
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        if " 100 " in head[0]:
            return await self.hear()
        headers = dict(line.lower().split(": ", 1) for line in head[1:-2])
        body = await self._reader.readexactly(int(headers["content-length"]))
        return head[0], headers, json.loads(body)

    async def is_closed(self) -> bool:
        return await self._reader.read() == b""

    def leave(self) -> None:
        self._writer.close()


@asynccontextmanager
async def calling(counter: Counter) -> AsyncIterator[tuple[Caller, Server]]:
    server = Server(counter.app, Listen("127.0.0.1", 0))
    task = asyncio.create_task(server.run())
    caller = Caller(*await asyncio.open_connection("127.0.0.1", server.port))
    try:
        yield caller, server
    finally:
        caller.leave()
        server.stop()
        await task


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The bodies that went the short way."""
    seen: list[bytes] = []
    take = Gate.take

    async def watched(gate: Gate, headers: Any, body: bytes) -> Any:
        seen.append(body)
        return await take(gate, headers, body)

    monkeypatch.setattr(Gate, "take", watched)
    return seen


@pytest.fixture
def long(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of what went the long way."""
    seen: list[str] = []
    call = Gate.__call__

    async def watched(gate: Gate, scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["path"])
        await call(gate, scope, receive, send)

    monkeypatch.setattr(Gate, "__call__", watched)
    return seen


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


def head(counter: Counter, body: bytes = GOOD, **headers: str) -> bytes:
    """The head of a request that hands over this body; an empty header is left out."""
    given = {
        "Host": "localhost",
        "Authorization": f"Bearer {counter.key}",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
    } | {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{name}: {value}" for name, value in given.items() if value]
    return "\r\n".join(["POST /v1/messages HTTP/1.1", *lines, "", ""]).encode()


def comparable(answer: tuple[str, dict[str, str], Any]) -> str:
    """Without what differs from one message to the next."""
    line, headers, body = answer
    told = json.dumps([line, sorted(headers.items() - {("date", headers["date"])}), body])
    return re.sub(r"(msg|dlv|req)_[0-9A-Za-z]{26}", r"\1_…", told)


REQUESTS: list[tuple[bytes, dict[str, str]]] = [
    (GOOD, {}),
    (json.dumps(HELLO | {"to": ["ä@müller.example", "b@c.example"], "text": "ä"}).encode(), {}),
    (json.dumps(HELLO | {"dry_run": True, "relay": "nowhere"}).encode(), {}),
    (b"{", {}),
    (b"[]", {}),
    (b"\xff", {}),
    (b'{"to": 1, "to": 2, "nmae": "\\ud800"}', {}),
    (GOOD, {"Authorization": ""}),
    (GOOD, {"Authorization": "Bearer pb_x_y"}),
    (GOOD, {"Content-Type": "text/plain"}),
    (GOOD, {"Content-Type": ""}),
    (GOOD, {"Content-Type": "application/problem+json; charset=utf-8"}),
    (GOOD, {"X-Request-Id": "order-17"}),
    (GOOD, {"X-Request-Id": "or der"}),
    (GOOD, {"Idempotency-Key": "a b"}),
    (GOOD, {"Idempotency-Key": "k1", "idempotency-key": "k2"}),
]


@pytest.mark.parametrize(("body", "headers"), REQUESTS)
async def test_both_ways_answer_the_same(
    counter: Counter, short: list[bytes], body: bytes, headers: dict[str, str]
) -> None:
    """Good or bad: status, headers and body, but for ids and the date."""
    async with calling(counter) as (caller, _):
        await caller.say(head(counter, body, **headers) + body)
        quick = await caller.hear()
        assert short == [body]
        await caller.say(head(counter, body, **headers, Expect="100-continue") + body)
        slow = await caller.hear()

    assert short == [body]
    assert comparable(quick) == comparable(slow)


async def test_a_repeat_is_replayed_whichever_way_it_comes(
    counter: Counter, short: list[bytes]
) -> None:
    """The idempotency key is the same on both."""
    async with calling(counter) as (caller, _):
        answers = []
        for expect in ("", "100-continue", ""):
            asked = head(counter, Idempotency_Key="order-17", Expect=expect)
            await caller.say(asked + GOOD)
            answers.append(await caller.hear())
        first, second, third = answers

    assert len(short) == 2
    assert second[1]["idempotent-replayed"] == third[1]["idempotent-replayed"] == "true"
    assert first[2] == second[2] == third[2]
    assert await counter.count() == 1


async def test_a_body_that_comes_later_goes_the_long_way(
    counter: Counter, short: list[bytes], long: list[str]
) -> None:
    """Whether nothing or some of it has come with the head; the next request is short again."""
    async with calling(counter) as (caller, _):
        for count, first in enumerate((b"", GOOD[:7]), 1):
            await caller.say(head(counter) + first)
            await until(lambda count=count: len(long) == count)
            await caller.say(GOOD[len(first) :])
            line, _, _ = await caller.hear()
            assert " 202 " in line
        assert short == []
        await caller.say(head(counter) + GOOD)
        assert " 202 " in (await caller.hear())[0]

    assert (len(short), len(long)) == (1, 2)
    assert await counter.count() == 3


async def test_requests_that_come_at_once_are_answered_in_order(
    counter: Counter, short: list[bytes]
) -> None:
    """HTTP pipelining: the first takes the short way, the others wait for it."""
    wished = [json.dumps(HELLO | {"subject": str(number)}).encode() for number in range(5)]
    async with calling(counter) as (caller, _):
        await caller.say(b"".join(head(counter, each) + each for each in wished))
        answers = [await caller.hear() for _ in wished]

    assert [body["subject"] for _, _, body in answers] == ["0", "1", "2", "3", "4"]
    assert short[0] == wished[0]


async def test_a_connection_lives_as_long_as_its_caller_wants(
    counter: Counter, short: list[bytes]
) -> None:
    """Kept for the next request, or closed after the answer when the caller says so."""
    async with calling(counter) as (caller, _):
        for _ in range(3):
            await caller.say(head(counter) + GOOD)
            _, headers, _ = await caller.hear()
            assert "connection" not in headers
        await caller.say(head(counter, Connection="close") + GOOD)
        _, headers, _ = await caller.hear()
        assert headers["connection"] == "close"
        assert await caller.is_closed()

    assert len(short) == 4


@pytest.mark.parametrize(
    "asked",
    [
        {"Expect": "100-continue"},
        {"Content-Length": "", "Transfer-Encoding": "chunked"},
    ],
)
async def test_what_is_unusual_goes_the_long_way(
    counter: Counter, short: list[bytes], asked: dict[str, str]
) -> None:
    """It is answered all the same."""
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(GOOD), GOOD) if "Transfer-Encoding" in asked else GOOD
    async with calling(counter) as (caller, _):
        await caller.say(head(counter, **asked) + body)
        line, _, _ = await caller.hear()

    assert " 202 " in line
    assert short == []


async def test_a_caller_who_leaves_has_handed_it_over_all_the_same(
    counter: Counter, short: list[bytes]
) -> None:
    """Nobody hears the 202; the message is stored, and the server goes on."""
    async with calling(counter) as (caller, server):
        await caller.say(head(counter) + GOOD)
        caller.leave()
        other = Caller(*await asyncio.open_connection("127.0.0.1", server.port))
        await other.say(head(counter) + GOOD)
        line, _, _ = await other.hear()
        other.leave()

    assert " 202 " in line
    assert await counter.count() == 2


async def test_a_server_that_stops_answers_what_it_has_taken(
    counter: Counter, short: list[bytes]
) -> None:
    """The connection is closed after the answer, not before."""
    async with calling(counter) as (caller, server):
        await caller.say(head(counter) + GOOD)
        await until(lambda: short)
        server.stop()
        line, _, _ = await caller.hear()
        assert await caller.is_closed()

    assert " 202 " in line


async def test_answers_of_the_short_way_are_counted(counter: Counter) -> None:
    """In the same number of `/metrics`."""
    async with calling(counter) as (caller, _):
        await caller.say(head(counter) + GOOD)
        await caller.hear()

    metrics = (await counter.ask("GET", "/metrics")).text
    assert 'pillarbox_http_answers_total{method="POST",status="202"} 1.0' in metrics


async def test_a_fault_of_ours_is_told_on_the_short_way_too(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 500 with the id that the log has; the connection goes on."""
    async with calling(counter) as (caller, _):
        with monkeypatch.context() as broken:
            broken.setattr(counter.desk.acceptance, "accept", None)
            await caller.say(head(counter, X_Request_Id="order-17") + GOOD)
            line, _, body = await caller.hear()
        await caller.say(head(counter) + GOOD)
        again, _, _ = await caller.hear()

    assert (" 500 " in line, body["request_id"]) == (True, "order-17")
    assert " 202 " in again
