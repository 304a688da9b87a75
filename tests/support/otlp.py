"""A receiver of OTLP over HTTP on loopback: it decodes what OpenTelemetry's exporter really sends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.receiver import Receiver, receiving

OK, FAILED = 0, 2  # Status.StatusCode: unset, error


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A span as it arrived."""

    name: str
    trace: str
    id: str
    parent: str
    client: bool
    status: int
    began: int  # nanoseconds
    ended: int
    attributes: dict[str, str | int | float | bool]
    resource: dict[str, str | int | float | bool]


class Collector:
    """`receiver` holds the requests; `spans` what was in them."""

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        self.endpoint = receiver.url

    @property
    def spans(self) -> list[Seen]:
        return [span for one in self.receiver.requests for span in _spans(one.body)]

    def named(self, name: str) -> list[Seen]:
        return [one for one in self.spans if one.name == name]


def _spans(body: bytes) -> Iterator[Seen]:
    for part in ExportTraceServiceRequest.FromString(body).resource_spans:
        resource = _values(part.resource.attributes)
        for scope in part.scope_spans:
            for span in scope.spans:
                yield Seen(
                    name=span.name,
                    trace=span.trace_id.hex(),
                    id=span.span_id.hex(),
                    parent=span.parent_span_id.hex(),
                    client=span.kind == span.SPAN_KIND_CLIENT,
                    status=span.status.code,
                    began=span.start_time_unix_nano,
                    ended=span.end_time_unix_nano,
                    attributes=_values(span.attributes),
                    resource=resource,
                )


def _values(attributes) -> dict[str, str | int | float | bool]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


@contextmanager
def collecting() -> Iterator[Collector]:
    with receiving() as receiver:
        yield Collector(receiver)
