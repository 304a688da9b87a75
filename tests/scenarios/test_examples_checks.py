"""The runbooks' checks on the example projects: all pass where all is well, and the right ones fail elsewhere."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from agent.core.models import CheckResult, Failure, NewEvent, Severity, Verdict
from agent.deploy.checks import collect_metrics, read_values, run_checks
from agent.edges.target import PsycopgTarget
from agent.ports import Session
from tests.conftest import Database
from tests.scenarios.examples import FAULTS, MEDIA, PROJECTS, Fault, Project, apply, version

ROWS = 400
both = pytest.mark.parametrize("project", PROJECTS.values(), ids=PROJECTS)

#: What else looks at the same thing. The other faults are found by one check alone.
ALSO = {
    "lossy-backfill": {"no-playlist-entry-lost", "final-playlist-integrity", "final-nothing-lost"},
    "backfill-loses-rows": {"every-url-found", "galleries-complete"},
}


class Clock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        raise NotImplementedError


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Session]:
    session = await PsycopgTarget(SecretStr(url)).connect(purpose="test")
    try:
        yield session
    finally:
        await session.close()


async def checked(project: Project, guide: list[Path], session: Session, *, url: str = "") -> list[CheckResult]:
    """All checks of a deploy, in its order. `url`: apply each file apart; else inside the session's transaction."""
    runbook, events, results = project.runbook, list[NewEvent](), list[CheckResult]()
    before = await read_values(session, runbook.snapshot)

    async def look(phase: str, checks: list) -> None:
        results.extend(
            await run_checks(
                session, checks, phase=phase, before=before, clock=Clock(), http=None, emit=events.append,
                snapshot=runbook.snapshot,
            )
        )  # fmt: skip

    await look("preflight", runbook.preflight.checks)
    for file in guide:
        if url:
            apply(url, file)
        else:
            await session.run_many([file.read_text()])
        migration = runbook.for_version(version(file))
        assert migration is not None
        await look(f"migration:{migration.version}", migration.checks)
    await look("final", runbook.checks)
    return results


def not_passed(results: list[CheckResult]) -> list[tuple[str, str]]:
    return [(result.id, result.observed) for result in results if result.verdict is not Verdict.PASSED]


@both
@pytest.mark.parametrize("rows", [0, ROWS, 2500])
async def test_all_checks_pass(project: Project, rows: int, database: Database) -> None:
    apply(database.url, *project.base)
    if rows:
        project.generate(database.url, rows)
    async with connected(database.url) as session:
        results = await checked(project, project.guide, session, url=database.url)
    assert not_passed(results) == []


@both
async def test_all_checks_pass_before_commit(project: Project, database: Database) -> None:
    apply(database.url, *project.base)
    project.generate(database.url, ROWS)
    async with connected(database.url) as session, session.transaction():
        results = await checked(project, project.guide, session)
    assert not_passed(results) == []


@both
async def test_metrics_and_monitors_give_numbers(project: Project, database: Database) -> None:
    apply(database.url, *project.base)
    project.generate(database.url, ROWS)
    apply(database.url, *project.guide)
    runbook, events = project.runbook, list[NewEvent]()
    async with connected(database.url) as session:
        samples = await collect_metrics(session, runbook.metrics, emit=events.append, clock=Clock())
        for migration in runbook.migrations:
            for monitor in migration.monitors:
                [row] = await session.rows(monitor.sql)
                if monitor.done:
                    assert row[monitor.done] == row[monitor.total] > 0
    assert events == []
    assert {name for name, _, _ in samples} == {metric.name for metric in runbook.metrics}
    assert all(value > 0 for _, _, value in samples)


async def test_rollback_checks_of_media_gallery(database: Database) -> None:
    apply(database.url, *MEDIA.base)
    MEDIA.generate(database.url, ROWS)
    script, events = MEDIA.runbook.rollback.complete, list[NewEvent]()
    assert script is not None
    assert script.sql is not None
    async with connected(database.url) as session:
        before = await read_values(session, MEDIA.runbook.snapshot)
        for undone in (False, True):
            apply(database.url, *MEDIA.guide)
            if undone:
                async with session.transaction():
                    await session.run_many([script.sql])
            results = await run_checks(
                session, script.checks, phase="rollback", before=before, clock=Clock(), http=None, emit=events.append
            )
            assert ("rolled-back-tables" not in dict(not_passed(results))) is undone


def _found_by_checks() -> list:
    """The variants that a check must find; a missing index also where its tables are no longer small."""
    cases = []
    for fault in FAULTS:
        sizes = (ROWS, 5500) if fault.name == "missing-index" else (ROWS,)
        if fault.says["failure"]["cause"] == "check":
            cases += [pytest.param(fault, rows, id=f"{fault.project.name}: {fault.name}, {rows}") for rows in sizes]
    return cases


@pytest.mark.parametrize(("fault", "rows"), _found_by_checks())
async def test_a_fault_is_caught_by_the_check_it_names(fault: Fault, rows: int, database: Database) -> None:
    project, says = fault.project, fault.says
    apply(database.url, *project.base)
    project.generate(database.url, rows)
    fault.spoil(database.url)
    async with connected(database.url) as session:
        results = await checked(project, fault.guide, session, url=database.url)

    wrong = [one for one in results if one.verdict is not Verdict.PASSED and one.severity is Severity.ERROR]
    first, *others = wrong
    assert (first.id, first.verdict) == (says["failure"]["check"], Verdict.FAILED)
    assert first.phase == (f"migration:{says['failure']['version']}" if "version" in says["failure"] else "final")
    assert {other.id for other in others} == ALSO.get(fault.name, set())


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.project.name}: {fault.name}")
def test_the_runbook_has_the_hint(fault: Fault) -> None:
    failure = Failure(code="test", message="test", **fault.says["failure"])
    assert any(fault.says["hint"] in hint for hint in fault.project.runbook.hints_for(failure))
