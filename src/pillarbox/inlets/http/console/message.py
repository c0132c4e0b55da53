"""`/messages/{id}`: a message and its whole story."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from pillarbox.base.errors import NotFound
from pillarbox.inlets.http.advice import advice
from pillarbox.inlets.http.answers import desk_of, relay_name
from pillarbox.inlets.http.console.sandboxes import sandboxes, word_for
from pillarbox.inlets.http.desk import Desk
from pillarbox.inlets.http.pages import page
from pillarbox.journal import journal
from pillarbox.journal.events import catalogue
from pillarbox.journal.journal import Entry
from pillarbox.queue.state import RELAYED
from pillarbox.relays.relay import RelaySettings

router = APIRouter(include_in_schema=False)


@router.get("/messages/{message_id}")
async def message(request: Request, message_id: str) -> Response:
    """Deliveries with what to do, the timeline, and every attempt with what was said."""
    desk = desk_of(request)
    try:
        found = await desk.queue.message(message_id)
    except NotFound as missing:
        return page(request, "missing.html", {"what": str(missing)}, status=404)
    history = await desk.queue.history(message_id)
    events = await desk.database.read(lambda connection: journal.of_message(connection, message_id))
    settings = _settings(desk, found.relay_id)
    recipients = {each.id: each.to for each in found.deliveries}
    in_sandbox = found.relay_id in sandboxes(desk.registry)
    return page(
        request,
        "message.html",
        {
            "message": found,
            "relay": relay_name(desk.registry, found.relay_id),
            "word": word_for(found.state, in_sandbox=in_sandbox),
            "words": {
                each.id: word_for(each.state, in_sandbox=in_sandbox) for each in found.deliveries
            },
            "is_captured": in_sandbox and found.state is RELAYED,
            "advice": {each.id: advice(each.advice, settings) for each in found.deliveries},
            "events": [
                (each, _sentence(each), recipients.get(each.delivery_id or "")) for each in events
            ],
            "attempts": history.attempts,
            "sessions": {each.id: each for each in history.sessions},
            "recipients": recipients,
        },
    )


def _settings(desk: Desk, relay_id: str) -> RelaySettings | None:
    try:
        return desk.registry.get(relay_id).settings
    except NotFound:
        return None


def _sentence(entry: Entry) -> str:
    """What kind of thing happened, as the catalogue of events puts it."""
    kind = catalogue().get(entry.name)
    return (kind.__doc__ or "").split("\n")[0] if kind else ""
