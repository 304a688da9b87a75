"""Rehearsals on a branch of the project: what the branch is called, whose it is, and what a rehearsal proves."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from agent.core.checks import Check
from agent.core.models import Model
from agent.core.platform import Branch
from agent.core.runbook import OnFailure, Runbook

PREFIX = "deploy-agent-rehearsal-"
#: What another agent's rehearsal has surely ended by.
ABANDONED = timedelta(hours=24)

PENDING = frozenset({"CREATING_PROJECT", "RUNNING_MIGRATIONS"})
FAILED = "MIGRATIONS_FAILED"
READY = frozenset({"MIGRATIONS_PASSED", "FUNCTIONS_DEPLOYED", "FUNCTIONS_FAILED"})

COST = (
    "A branch is a project of its own and is billed by the hour until it is deleted, at least an hour (0.01344 USD an"
    " hour at the smallest size; see https://supabase.com/docs/guides/platform/manage-your-usage/branching)."
)
NO_ROWS = (
    "The branch has none of the project's rows: what depends on them (times, locks, checks of data, constraints that"
    " old rows break) is not rehearsed. --with-data copies them."
)
NO_LOAD = "Nobody uses the branch: what only shows under load, such as waiting for locks, is not rehearsed."
NO_SOAK = "http checks, soak and the platform's metrics are left out: they look at the application, not at the branch."


class Rehearsal(Model):
    """What became of one.

    Args:
        branch: its name; "": none was needed, nothing is pending.
        ref: the branch's own project ref.
        ready_s: seconds until the branch could be used; `total_s`: until it was deleted.
        deploy_id: of the deploy on the branch.
        state: in which that ended.
        deleted: names of the branches that were deleted, those of earlier rehearsals too.
        caveats: what it does not prove.
    """

    branch: str = ""
    ref: str = ""
    ready_s: float = 0.0
    total_s: float = 0.0
    deploy_id: str = ""
    state: str = ""
    deleted: tuple[str, ...] = ()
    caveats: tuple[str, ...] = ()


def branch_name(mark: str, now: datetime) -> str:
    """The name of a new branch.

    Args:
        mark: of this agent on this volume, eight characters.
    """
    return f"{PREFIX}{mark}-{now:%Y%m%d%H%M%S}"


def left_behind(branches: Sequence[Branch], mark: str, now: datetime) -> list[Branch]:
    """The branches of rehearsals that have ended without deleting theirs.

    Of this agent all (it runs one rehearsal at a time); of others those that are a day old.
    """
    return [
        one
        for one in branches
        if one.name.startswith(PREFIX)
        and not one.is_default
        and (one.name.startswith(f"{PREFIX}{mark}-") or _begun(one.name, now) < now - ABANDONED)
    ]


def _begun(name: str, now: datetime) -> datetime:
    try:
        return datetime.strptime(name.rpartition("-")[2], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return now


def caveats(*, with_data: bool) -> tuple[str, ...]:
    """What a rehearsal does not prove, in sentences."""
    return (*(() if with_data else (NO_ROWS,)), NO_LOAD, NO_SOAK)


def for_branch(runbook: Runbook | None) -> Runbook | None:
    """The runbook as a branch can be held to it: nothing that looks elsewhere, and nobody is asked."""
    if runbook is None:
        return None
    kept = {"checks": [one for one in runbook.checks if _looks_here(one)]}
    migrations = [
        one.model_copy(update={"checks": [each for each in one.checks if _looks_here(each)]})
        for one in runbook.migrations
    ]
    before = [one for one in runbook.preflight.checks if _looks_here(one)]
    return runbook.model_copy(
        update={
            **kept,
            "migrations": migrations,
            "preflight": runbook.preflight.model_copy(update={"checks": before}),
            "soak": None,
            "platform_metrics": None,
            "on_failure": OnFailure(rollback_scripts=runbook.on_failure.rollback_scripts),
        }
    )


def _looks_here(check: Check) -> bool:
    return check.kind != "http"
