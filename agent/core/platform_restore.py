"""Rung 5: the platform brings the whole project back. What is asked for, what is seen meanwhile, what people are told.

Facts: Supabase's documentation of backups (a project is inaccessible while it is restored; subscriptions and
replication slots must be gone; the log is shipped every two minutes) and of the Management API (a restore has no job:
its state is the project's status). Whether the status changes before the request is answered is not established; so the
database itself says whether it is the one of before: the deploy's fence was shut before the platform was asked, and was
open, with no migration in, at the moment that is gone back to.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Literal

from agent.core.models import Failure, Model
from agent.core.platform import ACTIVE_HEALTHY, RESTORE_FAILED, Backups
from agent.core.units import count, duration

POINT_NAME = 20  # characters that the platform allows
WAL_SHIPPED_EVERY_S = 120
DASHBOARD = "https://supabase.com/dashboard/project/{ref}/database/backups"
SUPPORT = "https://supabase.com/dashboard/support/new"
DOCS = "https://supabase.com/docs/guides/platform/backups"

# No rate is documented but that it grows with size. Cautious guesses: five minutes, and 20 MB of tables a second.
_FIXED_S = 300.0
_BYTES_PER_S = 20e6

Way = Literal["undo", "pitr"]
"""`undo`: to the restore point. `pitr`: to a second."""

Database = Literal["away", "recovering", "old", "back", "other"]
"""`away`: it takes no connection. `recovering`: it does, and is not written to yet. `old`: it is as it was when the
platform was asked. `back`: it is at a moment between the deploy's begin and its first migration. `other`: at another.
"""

Verdict = Literal["wait", "back", "failed", "other"]


IN_SHORT = {
    "restore.platform_failed": "failed: the project is RESTORE_FAILED",
    "restore.platform_in_doubt": "shows no sign of having begun",
    "restore.platform_moment": "brought the project to another moment",
    "restore.platform_stuck": "is not done in time",
}
"""How a restore ended, by the code of its failure."""


class Moment(Model):
    """What a deploy noted before its first migration, so that the platform can bring the project back to it.

    `second`: unix seconds of the server's own clock; what had committed by then was no migration. `snapshot`:
    pg_current_snapshot() shortly before; what is visible in it is also in a project that has been brought back.
    `point`: a restore point that was available then, or "".
    """

    second: int
    snapshot: str
    point: str = ""

    @property
    def at(self) -> datetime:
        """The second as a time."""
        return datetime.fromtimestamp(self.second, UTC)


class Asked(Model):
    """What the platform was asked for: noted before it is asked, so that nobody asks twice.

    `noted`: whether the database had the deploy's fence then. `answer`: what is known of the request itself; `said`:
    the platform's words, where they matter. `kept`: rows in the deploy's salvages.
    """

    way: Way
    moment: Moment
    asked_at: datetime
    noted: bool
    kept: int = 0
    answer: Literal["", "accepted", "in_doubt"] = ""
    said: str = ""


class Sight(Model):
    """What is seen while a project is restored. `status`: the project's, or "" where the platform does not say.

    `why`: what was said by whom did not answer.
    """

    status: str
    database: Database
    why: str = ""


def point_name(deploy_id: str) -> str:
    """The restore point of a deploy."""
    return deploy_id[:POINT_NAME]


def reach(backups: Backups, second: int) -> Literal["ready", "not_yet", "gone", "no_pitr"]:
    """Whether the platform can restore to a second; where it does not tell its window, it may know better itself."""
    window = backups.window
    if not backups.pitr_enabled:
        return "no_pitr"
    if window.earliest is not None and second < window.earliest:
        return "gone"
    if window.latest is not None and second > window.latest:
        return "not_yet"
    return "ready"


def judge_sight(sight: Sight) -> Verdict:
    """Whether the project is back.

    A project that is healthy, and whose database is still the old one, has not begun, or shows an old status. Where the
    platform does not say its status, the database alone counts.
    """
    if sight.status == RESTORE_FAILED:
        return "failed"
    if sight.status not in ("", ACTIVE_HEALTHY) or sight.database in ("away", "recovering", "old"):
        return "wait"
    return "back" if sight.database == "back" else "other"


def has_begun(sight: Sight) -> bool:
    """Whether this can only be seen once the restore has begun."""
    return sight.status not in ("", ACTIVE_HEALTHY) or sight.database != "old"


def in_words(way: Way, moment: Moment) -> str:
    """The moment and the means: `2026-01-01 12:00:00 UTC (point-in-time restore to 1767268800)`."""
    if way == "undo":
        return f"restore point {moment.point}, made shortly before {moment.at:%Y-%m-%d %H:%M:%S} UTC"
    return f"{moment.at:%Y-%m-%d %H:%M:%S} UTC (point-in-time restore to {moment.second})"


def proposed(way: Way, moment: Moment) -> str:
    """What a proposal says of it."""
    return f"bring the whole project back to {in_words(way, moment)}, out of reach meanwhile"


def estimate(bytes_: int) -> float:
    """Seconds that a restore by the platform may take, of so many bytes of tables; nobody promises anything."""
    return _FIXED_S + bytes_ / _BYTES_PER_S


def in_the_way(slots: Collection[str], subscriptions: Collection[str]) -> str:
    """Why these stop the platform's restore, or "".

    Neither is ever dropped here: a slot that is made again stands elsewhere, so what reads from it loses the changes in
    between, and a subscription's password is not readable.
    """
    parts = [
        f"{count(len(names), noun)} ({', '.join(sorted(names)[:5])})"
        for noun, names in (("replication slot", slots), ("subscription", subscriptions))
        if names
    ]
    return " and ".join(parts)


def support_text(ref: str, asked: Asked, *, status: str, now: datetime) -> str:
    """What to tell the platform's support, in its exact words."""
    since = duration((now - asked.asked_at).total_seconds())
    operation = "undo" if asked.way == "undo" else "restore-pitr"
    wanted = f"restore point {asked.moment.point}" if asked.way == "undo" else f"unix second {asked.moment.second}"
    return (
        f'"Project {ref}: a restore to {wanted} was asked for at {asked.asked_at:%Y-%m-%d %H:%M:%S} UTC with '
        f"POST /v1/projects/{ref}/database/backups/{operation} ({_answered(asked)}), and {since} later the project's "
        f'status is {status or "not known"}. Please finish or cancel it." ({SUPPORT}; {DOCS})'
    )


def _answered(asked: Asked) -> str:
    return {"accepted": "it was accepted", "in_doubt": f"its answer is in doubt: {asked.said}", "": "no answer came"}[
        asked.answer
    ]


def _kept(asked: Asked) -> str:
    return (
        f"What the application wrote since is in salvages: {count(asked.kept, 'row')} (`deploy-agent salvage list`)."
        if asked.kept
        else "Nothing that the application wrote since was found, so no salvage was made."
    )


def failed(ref: str, asked: Asked, *, now: datetime) -> Failure:
    """The platform has given up."""
    return Failure(
        cause="agent",
        code="restore.platform_failed",
        message=f"the platform could not restore the project to {in_words(asked.way, asked.moment)}: RESTORE_FAILED",
        hint=f"It was not asked again. Tell Supabase's support: "
        f"{support_text(ref, asked, status=RESTORE_FAILED, now=now)} {_kept(asked)}",
    )


def stuck(ref: str, asked: Asked, sight: Sight, *, now: datetime) -> Failure:
    """It takes longer than anybody wants to wait."""
    since, status = duration((now - asked.asked_at).total_seconds()), sight.status
    why = f" ({sight.why})" if sight.why else ""
    return Failure(
        cause="agent",
        code="restore.platform_stuck",
        message=f"the platform's restore to {in_words(asked.way, asked.moment)} is not done after {since}: "
        f"the project is {status or 'in an unknown state'}{why}",
        hint="It was not asked again, and may still end by itself: large projects take hours. Tell Supabase's support: "
        f"{support_text(ref, asked, status=status, now=now)} Keep the application stopped until it has ended. "
        f"{_kept(asked)}",
    )


def not_begun(ref: str, asked: Asked, sight: Sight, *, now: datetime) -> Failure:
    """Nothing has happened, and nobody knows whether it will."""
    status = sight.status
    return Failure(
        cause="agent",
        code="restore.platform_in_doubt",
        message=f"nobody knows whether the platform will restore the project to {in_words(asked.way, asked.moment)}: "
        f"{_answered(asked)}, and the database is still the one that failed",
        hint=f"It was not asked again. The application can write again, and would lose what it writes now should the "
        f"restore begin after all: stop it, look at {DASHBOARD.format(ref=ref)}, and ask Supabase's support: "
        f"{support_text(ref, asked, status=status, now=now)} {_kept(asked)}",
    )


def wrong_moment(asked: Asked, what: str) -> Failure:
    """The project is back, at a moment that was not asked for."""
    return Failure(
        cause="agent",
        code="restore.platform_moment",
        message="the platform says that the project is restored, but it is not at "
        f"{in_words(asked.way, asked.moment)}: {what}",
        hint="Look at it before the application writes again. The deploy's own backup is still there "
        f"(`deploy-agent backup list`). {_kept(asked)}",
    )
