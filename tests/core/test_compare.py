from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from agent.core.compare import differences
from agent.core.models import Snapshot, TableMark

NOW = datetime(2026, 1, 1, tzinfo=UTC)
names = st.text("abc", min_size=1, max_size=2)
snapshots = st.builds(
    Snapshot,
    taken_at=st.just(NOW),
    tables=st.dictionaries(
        names, st.builds(TableMark, rows=st.integers(0, 3), hash=st.sampled_from(["0", "1"])), max_size=3
    ),
    catalog=st.dictionaries(names, st.sampled_from(["x", "y"]), max_size=3),
    sequences=st.dictionaries(names, st.none() | st.integers(1, 3), max_size=3),
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
        sequences={"public.s": 5, "public.unused": None},
        history=("1",),
    )
    after = Snapshot(
        taken_at=NOW,
        tables={"public.a": TableMark(rows=2, hash="1"), "public.b": TableMark(rows=1, hash="2")},
        catalog={"index:a_pkey": "y", "policy:a.p": "x"},
        sequences={"public.s": 4, "public.unused": None},
        history=("1", "2"),
    )
    assert differences(before, after).all == (
        "index:a_pkey is altered",
        "policy:a.p is new",
        "trigger:a.t is missing",
        "version 2 is still recorded as applied",
        "table public.a has 2 rows, it had 3",
        "table public.b has other content in its 1 rows",
        "sequence public.s stands at 4, it was at 5",
    )


def test_a_sequence_that_moved_on_is_no_difference() -> None:
    before = Snapshot(taken_at=NOW, sequences={"public.s": 5, "public.t": None})
    after = Snapshot(taken_at=NOW, sequences={"public.s": 9, "public.t": 1})
    assert differences(before, after).none
