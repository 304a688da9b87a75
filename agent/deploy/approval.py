"""Before a restore: what it would do is said, and where the policy wants it, people are asked and waited for."""

from __future__ import annotations

from agent.core.models import Answer, Approval, EventKind, Failure, Proposal, Severity
from agent.core.restore_policy import PLATFORM, Policy, covers, describe, judge, strictest, tried_rungs
from agent.deploy.deps import Run, Stop
from agent.deploy.events import read_events
from agent.errors import BusyError, TargetError

_KEEP_EVERY_S = 30.0
_SHOWN = 200  # objects of a proposal that an event, and so every page and message, has to carry


async def permitted(run: Run, proposal: Proposal) -> bool:
    """Say what a rung would do, and return when it may.

    The answer is kept in the store, so a worker that starts again waits for the same one, and an approved proposal
    stays approved. A rung that would do more than what was approved is asked for anew, and each rung by itself. While
    it waits the deploy lock stays held, and nothing in the database is changed.

    Call it outside a transaction, and ask `run.session()` again afterwards: a session that died meanwhile is another.

    Returns:
        Whether it had to wait, so that what the proposal was made from may be old.

    Raises:
        Stop: `restore.held`: the policy leaves it to people; `restore.refused`: they said no; `restore.repeated`: this
            rung, or a higher one, has been tried before.
        StoreError: the agent's own store refused; the deploy stays where it is.
    """
    proposal = _short(run, proposal)
    tried = await rungs_tried(run)
    judgement = judge(proposal, policy_of(run), tried=tried)
    run.emitter.emit(
        EventKind.PROPOSAL,
        describe(proposal),
        severity=Severity.WARNING,
        **proposal.model_dump(mode="json"),
        verdict=judgement.verdict,
        reason=judgement.reason,
    )
    await run.emitter.flush()
    if judgement.verdict == "hold":
        raise Stop(_held(proposal, judgement.reason, repeated=any(rung >= proposal.rung for rung in tried)))
    return judgement.verdict == "ask" and await _asked(run, proposal, judgement.reason)


def policy_of(run: Run) -> Policy:
    """The settings' and the runbook's, whichever is stricter."""
    options = run.deps.options.policy
    return strictest(options, run.runbook.on_failure.policy) if run.runbook else options


async def rungs_tried(run: Run) -> frozenset[int]:
    """The rungs of this deploy that have ended without bringing the database back, by whatever worker."""
    await run.emitter.flush()
    return tried_rungs(await read_events(run.deps.store, run.deploy_id))


async def _asked(run: Run, proposal: Proposal, reason: str) -> bool:
    """Wait for the answer to this proposal, or to one like it that was asked before; whether that took waiting."""
    store = run.deps.store
    await _keep_lock(run)
    deploy = await store.get(run.deploy_id)
    approval = deploy.approval
    if approval is None or not _answers(approval, proposal, policy_of(run)):
        approval = await store.ask_approval(run.deploy_id, proposal, reason=reason, now=run.deps.clock.now())
        run.deps.moved(deploy.state)
    waited = approval.answer is None
    if waited:
        approval = await _wait(run, approval)
    if approval.answer is not Answer.APPROVED:
        raise Stop(_refused(approval))
    return waited


def _answers(approval: Approval, proposal: Proposal, policy: Policy) -> bool:
    """Whether this approval, given or not, speaks of the proposal. A refusal of a rung speaks of all of that rung."""
    if approval.answer is Answer.REJECTED:
        return approval.proposal.rung == proposal.rung
    return approval.answer is not Answer.SUPERSEDED and covers(approval.proposal, proposal, policy)


async def _wait(run: Run, approval: Approval) -> Approval:
    """Look for the answer as often as for the cancel flag; keep the deploy lock meanwhile."""
    since = run.deps.clock.now()
    while approval.answer is None:
        await run.deps.clock.sleep(run.deps.options.poll_s)
        if (run.deps.clock.now() - since).total_seconds() >= _KEEP_EVERY_S:
            since = run.deps.clock.now()
            await _keep_lock(run)
        found = (await run.deps.store.get(run.deploy_id)).approval
        assert found is not None  # noqa: S101 - asked above, and never removed
        approval = found
    await _keep_lock(run)  # the session may have died while it waited
    return approval


async def _keep_lock(run: Run) -> None:
    """Hold the session that holds the lock; a lost one is opened again, now or at the next look."""
    try:
        await run.clean_session()
    except (TargetError, BusyError) as error:
        await run.drop_session()
        run.emitter.emit(
            EventKind.LOG, f"while waiting for approval: {error.message}", severity=Severity.WARNING, code=error.code
        )


def _short(run: Run, proposal: Proposal) -> Proposal:
    """Without secrets, and not longer than people read: names of objects may quote what a user's SQL said."""
    undone = [run.deps.redactor(line) for line in proposal.undone[:_SHOWN]]
    if len(proposal.undone) > _SHOWN:
        undone.append(f"{len(proposal.undone) - _SHOWN:,} more")
    return proposal.model_copy(update={"undone": tuple(undone)})


def _held(proposal: Proposal, reason: str, *, repeated: bool) -> Failure:
    by = "by the platform" if proposal.rung == PLATFORM else "from the backup"
    return Failure(
        cause="agent",
        code="restore.repeated" if repeated else "restore.held",
        message=f"a restore {by} is needed, and it is not done: {reason}",
        hint=f"Run `deploy-agent restore {proposal.backup_id}` when you have decided{_or_by_hand(proposal)}.",
    )


def _or_by_hand(proposal: Proposal) -> str:
    return f", or {proposal.way} in the dashboard" if proposal.way else ""


def _refused(approval: Approval) -> Failure:
    remark = f": {approval.remark}" if approval.remark else ""
    return Failure(
        cause="agent",
        code="restore.refused",
        message=f"the restore (rung {approval.proposal.rung}) was rejected by {approval.answered_by}{remark}",
        hint="Repair by hand, keep what is there, or run "
        f"`deploy-agent restore {approval.proposal.backup_id}` after all{_or_by_hand(approval.proposal)}.",
    )
