"""
The published description of the API, OpenAPI 3.1, made from the routes.

Routes say which problems they answer with; every problem is documented with the media type
that it is really sent with.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import Response

from pillarbox.inlets.http.answers import answer
from pillarbox.inlets.http.gate import OPEN
from pillarbox.inlets.http.problems import MEDIA_TYPE
from pillarbox.inlets.http.reading.batch import ITEM_SCHEMA
from pillarbox.inlets.http.reading.message import MAILBOX_SCHEMA, MESSAGE_SCHEMA
from pillarbox.inlets.http.schemas import Problem

PATH = "/v1/openapi.json"

Json = dict[str, Any]

_PROBLEMS = {
    400: "The body is not a JSON object.",
    401: "No key, or none that is known.",
    403: "This key may not do that.",
    404: "There is no such thing.",
    409: "It is not in a state that allows this.",
    413: "More octets than we take.",
    415: "The body is not JSON.",
    422: "The request has mistakes; errors lists every one.",
    429: "This key has asked as often as it may; Retry-After says when to ask again.",
    503: "Not possible now; Retry-After says when to ask again.",
    507: "No room for more mail; Retry-After says when to ask again.",
}
_ALWAYS = (401, 503)
_WITH_BODY = (400, 413, 415, 422)
_ABOUT = """\
Hand over mail and it is on its way: a 202 means that the message is on stable storage.

Every request carries `Authorization: Bearer pb_…`. Errors are `application/problem+json`
(RFC 9457) with a `code` to switch on and every mistake in `errors`. `Idempotency-Key` makes
sending safe to repeat. Lists take `limit`, `after` and `before`. Times are RFC 3339.
"""


def problems(*statuses: int, body: bool = False) -> dict[int | str, Json]:
    """The problems of a route, for its `responses`."""
    wanted = {*_ALWAYS, *statuses, *(_WITH_BODY if body else ())}
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        status: {"description": _PROBLEMS[status], "content": content} for status in sorted(wanted)
    }


def takes(schema: Json, *, required: bool = True) -> Json:
    """The body of a route, for its `openapi_extra`."""
    content = {"application/json": {"schema": schema}}
    return {"requestBody": {"required": required, "content": content}}


def attach(app: FastAPI) -> None:
    """Serve the description."""

    async def description(_: Request) -> Response:
        """This description."""
        return answer(description_of(app))

    app.add_route(PATH, description, include_in_schema=False)


def description_of(app: FastAPI) -> Json:
    """The whole description, made once, at the first question."""
    if app.openapi_schema is None:
        app.openapi_schema = describe(app)
    return app.openapi_schema


def describe(app: FastAPI) -> Json:
    """The whole description."""
    described = get_openapi(
        title=app.title,
        version=app.version,
        openapi_version="3.1.0",
        description=_ABOUT,
        routes=app.routes,
    )
    components = described.setdefault("components", {})
    schemas: Json = components.setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas |= {"Mailbox": MAILBOX_SCHEMA, "MessageRequest": MESSAGE_SCHEMA}
    schemas["BatchItem"] = ITEM_SCHEMA
    schemas |= _problem_schemas()
    components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    described["security"] = [{"key": []}]
    for path, operations in described["paths"].items():
        for operation in operations.values():
            if path in OPEN:
                operation["security"] = []
                operation["responses"].pop("401", None)
    return described


def _problem_schemas() -> Json:
    schema = TypeAdapter(Problem).json_schema(ref_template="#/components/schemas/{model}")
    inner: Json = schema.pop("$defs", {})
    return inner | {"Problem": schema}
