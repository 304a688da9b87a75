"""Rows of the store's tables to values and back; a deploy by its id."""

from __future__ import annotations

from typing import Any

from pydantic_core import from_json, to_json
from sqlalchemy import Row, Table, and_, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from agent.core.models import Approval, Deploy, DeployRequest, Event, Failure, NewEvent, OutboxMessage
from agent.edges.store_schema import approvals, deploys
from agent.errors import NotFoundError

_APPROVAL = ("number", "proposal", "reason", "asked_at", "answer", "answered_at", "answered_by", "remark")
_others = approvals.alias("others")
_last = select(func.max(_others.c.number)).where(_others.c.deploy_id == deploys.c.id).correlate(deploys)
ALL_DEPLOYS = select(deploys, *(approvals.c[name].label(f"approval_{name}") for name in _APPROVAL)).select_from(
    deploys.outerjoin(
        approvals, and_(approvals.c.deploy_id == deploys.c.id, approvals.c.number == _last.scalar_subquery())
    )
)
"""Deploys, each with the last approval that was asked for."""


def insert_into(table: Table, dialect: str) -> sqlite.Insert | postgresql.Insert:
    """INSERT that can say what to do on a conflict: both databases have that, SQLAlchemy's own has not."""
    return sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)


def clean(text: str) -> str:
    """Text that every database can hold: no NUL, no lone surrogates."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def event_row(deploy_id: str, seq: int, event: NewEvent) -> dict[str, Any]:
    """An event as a row of `events`."""
    return {
        "deploy_id": deploy_id,
        "seq": seq,
        "kind": str(event.kind),
        "at": event.at,
        "severity": str(event.severity),
        "message": clean(event.message),
        "data": to_json(event.data, fallback=str, inf_nan_mode="strings").decode(),
    }


def to_event(row: Row[Any]) -> Event:
    """A row of `events` as an event."""
    return Event.model_validate(row._asdict() | {"data": from_json(row.data)})


def to_deploy(row: Row[Any]) -> Deploy:
    """A row of `deploys` as a deploy."""
    fields = row._asdict()
    del fields["last_seq"]
    fields["request"] = DeployRequest.model_validate_json(row.request)
    fields["failure"] = None if row.failure is None else Failure.model_validate_json(row.failure)
    fields["versions"] = from_json(row.versions)
    asked = {name: fields.pop(f"approval_{name}") for name in _APPROVAL}
    if asked["number"] is not None:
        fields["approval"] = Approval.model_validate(asked | {"proposal": from_json(asked["proposal"])})
    return Deploy.model_validate(fields)


def to_message(row: Row[Any]) -> OutboxMessage:
    """A row of `outbox` as a message."""
    fields = row._asdict()
    for name in ("leased_until", "sent_at"):
        del fields[name]
    return OutboxMessage.model_validate(fields)


async def find_deploy(connection: AsyncConnection, deploy_id: str, *, exact: bool = False) -> Deploy:
    """The deploy of that id, or, unless `exact`, of that unambiguous beginning of an id.

    Raises:
        NotFoundError: `notfound.deploy`, `notfound.ambiguous`.
    """
    if not deploy_id:
        raise no_deploy(deploy_id)
    same = deploys.c.id == deploy_id
    if not exact:
        same = or_(same, deploys.c.id.startswith(deploy_id, autoescape=True))
    rows = (await connection.execute(ALL_DEPLOYS.where(same).order_by(deploys.c.id).limit(5))).all()
    if not rows:
        raise no_deploy(deploy_id)
    chosen = rows[0] if len(rows) == 1 else next((row for row in rows if row.id == deploy_id), None)
    if chosen is None:
        raise NotFoundError(
            f"several deploys begin with {deploy_id}: {', '.join(row.id for row in rows)}",
            code="notfound.ambiguous",
            hint="Give more of the id.",
        )
    return to_deploy(chosen)


def no_deploy(deploy_id: str) -> NotFoundError:
    """There is no such deploy."""
    return NotFoundError(f"there is no deploy {deploy_id!r}", code="notfound.deploy", hint="See: deploy-agent history")
