from __future__ import annotations

import re
from pathlib import Path

import pytest

from agent.core.states import EXIT_CODES, FINAL, TRANSITIONS, Move, State, after
from agent.errors import StateError
from tests.support.diagram import state_diagram

DOC = Path(__file__).parents[2] / "docs" / "architecture.md"


def test_every_state_is_reached_and_left() -> None:
    reached = {State.QUEUED, *TRANSITIONS.values()}
    left = {state for state, _ in TRANSITIONS}
    assert reached == set(State)
    assert left | FINAL == set(State)
    assert set(EXIT_CODES) == set(FINAL)


def test_every_state_can_end() -> None:
    ends = set(FINAL)
    for _ in State:
        ends |= {state for (state, _), then in TRANSITIONS.items() if then in ends}
    assert ends == set(State)


def test_once_migrations_run_the_database_is_never_called_untouched() -> None:
    seen, todo = set(), [State.MIGRATE]
    while todo:
        state = todo.pop()
        seen.add(state)
        todo += [then for (at, _), then in TRANSITIONS.items() if at is state and then not in seen]
    assert State.ABORTED not in seen


@pytest.mark.parametrize("state", sorted(State))
@pytest.mark.parametrize("move", sorted(Move))
def test_what_the_table_does_not_have_is_refused(state: State, move: Move) -> None:
    if (state, move) in TRANSITIONS:
        assert after(state, move) is TRANSITIONS[state, move]
    else:
        with pytest.raises(StateError) as caught:
            after(state, move)
        assert caught.value.code == "state.illegal"


def test_the_diagram_in_the_docs_is_the_table() -> None:
    """To renew it: python -m tests.support.generated."""
    text = DOC.read_text()
    found = re.search(r"<!-- generated: states -->\n```mermaid\n(.*?)```", text, re.DOTALL)
    assert found is not None
    assert found.group(1) == state_diagram()
