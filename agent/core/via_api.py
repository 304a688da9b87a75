"""Deploys over the Management API alone: what goes that way, and what is said before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from agent.core.checks import Check
from agent.core.inside import inside
from agent.core.models import Finding, Model, Severity, Strategy
from agent.core.planning import Plan
from agent.core.restore_policy import PLATFORM, Policy, setting_for
from agent.core.runbook import Runbook
from agent.core.units import count, duration

if TYPE_CHECKING:  # only who has a token pays for the models
    from agent.core.platform import Backups

_NO_WAY = frozenset({"rls", "performance"})  # they write, become a role, or explain: read-only queries can do none


class Sent(Model):
    """What was sent to the platform, or was about to be.

    `at`, `until`: unix seconds by the server's clock; a transaction that begins later than `until` ends itself.
    `versions`: of the migrations in it.
    """

    at: float
    until: float
    versions: tuple[str, ...]


def planned(plan: Plan, asked: Strategy, runbook: Runbook | None, *, limit_s: float, policy: Policy) -> Plan:
    """The plan with what is different over the API.

    Args:
        asked: the strategy that was asked for.
        limit_s: how long the transaction may take.
        policy: of the settings.
    """
    findings = [_other_way(one) if one.code == "plan.atomic_impossible" else one for one in plan.findings]
    if plan.strategy is not Strategy.ATOMIC:
        findings.append(
            _error(
                "plan.via_api_strategy",
                f"over the Management API there is only strategy atomic, not {asked}",
                "Ask for `auto` or `atomic`, or set deploy.via: database.",
            )
        )
    if plan.scripts:
        findings += _of_files(plan)
        findings += _of_runbook(plan, runbook)
        findings.append(
            Finding(
                code="plan.via_api",
                severity=Severity.INFO,
                message=f"over the Management API: {count(len(plan.scripts), 'file')} in one request, which may take "
                f"{duration(limit_s)}; no backup is taken",
                hint="What takes longer is rolled back whole. See docs/platform.md.",
            )
        )
        setting, may = setting_for(PLATFORM, policy)
        if may != "hold":
            findings.append(
                Finding(
                    code="plan.via_api_platform_restore",
                    severity=Severity.WARNING,
                    message=f"{setting} is {may}, and over the Management API the platform is never asked for a "
                    "restore: without a connection the agent can keep no rows that were written since",
                    hint="Should something fail after COMMIT, the deploy says how to restore by hand. With deploy.via: "
                    "database the setting counts.",
                    where={"field": f"deploy.{setting}"},
                )
            )
    return plan.model_copy(update={"findings": tuple(findings)})


def _other_way(finding: Finding) -> Finding:
    hint = "Over the Management API all files are one transaction. Deploy this one with deploy.via: database."
    return finding.model_copy(update={"code": "plan.via_api_transaction", "hint": hint})


def _of_files(plan: Plan) -> Iterator[Finding]:
    for script in plan.scripts:
        if "standard_conforming_strings" in script.migration.text.lower():
            yield _error(
                "plan.via_api_transaction",
                f"{script.migration.file} changes how strings are read, and the server reads a request as a whole",
                "Take standard_conforming_strings out, or deploy the file with deploy.via: database.",
                file=script.migration.file,
                version=script.migration.version,
            )


def _of_runbook(plan: Plan, runbook: Runbook | None) -> Iterator[Finding]:
    if runbook is None:
        return
    entries = [runbook.for_version(script.migration.version) for script in plan.scripts]
    checks = [*(one for entry in entries if entry for one in entry.checks), *runbook.checks]
    for check in (*runbook.preflight.checks, *checks):
        if check.kind in _NO_WAY:
            yield _error(
                "plan.via_api_check",
                f"check {check.title!r} ({check.kind}) cannot be run over the Management API",
                "Take it out, or set deploy.via: database.",
                check=check.id,
            )
    if runbook.soak is not None:
        yield _error(
            "plan.via_api_check",
            "soak watches the database over a connection, and over the Management API there is none",
            "Take soak out, or set deploy.via: database.",
            field="soak",
        )
    known = dict.fromkeys((query.name for query in runbook.snapshot), 0)
    late = [check for check in checks if check.kind not in _NO_WAY and inside(check, known) is None]
    if late:
        named = ", ".join(check.id for check in late[:5]) + (f" and {len(late) - 5} more" if len(late) > 5 else "")
        yield Finding(
            code="plan.via_api_after_commit",
            severity=Severity.WARNING,
            message=f"{count(len(late), 'check')} can only be judged after COMMIT: {named}",
            hint="If one fails then, a person is needed: there is no backup. See docs/platform.md.",
        )
    if any(entry and entry.monitors for entry in entries):
        yield Finding(
            code="plan.via_api_check",
            severity=Severity.WARNING,
            message="the runbook's monitors are not run: they look on over a connection",
        )


def split_checks(checks: Sequence[Check], before: Mapping[str, object]) -> tuple[list[Check], list[Check]]:
    """Those that the server judges before COMMIT, and those that are judged after it."""
    early = [one for one in checks if inside(one, before) is not None]
    return early, [one for one in checks if one not in early]


def no_backup(found: Backups | None, *, now: datetime, required: bool) -> Finding:
    """What a deploy without a backup of the agent's own leans on.

    Args:
        found: None: it is not known.
        required: that there is nothing to lean on is an error.
    """
    last = found.last if found else None
    if found is None:
        said, safe = "what the platform has is not known", False
    elif found.pitr_enabled:
        said, safe = "the platform's point-in-time recovery is the way back", True
    elif last is not None and last.at is not None:
        age = duration((now - last.at).total_seconds())
        said, safe = f"the platform's last daily backup, {age} old, is the only way back", True
    else:
        said, safe = "the platform has none either: what is committed cannot be taken back", False
    return Finding(
        code="preflight.no_backup_via_api",
        severity=Severity.ERROR if required and not safe else Severity.WARNING,
        message=f"over the Management API no backup is taken; {said}",
        hint="Turn on point-in-time recovery, or deploy with deploy.via: database.",
    )


def way_back(ref: str, sent: Sent) -> str:
    """What a person can do about migrations that are committed and wrong."""
    return (
        "Write a migration that corrects it, and run `deploy-agent deploy`. Or, with point-in-time recovery, "
        f"`supabase backups restore --project-ref {ref} -t {int(sent.at)}` brings the whole project back to before the "
        "deploy; all that was written since is lost, and nobody reaches the project meanwhile."
    )


def way_to_look(ref: str) -> str:
    """What a person can do where nobody knows whether the migrations are in."""
    return (
        f"Look with `deploy-agent status`, or `supabase link --project-ref {ref}` and `supabase migration list`. "
        "All of the deploy's versions are there, or none. If none: run `deploy-agent deploy` again."
    )


def _error(code: str, message: str, hint: str, **where: str) -> Finding:
    return Finding(code=code, severity=Severity.ERROR, message=message, hint=hint, where=dict(where))
