"""What one may do to a message: cancel, hold, release, retry, resend, and another send_at."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from pillarbox.inlets.http import schemas
from pillarbox.inlets.http.answers import (
    answer,
    desk_of,
    idempotency_key_of,
    intake_of,
    principal_of,
    show_delivery,
)
from pillarbox.inlets.http.api.messages import KEY_HEADER, REPLAYED, accepted
from pillarbox.inlets.http.body import require_empty
from pillarbox.inlets.http.desk import Desk
from pillarbox.inlets.http.openapi import problems, takes
from pillarbox.inlets.http.reading.changes import (
    RESCHEDULE_SCHEMA,
    RESEND_SCHEMA,
    read_resend,
    read_send_at,
)
from pillarbox.queue.message import Message

router = APIRouter(prefix="/v1/messages", tags=["messages"])


@router.patch(
    "/{message_id}",
    response_class=Response,
    openapi_extra=takes(RESCHEDULE_SCHEMA),
    responses={200: {"model": schemas.Changed}, **problems(404, 409, body=True)},
)
async def reschedule(request: Request, message_id: str) -> Response:
    """Send it at another moment, null for now; until the first attempt."""
    desk = desk_of(request)
    send_at = read_send_at(await intake_of(request).json(request))
    principal = str(principal_of(request))
    count = await desk.acceptance.reschedule(message_id, principal, send_at)
    return _changed(await desk.queue.message(message_id), count)


@router.post(
    "/{message_id}/cancel",
    response_class=Response,
    responses={200: {"model": schemas.Changed}, **problems(404, 409, body=True)},
)
async def cancel(request: Request, message_id: str) -> Response:
    """Withdraw what has not left yet."""
    desk = desk_of(request)
    require_empty(await intake_of(request).json(request, may_be_empty=True))
    count = await desk.queue.cancel(message_id, str(principal_of(request)))
    return _changed(await desk.queue.message(message_id), count)


@router.post(
    "/{message_id}/hold",
    response_class=Response,
    responses={200: {"model": schemas.Changed}, **problems(404, 409, body=True)},
)
async def hold(request: Request, message_id: str) -> Response:
    """Keep what waits until it is released, or its time is over."""
    desk = desk_of(request)
    require_empty(await intake_of(request).json(request, may_be_empty=True))
    count = await desk.queue.hold(message_id, str(principal_of(request)))
    return _changed(await desk.queue.message(message_id), count)


@router.post(
    "/{message_id}/release",
    response_class=Response,
    responses={200: {"model": schemas.Changed}, **problems(404, 409, body=True)},
)
async def release(request: Request, message_id: str) -> Response:
    """Let go what is held. It is sent now, or at its send_at.

    Mail whose relay was removed goes by the default relay.
    """
    desk = desk_of(request)
    require_empty(await intake_of(request).json(request, may_be_empty=True))
    principal = str(principal_of(request))
    relay_id = await _other_relay(desk, message_id)
    count = await desk.queue.release_held(message_id, principal, relay_id=relay_id)
    return _changed(await desk.queue.message(message_id), count)


@router.post(
    "/{message_id}/retry",
    response_class=Response,
    responses={200: {"model": schemas.Changed}, **problems(404, 409, body=True)},
)
async def retry(request: Request, message_id: str) -> Response:
    """Try again now what failed, expired, waits, is held or in doubt.

    Mail whose relay was removed goes by the default relay.
    """
    desk = desk_of(request)
    require_empty(await intake_of(request).json(request, may_be_empty=True))
    principal = str(principal_of(request))
    relay_id = await _other_relay(desk, message_id)
    count = await desk.queue.retry(message_id, principal, relay_id=relay_id)
    return _changed(await desk.queue.message(message_id), count)


@router.post(
    "/{message_id}/resend",
    status_code=202,
    response_class=Response,
    openapi_extra=takes(RESEND_SCHEMA, required=False) | {"parameters": [KEY_HEADER]},
    responses={
        202: {
            "model": schemas.MessageBrief,
            "description": "A new message with the same words is on stable storage.",
            "headers": REPLAYED,
        },
        **problems(404, 409, 507, body=True),
    },
)
async def resend(request: Request, message_id: str) -> Response:
    """Send it again as a new message, to all its recipients or to some of them.

    The octets are the same but for Message-ID and Date: it is meant to arrive a second time.
    """
    desk = desk_of(request)
    parsed = await intake_of(request).json(request, may_be_empty=True)
    key = idempotency_key_of(request.scope["headers"])
    wish = read_resend(parsed, message_id, principal_of(request), key)
    return await accepted(desk, await desk.acceptance.resend(wish))


async def _other_relay(desk: Desk, message_id: str) -> str | None:
    """Where mail goes whose relay was removed."""
    message = await desk.queue.message(message_id)
    if message.relay_id in desk.registry:
        return None
    return desk.scopes.roster(message.tenant).default().id


def _changed(message: Message, count: int) -> Response:
    body: schemas.Changed = {
        "id": message.id,
        "state": message.state.value,
        "deliveries": [show_delivery(each) for each in message.deliveries],
        "changed": count,
    }
    return answer(body)
