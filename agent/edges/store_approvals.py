"""What people are asked and what they answer, in a write transaction of the store."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import insert, update
from sqlalchemy.ext.asyncio import AsyncConnection

from agent.core.models import Answer, Approval, Deploy, EventKind, NewEvent, Proposal, Severity
from agent.core.restore_policy import approval_words
from agent.edges.store_events import Targets, tell_next
from agent.edges.store_rows import clean, find_deploy
from agent.edges.store_schema import approvals
from agent.errors import NotFoundError


async def ask(
    connection: AsyncConnection, deploy_id: str, proposal: Proposal, *, reason: str, now: datetime, targets: Targets
) -> Approval:
    """Ask a new question; one that nobody has answered is closed.

    Raises:
        NotFoundError: `notfound.deploy`.
    """
    deploy = await find_deploy(connection, deploy_id, exact=True)
    closed = {"answer": str(Answer.SUPERSEDED), "answered_at": now, "answered_by": "agent"}
    is_open = (approvals.c.deploy_id == deploy.id, approvals.c.answer.is_(None))
    await connection.execute(update(approvals).where(*is_open).values(closed))
    number = deploy.approval.number + 1 if deploy.approval else 1
    approval = Approval(number=number, proposal=proposal, reason=clean(reason), asked_at=now)
    row = approval.model_dump(include={"number", "reason", "asked_at"})
    content = clean(proposal.model_dump_json())
    await connection.execute(insert(approvals).values(deploy_id=deploy.id, proposal=content, **row))
    await tell_next(connection, deploy, _event(approval), targets)
    return approval


async def answer(
    connection: AsyncConnection,
    deploy_id: str,
    *,
    number: int | None,
    approve: bool,
    by: str,
    remark: str,
    now: datetime,
    targets: Targets,
) -> Deploy:
    """Answer the question that is open; see `DeployStore.answer_approval`.

    Raises:
        NotFoundError: `notfound.deploy`, `notfound.ambiguous`, `notfound.approval`.
    """
    found = await find_deploy(connection, deploy_id)
    asked, given = found.approval, Answer.APPROVED if approve else Answer.REJECTED
    if asked is None or number not in (None, asked.number):
        raise _nothing_asked(found, number)
    if found.waits_for_approval:
        # The condition decides, not the look before: two people may answer at the same moment.
        changed = await connection.execute(
            update(approvals)
            .where(approvals.c.deploy_id == found.id, approvals.c.number == asked.number, approvals.c.answer.is_(None))
            .values(answer=str(given), answered_at=now, answered_by=clean(by), remark=clean(remark))
        )
        found = await find_deploy(connection, found.id, exact=True)
        if changed.rowcount and found.approval is not None:
            await tell_next(connection, found, _event(found.approval), targets)
    if found.approval is None or found.approval.answer is not given:
        raise _nothing_asked(found, number)
    return found


def _event(approval: Approval) -> NewEvent:
    return NewEvent(
        kind=EventKind.APPROVAL,
        message=approval_words(approval),
        at=approval.answered_at or approval.asked_at,
        severity=Severity.WARNING,
        data=approval.model_dump(mode="json"),
    )


def _nothing_asked(deploy: Deploy, number: int | None) -> NotFoundError:
    asked = deploy.approval
    if asked is None:
        state = f"deploy {deploy.id} is {deploy.state} and has asked nothing"
    elif number not in (None, asked.number):
        state = f"the last question of deploy {deploy.id} is number {asked.number}, not {number}"
    elif asked.answer is not None:
        state = f"question {asked.number} of deploy {deploy.id} was {asked.answer} by {asked.answered_by}"
    else:
        state = f"deploy {deploy.id} has ended ({deploy.state})"
    return NotFoundError(
        f"there is nothing to answer: {state}",
        code="notfound.approval",
        hint=f"See `deploy-agent show {deploy.id}`.",
    )
