"""How an event gets into the store, and into the outbox; in a write transaction of the store."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import bindparam, insert, update
from sqlalchemy.ext.asyncio import AsyncConnection

from agent.core.models import Deploy, NewEvent
from agent.core.states import State
from agent.edges.store_rows import event_row, no_deploy
from agent.edges.store_schema import deploys, events, outbox

Targets = Mapping[str, Collection[State]]
"""The notification targets by name, each with the states that it wants to hear of."""

_COUNT = (
    update(deploys)
    .where(deploys.c.id == bindparam("deploy"))
    .values(last_seq=deploys.c.last_seq + bindparam("more"))
    .returning(deploys.c.last_seq)
)
_ADD = insert(events)


async def append(connection: AsyncConnection, deploy_id: str, new: Sequence[NewEvent]) -> None:
    """Insert events, numbered behind those that are there; nobody is notified.

    Raises:
        NotFoundError: `notfound.deploy`.
    """
    counted = await connection.execute(_COUNT, {"deploy": deploy_id, "more": len(new)})
    last = counted.scalar()
    if last is None:
        raise no_deploy(deploy_id)
    first = last - len(new) + 1
    await connection.execute(_ADD, [event_row(deploy_id, first + i, e) for i, e in enumerate(new)])


async def tell_next(connection: AsyncConnection, deploy: Deploy, event: NewEvent, targets: Targets) -> None:
    """`tell` with the deploy's next number and its state."""
    counted = await connection.execute(_COUNT, {"deploy": deploy.id, "more": 1})
    await tell(connection, deploy.id, event, seq=counted.scalar_one(), state=deploy.state, targets=targets)


async def tell(
    connection: AsyncConnection, deploy_id: str, event: NewEvent, *, seq: int, state: State, targets: Targets
) -> None:
    """Insert one event that is counted already, and a message for each target that wants to hear of `state`."""
    await connection.execute(_ADD, [event_row(deploy_id, seq, event)])
    rows = [
        {"target": name, "deploy_id": deploy_id, "event_seq": seq, "due_at": event.at, "created_at": event.at}
        for name, wanted in targets.items()
        if state in wanted
    ]
    if rows:
        await connection.execute(insert(outbox), rows)
