"""Which migrations go together in a message, and how many."""

from __future__ import annotations

import pytest

from agent.core.batches import SMALL_BYTES, Pace, may_be_sent_together
from agent.core.migrations import Migration
from agent.core.scripts import NO_TRANSACTION_MARK, analyse


def together(text: str, size: int) -> bool:
    script = analyse(Migration(version="1", name="a", file="1_a.sql", text=text, sha256=""))
    return may_be_sent_together(script, table_bytes=size)


@pytest.mark.parametrize(
    "text",
    [
        "create table t (a int); create policy p on t; grant select on t to public; comment on table t is 'x'",
        "create function f() returns int language sql as 'select 1'; -- done",
        "/* nothing */",
    ],
)
def test_what_needs_no_rows_is_sent_together_in_any_database(text: str) -> None:
    assert together(text, SMALL_BYTES * 1000)


@pytest.mark.parametrize(
    "text",
    [
        "create table t (a int); update u set a = 1",
        "create index on t (a)",
        "alter table t alter a type bigint",
        "do $$ begin perform 1; end $$",
        "create materialized view v as select * from t",
        "create table t as select * from u",
        "create table t as /* all */ (with u as (select 1) select * from u)",
        "create table t partition of u for values in (1)",
    ],
)
def test_what_may_take_long_is_sent_alone_where_there_is_much_data(text: str) -> None:
    assert not together(text, SMALL_BYTES)
    assert together(text, SMALL_BYTES - 1)


def test_what_holds_its_own_transactions_is_never_sent_with_others() -> None:
    assert not together("begin; select 1; commit;", 0)
    assert not together(f"{NO_TRANSACTION_MARK}\ncreate index concurrently on t (a);", 0)


def test_the_pace_follows_the_server() -> None:
    pace = Pace()
    sizes = []
    for seconds in (0.01, 0.01, 0.2, 0.5, 0.5, 0.01):
        pace.took(seconds)
        sizes.append(pace.files)
    assert sizes == [8, 16, 16, 8, 4, 8]
    for _ in range(10):
        pace.took(9)
    assert pace.files == 1
    for _ in range(10):
        pace.took(0)
    assert pace.files == 128


def test_a_bounded_pace() -> None:
    pace = Pace(most=1)
    pace.took(0)
    assert pace.files == 1
