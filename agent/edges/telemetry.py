"""Traces over OTLP/HTTP with OpenTelemetry's SDK: `ports.Tracer`. Imported only where `telemetry.endpoint` is set.

The SDK's batch processor has a thread and a queue of its own: a collector that is slow or away costs spans, never time.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)
from opentelemetry.trace import Span as SdkSpan

from agent.errors import AgentError, StatementError
from agent.ports import Attributes, Place, Span, current

_FLUSH_S = 2.0  # at the end: what has not arrived by then is lost


class _Ids(IdGenerator):
    """Random ids, or for one span those that were given out before."""

    def __init__(self) -> None:
        self._random = RandomIdGenerator()
        self.given: Place | None = None

    def generate_span_id(self) -> int:
        return int(self.given.span_id, 16) if self.given else self._random.generate_span_id()

    def generate_trace_id(self) -> int:
        return int(self.given.trace_id, 16) if self.given else self._random.generate_trace_id()


class OtelSpan:
    """Implements `ports.Span`."""

    def __init__(self, span: SdkSpan) -> None:
        self._span = span

    def fail(self, kind: str) -> None:
        """See `ports.Span.fail`."""
        self._span.set_attribute("error.type", kind)
        self._span.set_status(StatusCode.ERROR)


class OtelTracer:
    """Implements `ports.Tracer`.

    Args:
        endpoint: of the collector, for instance `http://localhost:4318`; `/v1/traces` is added unless it is there.
        headers: sent with each request.
        service_name: the resource's `service.name`.
        sample_ratio: the share of the deploys that are traced, 0 to 1.
        timeout_s: how long one request may take.
        version: the agent's.
    """

    def __init__(
        self,
        *,
        endpoint: str,
        headers: Mapping[str, str],
        service_name: str,
        sample_ratio: float,
        timeout_s: float,
        version: str,
    ) -> None:
        url = endpoint.rstrip("/")
        self._ratio = sample_ratio
        self._ids = _Ids()
        self._one_at_a_time = threading.Lock()
        self._provider = TracerProvider(
            resource=Resource.create({"service.name": service_name, "service.version": version}),
            sampler=ParentBased(root=ALWAYS_ON),
            id_generator=self._ids,
            shutdown_on_exit=False,
        )
        exporter = OTLPSpanExporter(
            endpoint=url if url.endswith("/v1/traces") else f"{url}/v1/traces",
            headers=dict(headers),
            timeout=timeout_s,
        )
        self._provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=1000))
        self._tracer = self._provider.get_tracer("deploy-agent", version)

    def begin(self) -> Place:
        """See `ports.Tracer.begin`."""
        new = RandomIdGenerator()
        return Place(
            f"{new.generate_trace_id():032x}",
            f"{new.generate_span_id():016x}",
            random.random() < self._ratio,  # noqa: S311 - a sample, no secret
        )

    @contextmanager
    def span(self, name: str, attributes: Attributes, *, client: bool = False) -> Iterator[Span]:
        """See `ports.Tracer.span`."""
        parent = current.get()
        if parent is None:  # outside a deploy nothing is traced
            yield OtelSpan(NonRecordingSpan(SpanContext(0, 0, is_remote=False)))
            return
        kind = SpanKind.CLIENT if client else SpanKind.INTERNAL
        with self._one_at_a_time:
            span = self._tracer.start_span(name, _below(parent), kind=kind, attributes=attributes)
        at = span.get_span_context()
        before = current.set(Place(parent.trace_id, f"{at.span_id:016x}", parent.sampled))
        told = OtelSpan(span)
        try:
            yield told
        except BaseException as error:
            if isinstance(error, StatementError):
                span.set_attribute("db.response.status_code", error.sqlstate)
            told.fail(error.code if isinstance(error, AgentError) else type(error).__name__)
            raise
        finally:
            current.reset(before)
            span.end()

    def finish(
        self, place: Place, name: str, attributes: Attributes, *, began: datetime, ended: datetime, failed: str
    ) -> None:
        """See `ports.Tracer.finish`."""
        if not place.sampled:
            return
        with self._one_at_a_time:
            self._ids.given = place
            try:
                span = self._tracer.start_span(name, Context(), attributes=attributes, start_time=_nanoseconds(began))
            finally:
                self._ids.given = None
        if failed:
            OtelSpan(span).fail(failed)
        span.end(end_time=_nanoseconds(ended))

    def close(self) -> None:
        """Send what is left, for at most two seconds."""
        # daemon: the SDK itself would wait for as long as the collector lets it
        ending = threading.Thread(target=self._provider.shutdown, daemon=True)
        ending.start()
        ending.join(_FLUSH_S)


def _below(parent: Place) -> Context:
    flags = TraceFlags(TraceFlags.SAMPLED if parent.sampled else TraceFlags.DEFAULT)
    at = SpanContext(int(parent.trace_id, 16), int(parent.span_id, 16), is_remote=True, trace_flags=flags)
    return set_span_in_context(NonRecordingSpan(at), Context())


def _nanoseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000) * 1000
