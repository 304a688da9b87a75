"""The agent's own memory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from agent.core.models import (
    Approval,
    BackupRecord,
    BackupState,
    Deploy,
    DeployRequest,
    Event,
    Failure,
    NewEvent,
    OutboxMessage,
    OutboxState,
    Proposal,
    Strategy,
)
from agent.core.states import Move, State


class DeployStore(Protocol):
    """The agent's own memory. Each state write, its event and its outbox rows commit together.

    CancelledError out of a write means that it was written; an error that it was not, except `store.unreachable`,
    whose outcome is in doubt: the connection broke.
    """

    async def create(self, deploy_id: str, request: DeployRequest, *, now: datetime) -> Deploy:
        """Record a queued deploy.

        Raises:
            BusyError: `busy.deploying`: another deploy of the project is not final yet.
        """
        ...

    async def get(self, deploy_id: str) -> Deploy:
        """Raises NotFoundError `notfound.deploy`. An unambiguous prefix of the id is enough."""
        ...

    async def deploys(self, *, project: str = "", states: Sequence[State] = (), limit: int = 50) -> list[Deploy]:
        """Newest first."""
        ...

    async def transition(
        self,
        deploy_id: str,
        *,
        expected: State,
        move: Move,
        now: datetime,
        message: str,
        failure: Failure | None = None,
        backup_id: str = "",
        strategy: Strategy | None = None,
        versions: Sequence[str] | None = None,
    ) -> State:
        """`UPDATE … WHERE state = expected`, one event, one outbox row a notifier: one transaction.

        Doing the same move again from a state it already led to changes nothing (steps are at least once).

        Returns:
            The state now.

        Raises:
            StateError: `state.illegal`, `state.moved_on`: the deploy is elsewhere; nothing was changed.
        """
        ...

    async def append(self, deploy_id: str, events: Sequence[NewEvent]) -> None:
        """Record events, in order, in one transaction."""
        ...

    async def events(self, deploy_id: str, *, after: int = 0, limit: int = 1000) -> list[Event]:
        """Events with `seq > after`, in order."""
        ...

    async def put_evidence(self, deploy_id: str, name: str, content: str) -> None:
        """Keep (or replace) a named JSON text of a deploy: plan, snapshot."""
        ...

    async def get_evidence(self, deploy_id: str, name: str) -> str | None:
        """The text kept under that name, or None."""
        ...

    async def request_cancel(self, deploy_id: str, *, reason: str, now: datetime) -> Deploy:
        """Raise the cancel flag; a final deploy is returned as it is."""
        ...

    async def ask_approval(self, deploy_id: str, proposal: Proposal, *, reason: str, now: datetime) -> Approval:
        """Ask people about a proposal: one event, one outbox row a notifier. One that is still open is superseded."""
        ...

    async def answer_approval(
        self, deploy_id: str, *, number: int | None = None, approve: bool, by: str, remark: str = "", now: datetime
    ) -> Deploy:
        """Answer what the deploy has asked. The same answer once more changes nothing.

        Args:
            number: of the approval that was shown; None: whichever is open.

        Raises:
            NotFoundError: `notfound.approval`: it asks nothing, asks something else by now, or has its answer.
        """
        ...

    async def put_backup(self, record: BackupRecord) -> None:
        """Insert or replace."""
        ...

    async def backups(self, *, project: str = "") -> list[BackupRecord]:
        """Newest first."""
        ...

    async def set_backup_state(self, backup_id: str, state: BackupState, *, now: datetime) -> None:
        """Mark verified or damaged."""
        ...

    async def forget_backup(self, backup_id: str) -> None:
        """Its files are gone."""
        ...

    async def due_messages(self, *, now: datetime, limit: int) -> list[OutboxMessage]:
        """For each target its oldest pending message, if due: order per target is kept."""
        ...

    async def message_sent(self, message_id: int, *, now: datetime) -> None:
        """It arrived."""
        ...

    async def message_failed(self, message_id: int, *, error: str, due_at: datetime | None, now: datetime) -> None:
        """It did not; try again at `due_at`, or give it up (None: dead)."""
        ...

    async def undelivered(self) -> dict[tuple[str, OutboxState], int]:
        """How many messages each target has that are pending or dead."""
        ...

    async def read_cursor(self, name: str) -> datetime | None:
        """A schedule's next due time."""
        ...

    async def move_cursor(self, name: str, *, expected: datetime | None, to: datetime) -> bool:
        """Compare and set; False if another got there first."""
        ...

    async def close(self) -> None:
        """Release the connections."""
        ...
