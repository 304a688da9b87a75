"""May the agent restore by itself: the policy, the verdict on a proposal, and how long a restore takes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Literal, NamedTuple

from agent.core.backups import Manifest
from agent.core.models import Answer, Approval, Event, EventKind, Model, Proposal
from agent.core.units import count, duration

Restore = Literal["auto", "approve", "hold"]
"""May a restore act by itself: `auto`: within the limits; `approve`: a person is asked; `hold`: never."""

PLATFORM = 5
RUNG_NAMES = {
    1: "transaction rollback",
    2: "rollback scripts",
    3: "targeted restore",
    4: "in-place restore",
    PLATFORM: "platform restore",
}

_STRICTNESS: tuple[Restore, ...] = ("auto", "approve", "hold")
_LISTED = 5

# A restore builds indexes and validates keys, which a dump does not. What it costs beside its rows (reading the
# catalog, proving the result) is the constant. Measured with 267 MB in four tables, each with four indexes and a
# foreign key, on a busy machine: dump 2.6 s, in-place restore 16.6 s; targeted restore of one of the four 6.6 s.
_RESTORE_PER_DUMP = 5.0
_FIXED_S = 3.0


class Policy(Model):
    """How far the agent may go by itself; None: no limit.

    `restore` is for rungs 3 and 4. Rung 5 needs `platform_restore` too: the stricter of the two counts there.
    `max_rows_lost`: rows that would be neither in the backup nor in the salvage. `max_downtime`: seconds, compared with
    the estimate. Beyond a limit `auto` asks, as `approve` always does.
    """

    restore: Restore = "auto"
    platform_restore: Restore = "hold"
    max_rows_lost: int | None = None
    max_downtime: float | None = None


class Judgement(NamedTuple):
    """`go`: do it; `ask`: wait for a person's answer; `hold`: leave it to people. `reason`: why not `go`, or ""."""

    verdict: Literal["go", "ask", "hold"]
    reason: str


def strictest(*policies: Policy) -> Policy:
    """The policy that allows no more than each of these."""
    rows = [one.max_rows_lost for one in policies if one.max_rows_lost is not None]
    seconds = [one.max_downtime for one in policies if one.max_downtime is not None]
    return Policy(
        restore=max((one.restore for one in policies), key=_STRICTNESS.index, default="auto"),
        platform_restore=max((one.platform_restore for one in policies), key=_STRICTNESS.index, default="hold"),
        max_rows_lost=min(rows, default=None),
        max_downtime=min(seconds, default=None),
    )


def judge(proposal: Proposal, policy: Policy, *, tried: Collection[int] = ()) -> Judgement:
    """Whether a rung may be climbed.

    What cannot be counted is no proof that a limit holds: with `max_rows_lost` and `lost_unknown`, people are asked.

    Args:
        tried: rungs that have ended without success. The ladder is climbed upwards, and no rung runs twice.
    """
    if any(rung >= proposal.rung for rung in tried):
        return Judgement("hold", f"rung {max(tried)} has been tried already, and the ladder never goes back")
    setting, may = setting_for(proposal.rung, policy)
    if may == "hold":
        return Judgement("hold", f"{setting} is set to hold")
    beyond = _beyond(proposal, policy)
    if may == "approve":
        beyond.insert(0, f"{setting} is set to approve")
    return Judgement("ask", "; ".join(beyond)) if beyond else Judgement("go", "")


def setting_for(rung: int, policy: Policy) -> tuple[str, Restore]:
    """The setting that decides about a rung, and what it says."""
    if rung == PLATFORM and _STRICTNESS.index(policy.platform_restore) >= _STRICTNESS.index(policy.restore):
        return "platform_restore", policy.platform_restore
    return "restore", policy.restore


def _beyond(proposal: Proposal, policy: Policy) -> list[str]:
    found = []
    if policy.max_rows_lost is not None and proposal.rows_lost > policy.max_rows_lost:
        found.append(f"{proposal.rows_lost:,} rows would be lost, max_rows_lost is {policy.max_rows_lost:,}")
    elif policy.max_rows_lost is not None and proposal.lost_unknown:
        found.append(f"how much would be lost is not known, max_rows_lost is {policy.max_rows_lost:,}")
    if policy.max_downtime is not None and proposal.seconds > policy.max_downtime:
        found.append(
            f"it would take about {duration(proposal.seconds)}, max_downtime is {duration(policy.max_downtime)}"
        )
    return found


def covers(asked: Proposal, now: Proposal, policy: Policy) -> bool:
    """Whether an answer to `asked` is one to `now` too: the same rung, and nothing more is reloaded or lost.

    More rows in the salvage, another estimate or other words are no new question: the application goes on while people
    think. That it may have deleted something meanwhile is one only where the policy limits what is lost.
    """
    return (
        (asked.rung, asked.backup_id, asked.way) == (now.rung, now.backup_id, now.way)
        and set(now.tables) <= set(asked.tables)
        and now.rows_lost <= asked.rows_lost
        and (asked.lost_unknown or not now.lost_unknown or policy.max_rows_lost is None)
    )


def describe(proposal: Proposal) -> str:
    """The proposal in one sentence, without a full stop: how long, and what would be kept, lost, reloaded, undone."""
    return (
        f"rung {proposal.rung}, the {RUNG_NAMES.get(proposal.rung, 'restore')}, "
        f"would take about {duration(proposal.seconds)}, "
        f"keep {count(proposal.rows_salvaged, 'row')} in a salvage file, "
        f"lose {rows_lost(proposal)}, "
        f"{proposal.way or f'reload {_tables(proposal.tables)}'}, "
        f"and undo {_listed(proposal.undone) or 'what the deploy committed'}"
    )


def rows_lost(proposal: Proposal) -> str:
    """How many rows would be lost, and what of it cannot be known."""
    unknown = ""
    if proposal.lost_unknown and proposal.rung == PLATFORM:
        unknown = " (deletes since then, and what is in tables that the agent cannot read, cannot be known)"
    elif proposal.lost_unknown:
        unknown = " (deletes by the application since the backup cannot be known)"
    return f"{count(proposal.rows_lost, 'row')}{unknown}"


def approval_words(approval: Approval) -> str:
    """An approval in one line: what is asked, or what was answered."""
    if approval.answer is None:
        return f"waiting for approval: {describe(approval.proposal)} ({approval.reason})"
    if approval.answer is Answer.SUPERSEDED:
        return f"the question of {approval.asked_at:%H:%M:%S} UTC is superseded by another one"
    remark = f": {approval.remark}" if approval.remark else ""
    return f"the restore (rung {approval.proposal.rung}) was {approval.answer} by {approval.answered_by}{remark}"


def _tables(tables: Collection[str]) -> str:
    if not tables:
        return "no table"
    return f"{count(len(tables), 'table')} ({_listed(tables)})"


def _listed(names: Collection[str]) -> str:
    shown = list(names)[:_LISTED]
    more = [f"{len(names) - _LISTED:,} more"] if len(names) > _LISTED else []
    return "; ".join([*shown, *more])


def tried_rungs(events: Iterable[Event]) -> frozenset[int]:
    """The rungs that have ended without bringing the database back. One that was cut off has not ended."""
    return frozenset(
        int(event.data["rung"]) for event in events if event.kind is EventKind.RUNG and not event.data.get("ok")
    )


def estimate_seconds(manifest: Manifest, sizes: Mapping[str, int], tables: Collection[str] | None = None) -> float:
    """How long a restore takes, from how long the same rows took to back up.

    Args:
        manifest: the backup's; one of an agent that did not note the dump's time counts from its start to its end.
        sizes: bytes of each table at the time of the backup, by qualified name (`Snapshot.tables`).
        tables: those that are reloaded; None: all.
    """
    took = manifest.dump_seconds or (manifest.finished_at - manifest.created_at).total_seconds()
    total = sum(sizes.values())
    share = 1.0
    if tables is not None:
        share = sum(sizes.get(name, 0) for name in tables) / total if total else float(bool(tables))
    return _FIXED_S + max(took, 0.0) * _RESTORE_PER_DUMP * share
