"""One deploy as a DeployView: the terminal, the HTTP API, the page and every chat message render this."""

from __future__ import annotations

from collections.abc import Sequence

from agent.core.models import Deploy, Event
from agent.report.collect import Story, collect
from agent.report.explain import LEVELS, headline, next_commands, paragraph
from agent.report.models import DeployView, Level
from agent.report.timeline import phase_detail, timeline

__all__ = ["DeployView", "deploy_view"]


def deploy_view(deploy: Deploy, events: Sequence[Event]) -> DeployView:
    """Everything a person wants to see of one deploy.

    Args:
        deploy: as the store holds it now.
        events: the deploy's events, in any order; none is fine (the view is then short).

    Returns:
        The view. Durations of a deploy that still runs end at its last event: this function knows no clock.
    """
    story = collect(deploy, events)
    seconds = _seconds(deploy, story)
    return DeployView(
        id=deploy.id,
        project=deploy.project,
        state=deploy.state,
        is_final=deploy.is_final,
        headline=headline(story, seconds=seconds),
        paragraph=paragraph(story, seconds=seconds),
        next_commands=next_commands(story),
        level=LEVELS.get(deploy.state, Level.INFO),
        strategy=deploy.strategy,
        requested_by=deploy.request.requested_by,
        created_at=deploy.created_at,
        finished_at=deploy.finished_at,
        duration_s=seconds,
        cancel_reason=deploy.cancel_reason,
        phases=tuple(phase.model_copy(update={"detail": phase_detail(story, phase)}) for phase in story.phases()),
        step=story.step,
        progress=None if deploy.is_final else story.progress,
        migrations=tuple(story.migrations.values()),
        monitors=tuple(story.monitors.values()),
        lock_wait=story.lock_waits[-1] if story.waiting_for_lock and not deploy.is_final else None,
        lock_waits=tuple(story.lock_waits),
        notices=tuple(story.notices),
        findings=tuple(story.findings),
        checks=tuple(story.checks.values()),
        tally=story.tally,
        snapshot=story.snapshot,
        backup=story.backup,
        backup_id=deploy.backup_id or (story.backup.id if story.backup else ""),
        changes=story.changes,
        rungs=tuple(story.rungs),
        proposals=tuple(story.proposals.values()),
        approvals=tuple(story.approvals.values()),
        waits_for_approval=story.waiting is not None,
        failure=story.failure,
        timeline=timeline(story, events),
    )


def _seconds(deploy: Deploy, story: Story) -> float:
    end = deploy.finished_at or story.until or deploy.updated_at
    return max((end - deploy.created_at).total_seconds(), 0.0)
