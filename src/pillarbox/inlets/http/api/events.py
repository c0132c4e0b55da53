"""`/v1/events`: everything that happened, in the order in which it was committed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from pillarbox.base.errors import Invalid
from pillarbox.inlets.http import schemas
from pillarbox.inlets.http.answers import desk_of, listed, show_event
from pillarbox.inlets.http.openapi import problems
from pillarbox.inlets.http.streams import Streams
from pillarbox.journal import journal

router = APIRouter(prefix="/v1/events", tags=["events"])

_MAX_CURSOR = 2**63 - 1
_LAST = "Last-Event-ID"
_LAST_HEADER = {
    "name": _LAST,
    "in": "header",
    "required": False,
    "description": "The id of the last event that was read. It wins over after.",
    "schema": {"type": "string", "pattern": "^[0-9]{1,18}$"},
}


class Filter(BaseModel):
    """Where to go on, in which direction, and how far."""

    model_config = ConfigDict(extra="forbid")

    after: int = Field(0, ge=0, le=_MAX_CURSOR, description="next_cursor of the last answer.")
    before: int | None = Field(
        None, ge=0, le=_MAX_CURSOR, description="The last ones before this id, and not after."
    )
    limit: int = Field(100, ge=1, le=1000)


class Start(BaseModel):
    """Where a stream begins."""

    model_config = ConfigDict(extra="forbid")

    after: int | None = Field(
        None, ge=0, le=_MAX_CURSOR, description="Only events after this id; left out: from now on."
    )


@router.get(
    "", response_class=Response, responses={200: {"model": schemas.EventList}, **problems(422)}
)
async def events(request: Request, page: Annotated[Filter, Query()]) -> Response:
    """Events after a cursor, oldest first. Ask again with next_cursor for what came since."""
    desk = desk_of(request)
    if page.before is not None:
        edge = page.before
        found = await desk.database.read(
            lambda connection: journal.before(connection, edge, limit=page.limit + 1)
        )
        shown, has_more = found[-page.limit :], len(found) > page.limit
    else:
        streams: Streams = request.app.state.streams
        found = await streams.feed.read(page.after, limit=page.limit + 1)
        shown, has_more = found[: page.limit], len(found) > page.limit
    cursor = shown[-1].id if shown else page.after
    return listed([show_event(each) for each in shown], has_more=has_more, cursor=str(cursor))


@router.get(
    "/stream",
    response_class=Response,
    openapi_extra={"parameters": [_LAST_HEADER]},
    responses={
        200: {
            "description": "Each event with its id, its name and, as data, its JSON.",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        },
        **problems(422),
    },
)
async def stream(request: Request, start: Annotated[Start, Query()]) -> Response:
    """Events as they happen, as text/event-stream. It ends when the server stops."""
    streams: Streams = request.app.state.streams
    last_read = _last_read(request.headers.get(_LAST))
    cursor = start.after if last_read is None else last_read
    return streams.begin(await streams.feed.newest() if cursor is None else cursor)


def _last_read(text: str | None) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > 18:
        raise Invalid("this is the id of an event: a number", field=_LAST)
    return int(text)
