"""The life of a deploy: its states, the events that move it, and the one table of what may follow what."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from agent.errors import StateError


class State(StrEnum):
    """Where a deploy is. The last six are final."""

    QUEUED = "queued"
    PREFLIGHT = "preflight"
    SNAPSHOT = "snapshot"
    BACKUP = "backup"
    MIGRATE = "migrate"
    VERIFY = "verify"
    ROLLING_BACK = "rolling_back"
    RESTORING = "restoring"
    SUCCEEDED = "succeeded"
    ABORTED = "aborted"
    CANCELLED = "cancelled"
    ROLLED_BACK = "rolled_back"
    RESTORED = "restored"
    NEEDS_OPERATOR = "needs_operator"


class Move(StrEnum):
    """What happened to a deploy, as far as its state is concerned."""

    START = "start"  # a worker picked it up
    CLEAR = "clear"  # preflight found nothing in the way
    NOTHING_TO_DO = "nothing_to_do"  # no migration is pending
    SNAPPED = "snapped"  # the snapshot is recorded
    BACKED_UP = "backed_up"  # the backup is published
    APPLIED = "applied"  # all pending migrations are in
    PASSED = "passed"  # every check passed
    FAIL = "fail"  # something failed; before migrate: nothing was touched
    CANCEL = "cancel"  # a person asked to stop, and the database is untouched
    UNDONE = "undone"  # rung 1 or 2: the database equals the snapshot
    NOT_UNDONE = "not_undone"  # rungs 1 and 2 were not enough
    RESTORED = "restored"  # rung 3, 4 or 5: the database equals the snapshot
    GIVE_UP = "give_up"  # a person is needed


TRANSITIONS: Mapping[tuple[State, Move], State] = MappingProxyType(
    {
        (State.QUEUED, Move.START): State.PREFLIGHT,
        (State.QUEUED, Move.CANCEL): State.CANCELLED,
        (State.PREFLIGHT, Move.CLEAR): State.SNAPSHOT,
        (State.PREFLIGHT, Move.NOTHING_TO_DO): State.SUCCEEDED,
        (State.PREFLIGHT, Move.FAIL): State.ABORTED,
        (State.PREFLIGHT, Move.CANCEL): State.CANCELLED,
        (State.SNAPSHOT, Move.SNAPPED): State.BACKUP,
        (State.SNAPSHOT, Move.FAIL): State.ABORTED,
        (State.SNAPSHOT, Move.CANCEL): State.CANCELLED,
        (State.BACKUP, Move.BACKED_UP): State.MIGRATE,
        (State.BACKUP, Move.FAIL): State.ABORTED,
        (State.BACKUP, Move.CANCEL): State.CANCELLED,
        (State.MIGRATE, Move.APPLIED): State.VERIFY,
        (State.MIGRATE, Move.FAIL): State.ROLLING_BACK,
        (State.VERIFY, Move.PASSED): State.SUCCEEDED,
        (State.VERIFY, Move.FAIL): State.ROLLING_BACK,
        (State.ROLLING_BACK, Move.UNDONE): State.ROLLED_BACK,
        (State.ROLLING_BACK, Move.CANCEL): State.CANCELLED,
        (State.ROLLING_BACK, Move.NOT_UNDONE): State.RESTORING,
        (State.ROLLING_BACK, Move.GIVE_UP): State.NEEDS_OPERATOR,
        (State.RESTORING, Move.RESTORED): State.RESTORED,
        (State.RESTORING, Move.GIVE_UP): State.NEEDS_OPERATOR,
    }
)

FINAL: frozenset[State] = frozenset(State) - frozenset(state for state, _ in TRANSITIONS)

EXIT_CODES: Mapping[State, int] = MappingProxyType(
    {
        State.SUCCEEDED: 0,
        State.ABORTED: 6,
        State.CANCELLED: 7,
        State.ROLLED_BACK: 8,
        State.RESTORED: 9,
        State.NEEDS_OPERATOR: 10,
    }
)


def after(state: State, move: Move) -> State:
    """The state that follows.

    Args:
        state: where the deploy is now.
        move: what happened.

    Raises:
        StateError: `state.illegal`: the table has no such pair; nothing was changed.
    """
    try:
        return TRANSITIONS[state, move]
    except KeyError:
        raise StateError(
            f"a deploy that is {state} cannot {move}",
            code="state.illegal",
            hint="This is a bug in the agent; please report it with the deploy's events.",
        ) from None
