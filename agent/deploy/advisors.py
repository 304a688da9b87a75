"""Supabase's advisors before and after a deploy, where the runbook asks for them. See `agent.core.advisors`.

They look at the project from outside, so after the deploy means after COMMIT, whatever the strategy: a finding that
counts is undone by the ladder, never by a ROLLBACK.
"""

from __future__ import annotations

from agent.core.advisors import Found, introduced, judge_advisors, line, names_of, not_checked
from agent.core.expect import Judgement
from agent.core.models import CheckResult, EventKind, Finding, Severity, Strategy, Verdict
from agent.core.platform import Lint
from agent.core.runbook_platform import ADVISORS, Advisors
from agent.core.units import count
from agent.deploy.checking import failed_check
from agent.deploy.checks import check_event
from agent.deploy.deps import Run, Stop
from agent.errors import PlatformError
from agent.ports import Platform

BEFORE, AFTER = "advisors_before", "advisors_after"
"""The names of the evidence."""

_NO_SUCH_ROUTE = frozenset({"platform.not_found", "platform.refused", "platform.bad_answer"})
_NOT_ASKED = "the agent has no token for the Management API"


async def look_before(run: Run, strategy: Strategy | None) -> list[Finding]:
    """Ask the advisors before anything is touched, and keep the answer.

    Returns:
        A finding if they cannot be asked: an error or a warning, as the runbook says.
    """
    wanted = run.runbook.advisors if run.runbook else None
    if wanted is None:
        return []
    found = await _ask(run.deps.platform, wanted)
    if isinstance(found, str):
        return [
            Finding(
                code="advisors.not_checked",
                severity=wanted.severity_if_not_checked(required=run.deps.options.platform_required),
                message=f"the advisors are not checked: {found}",
                hint="Let the agent ask the Management API, or take advisors out of the runbook.",
                where={"field": "advisors"},
            )
        ]
    await run.deps.store.put_evidence(run.deploy_id, BEFORE, found.model_dump_json())
    message = f"the advisors have {count(len(found.lints), 'finding')} before the deploy ({', '.join(wanted.types)})"
    if strategy is Strategy.ATOMIC:
        message += "; they look again only after COMMIT, so what they find then is undone, not rolled back"
    run.emitter.emit(EventKind.LOG, message, route=found.route, findings=len(found.lints))
    return []


async def look_after(run: Run) -> None:
    """Ask the advisors again, tell each new finding, and stop at one that counts.

    Raises:
        Stop: a finding at or above the runbook's level is new; or the advisors cannot be asked, and the runbook says
            that this fails the deploy.
    """
    wanted = run.runbook.advisors if run.runbook else None
    if wanted is None:
        return
    began = run.deps.clock.now()
    judgement = await _compared(run, wanted)
    severity = (
        Severity.ERROR
        if judgement.verdict is Verdict.FAILED
        else wanted.severity_if_not_checked(required=run.deps.options.platform_required)
    )
    result = CheckResult(
        id=ADVISORS,
        title=f"Advisors: {', '.join(wanted.types)}",
        phase="final",
        verdict=judgement.verdict,
        severity=severity,
        expected=judgement.expected,
        observed=judgement.observed,
        seconds=(run.deps.clock.now() - began).total_seconds(),
    )
    run.emitter.put(check_event(result, run.deps.clock))
    run.check_cancelled()
    if result.verdict is not Verdict.PASSED and severity is Severity.ERROR:
        raise Stop(failed_check(run, [result]))


async def _compared(run: Run, wanted: Advisors) -> Judgement:
    kept = await run.deps.store.get_evidence(run.deploy_id, BEFORE)
    if kept is None:
        if run.deps.platform is None:
            return not_checked(wanted, _NOT_ASKED)
        return not_checked(wanted, "what they had found before the deploy is not known")
    before = Found.model_validate_json(kept)
    after = await _ask(run.deps.platform, wanted, route=before.route)
    if isinstance(after, str):
        return not_checked(wanted, after)
    await run.deps.store.put_evidence(run.deploy_id, AFTER, after.model_dump_json())
    new = introduced(wanted, before, after)
    for one in new:
        told = line(one.lint) + (f" (allowed: {one.allowed.reason})" if one.allowed else "")
        run.emitter.emit(
            EventKind.FINDING,
            told,
            severity=Severity.ERROR if one.counts else Severity.INFO if one.minor else Severity.WARNING,
            code="advisors.new_finding",
            hint=one.lint.remediation,
            where={"cache_key": one.lint.cache_key, **({"check": ADVISORS} if one.counts else {})},
        )
    return judge_advisors(wanted, before, new)


async def _ask(platform: Platform | None, wanted: Advisors, *, route: str = "") -> Found | str:
    """What the advisors find now, or why that is not known.

    The v2 route is asked first, for the lints about the schema; where it is missing or cannot look, the two of v1.

    Args:
        route: only this one, so that two answers can be compared.
    """
    if platform is None:
        return _NOT_ASKED
    try:
        if route != "v1":
            found = await _by_v2(platform, wanted, alone=bool(route))
            if found is not None:
                return found.unavailable or found
        lints: list[Lint] = []
        for kind in wanted.types:
            lints += await platform.advisors(kind)
    except PlatformError as error:
        return error.message
    return Found(route="v1", lints=tuple(lints))


async def _by_v2(platform: Platform, wanted: Advisors, *, alone: bool) -> Found | None:
    """By the v2 route; None: it is not there, or cannot look, and another one may be asked.

    Args:
        alone: no other one may be asked.

    Raises:
        PlatformError: as the port.
    """
    try:
        found = Found(route="v2", lints=await platform.run_advisors(names_of(wanted.types)))
    except PlatformError as error:
        if alone or error.code not in _NO_SUCH_ROUTE:
            raise
        return None
    return None if found.unavailable and not alone else found
