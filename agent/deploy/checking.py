"""The runbook's checks during a deploy: which run when, and what a bad one means."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from agent.core.checks import Check
from agent.core.models import CheckResult, EventKind, Failure, NewEvent, Severity, Verdict
from agent.core.scripts import Script
from agent.deploy.checks import collect_metrics, run_checks
from agent.deploy.deps import Run, Stop
from agent.deploy.emitter import Emit
from agent.deploy.events import read_events
from agent.deploy.sending import with_hints
from agent.ports import Session


async def check(
    run: Run, session: Session, checks: Sequence[Check], *, phase: str, quiet: bool = False
) -> list[CheckResult]:
    """Run checks, record their verdicts, and stop at a bad one.

    Args:
        quiet: those that pass are not told: they have been before.

    Raises:
        Stop: a check of severity `error` failed, or could not run.
    """
    if not checks:
        return []
    run.interruptible = True
    try:
        results = await run_checks(
            session,
            checks,
            phase=phase,
            before=run.before.values if run.before else {},
            clock=run.deps.clock,
            http=run.deps.http,
            api=run.deps.api,
            emit=_unless_passed(run.emitter.put) if quiet else run.emitter.put,
            snapshot=run.runbook.snapshot if run.runbook else (),
            may_wait=await session.in_transaction(),
        )
    finally:
        run.interruptible = False
    run.check_cancelled()
    bad = [one for one in results if one.verdict is not Verdict.PASSED and one.severity is Severity.ERROR]
    if bad:
        raise Stop(failed_check(run, bad))
    return results


def _unless_passed(emit: Emit) -> Emit:
    def put(event: NewEvent) -> None:
        if event.kind is not EventKind.CHECK or event.data["verdict"] != Verdict.PASSED:
            emit(event)

    return put


def failed_check(run: Run, bad: Sequence[CheckResult]) -> Failure:
    """The failure that the first bad check stands for."""
    first = bad[0]
    more = f" ({len(bad) - 1} more failed)" if len(bad) > 1 else ""
    verb = "failed" if first.verdict is Verdict.FAILED else "could not run"
    failure = Failure(
        cause="check",
        code=f"check.{first.verdict}",
        message=f"check {first.title!r} {verb}: expected {first.expected}, observed {first.observed}{more}",
        hint=first.hint,
        check=first.id,
        version=first.phase.partition(":")[2],
    )
    return with_hints(run, failure)


def tally(results: Collection[CheckResult]) -> str:
    """What the checks of a deploy that may go on have said: all passed, or some only warned."""
    if not results:
        return "the runbook has no check for these migrations"
    warned = [one.id for one in results if one.verdict is not Verdict.PASSED]
    if not warned:
        return f"every check passed ({len(results)})"
    return f"{len(results) - len(warned)} of {len(results)} checks passed; only warnings: {', '.join(warned)}"


async def what_was_checked(run: Run) -> str:
    """The outcome of the deploy's checks, each counted once with its last result."""
    if run.runbook is None:
        return "there is no runbook, so nothing was checked"
    if not any(run.runbook.check_ids()):
        return "the runbook has no checks, so nothing was checked"
    await run.emitter.flush()
    events = await read_events(run.deps.store, run.deploy_id)
    told = [CheckResult.model_validate(event.data) for event in events if event.kind is EventKind.CHECK]
    return tally({(one.phase, one.id): one for one in told}.values())


async def collect(run: Run, session: Session) -> None:
    """The runbook's metrics: evidence, never a reason to fail."""
    if run.runbook is None:
        return
    for name, labels, value in await collect_metrics(
        session, run.runbook.metrics, emit=run.emitter.put, clock=run.deps.clock
    ):
        run.emitter.emit(EventKind.METRIC, f"{name} {value}", name=name, labels=labels, value=value)


def after_commit(checks: Sequence[Check]) -> list[Check]:
    """The checks that say more once all is committed: those that ask over HTTP, and query plans.

    A new index on rows that the same transaction has changed cannot be used before COMMIT
    (https://www.postgresql.org/docs/current/storage-hot.html, `indcheckxmin`).
    """
    return [one for one in checks if one.needs_commit or one.performance is not None]


def transactional(checks: Sequence[Check]) -> list[Check]:
    """The checks that see what is not committed yet: all but those that ask over HTTP."""
    return [one for one in checks if not one.needs_commit]


def checks_inside(run: Run, script: Script) -> list[Check]:
    """The migration's own checks that see what is not committed yet."""
    entry = run.runbook.for_version(script.migration.version) if run.runbook else None
    return transactional(entry.checks if entry else ())
