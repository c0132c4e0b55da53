"""
`/metrics`: numbers for Prometheus.

What happens is counted where it happens, as plain numbers; here they get their names. What
waits is counted seldom: see queue/depth.py. So a scrape costs the same however long the queue.
"""

from __future__ import annotations

from fastapi import APIRouter
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Metric,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from pillarbox import __version__
from pillarbox.inlets.http.answers import desk_of, relay_name
from pillarbox.inlets.http.desk import Desk
from pillarbox.inlets.http.figures import Board
from pillarbox.inlets.http.gate import gate_of
from pillarbox.queue.depth import Counts
from pillarbox.queue.state import FINAL, DeliveryState
from pillarbox.relays.versions import Relay

router = APIRouter()

_PROCESS = ProcessCollector(registry=None)
_STATES = ("working", "resting", "suspended")


class _Numbers(Collector):
    """Families that have been counted already."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def collect(self) -> list[Metric]:
        return [*self._board.collect(), *_PROCESS.collect()]


@router.get("/metrics", include_in_schema=False)
async def metrics(request: Request) -> Response:
    """Prometheus' text format."""
    desk, board = desk_of(request), Board()
    _waiting(desk, await desk.depth.look([relay.id for relay in desk.registry.all()]), board)
    _done(desk, board)
    for relay in desk.registry.all():
        _relay(desk, relay, board)
    for (method, status), count in sorted(gate_of(request).answers.items()):
        board.put("pillarbox_http_answers", count, method, str(status))
    board.put("pillarbox_event_streams_open", request.app.state.streams.open)
    board.put("pillarbox_ready", desk.is_ready())
    board.put("pillarbox_build_info", 1, __version__)
    registry = CollectorRegistry()
    registry.register(_Numbers(board))
    return Response(generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _waiting(desk: Desk, counts: Counts, board: Board) -> None:
    """Every relay has every open state, at zero too: a graph without gaps."""
    empty = {
        (relay.id, state): 0
        for relay in desk.registry.all()
        for state in DeliveryState
        if state not in FINAL
    }
    for (relay_id, state), count in (empty | dict(counts.open)).items():
        name = relay_name(desk.registry, relay_id)
        board.put("pillarbox_deliveries", count, name, state.value)
    now, ages = desk.clock.now(), [0.0]
    for relay in desk.registry.all():
        since = counts.due_since.get(relay.id, now)
        ages.append((now - since).total_seconds())
        board.put("pillarbox_relay_oldest_due_seconds", ages[-1], relay.name)
    board.put("pillarbox_oldest_due_seconds", max(ages))


def _done(desk: Desk, board: Board) -> None:
    """What this process has counted since it started."""
    for (inlet, stream), count in sorted(desk.queue.tally.accepted.items()):
        board.put("pillarbox_accepted", count, inlet, stream)
    for (relay_id, outcome, stage), count in sorted(desk.queue.tally.attempts.items()):
        name = relay_name(desk.registry, relay_id)
        board.put("pillarbox_attempts", count, name, outcome, stage)
    commits = desk.database.commits
    board.put("pillarbox_commits", commits.commits)
    board.put_histogram("pillarbox_commit_works", commits.cumulative(), commits.works)


def _relay(desk: Desk, relay: Relay, board: Board) -> None:
    is_resting, needs_person = relay.rest is not None, bool(relay.rest and relay.rest.needs_person)
    state = _STATES[is_resting + needs_person]
    for each in _STATES:
        board.put("pillarbox_relay_state", each == state, relay.name, each)
    board.put("pillarbox_relay_resting", is_resting, relay.name)
    board.put("pillarbox_relay_needs_person", needs_person, relay.name)
    board.put("pillarbox_relay_slowed", relay.slowdown is not None, relay.name)
    if relay.checked_well is not None:
        board.put("pillarbox_relay_well", relay.checked_well, relay.name)
    allowed = 0 if is_resting else relay.connections(desk.clock.now())
    board.put("pillarbox_relay_connections_allowed", allowed, relay.name)
    board.put("pillarbox_sessions_open", desk.sessions.now_open(relay.id), relay.name)
    board.put("pillarbox_sessions_opened", desk.sessions.opened[relay.id], relay.name)
