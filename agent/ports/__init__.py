"""What the deploy needs from outside, as protocols. `edges` fill them; `bootstrap` joins them."""

from agent.ports.backups import Cipher, ObjectStore, PgTools, Upload
from agent.ports.platform import Advisor, Platform
from agent.ports.running import Clock, Ctx, Notifier
from agent.ports.store import DeployStore
from agent.ports.target import Names, Notice, Params, Row, Session, Target, closed_at_end
from agent.ports.tracing import Attributes, Place, Span, Tracer, current, trace_comment, trace_fields

__all__ = [
    "Advisor",
    "Attributes",
    "Cipher",
    "Clock",
    "Ctx",
    "DeployStore",
    "Names",
    "Notice",
    "Notifier",
    "ObjectStore",
    "Params",
    "PgTools",
    "Place",
    "Platform",
    "Row",
    "Session",
    "Span",
    "Target",
    "Tracer",
    "Upload",
    "closed_at_end",
    "current",
    "trace_comment",
    "trace_fields",
]
