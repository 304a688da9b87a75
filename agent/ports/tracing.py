"""Traces: what a deploy says of how long its parts took, and where in a trace the running code is.

Nothing here knows OpenTelemetry. Where telemetry is off there is no `Tracer`, and nothing is current.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar
from datetime import datetime
from typing import NamedTuple, Protocol

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-0([01])")

Attributes = Mapping[str, str | int | float | bool]
"""What a span says, by dotted names such as `deploy_agent.deploy.id`; never what a user or a server wrote."""


class Place(NamedTuple):
    """A span of a trace. `trace_id`: 32 hexadecimal digits; `span_id`: 16; `sampled`: whether it is sent at all."""

    trace_id: str
    span_id: str
    sampled: bool

    @property
    def traceparent(self) -> str:
        """As https://www.w3.org/TR/trace-context/ has it."""
        return f"00-{self.trace_id}-{self.span_id}-0{int(self.sampled)}"

    @classmethod
    def parse(cls, traceparent: str) -> Place | None:
        """The place that a traceparent names, or None if it is none of ours."""
        found = _TRACEPARENT.fullmatch(traceparent)
        return None if found is None else cls(found[1], found[2], found[3] == "1")


current: ContextVar[Place | None] = ContextVar("deploy_agent_trace", default=None)
"""The span that the running code is in."""


def trace_fields() -> dict[str, str]:
    """`trace_id` and `span_id` of where the code is, for logs and events; empty outside a trace."""
    place = current.get()
    return {} if place is None else {"trace_id": place.trace_id, "span_id": place.span_id}


def trace_comment() -> str:
    """The same as an SQL comment behind a statement (https://google.github.io/sqlcommenter/spec/), or ""."""
    place = current.get()
    return "" if place is None else f"\n/*traceparent='{place.traceparent}'*/"


class Span(Protocol):
    """A part of a deploy that is under way."""

    def fail(self, kind: str) -> None:
        """It went wrong; `kind` is an error code or another word of few values."""
        ...


class Tracer(Protocol):
    """Sends spans somewhere, in the background; never raises, never waits."""

    def begin(self) -> Place:
        """The first span of a new trace; it is told with `finish`, once its end is known."""
        ...

    def span(self, name: str, attributes: Attributes, *, client: bool = False) -> AbstractContextManager[Span]:
        """A span below the current one, which it becomes for as long as the body runs.

        An exception out of the body marks it as failed: with the error's code, never with its words.

        Args:
            name: one of few; what tells one from another is for the attributes.
            client: something else was asked and waited for.
        """
        ...

    def finish(
        self, place: Place, name: str, attributes: Attributes, *, began: datetime, ended: datetime, failed: str
    ) -> None:
        """Tell the span that `begin` gave, perhaps to an earlier process.

        Args:
            failed: why it is no success, or "".
        """
        ...
