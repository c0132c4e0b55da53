"""
What every request passes: a request id, the question who is asking, and the last catch.

Two ways lead here: ASGI, and for messages a shorter one (express.py). Nothing is open that is
not named here.
"""

from __future__ import annotations

import re
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import cached_property
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pillarbox.access.principal import Principal
from pillarbox.base import trace
from pillarbox.base.errors import Invalid, NotFound, PillarboxError, Rejected
from pillarbox.base.ids import Ids
from pillarbox.base.log import logger
from pillarbox.inlets.http.body import KEPT
from pillarbox.inlets.http.desk import Desk
from pillarbox.inlets.http.login import Headers, is_from_this_machine, principal
from pillarbox.inlets.http.problems import Busy, Misdirected, respond, respond_plain
from pillarbox.inlets.http.reach import check_reach
from pillarbox.relays.connecting import CALLBACK_PATH

MAX_ACTIVE = 256  # requests being answered at one moment

OPEN = frozenset({"/livez", "/readyz", "/docs", "/v1/openapi.json", CALLBACK_PATH})
_OPEN_FOLDER = "/static/"
_API = "/v1/"
_METRICS = "/metrics"
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._\-]{1,64}")

_log = logger("http")


Route = Callable[[Request], Awaitable[Response]]
Short = Callable[[Desk, Principal, Headers, bytes], Awaitable[Response]]
"""A route that is given all of a request at once: who asks, the headers and the body."""


class Gate:
    """
    Leaves `request_id` and, for the API, `principal` in the scope of a request by ASGI.

    direct names routes that every message takes: they are called at once, without the
    framework's search, checks and stacks, which cost more than taking the message in. short
    is what `take` calls.
    """

    def __init__(self, desk: Desk, direct: Mapping[tuple[str, str], Route], short: Short) -> None:
        self._desk = desk
        self._direct = direct
        self._short = short
        self._active = 0
        self.answers: Counter[tuple[str, int]] = Counter()

    @cached_property
    def _ids(self) -> Ids:
        return Ids(self._desk.clock)

    def before(self, app: ASGIApp) -> Gate:
        """The gate as a middleware of this application."""
        self._app = app
        return self

    async def take(self, headers: Headers, body: bytes) -> Response:
        """The answer to a message that came whole, by the short way. Never raises."""
        request_id = self._request_id(headers)
        self._active += 1
        try:
            who = self._admit_to_api(headers)
            with trace.span("accept", headers, inlet="http") as span:
                response = await self._short(self._desk, who, headers, body)
                span.set("status", response.status_code)
        except PillarboxError as error:
            response = respond(request_id, error)
        except Exception as error:  # noqa: BLE001  the HTTP loop: it logs, answers and goes on
            response = _broken(request_id, error)
        finally:
            self._active -= 1
        self.answers["POST", response.status_code] += 1
        response.raw_headers += _headers(_API, request_id)
        return response

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = scope["request_id"] = self._request_id(scope["headers"])
        started = False

        async def answer(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                self.answers[scope["method"], message["status"]] += 1
                message["headers"] = [*message["headers"], *_headers(scope["path"], request_id)]
            await send(message)

        self._active += 1
        try:
            await self._admit(scope)
            await self._pass_on(scope, receive, answer)
        except PillarboxError as error:
            await respond(request_id, error)(scope, receive, answer)
        except Exception as error:  # noqa: BLE001  the HTTP loop: it logs, answers and goes on
            apology = _broken(request_id, error)
            if started:
                raise ConnectionError("the answer broke off") from None
            await apology(scope, receive, answer)
        finally:
            self._active -= 1
            if KEPT in scope:
                await scope[KEPT].aclose()

    async def _pass_on(self, scope: Scope, receive: Receive, answer: Send) -> None:
        if doubled := _doubled(scope["query_string"]):
            refused = respond(scope["request_id"], doubled, field_is="parameter")
            await refused(scope, receive, answer)
            return
        route = self._direct.get((scope["method"], scope["path"]))
        if route is None:
            await self._app(scope, receive, answer)
            return
        with trace.span("accept", scope["headers"], inlet="http") as span:
            response = await route(Request(scope, receive))
            span.set("status", response.status_code)
        await response(scope, receive, answer)

    async def _admit(self, scope: Scope) -> None:
        """Raises Unauthenticated, Denied, Misdirected, NotFound or Busy."""
        path, headers = scope["path"], scope["headers"]
        if path in OPEN or path.startswith(_OPEN_FOLDER):
            return
        if path.startswith(_API):
            who = scope["principal"] = self._admit_to_api(headers)
            await check_reach(self._desk, who, scope["method"], path)
            return
        self._check_active()
        if not is_from_this_machine(scope["client"], headers):
            await self._admit_from_elsewhere(scope)
        elif path != _METRICS and not self._desk.config.is_for_this_machine:
            raise NotFound(
                "The console is closed while PILLARBOX_BASE_URL names another machine: a proxy "
                "in front of it would show the mail to everybody"
            )

    def _admit_to_api(self, headers: Headers) -> Principal:
        self._check_active()
        return principal(self._desk, headers)

    def _check_active(self) -> None:
        if self._active > MAX_ACTIVE:
            raise Busy("as many requests as we take at once are being answered; try again")

    async def _admit_from_elsewhere(self, scope: Scope) -> None:
        """The console shows mail and asks nobody who they are, so it stays on this machine."""
        if scope["path"] == _METRICS:
            who = scope["principal"] = principal(self._desk, scope["headers"])
            await check_reach(self._desk, who, scope["method"], _METRICS)
            return
        if scope["client"] is not None and is_from_this_machine(scope["client"], _NAMED):
            raise Misdirected("the console answers to 127.0.0.1 and localhost only")
        raise NotFound("There is nothing at this address.")

    def _request_id(self, headers: Headers) -> str:
        for name, value in headers:
            if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
                given: str = value.decode()
                return given
        return self._ids.new("req")


def _doubled(query: bytes) -> Rejected | None:
    """A parameter that stands twice: whichever we took, the sender may have meant the other."""
    if b"&" not in query:
        return None
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    counts = Counter(name for name, _ in pairs)
    twice = [name[:100] for name, count in counts.items() if count > 1]
    return Rejected([Invalid("give this once", field=name) for name in twice]) if twice else None


_NAMED = ((b"host", b"localhost"),)


def gate_of(request: Request) -> Gate:
    """The gate that a request came through."""
    gate: Gate = request.app.state.gate
    return gate


def _broken(request_id: str, error: Exception) -> Response:
    """Our own fault: the log has what it was, the answer only where to find it."""
    _log.error("request failed", request_id=request_id, **_told(error))
    detail = f"Something went wrong on our side. Our log has it under {request_id}."
    return respond_plain(request_id, 500, detail)


def _headers(path: str, request_id: str) -> Iterator[tuple[bytes, bytes]]:
    yield b"x-request-id", request_id.encode()
    yield b"x-content-type-options", b"nosniff"
    if path.startswith(_API):
        yield b"cache-control", b"no-store"


def _told(error: Exception) -> dict[str, str]:
    """What broke and where. Not its message: that may quote what somebody sent us."""
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    where = " < ".join(
        f"{frame.name} {frame.filename}:{frame.lineno}" for frame in reversed(frames)
    )
    return {"error": type(error).__name__, "where": where}
