"""`/v1/events`: everything that happened, in the order in which it was committed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from pillarbox.inlets.http import schemas
from pillarbox.inlets.http.answers import desk_of, listed, show_event
from pillarbox.inlets.http.openapi import problems
from pillarbox.journal import journal

router = APIRouter(prefix="/v1/events", tags=["events"])

_MAX_CURSOR = 2**63 - 1


class Filter(BaseModel):
    """Where to go on, and how far."""

    model_config = ConfigDict(extra="forbid")

    after: int = Field(0, ge=0, le=_MAX_CURSOR, description="next_cursor of the last answer.")
    limit: int = Field(100, ge=1, le=1000)


@router.get(
    "", response_class=Response, responses={200: {"model": schemas.EventList}, **problems(422)}
)
async def events(request: Request, page: Annotated[Filter, Query()]) -> Response:
    """Events after a cursor, oldest first. Ask again with next_cursor for what came since."""
    found = await desk_of(request).database.read(
        lambda connection: journal.after(connection, page.after, limit=page.limit + 1)
    )
    has_more = len(found) > page.limit
    found = found[: page.limit]
    cursor = found[-1].id if found else page.after
    return listed([show_event(each) for each in found], has_more=has_more, cursor=str(cursor))
