"""What the deploy needs from outside, as protocols. `edges` fill them; `bootstrap` joins them."""

from agent.ports.backups import Cipher, ObjectStore, PgTools, Upload
from agent.ports.platform import Advisor, Platform
from agent.ports.running import Clock, Ctx, Notifier
from agent.ports.store import DeployStore
from agent.ports.target import Names, Notice, Params, Row, Session, Target

__all__ = [
    "Advisor",
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
    "Platform",
    "Row",
    "Session",
    "Target",
    "Upload",
]
