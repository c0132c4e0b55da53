"""`/captured`: the sandbox's mail, safe to look at whatever is in it."""

from __future__ import annotations

import asyncio
import re
from urllib.parse import quote

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from pillarbox.base.errors import NotFound
from pillarbox.inlets.http.answers import desk_of
from pillarbox.inlets.http.api.messages import as_file
from pillarbox.inlets.http.console.preview import POLICY, preview
from pillarbox.inlets.http.console.sandboxes import sandboxes
from pillarbox.inlets.http.desk import Desk
from pillarbox.inlets.http.pages import HEADERS, page
from pillarbox.mail.content import Content, header_section
from pillarbox.mail.summary import Part, Summary, summarize
from pillarbox.queue.browse import Page
from pillarbox.queue.message import Message
from pillarbox.queue.state import RELAYED

router = APIRouter(include_in_schema=False)

_PER_PAGE = 30
_VIEWS = ("html", "text", "headers")
_MAX_HEADERS = 64 * 1024  # octets shown
_GENERIC = "application/octet-stream"


@router.get("/captured")
async def captured_mail(request: Request) -> Response:
    """What the sandboxes have taken, newest first."""
    desk = desk_of(request)
    after = request.query_params.get("after")
    found: list[Message] = []
    has_more = False
    for relay_id in sandboxes(desk.registry):
        wanted = Page(limit=_PER_PAGE, after=after, relay_id=relay_id, state=RELAYED)
        some, more = await desk.queue.messages(wanted)
        found, has_more = found + some, has_more or more
    found.sort(key=lambda each: each.id, reverse=True)
    has_more = has_more or len(found) > _PER_PAGE
    shown = found[:_PER_PAGE]
    return page(
        request,
        "captured.html",
        {
            "messages": shown,
            "older": shown[-1].id if has_more and shown else None,
            "is_first": after is None,
        },
    )


@router.get("/captured/{message_id}")
async def captured_message(request: Request, message_id: str) -> Response:
    """One mail as a reader would see it; ?view= chooses html, text or headers."""
    desk = desk_of(request)
    try:
        message, content = await _open(desk, message_id)
    except NotFound as missing:
        return page(request, "missing.html", {"what": str(missing)}, status=404)
    summary = await asyncio.to_thread(summarize, content)
    asked = request.query_params.get("view")
    first = "html" if summary.html is not None else "text"
    return page(
        request,
        "mail.html",
        {
            "message": message,
            "summary": summary,
            "view": asked if asked in _VIEWS else first,
            "views": [view for view in _VIEWS if view != "html" or summary.html is not None],
            "headers": header_section(content.octets)[:_MAX_HEADERS].decode(errors="replace"),
            "names": [_name(part, number) for number, part in enumerate(summary.attachments)],
        },
    )


@router.get("/captured/{message_id}/body")
async def captured_body(request: Request, message_id: str) -> Response:
    """The HTML of a mail, cleaned, for the frame."""
    summary = await _summary(desk_of(request), message_id)
    shown = await asyncio.to_thread(preview, summary.html or "", summary.attachments)
    headers = HEADERS | {"Content-Security-Policy": POLICY}
    return Response(shown, headers=headers, media_type="text/html")


@router.get("/captured/{message_id}/attachments/{number}")
async def captured_attachment(request: Request, message_id: str, number: int) -> Response:
    """One file of a mail, to be saved and never to be shown by the browser."""
    summary = await _summary(desk_of(request), message_id)
    if not 0 <= number < len(summary.attachments):
        raise NotFound("there is no such attachment")
    part = summary.attachments[number]
    name = _name(part, number)
    plain = re.sub(r"[^A-Za-z0-9._ \-]", "_", name)
    named = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
    headers = HEADERS | {"Content-Disposition": named, "Content-Security-Policy": POLICY}
    return Response(part.octets, headers=headers, media_type=_GENERIC)


@router.get("/captured/{message_id}/source")
async def captured_source(request: Request, message_id: str) -> Response:
    """The octets, as a file."""
    message, content = await _open(desk_of(request), message_id)
    return as_file(message, content.octets)


async def _open(desk: Desk, message_id: str) -> tuple[Message, Content]:
    """Raises NotFound, also for mail that was really sent: the sandbox's is for looking at."""
    message = await desk.queue.message(message_id)
    octets = await desk.queue.content_of(message_id)
    if message.relay_id not in sandboxes(desk.registry):
        raise NotFound("this message was not captured; it went to a real relay")
    if octets is None:
        raise NotFound("the content of this message is no longer kept")
    return message, Content(octets, not octets.isascii(), needs_smtputf8=False)


async def _summary(desk: Desk, message_id: str) -> Summary:
    _, content = await _open(desk, message_id)
    return await asyncio.to_thread(summarize, content)


def _name(part: Part, number: int) -> str:
    """Its last step only: a name with a path in it is a trick."""
    name = re.split(r"[/\\]", part.filename)[-1].strip()
    return name or f"attachment-{number + 1}"
