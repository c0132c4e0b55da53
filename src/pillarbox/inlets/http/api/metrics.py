"""`/metrics`: numbers for Prometheus, counted when somebody asks."""

from __future__ import annotations

from collections.abc import Iterator

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from pillarbox import __version__
from pillarbox.inlets.http.answers import desk_of, relay_name
from pillarbox.inlets.http.desk import Desk
from pillarbox.inlets.http.gate import gate_of
from pillarbox.queue import browse
from pillarbox.queue.state import FINAL, DeliveryState

router = APIRouter()


class _Numbers(Collector):
    """Families that have been counted already."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> list[Metric]:
        return self._families


@router.get("/metrics", include_in_schema=False)
async def metrics(request: Request) -> Response:
    """Prometheus' text format."""
    desk = desk_of(request)
    depth = await desk.database.read(browse.depth)
    families = [
        _deliveries(desk, depth),
        await _oldest(desk),
        *_relays(desk),
        _answers(request),
        GaugeMetricFamily("pillarbox_ready", "1 while mail is carried", value=desk.is_ready()),
        _build(),
    ]
    registry = CollectorRegistry()
    registry.register(_Numbers(families))
    return Response(generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _deliveries(desk: Desk, depth: dict[tuple[str, DeliveryState], int]) -> Metric:
    """Every relay has every open state, at zero too: a graph without gaps."""
    family = GaugeMetricFamily(
        "pillarbox_deliveries", "Deliveries by relay and state", labels=["relay", "state"]
    )
    empty = {
        (relay.id, state): 0
        for relay in desk.registry.all()
        for state in DeliveryState
        if state not in FINAL
    }
    for (relay_id, state), count in (empty | depth).items():
        family.add_metric([relay_name(desk.registry, relay_id), state.value], count)
    return family


async def _oldest(desk: Desk) -> Metric:
    now = desk.clock.now()
    oldest = await desk.database.read(lambda connection: browse.oldest_due(connection, now))
    return GaugeMetricFamily(
        "pillarbox_oldest_due_seconds",
        "For how long the delivery that waits longest has been due",
        value=0.0 if oldest is None else (now - oldest).total_seconds(),
    )


def _relays(desk: Desk) -> Iterator[Metric]:
    resting = GaugeMetricFamily(
        "pillarbox_relay_resting", "1 while a relay is not used", labels=["relay"]
    )
    person = GaugeMetricFamily(
        "pillarbox_relay_needs_person", "1 while a relay waits for a person", labels=["relay"]
    )
    slowed = GaugeMetricFamily(
        "pillarbox_relay_slowed", "1 while a relay gets fewer sessions", labels=["relay"]
    )
    connections = GaugeMetricFamily(
        "pillarbox_relay_connections_allowed", "Sessions a relay gets now", labels=["relay"]
    )
    now = desk.clock.now()
    for relay in desk.registry.all():
        slowed.add_metric([relay.name], relay.slowdown is not None)
        connections.add_metric([relay.name], 0 if relay.rest else relay.connections(now))
        resting.add_metric([relay.name], relay.rest is not None)
        person.add_metric([relay.name], relay.rest is not None and relay.rest.needs_person)
    yield from (resting, person, slowed, connections)


def _answers(request: Request) -> Metric:
    family = CounterMetricFamily(
        "pillarbox_http_answers", "Answers by method and status", labels=["method", "status"]
    )
    for (method, status), count in sorted(gate_of(request).answers.items()):
        family.add_metric([method, str(status)], count)
    return family


def _build() -> Metric:
    family = GaugeMetricFamily("pillarbox_build_info", "The version", labels=["version"])
    family.add_metric([__version__], 1)
    return family
