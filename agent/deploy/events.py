"""Reading a deploy's events back."""

from __future__ import annotations

from agent.core.models import Event
from agent.ports import DeployStore


async def read_events(store: DeployStore, deploy_id: str, *, after: int = 0, last: int | None = None) -> list[Event]:
    """All events of a deploy, in order, however many there are.

    Args:
        store: the agent's own.
        deploy_id: the deploy.
        after: only those with a greater number.
        last: and with no number above this one (None: all there are).
    """
    found: list[Event] = []
    while last is None or after < last:
        page = await store.events(deploy_id, after=after)
        if not page:
            break
        found += page
        after = page[-1].seq
    return [event for event in found if last is None or event.seq <= last]
