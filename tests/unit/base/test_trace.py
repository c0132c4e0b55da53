"""Spans go to whoever asked for them, and are part of the trace that a request brought."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from opentelemetry import trace as api
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from pillarbox.base import trace
from pillarbox.base.errors import Invalid
from support.desk import HELLO, Counter, open_counter

_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


class Kept(NonRecordingSpan):
    """A span that remembers what was said about it."""

    def __init__(self, context: SpanContext, name: str, about: dict[str, Any]) -> None:
        super().__init__(context)
        self.name, self.about = name, about

    def set_attribute(self, key: str, value: Any) -> None:
        self.about[key] = value


@dataclass
class Tracer:
    """OpenTelemetry's interface, over a list."""

    spans: list[Kept] = field(default_factory=list)

    @contextmanager
    def start_as_current_span(
        self, name: str, context: Any = None, attributes: Any = None
    ) -> Iterator[Kept]:
        parent = api.get_current_span(context).get_span_context()
        number = len(self.spans) + 1
        made = SpanContext(parent.trace_id or number, number, False, TraceFlags(1))
        self.spans.append(Kept(made, name, dict(attributes or {})))
        with api.use_span(self.spans[-1]):
            yield self.spans[-1]


@pytest.fixture
def tracer() -> Iterator[Tracer]:
    used = Tracer()
    trace.use(used)
    yield used
    trace.use(None)


async def test_an_accepted_message_is_part_of_the_callers_trace(
    tracer: Tracer, tmp_path: Any
) -> None:
    """accept and, in it, commit; with the id of the message."""
    async with open_counter(tmp_path) as counter:
        assert isinstance(counter, Counter)
        parent = f"00-{_TRACE}-00f067aa0ba902b7-01"
        sent = await counter.ask("POST", "/v1/messages", HELLO, traceparent=parent)

    accept, commit = tracer.spans
    assert (accept.name, commit.name) == ("accept", "commit")
    assert {f"{each.get_span_context().trace_id:032x}" for each in tracer.spans} == {_TRACE}
    assert accept.about["pillarbox.status"] == 202
    assert commit.about["pillarbox.message"] == sent.json()["id"]


async def test_spans_of_tasks_do_not_mix(tracer: Tracer) -> None:
    """What is noted goes to the span of the task that notes it."""

    async def attempt(name: str) -> None:
        with trace.span("attempt", relay=name):
            await asyncio.sleep(0)
            trace.note("outcome", name)

    await asyncio.gather(attempt("a"), attempt("b"))

    assert [each.about["pillarbox.relay"] for each in tracer.spans] == ["a", "b"]
    assert [each.about["pillarbox.outcome"] for each in tracer.spans] == ["a", "b"]


def test_without_a_tracer_nothing_happens() -> None:
    """One object for everybody, and nothing is kept."""
    with trace.span("attempt", relay="a") as one, trace.span("commit") as other:
        one.set("outcome", "relayed")
        trace.note("outcome", "relayed")

    assert one is other


def test_an_exporter_that_is_not_there_stops_the_start() -> None:
    """By the name of the option, whether the extra or the exporter is missing."""
    with pytest.raises(Invalid) as refused:
        trace.start("nowhere", "1")

    assert refused.value.field == "PILLARBOX_TRACES"
    trace.start(trace.OFF, "1")
