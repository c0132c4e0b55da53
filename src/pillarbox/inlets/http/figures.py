"""Every metric: its name, what it counts and by what. The page and the scrape are made of this."""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client import Metric
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)


@dataclass(frozen=True, slots=True)
class Figure:
    """One metric. kind is `counter`, `gauge` or `histogram`; a counter's name ends in _total."""

    name: str
    kind: str
    about: str
    labels: tuple[str, ...] = ()


FIGURES = (
    Figure("pillarbox_accepted", "counter", "Messages taken in", ("inlet", "stream")),
    Figure("pillarbox_deliveries", "gauge", "Deliveries that have not ended", ("relay", "state")),
    Figure(
        "pillarbox_oldest_due_seconds",
        "gauge",
        "For how long the delivery that waits longest has been due",
    ),
    Figure("pillarbox_relay_oldest_due_seconds", "gauge", "The same for each relay", ("relay",)),
    Figure(
        "pillarbox_attempts",
        "counter",
        "Attempts that ended; stage is where a failed one failed",
        ("relay", "outcome", "stage"),
    ),
    Figure("pillarbox_sessions_open", "gauge", "Sessions with a relay's server", ("relay",)),
    Figure("pillarbox_sessions_opened", "counter", "Sessions that were opened", ("relay",)),
    Figure("pillarbox_relay_state", "gauge", "1 for the state a relay is in", ("relay", "state")),
    Figure("pillarbox_relay_resting", "gauge", "1 while a relay is not used", ("relay",)),
    Figure(
        "pillarbox_relay_needs_person", "gauge", "1 while a relay waits for a person", ("relay",)
    ),
    Figure("pillarbox_relay_slowed", "gauge", "1 while a relay gets fewer sessions", ("relay",)),
    Figure(
        "pillarbox_relay_well", "gauge", "1 if the last diagnosis or check went well", ("relay",)
    ),
    Figure("pillarbox_relay_connections_allowed", "gauge", "Sessions a relay gets now", ("relay",)),
    Figure("pillarbox_commits", "counter", "Commits of the database"),
    Figure("pillarbox_commit_works", "histogram", "Works that shared a commit"),
    Figure(
        "pillarbox_http_answers", "counter", "Answers by method and status", ("method", "status")
    ),
    Figure("pillarbox_event_streams_open", "gauge", "Readers of the stream of events"),
    Figure("pillarbox_ready", "gauge", "1 while mail is carried"),
    Figure("pillarbox_build_info", "gauge", "The version", ("version",)),
)

_KINDS = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
    "histogram": HistogramMetricFamily,
}


class Board:
    """The figures of one scrape."""

    def __init__(self) -> None:
        self._families = {
            each.name: _KINDS[each.kind](each.name, each.about, labels=each.labels)
            for each in FIGURES
        }

    def put(self, name: str, value: float, *labels: str) -> None:
        """One sample, labels in the order of the figure's."""
        family = self._families[name]
        assert not isinstance(family, HistogramMetricFamily)
        family.add_metric(list(labels), value)

    def put_histogram(self, name: str, buckets: list[tuple[str, int]], total: int) -> None:
        family = self._families[name]
        assert isinstance(family, HistogramMetricFamily)
        family.add_metric([], buckets, total)

    def collect(self) -> list[Metric]:
        return list(self._families.values())
