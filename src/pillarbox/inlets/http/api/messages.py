"""`/v1/messages`: hand over mail and look at it. What one may do to it is in changes.py."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from pillarbox.access.principal import Principal
from pillarbox.base.errors import Invalid, NotFound
from pillarbox.inlets.http import schemas
from pillarbox.inlets.http.answers import (
    Ready,
    answer,
    as_octets,
    desk_of,
    idempotency_key_of,
    intake_of,
    listed,
    principal_of,
    show_message,
    show_story,
)
from pillarbox.inlets.http.body import JSON, check_media_type, parse
from pillarbox.inlets.http.desk import Desk
from pillarbox.inlets.http.login import Headers
from pillarbox.inlets.http.openapi import problems, takes
from pillarbox.inlets.http.reading.message import Ask, read_message
from pillarbox.inlets.http.receipt import written
from pillarbox.journal import journal
from pillarbox.mail.address import Address
from pillarbox.queue.browse import Page
from pillarbox.queue.message import Message, Receipt
from pillarbox.queue.state import DeliveryState

router = APIRouter(prefix="/v1/messages", tags=["messages"])

KEY_HEADER = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Your name for this request. A repeat gets the same answer, and no second mail.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}
REPLAYED = {
    "Idempotent-Replayed": {
        "description": "true when an earlier request with this key was answered so.",
        "schema": {"const": "true"},
    }
}


class Filter(BaseModel):
    """Which messages, and how many of them. after and before are ids of messages."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(20, ge=1, le=100)
    after: str | None = Field(
        None, min_length=1, max_length=100, description="Only older than this one."
    )
    before: str | None = Field(
        None, min_length=1, max_length=100, description="Only newer than this one."
    )
    state: DeliveryState | None = Field(None, description="With a delivery in this state.")
    relay: str | None = Field(
        None, min_length=1, max_length=200, description="Name or id of a relay."
    )
    to: str | None = Field(None, min_length=1, max_length=320, description="With this recipient.")


@router.post(
    "",
    status_code=202,
    response_class=Response,
    openapi_extra=takes({"$ref": "#/components/schemas/MessageRequest"})
    | {"parameters": [KEY_HEADER]},
    responses={
        200: {"model": schemas.Preview, "description": "With dry_run: nothing was stored."},
        202: {
            "model": schemas.MessageBrief,
            "description": "The message is on stable storage.",
            "headers": REPLAYED,
        },
        **problems(507, body=True),
    },
)
async def send(request: Request) -> Response:
    """Hand over a message. The answer comes when it is stored, before it is sent."""
    desk = desk_of(request)
    key = idempotency_key_of(request.scope["headers"])
    if key is None:
        await require_capacity(desk)
    parsed = await intake_of(request).json(request)
    ask = read_message(parsed, principal_of(request), key)
    del parsed  # attachments in base64 need not wait for the commit
    return await _answered(desk, ask)


async def send_whole(desk: Desk, principal: Principal, headers: Headers, body: bytes) -> Response:
    """As `send`, for a request that is here already."""
    key = idempotency_key_of(headers)
    if key is None:
        await require_capacity(desk)
    check_media_type(headers)
    return await _answered(desk, read_message(parse(body), principal, key))


async def _answered(desk: Desk, ask: Ask) -> Response:
    if ask.dry_run:
        octets = desk.acceptance.preview(ask.submission)
        return answer({"content": octets.decode(errors="replace")})
    accepting = desk.acceptance.accept(ask.submission)
    del ask  # nor attachments out of it
    return await accepted(desk, await accepting)


async def require_capacity(desk: Desk) -> None:
    """
    Raises before the body is read, for requests that cannot be repeats: a repeat is answered
    as the first request was, also when nothing new can be taken.
    """
    if shortage := await desk.acceptance.shortage():
        raise shortage


async def accepted(desk: Desk, receipt: Receipt) -> Response:
    """202: a message that is stored."""
    headers = [
        (b"content-type", JSON),
        (b"location", b"/v1/messages/" + receipt.message_id.encode()),
    ]
    if receipt.parcel is not None:
        return Ready(202, written(receipt.parcel, desk.registry), headers)
    message = await desk.queue.message(receipt.message_id)
    body = as_octets(show_message(message, desk.registry))
    return Ready(202, body, [*headers, (b"idempotent-replayed", b"true")])


@router.get(
    "",
    response_class=Response,
    responses={200: {"model": schemas.MessageList}, **problems(404, 422)},
)
async def messages(
    request: Request,
    page: Annotated[Filter, Query()],
) -> Response:
    """Messages, newest first."""
    desk, tenant = desk_of(request), principal_of(request).tenant
    wanted = Page(
        limit=page.limit,
        after=page.after,
        before=page.before,
        state=page.state,
        relay_id=desk.scopes.roster(tenant).get(page.relay).id if page.relay else None,
        recipient=_recipient(page.to),
        tenant=tenant,
    )
    found, has_more = await desk.queue.messages(wanted)
    shown = [show_message(each, desk.registry) for each in found]
    return listed(shown, has_more=has_more, cursor=_cursor(wanted, found) if has_more else None)


@router.get(
    "/{message_id}",
    response_class=Response,
    responses={200: {"model": schemas.MessageShown}, **problems(404, 422)},
)
async def message(request: Request, message_id: str) -> Response:
    """One message with everything that happened to it."""
    desk = desk_of(request)
    found = await desk.queue.message(message_id)
    history = await desk.queue.history(message_id)
    events = await desk.database.read(lambda connection: journal.of_message(connection, message_id))
    if principal_of(request).tenant is not None:
        history = history.in_confidence()
    return answer(show_story(found, history, events, desk.registry))


@router.get(
    "/{message_id}/content",
    response_class=Response,
    responses={
        200: {
            "description": "The octets that every attempt sends.",
            "content": {"message/rfc822": {"schema": {"type": "string", "format": "binary"}}},
        },
        **problems(404, 422),
    },
)
async def content(request: Request, message_id: str) -> Response:
    """The message as it travels, as a file."""
    desk = desk_of(request)
    found = await desk.queue.message(message_id)
    return as_file(found, await desk.queue.content_of(message_id))


def as_file(message: Message, octets: bytes | None) -> Response:
    """The content, to be saved and never to be shown by a browser."""
    if octets is None:
        raise NotFound("the content of this message is no longer kept")
    headers = {
        "Content-Disposition": f'attachment; filename="{message.id}.eml"',
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    return Response(octets, headers=headers, media_type="message/rfc822")


def _recipient(text: str | None) -> str | None:
    """As the queue keeps it: the domain in lower-case A-labels."""
    if text is None:
        return None
    try:
        return str(Address.parse(text))
    except Invalid as fault:
        raise fault.under("to") from None


def _cursor(page: Page, found: list[Message]) -> str | None:
    """Where the next page in the same direction begins."""
    if not found:
        return None
    return found[0].id if page.before is not None else found[-1].id
