"""The platform's metrics while a deploy runs: kept as evidence, told when beyond a limit, and judged at its end.

While a migration runs, nothing here stops it: a limit is judged afterwards, on samples that are taken then.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from agent.core.models import CheckResult, EventKind, Finding, Severity, Verdict
from agent.core.platform_metrics import Sample, Tracker, fitting, names_for, ranges
from agent.core.runbook_platform import Limit, PlatformMetrics
from agent.core.units import count
from agent.deploy.checking import failed_check
from agent.deploy.checks import check_event
from agent.deploy.deps import Run, Stop
from agent.errors import AgentError, PlatformError

EVIDENCE = "platform_metrics"
"""The name of the evidence: all samples, as a list."""

_MOST_KEPT = 500


@dataclass(kw_only=True)
class Watch:
    """The samples of one step, and the limits that they are held to."""

    run: Run
    wanted: PlatformMetrics
    trackers: list[Tracker] = field(default_factory=list)
    last: Sample | None = None

    @classmethod
    def of(cls, run: Run) -> Watch | None:
        """For a runbook that asks for the platform's metrics."""
        wanted = run.runbook.platform_metrics if run.runbook else None
        if wanted is None:
            return None
        return cls(run=run, wanted=wanted, trackers=[Tracker(limit=one) for one in wanted.limits])

    async def look(self) -> Sample | str:
        """Take a sample, keep it and hold the limits to it; or why there is none."""
        now = await _sample(self.run, self.wanted)
        for one in self.trackers:
            one.look(now, self.last)
        if isinstance(now, Sample):
            self.last = now
            await _keep(self.run, now)
        return now

    async def judge(self) -> list[CheckResult]:
        """Take samples until each limit has its verdict.

        Raises:
            Stop: somebody cancels.
        """
        began = self.run.deps.clock.now()
        for one in self.trackers:
            one.again()
        await self.look()
        while any(one.verdict is None for one in self.trackers):
            await self.run.pause(self.wanted.every)
            await self.look()
        seconds = (self.run.deps.clock.now() - began).total_seconds()
        return [self.result(one, seconds) for one in self.trackers]

    async def again(self) -> list[CheckResult]:
        """Take one more sample; the verdicts that are worse than before."""
        before = [one.verdict for one in self.trackers]
        for one in self.trackers:
            one.again()
        await self.look()
        bad = (Verdict.FAILED, Verdict.ERRORED)
        pairs = zip(self.trackers, before, strict=True)
        return [self.result(one) for one, was in pairs if one.verdict in bad and one.verdict is not was]

    def result(self, tracker: Tracker, seconds: float = 0.0) -> CheckResult:
        """A limit's verdict as that of a check."""
        limit, verdict = tracker.limit, tracker.verdict or Verdict.ERRORED
        severity = (
            self.wanted.severity_if_not_checked(required=self.run.deps.options.platform_required)
            if verdict is Verdict.ERRORED
            else limit.severity
        )
        return CheckResult(
            id=limit.id,
            title=limit.title,
            phase="final",
            verdict=verdict,
            severity=severity,
            expected=f"{limit.subject} is {limit.bounds}",
            observed=tracker.observed,
            hint=limit.hint,
            seconds=seconds,
        )


async def look_before(run: Run) -> list[Finding]:
    """Read the metrics once before anything is touched.

    Returns:
        What is in the way: they cannot be read, a limit is about a series that there is not, or it is exceeded already.
    """
    watch = Watch.of(run)
    if watch is None:
        return []
    now = await watch.look()
    if isinstance(now, str):
        return [
            Finding(
                code="platform_metrics.not_checked",
                severity=watch.wanted.severity_if_not_checked(required=run.deps.options.platform_required),
                message=f"the platform's metrics are not checked: {now}",
                hint="Let the agent ask the Management API, or take platform_metrics out of the runbook.",
                where={"field": "platform_metrics"},
            )
        ]
    return [
        *(_no_series(one.limit, index) for index, one in enumerate(watch.trackers) if not fitting(one.limit, now)),
        *(_exceeded(one, index) for index, one in enumerate(watch.trackers) if one.beyond),
    ]


def _no_series(limit: Limit, index: int) -> Finding:
    return Finding(
        code="platform_metrics.no_series",
        severity=limit.severity,
        message=f"the platform has no metric {limit.subject}, which the runbook has a limit for",
        hint="Correct name and labels, or take the limit out.",
        where={"field": f"platform_metrics.limits[{index}]"},
    )


def _exceeded(tracker: Tracker, index: int) -> Finding:
    limit = tracker.limit
    sure = tracker.verdict is Verdict.FAILED
    return Finding(
        code="platform_metrics.beyond_limit",
        severity=limit.severity if sure else Severity.WARNING,
        message=f"before the deploy {limit.subject} is {tracker.observed}, and the runbook wants {limit.bounds}",
        hint=limit.hint or "Find out what the project is busy with, or correct the limit.",
        where={"field": f"platform_metrics.limits[{index}]"},
    )


@asynccontextmanager
async def sampling(run: Run) -> AsyncIterator[None]:
    """Take samples while the body runs, and tell once of each limit that is exceeded. Never fails the deploy."""
    watch = Watch.of(run)
    if watch is None or run.deps.platform is None:
        yield
        return
    task = asyncio.create_task(_go_on(watch))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _go_on(watch: Watch) -> None:
    run, told = watch.run, set[str]()
    while True:
        await run.deps.clock.sleep(watch.wanted.every)
        try:
            now = await watch.look()
        except AgentError as error:  # the store; the deploy's own next write will meet it too
            now = error.message
        lines = {now: f"the platform's metrics cannot be read: {now}"} if isinstance(now, str) else {}
        lines |= {
            one.limit.id: f"while it runs, {one.limit.subject} is {one.observed}; the limit is {one.limit.bounds}"
            for one in watch.trackers
            if one.beyond
        }
        for what in lines.keys() - told:
            run.emitter.emit(EventKind.LOG, lines[what], severity=Severity.WARNING)
        told |= lines.keys()


async def judge(run: Run, watch: Watch | None) -> None:
    """Hold the metrics to the limits after the deploy.

    Raises:
        Stop: one is exceeded, or cannot be told and the runbook says that this fails the deploy; or somebody cancels.
    """
    if watch is None:
        return
    results = await watch.judge()
    tell(run, results)
    await _sum_up(run)


def tell(run: Run, results: Sequence[CheckResult]) -> None:
    """Record verdicts, and stop at a bad one.

    Raises:
        Stop: a limit of severity `error` is exceeded, or cannot be told.
    """
    for one in results:
        run.emitter.put(check_event(one, run.deps.clock))
    bad = [one for one in results if one.verdict is not Verdict.PASSED and one.severity is Severity.ERROR]
    if bad:
        raise Stop(failed_check(run, bad))


async def _sum_up(run: Run) -> None:
    samples = await _kept(run)
    if not samples:
        return
    values = {}
    for one, low, high in ranges(samples):
        labels = ",".join(f"{name}={value}" for name, value in sorted(one.labels.items()) if name in _TELLING)
        values[f"{one.name}{{{labels}}}" if labels else one.name] = [low, high]
    message = f"{count(len(samples), 'sample')} of the platform's metrics kept with the deploy"
    run.emitter.emit(EventKind.LOG, message, ranges=values)


_TELLING = frozenset({"cpu", "datname", "device", "mode", "mountpoint", "slot_name"})


async def _sample(run: Run, wanted: PlatformMetrics) -> Sample | str:
    platform = run.deps.platform
    if platform is None:
        return "the agent has no token for the Management API"
    try:
        text = await platform.metrics()
        return run.deps.read_metrics(text, names_for(wanted.limits), at=run.deps.clock.now())
    except PlatformError as error:
        return error.message


async def _keep(run: Run, sample: Sample) -> None:
    samples = [*await _kept(run), sample][-_MOST_KEPT:]
    text = json.dumps([one.model_dump(mode="json") for one in samples])
    await run.deps.store.put_evidence(run.deploy_id, EVIDENCE, text)


async def _kept(run: Run) -> list[Sample]:
    text = await run.deps.store.get_evidence(run.deploy_id, EVIDENCE)
    return [Sample.model_validate(one) for one in json.loads(text)] if text else []
