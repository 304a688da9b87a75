"""Which statements give schemas their names back."""

from __future__ import annotations

from agent.core.renamed import names_back


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
