from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.compare import differences
from agent.core.models import SequencePlace, Snapshot, TableMark

NOW = datetime(2026, 1, 1, tzinfo=UTC)
names = st.text("abc", min_size=1, max_size=2)
snapshots = st.builds(
    Snapshot,
    taken_at=st.just(NOW),
    tables=st.dictionaries(
        names, st.builds(TableMark, rows=st.integers(0, 3), hash=st.sampled_from(["0", "1"])), max_size=3
    ),
    catalog=st.dictionaries(names, st.sampled_from(["x", "y"]), max_size=3),
    sequences=st.dictionaries(
        names, st.builds(SequencePlace, st.integers(1, 3), st.booleans(), st.sampled_from([-1, 1, 2])), max_size=3
    ),
    history=st.lists(names, unique=True, max_size=3).map(tuple),
)


@given(snapshots)
def test_a_snapshot_equals_itself(one: Snapshot) -> None:
    assert differences(one, one).none


@given(snapshots, snapshots)
def test_what_differs_is_found(before: Snapshot, after: Snapshot) -> None:
    found = differences(before, after)
    assert bool(found.catalog) == (before.catalog != after.catalog)
    assert bool(found.history) == (set(before.history) != set(after.history))
    shared = before.tables.keys() & after.tables.keys()
    assert len(found.content) == sum(before.tables[name] != after.tables[name] for name in shared)


def test_the_words() -> None:
    before = Snapshot(
        taken_at=NOW,
        tables={"public.a": TableMark(rows=3, hash="1"), "public.b": TableMark(rows=1, hash="1")},
        catalog={"index:a_pkey": "x", "trigger:a.t": "x"},
        sequences={"public.s": SequencePlace(5, True, 1), "public.unused": SequencePlace(1, False, 1)},
        history=("1",),
    )
    after = Snapshot(
        taken_at=NOW,
        tables={"public.a": TableMark(rows=2, hash="1"), "public.b": TableMark(rows=1, hash="2")},
        catalog={"index:a_pkey": "y", "policy:a.p": "x"},
        sequences={"public.s": SequencePlace(4, True, 1), "public.unused": SequencePlace(1, False, 1)},
        history=("1", "2"),
    )
    assert differences(before, after).all == (
        "index:a_pkey is altered",
        "policy:a.p is new",
        "trigger:a.t is missing",
        "version 2 is still recorded as applied",
        "table public.a has 2 rows, it had 3",
        "table public.b has other content in its 1 rows",
        "sequence public.s would give 5, it would have given 6",
    )


@pytest.mark.parametrize(
    ("was", "stands", "behind"),
    [
        ((5, True, 1), (9, True, 1), False),
        ((5, True, 1), (5, False, 1), True),
        ((5, True, 1), (6, False, 1), False),
        ((7, False, 1), (1, False, 1), True),
        ((7, False, 1), (7, True, 1), False),
        ((-3, True, -1), (-5, True, -1), False),
        ((-3, True, -1), (-1, False, -1), True),
    ],
)
def test_a_sequence_that_moved_on_is_no_difference_and_one_that_was_set_back_is(
    was: tuple[int, bool, int], stands: tuple[int, bool, int], behind: bool
) -> None:
    before = Snapshot(taken_at=NOW, sequences={"public.s": SequencePlace(*was)})
    after = Snapshot(taken_at=NOW, sequences={"public.s": SequencePlace(*stands)})
    assert differences(before, after).none is not behind


def test_sequences_of_an_earlier_version_of_the_agent_are_left_out() -> None:
    now = SequencePlace(2, True, 1)
    stored = {"taken_at": NOW, "sequences": {"public.a": 5, "public.b": None, "public.c": list(now)}}
    assert Snapshot.model_validate(stored).sequences == {"public.c": now}


def test_an_invalid_index_may_go_but_not_come() -> None:
    none = Snapshot(taken_at=NOW)
    one = Snapshot(taken_at=NOW, catalog={"invalid index:public.broken": "x"})
    gone = differences(one, none)
    assert gone.none
    assert gone.lost == ("invalid index:public.broken",)
    assert differences(none, one).all == ("invalid index:public.broken is new",)
