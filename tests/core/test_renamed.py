"""What gives schemas, tables and columns their names back."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from agent.core.renamed import Move, Place, in_two_steps, moves, schemas_back, tables_back


def names_back(before: Mapping[int, str], now: Mapping[int, str], *, ours: Collection[int]) -> tuple[str, ...]:
    return schemas_back(moves(before, now, ours=ours))


def test_a_schema_gets_its_name_back() -> None:
    assert names_back({1: "api", 2: "public"}, {1: '"v 1"', 2: "public", 3: "new"}, ours={1, 2, 3}) == (
        'ALTER SCHEMA "v 1" RENAME TO api',
    )


def test_nothing_is_done_where_nothing_was_renamed() -> None:
    assert names_back({1: "api", 2: "gone"}, {1: "api", 3: "new"}, ours={1, 3}) == ()


def test_what_has_the_name_by_now_is_moved_out_of_the_way() -> None:
    assert names_back({1: "api"}, {1: "v1", 2: "api"}, ours={1, 2}) == (
        "ALTER SCHEMA api RENAME TO deploy_agent_new_2",
        "ALTER SCHEMA v1 RENAME TO api",
    )


def test_names_that_changed_hands_change_back() -> None:
    assert names_back({1: "a", 2: "b"}, {1: "b", 2: "a"}, ours={1, 2}) == (
        "ALTER SCHEMA b RENAME TO deploy_agent_new_1",
        "ALTER SCHEMA a RENAME TO deploy_agent_new_2",
        "ALTER SCHEMA deploy_agent_new_1 RENAME TO a",
        "ALTER SCHEMA deploy_agent_new_2 RENAME TO b",
    )


def test_what_is_not_ours_is_not_touched() -> None:
    assert names_back({1: "a"}, {1: "b"}, ours=()) == ()
    assert names_back({1: "a"}, {1: "b", 2: "a"}, ours={1}) == ()


def test_who_waits_for_a_name_that_is_held_waits_for_all_of_the_row() -> None:
    assert names_back({1: "a", 2: "b"}, {1: "b", 2: "c", 3: "a"}, ours={1, 2}) == ()


def test_a_table_gets_its_name_back_in_the_schema_that_it_is_in() -> None:
    before = {1: Place("api", "users"), 2: Place("api", "gone"), 3: Place("api", "moved"), 4: Place("public", "users")}
    now = {
        1: Place("api", '"new users"'),
        3: Place("public", "moved"),
        4: Place("public", "users"),
        5: Place("api", "users"),
        6: Place("api", "more"),
    }
    assert list(tables_back(before, now, ours={1, 3, 4, 5})) == [
        Move(5, "api.users", "deploy_agent_new_5"),
        Move(1, 'api."new users"', "users"),
    ]
    assert list(tables_back(before, now, ours={1, 3, 4})) == []


def test_inherited_columns_let_go_of_their_names_before_any_gets_its_own() -> None:
    moved = moves({1: "held", 2: "kept"}, {1: "kept", 2: "more"}, ours={1, 2})
    assert in_two_steps(moved, table=7, inherited={1}) == (
        [Move(2, "more", "deploy_agent_new_7_2")],
        [Move(2, "deploy_agent_new_7_2", "kept")],
    )
    swapped = moves({1: "a", 2: "b"}, {1: "b", 2: "a"}, ours={1, 2})
    assert in_two_steps(swapped, table=7, inherited=()) == (
        [Move(1, "b", "deploy_agent_new_7_1"), Move(2, "a", "deploy_agent_new_7_2")],
        [Move(1, "deploy_agent_new_7_1", "a"), Move(2, "deploy_agent_new_7_2", "b")],
    )
