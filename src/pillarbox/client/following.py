"""
Following events: a stream that is taken up again where it broke off, as often as it takes.

Within one process there are no streams; there the list is asked again and again.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from pillarbox.base.errors import Unavailable
from pillarbox.client.answers import Event, read
from pillarbox.client.connection import Call, Connection

_LIST, _STREAM = "/v1/events", "/v1/events/stream"
_LATEST = 2**63 - 1
_PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0)  # seconds between tries to get back; the last repeats
_LOOK_SECONDS = 0.2
_PAGE = 200


async def follow(connection: Connection, after: int | None) -> AsyncIterator[Event]:
    """
    Every event after this id, or from now on, each once and in order; without end.

    Raises what the first request raises. Later a server that is away is waited for.
    """
    if connection.can_stream:
        events = _reconnecting(connection, after)
    else:
        events = _asking(connection, after)
    async for each in events:
        yield each


async def page(connection: Connection, after: int | None, limit: int) -> dict[str, Any]:
    """Events after this id, or the last ones, as the API lists them."""
    query = {"before": _LATEST} if after is None else {"after": after}
    told: dict[str, Any] = await connection.json(Call("GET", _LIST, {**query, "limit": limit}))
    return told


async def _reconnecting(connection: Connection, cursor: int | None) -> AsyncIterator[Event]:
    failures, must_answer = 0, True
    while True:
        async for seen, told in _streamed(connection, cursor, must_answer=must_answer):
            cursor, must_answer, failures = seen, False, 0
            if told is not None:
                yield read(Event, told)
        await connection.clock.sleep(_PAUSES[min(failures, len(_PAUSES) - 1)])
        failures += 1


async def _streamed(
    connection: Connection, cursor: int | None, *, must_answer: bool
) -> AsyncIterator[tuple[int, dict[str, Any] | None]]:
    """One connection, until it breaks."""
    try:
        async with connection.stream(Call("GET", _STREAM, {"after": cursor})) as lines:
            async for each in _parsed(lines):
                must_answer = False
                yield each
    except Unavailable:
        if must_answer:
            raise


async def _parsed(lines: AsyncIterator[str]) -> AsyncIterator[tuple[int, dict[str, Any] | None]]:
    """The id of each event and its JSON; an id alone says where the stream begins."""
    cursor, told = None, None
    async for line in lines:
        name, _, value = line.rstrip("\r").partition(": ")
        match name:
            case "id":
                cursor = int(value)
            case "data":
                told = json.loads(value)
            case "" if cursor is not None:
                yield cursor, told
                cursor, told = None, None


async def _asking(connection: Connection, after: int | None) -> AsyncIterator[Event]:
    if after is None:
        after = int((await page(connection, None, 1))["next_cursor"])
    while True:
        told = await page(connection, after, _PAGE)
        for each in told["data"]:
            yield read(Event, each)
        after = int(told["next_cursor"])
        if not told["has_more"]:
            await connection.clock.sleep(_LOOK_SECONDS)
