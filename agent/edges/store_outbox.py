"""The statements of the store's outbox."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, Update, and_, func, or_, select, update
from sqlalchemy.sql.dml import ReturningUpdate

from agent.core.models import OutboxState
from agent.edges.store_schema import outbox


def due(targets: Sequence[str], now: datetime) -> Select[Any]:
    """For each target its oldest pending message, if it is due, in order."""
    return select(outbox).where(_is_due(targets, now)).order_by(outbox.c.id)


def claim(targets: Sequence[str], now: datetime, *, until: datetime, limit: int) -> ReturningUpdate[Any]:
    """Lease the due messages that nobody has leased; rows that another agent is claiming are passed over."""
    free = or_(outbox.c.leased_until.is_(None), outbox.c.leased_until <= now)
    chosen = select(outbox.c.id).where(_is_due(targets, now), free).order_by(outbox.c.id).limit(limit)
    return (
        update(outbox)
        .where(outbox.c.id.in_(chosen.with_for_update(skip_locked=True)))
        .values(leased_until=until)
        .returning(outbox)
    )


def sent(message_id: int, now: datetime) -> Update:
    """It arrived."""
    values = {"state": str(OutboxState.SENT), "sent_at": now, "attempts": outbox.c.attempts + 1, "last_error": ""}
    return update(outbox).where(outbox.c.id == message_id).values(values)


def failed(message_id: int, *, error: str, due_at: datetime | None, now: datetime) -> Update:
    """It did not; `due_at` None: given up. One that has arrived meanwhile is left alone."""
    values = {
        "state": str(OutboxState.DEAD if due_at is None else OutboxState.PENDING),
        "due_at": due_at or now,
        "attempts": outbox.c.attempts + 1,
        "last_error": error,
        "leased_until": None,
    }
    return update(outbox).where(outbox.c.id == message_id, outbox.c.state == str(OutboxState.PENDING)).values(values)


def undelivered() -> Select[Any]:
    """How many messages each target has in each state but `sent`."""
    return (
        select(outbox.c.target, outbox.c.state, func.count().label("messages"))
        .where(outbox.c.state != str(OutboxState.SENT))
        .group_by(outbox.c.target, outbox.c.state)
    )


def _is_due(targets: Sequence[str], now: datetime) -> ColumnElement[bool]:
    oldest = (
        select(func.min(outbox.c.id))
        .where(outbox.c.state == str(OutboxState.PENDING), outbox.c.target.in_(list(targets)))
        .group_by(outbox.c.target)
    )
    return and_(outbox.c.id.in_(oldest), outbox.c.due_at <= now)
