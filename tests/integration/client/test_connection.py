"""The client against a server of a few lines: what it repeats, and what it makes of refusals."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pillarbox.base.errors import (
    Conflict,
    Denied,
    Mismatch,
    NotFound,
    PillarboxError,
    Refused,
    Rejected,
    TooLarge,
    Unauthenticated,
    Unavailable,
    Unusable,
)
from pillarbox.base.http import IN_PROCESS, Http, Unanswered
from pillarbox.client.calls import Messages
from pillarbox.client.connection import Call, Connection
from pillarbox.client.relay_calls import Relays
from support.clocks import HandClock

Reply = tuple[int, dict[str, str], Any]
MESSAGE = {"id": "msg_1", "state": "queued", "deliveries": [{"id": "d", "state": "queued"}]}


class Script:
    """An ASGI application that answers what it was given, in order, and keeps what it heard."""

    def __init__(self, replies: Sequence[Reply]) -> None:
        self.replies = list(replies)
        self.heard: list[tuple[str, str, dict[str, str], Any]] = []

    async def __call__(self, scope: Any, receive: Callable[[], Any], send: Any) -> None:
        body = (await receive())["body"]
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        said = json.loads(body) if body else None
        self.heard.append((scope["method"], scope["path"], headers, said))
        status, more, answer = self.replies.pop(0)
        sent = {"content-type": "application/json", **more}
        pairs = [(name.encode(), value.encode()) for name, value in sent.items()]
        await send({"type": "http.response.start", "status": status, "headers": pairs})
        await send({"type": "http.response.body", "body": json.dumps(answer).encode()})


class Restless(HandClock):
    """A clock on which sleeping takes no time, and is remembered."""

    def __init__(self) -> None:
        super().__init__()
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


@asynccontextmanager
async def connected(*replies: Reply) -> AsyncIterator[tuple[Connection, Script, Restless]]:
    script, clock = Script(replies), Restless()
    connection = Connection(Http(IN_PROCESS, asgi=script), clock)
    yield connection, script, clock
    await connection.close()


def busy(seconds: int = 1) -> Reply:
    problem = {"code": "temporarily_unavailable", "detail": "not now"}
    return 503, {"retry-after": str(seconds)}, problem


async def test_a_message_is_sent_again_with_the_same_key() -> None:
    """A 503 is repeated; the key makes sure that there is one message."""
    async with connected(busy(), busy(), (202, {}, MESSAGE)) as (connection, script, clock):
        message = await Messages(connection).send({"to": "a@example.org", "text": "x"})

    keys = {headers["idempotency-key"] for _, _, headers, _ in script.heard}
    assert message.id == "msg_1"
    assert len(script.heard) == 3
    assert len(keys) == 1
    assert all(1 <= each <= 1.2 for each in clock.slept)


async def test_two_messages_have_two_keys() -> None:
    """The same text twice is two mails, unless the caller names them the same."""
    async with connected(*[(202, {}, MESSAGE)] * 3) as (connection, script, _):
        messages = Messages(connection)
        await messages.send({"to": "a@example.org"})
        await messages.send({"to": "a@example.org"})
        await messages.send({"to": "a@example.org", "idempotency_key": "mine"})

    first, second, third = (headers["idempotency-key"] for _, _, headers, _ in script.heard)
    assert first != second
    assert third == "mine"
    assert script.heard[2][3] == {"to": "a@example.org"}


async def test_repeating_ends() -> None:
    """After four tries the caller is told, with when to come back."""
    async with connected(*[busy(3)] * 4) as (connection, script, _):
        with pytest.raises(Unavailable) as caught:
            await Messages(connection).get("msg_1")

    assert caught.value.retry_after == timedelta(seconds=3)
    assert script.replies == []


async def test_a_long_wait_is_the_callers() -> None:
    """A server that asks for a minute gets its refusal passed on at once."""
    async with connected(busy(60)) as (connection, _, clock):
        with pytest.raises(Unavailable):
            await Messages(connection).get("msg_1")

    assert clock.slept == []


async def test_what_changes_something_is_not_repeated() -> None:
    """A relay is added once, however the server answers."""
    async with connected(busy()) as (connection, script, _):
        with pytest.raises(Unavailable):
            await Relays(connection).add("main", host="mail.example.org")

    assert len(script.heard) == 1


async def test_a_request_in_progress_is_waited_for() -> None:
    """The first one with this key is being answered: its answer will be ours."""
    problem = {"code": "idempotency_in_progress", "detail": "wait"}
    async with connected((409, {"retry-after": "1"}, problem), (202, {}, MESSAGE)) as seen:
        assert (await Messages(seen[0]).send({"to": "a@example.org"})).id == "msg_1"


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, "missing_credentials", Unauthenticated),
        (403, "denied", Denied),
        (404, "not_found", NotFound),
        (409, "conflict", Conflict),
        (413, "payload_too_large", TooLarge),
        (422, "idempotency_mismatch", Mismatch),
        (422, "unheard_of", Refused),
        (503, "unusable", Unusable),
        (500, "internal_error", Unavailable),
    ],
)
async def test_a_problem_is_raised_as_what_it_is(
    status: int, code: str, kind: type[PillarboxError]
) -> None:
    """By its code; by its status when a newer server has a code that we do not know."""
    replies = [(status, {"retry-after": "60"}, {"code": code, "detail": "because"})]
    async with connected(*replies) as (connection, _, _):
        with pytest.raises(kind, match="because") as caught:
            await connection.json(Call("GET", "/"))

    assert type(caught.value) is kind


async def test_every_problem_keeps_its_field() -> None:
    """Pointers become fields, as base/errors.py has them."""
    errors = [{"pointer": "/to/0", "detail": "no address"}, {"pointer": "/text", "detail": "empty"}]
    refusal = (422, {}, {"code": "validation_error", "detail": "2", "errors": errors})
    async with connected(refusal) as (connection, _, _):
        with pytest.raises(Rejected) as caught:
            await Messages(connection).send({})

    assert [(each.field, str(each)) for each in caught.value.problems] == [
        ("to/0", "no address"),
        ("text", "empty"),
    ]


async def test_an_answer_of_a_proxy_is_no_answer_of_ours() -> None:
    """Some HTML with a 502 is told in one sentence."""
    html = (502, {"content-type": "text/html", "retry-after": "60"}, "<h1>Bad Gateway</h1>")
    async with connected(html) as (connection, _, _):
        with pytest.raises(Unavailable, match="answered 502"):
            await connection.json(Call("GET", "/"))


async def test_nobody_there_is_said_with_the_address() -> None:
    """A connection that was refused is tried again, also for a request that changes things."""
    http, clock = Http("http://127.0.0.1:9"), Restless()
    with pytest.raises(Unanswered, match=r"http://127\.0\.0\.1:9 cannot be reached") as caught:
        await Connection(http, clock).json(Call("POST", "/v1/relays", body={}))
    await http.close()

    assert not caught.value.was_sent
    assert len(clock.slept) == 3


async def test_what_we_do_not_know_is_kept() -> None:
    """A newer server may say more; an older one may say less."""
    told = {**MESSAGE, "created_at": "2026-11-20T16:30:00.000Z", "colour": "red"}
    async with connected((200, {}, told)) as (connection, _, _):
        message = await Messages(connection).get("msg_1")

    assert message.created_at == datetime(2026, 11, 20, 16, 30, tzinfo=UTC)
    assert message.json["colour"] == "red"
    assert message.attempts == ()


async def test_a_name_with_a_slash_stays_one_name() -> None:
    """Ids and names are parts of a path, never paths."""
    async with connected((200, {}, {"id": "rly_1"})) as (connection, script, _):
        await Relays(connection).get("a/../b c")

    assert script.heard[0][1] == "/v1/relays/a/../b c"


async def test_waiting_has_an_end() -> None:
    """The timeout is the caller's, in seconds."""
    async with connected(*[(200, {}, MESSAGE)] * 1) as (connection, _, _):
        with pytest.raises(Unavailable, match="still queued after 0 seconds"):
            await Messages(connection).wait("msg_1", timeout_seconds=0)
