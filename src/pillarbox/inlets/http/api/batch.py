"""`/v1/messages/batch`: hand over many messages at once, each with an answer of its own."""

from __future__ import annotations

import asyncio
from typing import cast

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from pillarbox.accept.submission import Submission
from pillarbox.base.errors import PillarboxError, Unavailable
from pillarbox.inlets.http import schemas
from pillarbox.inlets.http.answers import (
    desk_of,
    idempotency_key_of,
    intake_of,
    listed,
    principal_of,
    show_message,
)
from pillarbox.inlets.http.api.messages import KEY_HEADER, require_capacity
from pillarbox.inlets.http.desk import Desk
from pillarbox.inlets.http.openapi import problems, takes
from pillarbox.inlets.http.problems import problem_of
from pillarbox.inlets.http.reading.batch import BATCH_SCHEMA, read_batch
from pillarbox.queue.message import Receipt

router = APIRouter(prefix="/v1/messages", tags=["messages"])


@router.post(
    "/batch",
    response_class=Response,
    openapi_extra=takes(BATCH_SCHEMA) | {"parameters": [KEY_HEADER]},
    responses={
        200: {
            "model": schemas.BatchList,
            "description": "What became of each message, in order; look at every status.",
        },
        **problems(507, body=True),
    },
)
async def send_batch(request: Request) -> Response:
    """Hand over up to 100 messages. A bad one is named, the others are stored.

    Each has its own idempotency: its `idempotency_key`, or the header and its place.
    """
    desk = desk_of(request)
    key = idempotency_key_of(request.scope["headers"])
    if key is None:
        await require_capacity(desk)
    parsed = await intake_of(request).json(request)
    asked = read_batch(parsed, principal_of(request), key)
    outcomes = await asyncio.gather(*(_accept(desk, each) for each in asked))
    away = [each for each in outcomes if isinstance(each, Unavailable)]
    if len(away) == len(outcomes):
        raise away[0]  # nothing was stored: the whole batch may be repeated
    request_id = request.scope["request_id"]
    return listed([await _shown(desk, each, request_id) for each in outcomes])


async def _accept(desk: Desk, submission: Submission) -> Receipt | PillarboxError:
    """As a value, because the others go on. Those that meet here share one commit."""
    try:
        return await desk.acceptance.accept(submission)
    except PillarboxError as error:
        return error


async def _shown(
    desk: Desk, outcome: Receipt | PillarboxError, request_id: str
) -> schemas.BatchResult:
    if isinstance(outcome, PillarboxError):
        problem = cast("schemas.Problem", problem_of(request_id, outcome))
        return {"status": problem["status"], "message": None, "problem": problem, "replayed": False}
    message = outcome.message or await desk.queue.message(outcome.message_id)
    return {
        "status": 202,
        "message": show_message(message, desk.registry),
        "problem": None,
        "replayed": outcome.replayed,
    }
