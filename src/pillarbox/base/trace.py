"""
OpenTelemetry spans, where somebody asked for them; otherwise nothing, at next to no cost.

The only door to OpenTelemetry. It takes `pip install pillarbox[otel]`, and whichever exporter
package is wanted: exporters are found by their name, as OpenTelemetry's own tools find them.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from importlib.metadata import entry_points
from types import TracebackType
from typing import Any, Protocol

from pillarbox.base.errors import Invalid

OFF = "off"
_OPTION = "PILLARBOX_TRACES"
_EXPORTERS = "opentelemetry_traces_exporter"
_CARRIED = frozenset({b"traceparent", b"tracestate"})  # W3C Trace Context

Headers = Iterable[tuple[bytes, bytes]]


class Span(Protocol):
    """What whoever is inside a span may say about it."""

    def set(self, name: str, value: str | int) -> None: ...


class _Nothing:
    """The span of those who trace nothing."""

    def set(self, name: str, value: str | int) -> None:
        return None

    def __enter__(self) -> _Nothing:
        return self

    def __exit__(self, *_: object) -> None:
        return None


class _Traced:
    """A span of OpenTelemetry, current until its block ends."""

    def __init__(self, opened: AbstractContextManager[Any]) -> None:
        self._opened = opened

    def set(self, name: str, value: str | int) -> None:
        self._span.set_attribute(f"pillarbox.{name}", value)

    def __enter__(self) -> _Traced:
        self._span = self._opened.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._opened.__exit__(kind, error, trace)


class _Tracing:
    """Where spans go. None: nowhere."""

    def __init__(self) -> None:
        self.tracer: Any = None


_NOTHING = _Nothing()
_tracing = _Tracing()


def start(exporter: str, version: str) -> None:
    """
    From now on spans go to the exporter of this name, such as `otlp` or `console`.

    Raises Invalid when OpenTelemetry or the exporter is not installed.
    """
    if exporter == OFF:
        return
    try:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise Invalid("traces take pip install pillarbox[otel]", field=_OPTION) from None
    found = sorted(entry_points(group=_EXPORTERS, name=exporter), key=str)
    if not found:
        known = ", ".join(sorted({each.name for each in entry_points(group=_EXPORTERS)}))
        raise Invalid(f"there is no exporter “{exporter}”; there are: {known}", field=_OPTION)
    resource = Resource.create({"service.name": "pillarbox", "service.version": version})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(found[0].load()()))
    use(provider.get_tracer("pillarbox", version))


def use(tracer: Any) -> None:
    """Spans go to this tracer of OpenTelemetry; None for nowhere."""
    _tracing.tracer = tracer


def span(name: str, headers: Headers = (), **facts: str) -> _Traced | _Nothing:
    """A span for a block. headers of a request that brought a trace make it part of that one."""
    tracer = _tracing.tracer
    if tracer is None:
        return _NOTHING
    about = {f"pillarbox.{fact}": value for fact, value in facts.items()}
    context = _brought(headers)
    return _Traced(tracer.start_as_current_span(name, context=context, attributes=about))


def note(name: str, value: str | int) -> None:
    """Say something about the span that is current."""
    if _tracing.tracer is not None:
        from opentelemetry import trace

        trace.get_current_span().set_attribute(f"pillarbox.{name}", value)


def _brought(headers: Headers) -> Any:
    """The trace that a request is part of, or None for that of the caller."""
    carried = {
        name.decode(): value.decode("latin-1") for name, value in headers if name in _CARRIED
    }
    if not carried:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract(carried)
