"""Soaking: after everything has passed, the final checks and the limits are looked at again for a while."""

from __future__ import annotations

from datetime import datetime, timedelta

from agent.core.models import EventKind, Severity
from agent.core.units import count, duration
from agent.deploy.checking import check
from agent.deploy.deps import Run
from agent.deploy.platform_watch import Watch, tell
from agent.errors import TargetError

EVIDENCE = "soak_until"
"""The name of the evidence: the end of the soak, which a change of workers does not move."""

_PAUSES_S = (1.0, 2.0, 4.0, 8.0, 15.0)
"""Before another connection is tried, once one is lost: a network that blinks is no reason to undo a deploy."""


async def soak(run: Run, watch: Watch | None) -> str:
    """Look again until the time is over.

    Args:
        watch: of the platform's metrics, or None.

    Returns:
        What was done, for people, or "".

    Raises:
        Stop: a check of severity `error` did not pass, a limit is exceeded, or somebody cancels.
        TargetError: the database cannot be reached for half a minute.
    """
    wanted = run.runbook.soak if run.runbook else None
    if wanted is None:
        return ""
    clock, checks = run.deps.clock, len(run.runbook.checks if run.runbook else ())
    until = await _until(run, wanted.for_)
    rounds = 0
    while (left := (until - clock.now()).total_seconds()) > 0:
        run.emitter.emit(
            EventKind.PROGRESS,
            f"soaking for another {duration(left)}: {count(checks, 'check')} every {duration(wanted.every)}",
            what="soak",
            phase="",
            done=round(wanted.for_ - left, 1),
            total=wanted.for_,
        )
        await run.pause(min(wanted.every, left))
        await _round(run)
        if watch is not None:
            tell(run, await watch.again())
        rounds += 1
    return f", and stayed so for {duration(wanted.for_)}, looked at {count(rounds, 'time')}"


async def _until(run: Run, seconds: float) -> datetime:
    kept = await run.deps.store.get_evidence(run.deploy_id, EVIDENCE)
    if kept is not None:
        return datetime.fromisoformat(kept)
    until = run.deps.clock.now() + timedelta(seconds=seconds)
    await run.deps.store.put_evidence(run.deploy_id, EVIDENCE, until.isoformat())
    return until


async def _round(run: Run) -> None:
    """The final checks once more; on a new connection where the old one is lost."""
    checks = run.runbook.checks if run.runbook else ()
    for pause in (*_PAUSES_S, None):
        try:
            await check(run, await run.clean_session(), checks, phase="final", quiet=True)
        except TargetError as error:
            await run.drop_session()
            if pause is None:
                raise
            message = f"the soak has lost its connection, and tries again in {duration(pause)}: {error.message}"
            run.emitter.emit(EventKind.LOG, message, severity=Severity.WARNING)
            await run.pause(pause)
        else:
            return
