"""Checks on a real Postgres: every kind passing, failing, and unable to run; and none of them leaves a trace."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import SecretStr

from agent.core.checks import Check, HttpAnswer, HttpCheck
from agent.core.models import CheckResult, EventKind, NewEvent, Severity, Verdict
from agent.core.runbook import Metric, SnapshotQuery, Volumes
from agent.deploy.checks import collect_metrics, measure_volume, read_values, run_checks
from agent.edges.target import PsycopgSession, PsycopgTarget
from agent.errors import InputError, TargetError
from tests.support.clock import FakeClock

ANA = "11111111-1111-1111-1111-111111111111"
BEN = "22222222-2222-2222-2222-222222222222"

SETUP = f"""
create type kind as enum ('audio', 'text');
create table tracks (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null,
  title varchar(80) not null,
  file_url text,
  is_public boolean not null default false,
  created_at timestamptz not null default now()
);
comment on table tracks is 'Audio, one row a file';
comment on column tracks.file_url is 'DEPRECATED: use media';
create table posts (
  id bigint generated always as identity primary key,
  post_type kind not null,
  track_id uuid,
  constraint posts_track_id_fkey foreign key (track_id) references tracks (id) on delete set null
);
alter table posts add constraint audio_posts_must_have_track
  check (post_type <> 'audio' or track_id is not null) not valid;
create index idx_posts_track_id on posts (track_id);
create index idx_tracks_user on tracks (user_id, created_at desc) where is_public;
create unique index idx_tracks_title on tracks (lower(title));
create function set_title() returns trigger language plpgsql security definer as $$ begin return new; end $$;
create function shout(a text, b integer) returns text language sql as $$ select upper(a) $$;
create trigger tracks_title before insert or update on tracks for each row execute function set_title();
create trigger tracks_off after delete on tracks for each statement execute function set_title();
alter table tracks disable trigger tracks_off;
alter table tracks enable row level security;
create policy own_tracks on tracks for select to authenticated using (user_id = (select auth.uid()));
create policy add_tracks on tracks for insert to authenticated with check (user_id = auth.uid());
create policy change_tracks on tracks for update to authenticated using (user_id = auth.uid());
create policy drop_tracks on tracks for delete to authenticated using (user_id = auth.uid());
grant select, insert, update, delete on tracks to authenticated;
create table leaky (id int primary key, user_id uuid not null, note text not null);
alter table leaky enable row level security;
create policy everything on leaky to authenticated using (true) with check (true);
grant select, insert, update, delete on leaky to authenticated;
revoke all on leaky from anon;
insert into tracks (user_id, title, file_url) values ('{ANA}', 'one', 'a'), ('{BEN}', 'two', 'b');
insert into leaky values (1, '{ANA}', 'hers'), (2, '{BEN}', 'his');
insert into posts (post_type) values ('text'), ('text'), ('text');
"""


@pytest.fixture
async def session(database: Any) -> AsyncIterator[PsycopgSession]:
    async with PsycopgTarget(SecretStr(database.url)).session(purpose="test") as opened:
        await opened.run(SETUP)
        yield opened


class Answers:
    """An API that gives the same answer to every request."""

    def __init__(self, answer: HttpAnswer | Exception) -> None:
        self.answer = answer

    async def send(self, request: HttpCheck, *, timeout_s: float) -> HttpAnswer:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def run(session: PsycopgSession, *checks: dict[str, Any], **options: Any) -> list[CheckResult]:
    events: list[NewEvent] = []
    known = {"before": {}, "http": None, "clock": FakeClock(), "phase": "final", "emit": events.append} | options
    results = await run_checks(session, [Check.model_validate(check) for check in checks], **known)
    if "emit" not in options:
        assert [event.data for event in events if event.kind is EventKind.CHECK] == [
            result.model_dump(mode="json") for result in results
        ]
    return results


async def one(session: PsycopgSession, check: dict[str, Any], **options: Any) -> CheckResult:
    [result] = await run(session, check, **options)
    return result


PASSING = [
    {"sql": "select count(*) from posts", "expect": 3},
    {"sql": "select count(*) from posts -- all;", "expect": {"value": 4, "tolerance": "25%"}},
    {"sql": "select title, user_id from tracks;", "expect": {"every": "title in ('one', 'two')", "rows": 2}},
    {"sql": "select 1.50::numeric as a, 1.5::float8 as b", "expect": {"that": ["a == b", "a + 1 == 2.5"]}},
    {"sql": "select created_at from tracks where false", "expect": {"empty": True}},
    {"sql": "select indexname from pg_indexes where tablename = 'posts'",
     "expect": {"equals": ["posts_pkey", "idx_posts_track_id"]}},
    {"sql": "select title, user_id from tracks", "expect": {"includes": [{"title": "two", "user_id": BEN}]}},
    {"sql": "select title from tracks where user_id = :who and title like '%o%'",
     "params": {"who": f"select '{ANA}'::uuid"}, "expect": {"value": "one"}},
    {"table": "tracks"},
    {"table": {"name": "public.tracks", "rls": True, "columns": ["id", "title"], "rows": "1..", "comment": "audio*"}},
    {"table": {"name": "no_such_table", "exists": False}},
    {"column": {"table": "tracks", "name": "created_at", "type": "timestamptz", "nullable": False, "default": "now()"}},
    {"column": {"table": "tracks", "name": "title", "type": "varchar(80)", "default": "none"}},
    {"column": {"table": "tracks", "name": "file_*", "nullable": True, "comment": "*deprecated*"}},
    {"column": {"table": "posts", "name": "post_type", "type": "kind"}},
    {"column": {"table": "tracks", "name": "gone", "exists": False}},
    {"index": "idx_posts_track_id"},
    {"index": {"table": "tracks", "columns": ["user_id", "created_at desc"], "where": "is_public", "unique": False}},
    {"index": {"table": "tracks", "columns": ["user_id", "created_at"]}},
    {"index": {"name": "idx_tracks_title", "table": "tracks", "columns": "lower(title)", "unique": True,
               "method": "btree", "where": "none"}},
    {"constraint": {"table": "posts", "name": "audio_posts_must_have_track", "type": "check", "validated": False,
                    "definition": "check (post_type <> 'audio' OR track_id IS NOT NULL)"}},
    {"constraint": {"table": "posts", "name": "posts_pkey", "type": "primary key"}},
    {"foreign_key": {"table": "posts", "columns": "track_id", "references": "tracks(id)", "on_delete": "set null",
                     "on_update": "no action"}},
    {"foreign_key": {"table": "posts", "columns": "track_id", "references": "posts", "exists": False}},
    {"trigger": {"table": "tracks", "name": "tracks_title", "timing": "before", "events": ["update", "insert"],
                 "level": "row", "function": "set_title"}},
    {"trigger": {"table": "tracks", "name": "tracks_off", "enabled": False, "level": "statement", "timing": "after"}},
    {"function": "set_title"},
    {"function": {"name": "shout", "args": "text, int4", "returns": "text", "language": "sql",
                  "security_definer": False}},
    {"function": {"name": "shout", "args": "", "exists": False}},
    {"policy": {"table": "tracks", "count": 4, "commands": ["select", "insert", "update", "delete"],
                "roles": "authenticated"}},
    {"policy": {"table": "tracks", "name": "own_tracks", "using": "user_id = (select auth.uid())"}},
    {"policy": {"table": "leaky", "commands": ["select", "insert", "update", "delete"], "count": 1}},
    {"policy": {"table": "tracks", "roles": "anon", "exists": False}},
    {"rls": {"user": ANA, "sees": "select 1 from tracks where user_id = auth.uid()",
             "does_not_see": "select 1 from tracks where user_id <> auth.uid()", "must_exist": True,
             "may": f"insert into tracks (user_id, title) values ('{ANA}', 'new')",
             "may_not": [f"insert into tracks (user_id, title) values ('{BEN}', 'new')",
                         f"update tracks set title = 'x' where user_id = '{BEN}'",
                         f"delete from tracks where user_id = '{BEN}'"]}},
    {"rls": {"role": "authenticated", "user": ":who", "params": {"who": f"select '{ANA}'"},
             "setup": f"insert into tracks (user_id, title) values ('{BEN}', 'made for the check')",
             "does_not_see": "select 1 from tracks where title = 'made for the check'", "must_exist": True}},
    {"rls": {"role": "anon", "does_not_see": "select 1 from tracks", "may_not": "delete from tracks"}},
    {"performance": {"sql": "select * from tracks where user_id = :who and is_public order by created_at desc",
                     "params": {"who": "select user_id from tracks limit 1"}, "max_ms": 5000, "runs": 2,
                     "uses_index": "idx_tracks_user", "no_seq_scan_on": "tracks"}},
    {"performance": {"sql": "delete from tracks where id = gen_random_uuid()", "max_ms": 5000, "runs": 1}},
    {"performance": {"sql": "select * from posts where id = 1", "uses_index": True}},
]  # fmt: skip

FAILING = [
    ({"sql": "select count(*) from posts", "expect": 4}, "3"),
    ({"sql": "select count(*) as n from posts", "expect": {"that": "n > 3"}}, "n = 3"),
    ({"sql": "select null::int as n", "expect": 0}, "NULL"),
    ({"sql": "select generate_series(1, 5000)", "expect": {"rows": "<=5"}}, "more than 1000 rows"),
    ({"sql": "select indexname from pg_indexes where tablename = 'posts'", "expect": {"equals": ["posts_pkey"]}},
     "not expected: 'idx_posts_track_id'"),
    ({"table": "no_such_table"}, "it does not exist"),
    ({"table": {"name": "posts", "rls": True}}, "row level security no"),
    ({"table": {"name": "posts", "columns": ["id", "colour"]}}, "missing: colour"),
    ({"table": {"name": "posts", "rows": "10.."}}, "3 rows"),
    ({"column": {"table": "posts", "name": "colour"}}, "it does not exist"),
    ({"column": {"table": "tracks", "name": "title", "type": "varchar(79)"}}, "character varying(80)"),
    ({"column": {"table": "tracks", "name": "id", "type": "bigint"}}, "uuid"),
    ({"column": {"table": "tracks", "name": "id", "default": "none"}}, "gen_random_uuid()"),
    ({"column": {"table": "tracks", "name": "*", "comment": "*deprecated*"}}, "title: it exists, with comment none"),
    ({"index": "idx_nowhere"}, "it does not exist"),
    ({"index": {"name": "idx_tracks_user", "columns": ["user_id", "created_at asc"], "table": "tracks"}},
     "user_id, created_at desc"),
    ({"index": {"name": "idx_tracks_user", "where": "none"}}, "where is_public"),
    ({"index": {"name": "idx_posts_track_id", "unique": True}}, "unique no"),
    ({"constraint": {"table": "posts", "name": "audio_posts_must_have_track"}}, "validated no"),
    ({"constraint": {"table": "posts", "name": "audio_posts_must_have_track", "validated": None,
                     "definition": "check (post_type = 'audio')"}}, "definition CHECK"),
    ({"foreign_key": {"table": "posts", "columns": "track_id", "references": "posts(id)"}}, "posts_track_id_fkey"),
    ({"foreign_key": {"table": "posts", "columns": "track_id", "references": "tracks", "on_delete": "cascade"}},
     "on delete set null"),
    ({"trigger": {"table": "tracks", "name": "tracks_off"}}, "enabled no"),
    ({"trigger": {"table": "tracks", "name": "tracks_title", "events": ["insert"]}}, "events insert, update"),
    ({"function": {"name": "shout", "args": "text"}}, "only with (text, integer)"),
    ({"function": {"name": "set_title", "security_definer": False}}, "security definer yes"),
    ({"policy": {"table": "tracks", "count": 5}}, "4 policies"),
    ({"policy": {"table": "posts", "count": 0}}, "row level security no"),
    ({"policy": {"table": "tracks", "name": "own_tracks", "commands": ["select", "delete"]}}, "none for delete"),
    ({"policy": {"table": "leaky", "using": "user_id = auth.uid()"}}, "everything: true"),
    ({"rls": {"user": ANA, "does_not_see": "select 1 from leaky where user_id <> auth.uid()"}}, "sees a row"),
    ({"rls": {"user": ANA, "sees": f"select 1 from tracks where user_id = '{BEN}'"}}, "sees no row"),
    ({"rls": {"role": "anon", "sees": "select 1 from leaky"}}, "is refused"),
    ({"rls": {"user": ANA, "may_not": f"update leaky set note = 'x' where user_id = '{BEN}'"}}, "touches 1 row"),
    ({"rls": {"user": ANA, "may": f"update tracks set title = 'x' where user_id = '{BEN}'"}}, "touches 0 rows"),
    ({"rls": {"user": ANA, "does_not_see": "select 1 from tracks where title = 'three'", "must_exist": True}},
     "nothing to hide"),
    ({"performance": {"sql": "select pg_sleep(0.02)", "max_ms": 1, "runs": 1}}, "ms"),
    ({"performance": {"sql": "select * from tracks where file_url = 'a'", "uses_index": True}}, "no index is used"),
    ({"performance": {"sql": "select * from tracks where file_url = 'a'", "no_seq_scan_on": "public.tracks"}},
     "sequential scan of tracks (2 rows)"),
    ({"performance": {"sql": "select * from posts where id = 1", "uses_index": "idx_posts_track_id"}},
     "index idx_posts_track_id is not used"),
]  # fmt: skip

ERRING = [
    ({"sql": "select colour from posts", "expect": 0}, 'column "colour" does not exist (SQLSTATE 42703)'),
    ({"sql": "select null::int as n", "expect": {"that": "n == 0"}}, "a value is NULL"),
    ({"sql": "select 1 as a, 2 as b", "expect": 1}, "2 columns"),
    ({"sql": "select 1 as a", "expect": {"that": "b == 1"}}, "no b, only a"),
    ({"sql": "select 1 as a", "expect": {"that": "a == before.never_taken"}}, "before.never_taken"),
    ({"sql": "select pg_sleep(5)", "expect": {"rows": 1}, "timeout": "20ms"}, "longer than 0.02 s"),
    ({"sql": "select nextval('posts_id_seq')", "expect": {"rows": 1}}, "read-only"),
    ({"sql": "insert into posts (post_type) values ('text')", "expect": {"rows": 1}}, "SQLSTATE 42601"),
    ({"sql": "select generate_series(1, 5000) as n", "expect": {"every": "n > 0"}}, "more than 1000 rows"),
    ({"sql": "select :who::int", "params": {"who": "select 1 where false"}, "expect": 1}, "returns no row"),
    ({"column": {"table": "posts", "name": "id", "type": "integre"}}, "no type named integre"),
    ({"rls": {"role": "nobody_at_all", "sees": "select 1"}}, "cannot act as nobody_at_all"),
    ({"rls": {"role": "supabase_admin", "sees": "select 1"}}, "cannot act as supabase_admin"),
    ({"rls": {"user": ANA, "may": "update nowhere set a = 1"}}, 'relation "nowhere" does not exist'),
    ({"rls": {"user": ANA, "may_not": f"insert into leaky values (1, '{ANA}', 'again')"}}, "by a constraint"),
    ({"rls": {"user": ANA, "setup": "insert into nowhere values (1)", "sees": "select 1"}}, "does not exist"),
    ({"performance": {"sql": "select * from nowhere", "max_ms": 5}}, "does not exist"),
    ({"performance": {"sql": "select pg_sleep(5)", "max_ms": 5}, "timeout": "20ms"}, "longer than 0.02 s"),
    ({"performance": {"sql": "select :a::int", "params": {"a": "select 1 where false"}, "max_ms": 5}},
     "returns no row"),
    ({"http": {"url": "https://example.test/"}}, "not set up"),
]  # fmt: skip


async def footprint(session: PsycopgSession) -> list[Any]:
    """All that a check might have left: rows, sequences, settings, role."""
    return await session.rows(
        """select (select array_agg(t order by id) from tracks t)::text as tracks,
                  (select array_agg(p order by id) from posts p)::text as posts,
                  (select array_agg(l order by id) from leaky l)::text as leaky,
                  (select last_value from posts_id_seq) as sequence, current_user::text as who,
                  current_setting('statement_timeout') as timeout, current_setting('enable_seqscan') as seqscan,
                  current_setting('transaction_read_only') as read_only,
                  nullif(current_setting('request.jwt.claims', true), '') as claims"""
    )


async def test_what_is_so_passes(session: PsycopgSession) -> None:
    before = await footprint(session)
    results = await run(session, *({"id": f"check-{number}"} | check for number, check in enumerate(PASSING)))
    assert [(result.id, result.observed) for result in results if result.verdict is not Verdict.PASSED] == []
    assert await footprint(session) == before
    assert not await session.in_transaction()


async def test_what_is_not_so_fails_and_says_what_was_seen(session: PsycopgSession) -> None:
    before = await footprint(session)
    results = await run(session, *(check for check, _ in FAILING))
    wrong = [
        (result.title, result.verdict, result.observed, seen)
        for result, (_, seen) in zip(results, FAILING, strict=True)
        if result.verdict is not Verdict.FAILED or seen not in result.observed
    ]
    assert wrong == []
    assert await footprint(session) == before


async def test_of_a_failed_rls_check_only_what_went_wrong_is_expected(session: PsycopgSession) -> None:
    leak, own = "select 1 from leaky where user_id <> auth.uid()", "select 1 from tracks where user_id = auth.uid()"
    [one] = await run(session, {"rls": {"user": ANA, "does_not_see": leak, "sees": own}})
    assert (one.expected, one.observed) == (f"authenticated does not see '{leak}'", "sees a row")
    [two] = await run(session, {"rls": {"user": ANA, "does_not_see": leak, "sees": [own, "select 1 where false"]}})
    assert own not in two.expected
    assert two.observed == f"sees 'select 1 where false': sees no row; does not see '{leak}': sees a row"


async def test_what_cannot_run_is_errored_never_passed(session: PsycopgSession) -> None:
    before = await footprint(session)
    cases = ERRING
    results = await run(session, *(check for check, _ in cases))
    wrong = [
        (result.title, result.verdict, result.observed, seen)
        for result, (_, seen) in zip(results, cases, strict=True)
        if result.verdict is not Verdict.ERRORED or seen not in result.observed
    ]
    assert wrong == []
    assert await footprint(session) == before


async def test_an_open_transaction_is_left_as_it_was(session: PsycopgSession) -> None:
    async with session.transaction():
        await session.run("insert into leaky values (3, gen_random_uuid(), 'new')")
        await session.run("set local statement_timeout = '17s'")
        before = await footprint(session)
        checks = [check for check, _ in (*FAILING, *ERRING)]
        results = await run(session, *checks, {"sql": "select count(*) from leaky", "expect": 3})
        assert results[-1].verdict is Verdict.PASSED
        assert all(result.verdict is not Verdict.PASSED for result in results[:-1])
        assert await footprint(session) == before
        await session.run("insert into leaky values (4, gen_random_uuid(), 'more')")
    assert await session.value("select count(*) from leaky") == 4


async def test_a_write_hidden_in_a_query_is_refused_and_undone(session: PsycopgSession) -> None:
    await session.run(
        "create function sneak() returns int language plpgsql as"
        " $$ begin insert into posts (post_type) values ('text'); return 1; end $$"
    )
    async with session.transaction():
        result = await one(session, {"sql": "select sneak()", "expect": 1})
        assert result.verdict is Verdict.ERRORED
        assert "read-only" in result.observed
    assert await session.value("select count(*) from posts") == 3


async def test_a_second_statement_is_never_sent(session: PsycopgSession) -> None:
    result = await one(session, {"sql": "select 1; commit; drop table leaky", "expect": 1})
    assert result.verdict is Verdict.PASSED
    assert await session.value("select count(*) from leaky") == 2


async def test_expressions_know_the_values_of_before_and_of_now(session: PsycopgSession) -> None:
    snapshot = [
        SnapshotQuery(name="posts", sql="select count(*) from posts;"),
        SnapshotQuery(name="price", sql="select 10.10::numeric"),
        SnapshotQuery(name="latest", sql="select max(created_at) from tracks"),
        SnapshotQuery(name="sample", sql="select title from tracks order by title", rows=1),
        SnapshotQuery(name="broken", sql="select id from posts"),
    ]
    before = await read_values(session, snapshot[:-1])
    assert before["posts"] == 3
    assert before["price"] == 10.1
    assert before["sample"] == [{"title": "one"}]
    await session.run("insert into posts (post_type) values ('text')")
    checks = [
        {"id": "grown", "sql": "select count(*) as n from posts", "expect": {"that": "n == before.posts + 1"}},
        {"id": "now", "sql": "select 1", "expect": {"that": "after.posts - before.posts == 1"}},
        {"id": "kept", "sql": "select max(created_at) as m from tracks", "expect": {"that": "m == before.latest"}},
        {"id": "price", "sql": "select 1", "expect": {"that": "after.price == before.price"}},
        {"id": "lost", "sql": "select 1", "expect": {"that": "after.posts == before.posts"}},
        {"id": "broken", "sql": "select 1", "expect": {"that": "after.broken == 1"}},
    ]
    results = await run(session, *checks, before=before, snapshot=snapshot)
    assert [result.verdict for result in results[:4]] == [Verdict.PASSED] * 4
    assert (results[4].verdict, results[4].observed) == (Verdict.FAILED, "after.posts = 4, before.posts = 3")
    assert (results[5].verdict, "returns 4 rows" in results[5].observed) == (Verdict.ERRORED, True)


@pytest.mark.parametrize("sql", ["select nothing from nowhere", "select id from posts", "select 1 as a, 2 as b"])
async def test_a_snapshot_query_that_gives_no_value_is_named(session: PsycopgSession, sql: str) -> None:
    with pytest.raises(InputError, match="facts") as caught:
        await read_values(session, [SnapshotQuery(name="facts", sql=sql)])
    assert caught.value.code == "runbook.snapshot_failed"


async def test_severity_and_hint_travel_with_the_result(session: PsycopgSession) -> None:
    events: list[NewEvent] = []
    check = {
        "title": "Few posts",
        "sql": "select count(*) from posts",
        "expect": 1,
        "severity": "warning",
        "hint": "ask",
    }
    result = await one(session, check, emit=events.append, phase="migration:7")
    assert (result.id, result.severity, result.hint, result.phase) == (
        "few-posts",
        Severity.WARNING,
        "ask",
        "migration:7",
    )
    [event] = events
    assert (event.severity, event.message) == (Severity.WARNING, "Few posts failed: expected 1; observed 3")


async def test_a_lost_connection_ends_the_checks(session: PsycopgSession) -> None:
    check = {"sql": "select pg_terminate_backend(pg_backend_pid())", "expect": True}
    with pytest.raises(TargetError) as caught:
        await run(session, check, check | {"id": "second"})
    assert caught.value.code == "target.connection_lost"


async def test_small_tables_are_judged_by_what_the_index_could_do(session: PsycopgSession) -> None:
    check = {
        "performance": {
            "sql": f"select * from tracks where user_id = '{ANA}'", "uses_index": "idx_tracks_user_plain",
            "no_seq_scan_on": "tracks",
        }
    }  # fmt: skip
    assert (await one(session, check)).verdict is Verdict.FAILED
    await session.run("create index idx_tracks_user_plain on tracks (user_id)")
    result = await one(session, check)
    assert (result.verdict, "the table is small" in result.observed) == (Verdict.PASSED, True)
    strict = {"performance": check["performance"] | {"small_table_rows": 1}}
    assert (await one(session, strict)).verdict is Verdict.FAILED


async def test_an_index_that_works_only_after_commit_makes_its_check_wait(session: PsycopgSession) -> None:
    check = {"performance": {"sql": "select * from tracks where file_url = 'c'", "uses_index": "idx_tracks_file"}}
    await session.run("alter table tracks add column plays int")
    async with session.transaction():
        await session.run("update tracks set plays = 1")  # leaves HOT chains that the new index must not follow
        await session.run("create index idx_tracks_file on tracks (file_url)")
        waiting = await session.value(
            "select indcheckxmin from pg_index where indexrelid = 'idx_tracks_file'::regclass"
        )
        assert waiting is True, "the case that this test is about"
        result = await one(session, check)
        assert (result.verdict, "only after COMMIT" in result.observed) == (Verdict.ERRORED, True)
        events: list[NewEvent] = []
        assert await run(session, check, may_wait=True, emit=events.append) == []
        assert [event.kind for event in events] == [EventKind.LOG]
    assert (await one(session, check)).verdict is Verdict.PASSED


@pytest.mark.parametrize(
    ("spec", "answer", "verdict", "seen"),
    [
        ({"status": [200, 204]}, HttpAnswer(status=204), Verdict.PASSED, "status 204"),
        ({}, HttpAnswer(status=401), Verdict.FAILED, "status 401"),
        ({"json": [{"path": "0.id", "equals": 7}]}, HttpAnswer(status=200, text='[{"id": 7}]'), Verdict.PASSED, "so"),
        ({"json": [{"path": "0.id", "equals": 7}]}, HttpAnswer(status=200, text='[{"id": 8}]'), Verdict.FAILED, "= 8"),
        ({"json": [{"path": "0.id"}]}, HttpAnswer(status=200, text="[]"), Verdict.FAILED, "there is no 0.id"),
        ({"json": [{"path": "secret", "exists": False}]}, HttpAnswer(status=200, text='{"secret": 1}'),
         Verdict.FAILED, "there is secret"),
        ({"json": [{"path": "a"}]}, HttpAnswer(status=200, text="<html>"), Verdict.FAILED, "not JSON"),
        ({"json": [{"path": "a"}]}, HttpAnswer(status=200, text='{"a": 1', cut=True), Verdict.ERRORED, "too long"),
        ({"contains": "ok"}, HttpAnswer(status=200, text="not well"), Verdict.FAILED, "'ok' is not in the body"),
        ({}, TargetError("no answer", code="http.unreachable"), Verdict.ERRORED, "no answer"),
    ],
)  # fmt: skip
async def test_http(
    session: PsycopgSession, spec: dict[str, Any], answer: HttpAnswer | Exception, verdict: Verdict, seen: str
) -> None:
    check = {"http": {"url": "https://example.test/rest/v1/tracks"} | spec}
    result = await one(session, check, http=Answers(answer))
    assert (result.verdict, seen in result.observed) == (verdict, True), result.observed


async def test_http_waits_for_the_commit(session: PsycopgSession) -> None:
    check = {"http": {"url": "https://example.test/"}}
    async with session.transaction():
        result = await one(session, check, http=Answers(HttpAnswer(status=200)))
        assert result.verdict is Verdict.ERRORED
        assert await run(session, check, http=Answers(HttpAnswer(status=200)), may_wait=True, emit=lambda _: None) == []


async def test_metrics(session: PsycopgSession) -> None:
    def metric(name: str, sql: str, **more: Any) -> Metric:
        return Metric.model_validate({"name": name, "help": "x", "sql": sql} | more)

    metrics = [
        metric("posts", "select count(*) from posts;"),
        metric("posts_by_type", "select post_type, count(*) as n, 5 as m from posts group by 1", labels=["post_type"],
               value="n"),
        metric("broken", "select count(*) from nowhere"),
        metric("wordy", "select 'many'"),
        metric("vague", "select 1 as a, 2 as b"),
        metric("price", "select 1.25::numeric, null::text as shop", labels=["shop"]),
    ]  # fmt: skip
    events: list[NewEvent] = []
    samples = await collect_metrics(session, metrics, emit=events.append, clock=FakeClock())
    assert samples == [("posts", {}, 3.0), ("posts_by_type", {"post_type": "text"}, 3.0), ("price", {"shop": ""}, 1.25)]
    assert [event.severity for event in events] == [Severity.WARNING] * 3
    assert ["nowhere" in events[0].message, "wordy" in events[1].message, "vague" in events[2].message] == [True] * 3


@pytest.mark.parametrize(
    ("catalog", "check"),
    [
        ("pg_description", {"table": "posts"}),
        ("pg_attrdef", {"column": {"table": "posts", "name": "id"}}),
        ("pg_am", {"index": "posts_pkey"}),
        ("pg_constraint", {"constraint": {"table": "posts", "name": "posts_pkey"}}),
        ("pg_constraint", {"foreign_key": {"table": "posts", "columns": "track_id", "references": "tracks"}}),
        ("pg_trigger", {"trigger": {"table": "tracks", "name": "tracks_title"}}),
        ("pg_language", {"function": "set_title"}),
        ("pg_policy", {"policy": {"table": "tracks"}}),
        ("leaky", {"table": {"name": "leaky", "rows": 2}}),
    ],
)
async def test_a_structural_check_that_has_to_wait_is_errored(
    database: Any, session: PsycopgSession, catalog: str, check: dict[str, Any]
) -> None:
    assert (await one(session, check)).verdict is Verdict.PASSED
    async with (
        PsycopgTarget(SecretStr(database.admin_url)).session(purpose="locker") as admin,
        admin.transaction(),
    ):
        await admin.run(f"lock table {catalog} in access exclusive mode")
        result = await one(session, check | {"timeout": "50ms"})
    assert (result.verdict, result.observed) == (Verdict.ERRORED, "it took longer than 0.05 s")


async def test_the_volume_of_the_database(session: PsycopgSession) -> None:
    def volumes(sql: str) -> Volumes:
        return Volumes.model_validate({"measure": sql, "ranges": {"small": "<3", "large": "3..100"}})

    assert await measure_volume(session, volumes("select count(*) from posts")) == ("large", 3.0)
    assert await measure_volume(session, volumes("select 1000")) == ("", 1000.0)
    for sql in ("select count(*) from nowhere", "select id from posts", "select 'many'", "select null::int"):
        with pytest.raises(InputError) as caught:
            await measure_volume(session, volumes(sql))
        assert caught.value.code == "runbook.volume_failed"
