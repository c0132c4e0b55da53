"""
Our errors in HTTP's words: RFC 9457 problem details, from one table.

A problem says what is wrong, with every field that is wrong. It never repeats a value that
could be a secret, and a fault of ours is told as a request id that the log knows too.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from pillarbox.base.errors import (
    Conflict,
    Denied,
    DiskFull,
    Invalid,
    Mismatch,
    NotFound,
    PillarboxError,
    QueueFull,
    Refused,
    Rejected,
    TooLarge,
    TooOften,
    Unauthenticated,
    Unavailable,
    Unusable,
)

MEDIA_TYPE = "application/problem+json"
_TYPES = "https://pillarbox.invalid/problems/"  # names, not places: nothing is served there


class Malformed(Refused):
    """The body is not what its media type says, so nothing in it could be read."""

    code = "malformed_body"


class UnsupportedMedia(Refused):
    """The body is of a media type that this route does not read."""

    code = "unsupported_media_type"


class Misdirected(Refused):
    """The request came by a name or from a place that this page does not answer to."""

    code = "misdirected"


class Busy(Unavailable):
    """As many requests are being answered as we can hold."""

    code = "too_many_requests_at_once"


_MOST_FAULTS = 100  # told in one answer; the count in detail is of all
STATUS: dict[type[PillarboxError], tuple[int, str]] = {
    Malformed: (400, "The body cannot be read"),
    Unauthenticated: (401, "No valid credentials"),
    Denied: (403, "Not allowed"),
    NotFound: (404, "Not found"),
    Conflict: (409, "Not in a state that allows this"),
    TooLarge: (413, "Too large"),
    UnsupportedMedia: (415, "Not JSON"),
    Misdirected: (421, "Not served here"),
    Mismatch: (422, "The idempotency key was used for another request"),
    Rejected: (422, "The request has mistakes"),
    Refused: (422, "The request cannot be accepted"),  # and every other kind of it
    TooOften: (429, "Asked too often"),
    Busy: (503, "Busy"),
    QueueFull: (503, "The queue is full"),
    Unusable: (503, "A person must act first"),
    Unavailable: (503, "Not possible now"),
    DiskFull: (507, "No room for more mail"),
}


def respond(request_id: str, error: PillarboxError, *, field_is: str = "pointer") -> Response:
    """The answer to a request that failed. field_is names what `field` of the error means."""
    body = problem_of(request_id, error, field_is=field_is)
    return _response(body["status"], body, _headers(error))


def problem_of(
    request_id: str, error: PillarboxError, *, field_is: str = "pointer"
) -> dict[str, Any]:
    """The problem details of what was refused."""
    status, title = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    body: dict[str, Any] = {
        "type": f"{_TYPES}{error.code}",
        "title": title,
        "status": status,
        "detail": str(error)[:2000],
        "code": error.code,
        "request_id": request_id,
    }
    faults = _faults(error)
    if faults:
        body["errors"] = [_fault(each, field_is) for each in faults[:_MOST_FAULTS]]
    if len(faults) > 1:
        body["detail"] = f"There are {len(faults)} mistakes in it. Nothing was stored."
    return body


def respond_plain(request_id: str, status: int, detail: str, headers: Any = None) -> Response:
    """A problem that HTTP itself has a word for: no route, wrong method, our own fault."""
    phrase = HTTPStatus(status).phrase
    body = {
        "type": "about:blank",
        "title": phrase,
        "status": status,
        "detail": detail,
        "code": _PLAIN_CODES.get(status, phrase.lower().replace(" ", "_")),
        "request_id": request_id,
    }
    return _response(status, body, headers)


async def on_error(request: Request, error: Exception) -> Response:
    """For the routes: whatever of ours they raise."""
    assert isinstance(error, PillarboxError)
    return respond(request.scope["request_id"], error)


async def on_parameter(request: Request, error: Exception) -> Response:
    """For query parameters that could not be read. The values are not repeated."""
    assert isinstance(error, RequestValidationError)
    faults = [Invalid(str(each["msg"]), field=str(each["loc"][-1])) for each in error.errors()]
    return respond(request.scope["request_id"], Rejected(faults), field_is="parameter")


async def on_http(request: Request, error: Exception) -> Response:
    """For what the router refuses by itself."""
    assert isinstance(error, HTTPException)
    detail = _PLAIN_DETAILS.get(error.status_code, str(error.detail))
    return respond_plain(
        request.scope["request_id"], error.status_code, detail, dict(error.headers or {})
    )


_PLAIN_CODES = {404: "not_found", 405: "method_not_allowed", 500: "internal_error"}
_PLAIN_DETAILS = {
    404: "There is nothing at this address.",
    405: "This address does not take that method; Allow lists those it takes.",
}


def _faults(error: PillarboxError) -> tuple[Invalid, ...]:
    match error:
        case Rejected():
            return error.problems
        case Refused(field=str(field)):
            return (Invalid(str(error), field=field),)
    return ()


def _fault(fault: Invalid, field_is: str) -> dict[str, str]:
    told = {"detail": str(fault)[:1000], "code": fault.code}
    field = fault.field
    if field is None:
        return told | {"pointer": ""}
    if field in _HEADERS:
        return told | {"header": field}
    return told | {field_is: f"/{field}" if field_is == "pointer" else field}


_HEADERS = frozenset({"Idempotency-Key", "If-Match", "Last-Event-ID"})


def _headers(error: PillarboxError) -> dict[str, str]:
    match error:
        case Unauthenticated():
            return {"WWW-Authenticate": 'Bearer realm="pillarbox"'}  # RFC 6750 §3
        case Unavailable():
            return {"Retry-After": str(max(1, math.ceil(error.retry_after.total_seconds())))}
    return {}


def _response(status: int, body: dict[str, Any], headers: Mapping[str, str] | None) -> Response:
    text = json.dumps(body)  # ASCII: whatever was in a field name, the answer can be sent
    return Response(text, status, dict(headers or {}), media_type=MEDIA_TYPE)
