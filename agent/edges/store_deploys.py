"""A deploy's own row and what is told of it, in a write transaction of the store."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic_core import from_json
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from agent.core.models import Deploy, DeployRequest, EventKind, NewEvent
from agent.core.states import FINAL, State
from agent.edges.store_events import Targets, append, tell
from agent.edges.store_rows import ALL_DEPLOYS, clean, find_deploy, insert_into, to_deploy
from agent.edges.store_schema import deploys, events
from agent.errors import BusyError, StateError

_OPEN = deploys.c.state.not_in([str(state) for state in sorted(FINAL)])


async def create(
    connection: AsyncConnection, deploy_id: str, request: DeployRequest, *, now: datetime, targets: Targets
) -> Deploy:
    """Record a queued deploy. The same id with the same request again changes nothing.

    Raises:
        BusyError: `busy.deploying`: another deploy of the project is not final yet.
        StateError: `state.duplicate`: the id is that of another request.
    """
    row = {
        "id": deploy_id,
        "project": request.project,
        "state": State.QUEUED,
        "request": request.model_dump_json(),
        "created_at": now,
        "updated_at": now,
        "last_seq": 1,
    }
    # The unique index decides, not a look beforehand: two agents may ask at the same moment.
    new = insert_into(deploys, connection.dialect.name).values(row).on_conflict_do_nothing()
    if (await connection.execute(new.returning(deploys.c.id))).scalar() is not None:
        data = {"from": "", "to": State.QUEUED, "move": ""}
        message = f"Deploy of {request.project} queued by {request.requested_by}"
        queued = NewEvent(kind=EventKind.STATE, message=message, at=now, data=data)
        await tell(connection, deploy_id, queued, seq=1, state=State.QUEUED, targets=targets)
        return await find_deploy(connection, deploy_id)
    same = await connection.execute(ALL_DEPLOYS.where(deploys.c.id == deploy_id))
    if found := same.first():
        deploy = to_deploy(found)
        if deploy.request == request:
            return deploy
        raise StateError(f"there is already another deploy {deploy_id}", code="state.duplicate")
    other = await connection.scalar(select(deploys.c.id).where(deploys.c.project == request.project, _OPEN))
    raise BusyError(
        f"deploy {other or '(just ended)'} of project {request.project} is not finished",
        code="busy.deploying",
        hint=f"Wait for it, or cancel it: deploy-agent cancel {other}" if other else "Try again.",
        where={"deploy_id": other} if other else None,
    )


async def move(
    connection: AsyncConnection,
    deploy_id: str,
    *,
    expected: State,
    new: State,
    values: Mapping[str, Any],
    event: NewEvent,
    targets: Targets,
) -> None:
    """Bring the deploy from one state to another. The same once more changes nothing.

    Args:
        values: of the row, besides `state` and `last_seq`.
        event: says so; it tells whether a deploy that is elsewhere has made this very move.

    Raises:
        NotFoundError: `notfound.deploy`.
        StateError: `state.moved_on`: the deploy is elsewhere.
    """
    moved = await connection.execute(
        update(deploys)
        .where(deploys.c.id == deploy_id, deploys.c.state == str(expected))
        .values(state=str(new), last_seq=deploys.c.last_seq + 1, **values)
        .returning(deploys.c.last_seq)
    )
    seq = moved.scalar()
    if seq is not None:
        await tell(connection, deploy_id, event, seq=seq, state=new, targets=targets)
        return
    there = await find_deploy(connection, deploy_id, exact=True)
    last = await connection.scalar(
        select(events.c.data)
        .where(events.c.deploy_id == deploy_id, events.c.kind == str(EventKind.STATE))
        .order_by(events.c.seq.desc())
        .limit(1)
    )
    if last is None or from_json(last) != event.data:
        raise StateError(
            f"deploy {deploy_id} is {there.state}, not {expected}",
            code="state.moved_on",
            hint="Another worker runs this deploy; this one must stop.",
        )


async def request_cancel(connection: AsyncConnection, deploy_id: str, *, reason: str, now: datetime) -> Deploy:
    """Raise the cancel flag of a deploy that has not ended. The first reason stays; an event records it.

    Raises:
        NotFoundError: `notfound.deploy`, `notfound.ambiguous`.
    """
    found = await find_deploy(connection, deploy_id)
    raised = await connection.execute(
        update(deploys)
        .where(deploys.c.id == found.id, _OPEN, deploys.c.cancel_reason == "")
        .values(cancel_reason=clean(reason), updated_at=now)
    )
    if raised.rowcount:
        event = NewEvent(kind=EventKind.LOG, message=f"Cancel requested: {reason}", at=now)
        await append(connection, found.id, [event])
    return await find_deploy(connection, found.id, exact=True)
