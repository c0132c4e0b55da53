"""
Reading the body of a request: bounded, and as strict as JSON (RFC 8259) allows.

Two keys of the same name, numbers that are none, half characters and towers of brackets are
refused: each has once meant one thing to the checker and another to the sender.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator, MutableMapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NoReturn

from starlette.requests import ClientDisconnect, Request

from pillarbox.base.allowance import Allowance
from pillarbox.base.errors import Invalid, Rejected, TooLarge
from pillarbox.inlets.http.login import Headers
from pillarbox.inlets.http.problems import Busy, Malformed, UnsupportedMedia

MAX_BODY = 40 * 1024 * 1024  # octets
MAX_HELD = 32 * 1024 * 1024  # octets of all very large bodies that are being read at one moment
MAX_HELD_BESIDE = 16 * 1024 * 1024  # the same of large ones, which so pass the others
MAX_WORKED = 24 * 1024 * 1024  # octets of those that are parsed and stored at one moment
MAX_DEPTH = 32  # objects and lists within each other
KEPT = "pillarbox.kept"  # in a scope
PATIENCE_SECONDS = 30.0  # for a small body, and between two pieces of a large one
WAIT_SECONDS = 20.0  # for other large bodies, until the client is asked to come again
_PIECE = 16 * 1024  # octets; smaller ones buy no more time, or a drip would hold us for ever
JSON = b"application/json"
_LARGE = 128 * 1024  # octets; above it, parsing would hold up other requests
_VERY_LARGE = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Parsed:
    """
    An object, without the top-level fields that could not be read; those are in faults.
    whole has them still.
    """

    fields: dict[str, Any]
    faults: tuple[Invalid, ...] = ()
    whole: dict[str, Any] | None = None


class _Doubled(dict[str, Any]):
    """An object in which a name stood twice."""

    names: tuple[str, ...] = ()


class _StandsTwice(Exception):
    """Some object has a name twice; which, is for a second reading to find out."""


class Intake:
    """
    Reads bodies, never more at one moment than fit into memory.

    A large body waits until there is room for it, unread: small ones pass. When it is here it
    waits once more, to be worked at, because that takes several times its octets; this room
    it keeps until its request is answered.
    """

    def __init__(self) -> None:
        self._reading = Allowance(MAX_HELD)
        self._reading_beside = Allowance(MAX_HELD_BESIDE)
        self._working = Allowance(MAX_WORKED)

    async def json(self, request: Request, *, may_be_empty: bool = False) -> Parsed:
        """
        The object in the body; with may_be_empty, no body is an empty object.

        Raises UnsupportedMedia, TooLarge, Malformed, Busy.
        """
        announced = request.headers.get("content-length", "0")
        size = int(announced) if announced.isdecimal() else 0
        if size > MAX_BODY:
            raise _too_large()
        async with AsyncExitStack() as held:
            if size > _LARGE:
                is_very_large = size > _VERY_LARGE
                room = self._reading if is_very_large else self._reading_beside
                await _wait_for(held, room, size)
            octets = await self._octets(request, held)
            if not octets and may_be_empty:
                return Parsed({})
            check_media_type(request.scope["headers"])
            if len(octets) <= _LARGE:
                return parse(octets)
            await _wait_for(kept_until_answered(request.scope), self._working, len(octets))
            return await asyncio.to_thread(parse, octets)

    async def _octets(self, request: Request, held: AsyncExitStack) -> bytearray:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS) as patience:
                return await self._collected(request, held, patience)
        except TimeoutError:
            raise Malformed("the body did not arrive in time") from None
        except ClientDisconnect:
            raise Malformed("the body did not arrive whole") from None

    async def _collected(
        self, request: Request, held: AsyncExitStack, patience: asyncio.Timeout
    ) -> bytearray:
        """A large body may take long, as long as large pieces keep coming."""
        clock = asyncio.get_running_loop().time
        octets = bytearray()
        is_announced = "content-length" in request.headers
        async for piece in request.stream():
            octets += piece
            if len(octets) > MAX_BODY:
                raise _too_large()
            if not is_announced and len(octets) > _LARGE:  # nobody knows how much more
                is_announced = True
                patience.reschedule(clock() + PATIENCE_SECONDS + WAIT_SECONDS)
                await _wait_for(held, self._reading, MAX_BODY)
            if len(piece) >= _PIECE:
                patience.reschedule(clock() + PATIENCE_SECONDS)
        return octets


async def _wait_for(held: AsyncExitStack, allowance: Allowance, octets: int) -> None:
    """Raises Busy."""
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            await held.enter_async_context(allowance.hold(octets))
    except TimeoutError:
        raise Busy("too many large requests at once", retry_after=timedelta(seconds=5)) from None


def kept_until_answered(scope: MutableMapping[str, Any]) -> AsyncExitStack:
    """What a request keeps. The gate lets go of it when the answer has been sent."""
    kept: AsyncExitStack = scope.setdefault(KEPT, AsyncExitStack())
    return kept


def parse(octets: bytes | bytearray) -> Parsed:
    """
    Raises Malformed when it is no JSON object. A bytearray is emptied, so that a body of
    many megabytes is not held twice.
    """
    try:
        whole, is_doubled = _decoded(_emptied(octets))
    except UnicodeDecodeError:
        raise Malformed("the body is not UTF-8") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise Malformed(f"the body is not JSON: {error.msg} at {where}") from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        raise Malformed(f"the body is not JSON: {error}") from None
    if not isinstance(whole, dict):
        raise Malformed("the body is JSON, but not an object: begin with {")
    if _has_broken_text(whole) or is_doubled:
        return without_faulty(whole)
    return Parsed(whole)


def _decoded(text: str) -> tuple[Any, bool]:
    """
    The value, and whether a name stands twice in some object of it: they are marked then.

    Nobody means that, so it is looked for in a first reading and marked in a second.
    """
    if text.startswith("\ufeff"):
        raise ValueError("it begins with a byte order mark")  # RFC 8259 §8.1
    try:
        return _SINGLE.decode(text), False
    except _StandsTwice:
        return _MARKING.decode(text), True


def _emptied(octets: bytes | bytearray) -> str:
    text = octets.decode()
    if isinstance(octets, bytearray):
        octets.clear()
    return text


def require_empty(parsed: Parsed) -> None:
    """For routes whose body says nothing. Raises Rejected naming the fields."""
    faults = [
        Invalid("this request takes no fields", field=pointer(name)) for name in parsed.fields
    ]
    if faults:
        raise Rejected([*parsed.faults, *faults])


def pointer(name: str) -> str:
    """A name as one step of a JSON Pointer (RFC 6901 §3), cut to a size that can be shown."""
    shown = name[:100].encode(errors="backslashreplace").decode()
    return shown.replace("~", "~0").replace("/", "~1")


def check_media_type(headers: Headers) -> None:
    """A body without one is taken for JSON. Raises UnsupportedMedia."""
    given = next((value for name, value in headers if name == b"content-type"), JSON)
    if given == JSON:
        return
    kind = given.decode("latin-1").partition(";")[0].strip().lower()
    if kind != "application/json" and not (
        kind.startswith("application/") and kind.endswith("+json")
    ):
        raise UnsupportedMedia("send the body as JSON, with Content-Type: application/json")


def _single(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(pairs)
    if len(names) != len(pairs):
        raise _StandsTwice
    return names


def _marked(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(pairs)
    if len(names) == len(pairs):
        return names
    marked = _Doubled(names)
    counts = Counter(name for name, _ in pairs)
    marked.names = tuple(name for name, count in counts.items() if count > 1)
    return marked


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a number in JSON")


_SINGLE = json.JSONDecoder(object_pairs_hook=_single, parse_constant=_no_number)
_MARKING = json.JSONDecoder(object_pairs_hook=_marked, parse_constant=_no_number)


def _has_broken_text(whole: dict[str, Any]) -> bool:
    """Whether half a character is anywhere in it. Raises Malformed when it is too deep."""
    is_broken = False
    level: list[Any] = [whole]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for each in level:
            below += (*each, *each.values()) if isinstance(each, dict) else each
        texts = [it for it in below if isinstance(it, str)]
        if not all(map(str.isascii, texts)):
            is_broken = is_broken or any(map(_is_broken, texts))
        level = [it for it in below if isinstance(it, dict | list)]
        if not level:
            return is_broken
    raise _too_deep()


def without_faulty(whole: dict[str, Any]) -> Parsed:
    """The object as far as it can be read in one way only; faults are seen from it."""
    faults = tuple(_faulty(whole, ""))
    unread = {(fault.field or "").partition("/")[0] for fault in faults}
    return Parsed(
        {name: value for name, value in whole.items() if pointer(name) not in unread},
        faults,
        whole,
    )


def _faulty(value: Any, where: str) -> Iterator[Invalid]:
    """Names that stand twice and half characters, with where they are."""
    match value:
        case str() if _is_broken(value):
            yield Invalid("this has half a character (a lone surrogate)", field=where)
        case dict():
            for name in dict.fromkeys(getattr(value, "names", ())):
                yield Invalid("this name stands twice in the object", field=_below(where, name))
            for name, inner in value.items():
                yield from _faulty_name(name, where)
                yield from _faulty(inner, _below(where, name))
        case list():
            for number, inner in enumerate(value):
                yield from _faulty(inner, _below(where, str(number)))


def _faulty_name(name: str, where: str) -> Iterator[Invalid]:
    if _is_broken(name):
        yield Invalid(
            "this name has half a character (a lone surrogate)", field=_below(where, name)
        )


def _is_broken(text: str) -> bool:
    """A lone surrogate: it is in no Unicode text, and cannot be encoded."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _below(where: str, name: str) -> str:
    return f"{where}/{pointer(name)}" if where else pointer(name)


def _too_large() -> TooLarge:
    return TooLarge(f"a request has at most {MAX_BODY // 1024 // 1024} MiB; nothing was stored")


def _too_deep() -> Malformed:
    return Malformed(f"the body has more than {MAX_DEPTH} objects and lists within each other")
