"""A deploy's change of state, or its question for an approval, as one message.

`chat_payloads` gives it the form of each channel.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from agent.core.models import Deploy, Event, EventKind, Model
from agent.core.states import FINAL, State
from agent.core.units import count, duration
from agent.report.models import DeployView, Level, NextCommand, Status
from agent.report.view import deploy_view
from agent.report.words import clip, size

TITLE_WIDTH = 140
VALUE_WIDTH = 200
_TOLD = frozenset({EventKind.STATE, EventKind.APPROVAL})
_BEFORE_BACKUP = frozenset({State.QUEUED, State.PREFLIGHT, State.SNAPSHOT, State.BACKUP})
_BEFORE_FAILURE = _BEFORE_BACKUP | {State.MIGRATE, State.VERIFY, State.SUCCEEDED}


class MessageField(Model):
    """One fact, named."""

    name: str
    value: str


class Message(Model):
    """What a channel is told when a deploy changes its state, asks for an approval, or is given one.

    `id` is the same whenever this change is told again to the same or another channel: a receiver may use it
    to drop repetitions. `topic`: the state, or `waiting_for_approval`, `approved`, `rejected`. `text` is plain,
    unescaped, and may quote SQL and server errors. `details` are the facts for machines.
    """

    id: str
    deploy_id: str
    seq: int
    project: str
    state: State
    topic: str
    level: Level
    at: datetime
    title: str
    text: str
    fields: tuple[MessageField, ...] = ()
    commands: tuple[NextCommand, ...] = ()
    footer: str
    details: dict[str, Any]


def compose(deploy: Deploy, events: Sequence[Event], seq: int) -> Message:
    """The message for one change of state or one approval, as things stood then.

    Args:
        deploy: as the store holds it now; it may have moved on since.
        events: the deploy's events, at least those up to `seq`.
        seq: the number of the STATE or APPROVAL event that the message tells.

    Raises:
        ValueError: `seq` is no such event among `events`: a bug.
    """
    until = sorted((each for each in events if each.seq <= seq), key=lambda each: each.seq)
    event = next((each for each in until if each.seq == seq and each.kind in _TOLD), None)
    if event is None:
        raise ValueError(f"event {seq} of deploy {deploy.id} is neither a change of state nor an approval")
    moves = [each for each in until if each.kind is EventKind.STATE]
    state = State(moves[-1].data["to"]) if moves else deploy.state
    asked = event.kind is EventKind.APPROVAL
    then = deploy.model_copy(
        update={
            "state": state,
            "updated_at": event.at,
            "finished_at": event.at if state in FINAL else None,
            "failure": None if state in _BEFORE_FAILURE else deploy.failure,
            "backup_id": "" if state in _BEFORE_BACKUP else deploy.backup_id,
        }
    )
    view = deploy_view(then, until)
    title = view.headline if deploy.project in view.headline else f"{deploy.project}: {view.headline}"
    text = "" if view.paragraph.rstrip(".") == view.headline.rstrip(".") else view.paragraph
    return Message(
        id=f"{deploy.id}.{seq}",
        deploy_id=deploy.id,
        seq=seq,
        project=deploy.project,
        state=state,
        topic=(event.data.get("answer") or "waiting_for_approval") if asked else state.value,
        level=view.level,
        at=event.at,
        title=clip(title, TITLE_WIDTH),
        text=text,
        fields=tuple(_fields(view)),
        commands=view.next_commands if view.is_final or view.waits_for_approval else (),
        footer=f"deploy {deploy.id}, event {seq}",
        details=_details(view, event),
    )


def _fields(view: DeployView) -> list[MessageField]:
    facts = [("State", view.state.value), ("Requested by", view.requested_by)]
    if view.waits_for_approval:
        asked = view.approvals[-1].proposal
        unknown = " that are known of" if asked.lost_unknown else ""
        facts.append(("Rows", f"{asked.rows_salvaged:,} salvaged, {asked.rows_lost:,} lost{unknown}"))
        facts.append(("Would take", f"about {duration(asked.seconds)}"))
    if view.migrations:
        done = sum(row.status is Status.DONE for row in view.migrations)
        undone = sum(row.status is Status.UNDONE for row in view.migrations)
        total = max(row.total for row in view.migrations)
        facts.append(("Migrations", f"{done} of {total} applied" + (f", {undone} undone" if undone else "")))
    elif view.state is State.SUCCEEDED:
        facts.append(("Migrations", "none pending"))
    if view.tally.total:
        bad = view.tally.failed + view.tally.errored
        words = [f"{view.tally.passed} passed"]
        words += [f"{bad} not passed"] if bad else []
        words += [count(view.tally.warnings, "warning")] if view.tally.warnings else []
        facts.append(("Checks", ", ".join(words)))
    if view.backup is not None:
        facts.append(("Backup", f"{view.backup.id} ({size(view.backup.bytes)})"))
    elif view.backup_id:
        facts.append(("Backup", view.backup_id))
    if view.strategy is not None:
        facts.append(("Strategy", view.strategy.value))
    facts.append(("Duration", duration(view.duration_s)))
    return [MessageField(name=name, value=clip(value, VALUE_WIDTH)) for name, value in facts if value]


def _details(view: DeployView, event: Event) -> dict[str, Any]:
    """The facts for machines: small JSON, documented in docs/notifications.md."""
    kept = {
        "id", "project", "state", "is_final", "level", "headline", "paragraph", "next_commands", "strategy",
        "requested_by", "created_at", "finished_at", "duration_s", "cancel_reason", "backup_id", "failure", "tally",
    }  # fmt: skip
    return {
        **view.model_dump(mode="json", include=kept),
        "seq": event.seq,
        "previous_state": event.data.get("from") or None,
        "approval": event.data if event.kind is EventKind.APPROVAL else None,
        "migrations": [
            {"version": row.version, "name": row.name, "status": row.status.value} for row in view.migrations
        ],
    }
