"""The tables of the agent's own store, the same for SQLite and Postgres, and every invariant as a constraint.

deploys   one row a deploy; `last_seq` counts its events      events    what happened, numbered without gaps
evidence  named JSON texts of a deploy                         outbox    messages that notifiers must deliver
backups   what is known of each backup                         cursors   when a schedule is due next
approvals what people were asked, and what they answered     meta      the schema's version

Values that are never searched (request, failure, event data) are JSON texts. On Postgres the
tables lie in a schema of their own (`SCHEMA`), so that the store may share a database.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    text,
)
from sqlalchemy.types import TypeDecorator

from agent.core.models import Answer, BackupState, OutboxState
from agent.core.states import FINAL, State

SCHEMA = "deploy_agent"
"""The Postgres schema of the tables; SQLite has the file to itself."""

VERSION = 2
"""Raised whenever the tables change; a store of a higher version is refused, one of a lower is brought up to it.

1   the first
2   approvals
"""


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime, kept in UTC: `timestamptz` on Postgres, ISO text without a zone on SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To UTC; a naive datetime is a bug."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime cannot be stored")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Back to an aware datetime in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


def _one_of(column: str, values: Any) -> str:  # noqa: ANN401 - any iterable of StrEnum members
    return f"{column} IN ({', '.join(sorted(repr(str(value)) for value in values))})"


_IS_FINAL = _one_of("state", FINAL)
# SQLite numbers rows by itself only for INTEGER; Postgres deserves 64 bits.
_Serial = BigInteger().with_variant(Integer, "sqlite")

metadata = MetaData()

meta = Table(
    "meta",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

deploys = Table(
    "deploys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("request", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    Column("cancel_reason", Text, nullable=False, server_default=""),
    Column("strategy", Text),
    Column("versions", Text, nullable=False, server_default="[]"),
    Column("backup_id", Text, nullable=False, server_default=""),
    Column("failure", Text),
    Column("last_seq", Integer, nullable=False, server_default="0"),
    CheckConstraint("id <> ''", name="deploys_id_given"),
    CheckConstraint("project <> ''", name="deploys_project_given"),
    CheckConstraint(_one_of("state", State), name="deploys_state_known"),
    CheckConstraint(f"({_IS_FINAL}) = (finished_at IS NOT NULL)", name="deploys_final_is_finished"),
    CheckConstraint("last_seq >= 0", name="deploys_last_seq_counts"),
)
Index(
    "deploys_one_open_per_project",
    deploys.c.project,
    unique=True,
    sqlite_where=text(f"NOT ({_IS_FINAL})"),
    postgresql_where=text(f"NOT ({_IS_FINAL})"),
)
Index("deploys_newest", deploys.c.created_at, deploys.c.id)

events = Table(
    "events",
    metadata,
    Column("deploy_id", ForeignKey(deploys.c.id, ondelete="CASCADE"), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("severity", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("data", Text, nullable=False),
    CheckConstraint("seq > 0", name="events_seq_from_one"),
    # The primary key is the table on SQLite: events of a deploy lie together, without a second index.
    sqlite_with_rowid=False,
)

evidence = Table(
    "evidence",
    metadata,
    Column("deploy_id", ForeignKey(deploys.c.id, ondelete="CASCADE"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("content", Text, nullable=False),
    CheckConstraint("name <> ''", name="evidence_name_given"),
)

approvals = Table(
    "approvals",
    metadata,
    Column("deploy_id", ForeignKey(deploys.c.id, ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("proposal", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("asked_at", UtcDateTime, nullable=False),
    Column("answer", Text),
    Column("answered_at", UtcDateTime),
    Column("answered_by", Text, nullable=False, server_default=""),
    Column("remark", Text, nullable=False, server_default=""),
    CheckConstraint("number > 0", name="approvals_number_from_one"),
    CheckConstraint(f"answer IS NULL OR {_one_of('answer', Answer)}", name="approvals_answer_known"),
    CheckConstraint("(answer IS NULL) = (answered_at IS NULL)", name="approvals_answer_has_time"),
    CheckConstraint("answer IS NULL OR answered_by <> ''", name="approvals_answer_has_person"),
)
Index(
    "approvals_one_open_per_deploy",
    approvals.c.deploy_id,
    unique=True,
    sqlite_where=text("answer IS NULL"),
    postgresql_where=text("answer IS NULL"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
    Column("target", Text, nullable=False),
    Column("deploy_id", Text, nullable=False),
    Column("event_seq", Integer, nullable=False),
    Column("state", Text, nullable=False, server_default=str(OutboxState.PENDING)),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("due_at", UtcDateTime, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("leased_until", UtcDateTime),
    Column("sent_at", UtcDateTime),
    Column("last_error", Text, nullable=False, server_default=""),
    ForeignKeyConstraint(
        ["deploy_id", "event_seq"], [events.c.deploy_id, events.c.seq], ondelete="CASCADE", name="outbox_tells_an_event"
    ),
    CheckConstraint("target <> ''", name="outbox_target_given"),
    CheckConstraint(_one_of("state", OutboxState), name="outbox_state_known"),
    CheckConstraint("attempts >= 0", name="outbox_attempts_count"),
    CheckConstraint("(state = 'sent') = (sent_at IS NOT NULL)", name="outbox_sent_has_time"),
    CheckConstraint("state <> 'dead' OR last_error <> ''", name="outbox_dead_says_why"),
    # A number is never used twice: the receiver may remember it.
    sqlite_autoincrement=True,
)
Index("outbox_once", outbox.c.deploy_id, outbox.c.event_seq, outbox.c.target, unique=True)
Index(
    "outbox_pending",
    outbox.c.target,
    outbox.c.id,
    sqlite_where=text("state = 'pending'"),
    postgresql_where=text("state = 'pending'"),
)

backups = Table(
    "backups",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("location", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("deploy_id", Text, nullable=False, server_default=""),
    Column("verified_at", UtcDateTime),
    CheckConstraint("id <> ''", name="backups_id_given"),
    CheckConstraint("location <> ''", name="backups_location_given"),
    CheckConstraint(_one_of("state", BackupState), name="backups_state_known"),
    CheckConstraint("bytes >= 0", name="backups_bytes_count"),
    CheckConstraint("state <> 'verified' OR verified_at IS NOT NULL", name="backups_verified_has_time"),
)
Index("backups_newest", backups.c.project, backups.c.created_at)

cursors = Table(
    "cursors",
    metadata,
    Column("name", Text, primary_key=True),
    Column("due_at", UtcDateTime, nullable=False),
    CheckConstraint("name <> ''", name="cursors_name_given"),
)
