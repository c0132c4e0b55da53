"""`/`: what is queued, what left, and what needs a person."""

from __future__ import annotations

from collections import Counter

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from pillarbox.inlets.http.answers import desk_of, relay_name
from pillarbox.inlets.http.console.sandboxes import CAPTURED, sandboxes, word_for
from pillarbox.inlets.http.pages import page
from pillarbox.queue import browse
from pillarbox.queue.browse import Page
from pillarbox.queue.message import Message
from pillarbox.queue.state import (
    CANCELLED,
    DEFERRED,
    EXPIRED,
    FAILED,
    HELD,
    QUEUED,
    RELAYED,
    SCHEDULED,
    SENDING,
    UNCERTAIN,
    DeliveryState,
)

router = APIRouter(include_in_schema=False)

_PER_PAGE = 30
_GROUPS = {
    "waiting": (QUEUED, SENDING, SCHEDULED, DEFERRED),
    "done": (RELAYED, CANCELLED),
    "attention": (FAILED, EXPIRED, UNCERTAIN, HELD),
}


@router.get("/")
async def overview(request: Request) -> Response:
    """Counts by state and the latest messages; ?state= shows those in one state."""
    desk = desk_of(request)
    state = _state(request.query_params.get("state"))
    after = request.query_params.get("after")
    found, has_more = await desk.queue.messages(Page(limit=_PER_PAGE, after=after, state=state))
    sandbox_ids = sandboxes(desk.registry)
    counts: Counter[str] = Counter()
    for (relay_id, each), count in (await desk.database.read(browse.depth)).items():
        counts[word_for(each, in_sandbox=relay_id in sandbox_ids)] += count
    groups = {
        name: [(each.value, counts[each.value]) for each in states if counts[each.value]]
        for name, states in _GROUPS.items()
    }
    return page(
        request,
        "overview.html",
        {
            "messages": found,
            "relay_names": {
                each.relay_id: relay_name(desk.registry, each.relay_id) for each in found
            },
            "last_words": {each.id: _last_words(each) for each in found},
            "words": {
                each.id: word_for(each.state, in_sandbox=each.relay_id in sandbox_ids)
                for each in found
            },
            "captured": counts[CAPTURED],
            "groups": groups,
            "totals": {name: sum(count for _, count in states) for name, states in groups.items()},
            "troubled": [relay for relay in desk.registry.all() if relay.rest is not None],
            "state": state.value if state else None,
            "older": found[-1].id if has_more and found else None,
            "is_first": after is None,
        },
    )


def _state(text: str | None) -> DeliveryState | None:
    return next((each for each in DeliveryState if each.value == text), None)


def _last_words(message: Message) -> str:
    """The answer of the delivery that changed last."""
    latest = max(message.deliveries, key=lambda each: each.changed_at, default=None)
    return latest.answer or "" if latest else ""
