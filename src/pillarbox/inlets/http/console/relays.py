"""`/relays`: where mail goes, and how each of them is."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from pillarbox.inlets.http.advice import advice
from pillarbox.inlets.http.answers import desk_of, show_status
from pillarbox.inlets.http.pages import page
from pillarbox.queue import browse
from pillarbox.queue.state import WAITING

router = APIRouter(include_in_schema=False)


@router.get("/relays")
async def relays(request: Request) -> Response:
    """Every relay with its status and, when it rests, why and what to do."""
    desk = desk_of(request)
    depth = await desk.database.read(browse.depth)
    known, now = desk.registry.all(), desk.clock.now()
    return page(
        request,
        "relays.html",
        {
            "relays": known,
            "status": {relay.id: show_status(relay, now) for relay in known},
            "advice": {
                relay.id: advice(relay.rest.advice, relay.settings) for relay in known if relay.rest
            },
            "waiting": {
                relay.id: sum(depth.get((relay.id, state), 0) for state in WAITING)
                for relay in known
            },
        },
    )
