"""A plan as a person wants to read it: which files, how each runs, and what speaks against it. Without the SQL."""

from __future__ import annotations

from collections.abc import Mapping

from agent.core.models import Finding, Model, RunMode, Severity, Strategy
from agent.core.planning import Plan
from agent.core.scripts import Script
from agent.core.units import Span, count
from agent.report.words import listing


class PlannedMigration(Model):
    """One pending file.

    `destructive`: the commands in it that destroy rows or columns. `expected`: how long it takes, says the runbook.
    """

    version: str
    name: str
    file: str
    sha256: str
    mode: RunMode
    statements: int
    destructive: tuple[str, ...] = ()
    runs_alone: int = 0
    expected: str = ""


class PlanView(Model):
    """One plan. `can_run`: no finding forbids it. `volume`: how much data there is, in the runbook's words."""

    project: str
    headline: str
    can_run: bool
    strategy: Strategy
    reason: str
    fingerprint: str
    applied: int
    last_applied: str
    volume: str = ""
    migrations: tuple[PlannedMigration, ...]
    findings: tuple[Finding, ...]


def plan_view(plan: Plan) -> PlanView:
    """The plan, ready to be shown."""
    return PlanView(
        project=plan.project,
        headline=_headline(plan),
        can_run=not plan.errors,
        strategy=plan.strategy,
        reason=plan.reason,
        fingerprint=plan.fingerprint,
        applied=len(plan.applied),
        last_applied=max(plan.applied, default=""),
        volume=plan.volume,
        migrations=tuple(_migration(script, plan.expected) for script in plan.scripts),
        findings=tuple(sorted(plan.findings, key=lambda each: list(Severity).index(each.severity))),
    )


def _headline(plan: Plan) -> str:
    if plan.errors:
        return f"{plan.project} cannot be deployed: {count(len(plan.errors), 'problem')}"
    if not plan.scripts:
        return f"Nothing to do: {plan.project} has no pending migration"
    return f"{plan.project}: {count(len(plan.scripts), 'migration')} pending, {len(plan.applied):,} applied"


def _migration(script: Script, expected: Mapping[str, Span]) -> PlannedMigration:
    span = expected.get(script.migration.version)
    return PlannedMigration(
        version=script.migration.version,
        name=script.migration.name,
        file=script.migration.file,
        sha256=script.migration.sha256,
        mode=script.mode,
        statements=len(script.pieces),
        destructive=tuple(fact.tag for fact in script.facts if fact.destructive),
        runs_alone=sum(fact.runs_alone for fact in script.facts),
        expected=str(span) if span else "",
    )


MODE_WORDS = {
    RunMode.TRANSACTION: "one transaction",
    RunMode.SINGLY: "statement by statement (holds its own BEGIN or COMMIT)",
    RunMode.NO_TRANSACTION: "outside a transaction",
}


def remarks(migration: PlannedMigration) -> str:
    """What is special about a file, in a few words; "" where nothing is."""
    words = []
    if migration.mode is not RunMode.TRANSACTION:
        words.append(MODE_WORDS[migration.mode])
    if migration.destructive:
        kinds = list(dict.fromkeys(migration.destructive))
        words.append(f"destroys data: {listing(kinds)}")
    return "; ".join(words)
