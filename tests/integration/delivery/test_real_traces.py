"""With OpenTelemetry's own SDK and its exporter in memory: what a collector would be sent."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from pillarbox.base import trace
from support.house import House, delivering

_CALLER = "4bf92f3577b34da6a3ce929d0e0e4736"
_PARENT = f"00-{_CALLER}-00f067aa0ba902b7-01".encode()


class Found:
    """An exporter, as an installed package offers it."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()

    def load(self) -> object:
        return lambda: self.exporter

    def spans(self) -> dict[str, ReadableSpan]:
        """What has ended, by name."""
        trace._tracing.tracer.span_processor.force_flush()
        return {each.name: each for each in self.exporter.get_finished_spans()}


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> Iterator[Found]:
    """Traces as they are begun by PILLARBOX_TRACES, into memory."""
    offered = Found()
    monkeypatch.setattr(trace, "entry_points", lambda **_: [offered])
    trace.start("memory", "1.2.3")
    yield offered
    trace.use(None)


async def test_a_message_leaves_a_trace_from_the_request_to_the_relay(
    found: Found, house: House
) -> None:
    """Commit inside accept, accept inside the caller's trace; the attempt says how it ended."""
    async with delivering(house):
        with trace.span("accept", [(b"traceparent", _PARENT)], inlet="http"):
            sent = await house.send("ann@y.test")
        await house.until(sent)
    spans = found.spans()

    accept, commit, attempt = (spans[name] for name in ("accept", "commit", "attempt"))
    assert accept.context is not None
    assert commit.parent is not None
    assert f"{accept.context.trace_id:032x}" == _CALLER
    assert commit.parent.span_id == accept.context.span_id
    assert dict(accept.resource.attributes)["service.version"] == "1.2.3"
    assert dict(attempt.attributes or {}) == {
        "pillarbox.message": sent,
        "pillarbox.relay": "sandbox",
        "pillarbox.outcome": "relayed",
    }


async def test_an_error_inside_a_span_is_part_of_it(found: Found) -> None:
    with pytest.raises(LookupError), trace.span("accept"):
        raise LookupError("the stock is empty")

    (event,) = found.spans()["accept"].events
    assert (event.attributes or {})["exception.type"] == "LookupError"
