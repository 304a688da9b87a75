"""What a deploy notes about its own writes: tables and transaction ids."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest

from agent.bootstrap import open_deps
from agent.deploy.salvage import deploy_wrote
from tests.support.deploying import deploy, make_settings, write_migrations
from tests.support.oracle import psql, rows

TABLES = """
create table public.a (id int primary key, v text);
create table public.b (id int primary key, v text);
create table public.c (id int primary key, v text);
create table public.child (id int primary key, a int references public.a on delete cascade);
create table public.parted (id int, v text) partition by range (id);
create table public.parted_1 partition of public.parted for values from (0) to (10);
create table public.parted_2 partition of public.parted for values from (10) to (20);
insert into public.a values (1, 'x'), (2, 'y');
insert into public.b select * from public.a;
insert into public.child values (1, 1), (2, 2);
"""


@pytest.fixture
def project(database: Any, tmp_path: Path) -> tuple[Any, Path]:
    psql(database.url, TABLES)
    return database, tmp_path


async def wrote(database: Any, folder: Path, text: str) -> set[str] | None:
    """Run a migration and one that fails; the names of the tables that the deploy says it wrote to."""
    write_migrations(folder, {"20260101000000_first.sql": text, "20260102000000_fails.sql": "select 1/0"})
    settings = make_settings(database.url, folder, deploy={"restore": "hold"})
    outcome = await deploy(settings, "per_migration")
    assert outcome.state == "needs_operator", outcome.why
    async with open_deps(settings) as deps, deps.target.session(purpose="test") as session:
        found = await deploy_wrote(session, outcome.deploy.id)
    names = dict(rows(database.url, "select oid::int, relname from pg_class"))
    return None if found is None else {names[oid] for oid in found}


@pytest.mark.parametrize(
    ("text", "tables"),
    [
        ("create index on public.a (v); create view public.all_a as select * from public.a", set()),
        ("alter table public.a add column w text default 'w'", set()),
        ("create policy own on public.a using (true); comment on table public.b is 'b'", set()),
        ("insert into public.a values (3, 'z')", {"a"}),
        ("update public.b set v = v", {"b"}),
        ("delete from public.a where id = 2", {"a", "child"}),
        ("truncate public.b", {"b"}),
        ("alter table public.c alter column id type bigint", {"c"}),
        ("do $$ begin insert into public.c values (1); exception when unique_violation then null; end $$", {"c"}),
        ("begin; insert into public.a values (3); rollback; select 1", {"a"}),
        ("insert into public.parted values (11)", {"parted", "parted_2"}),
        ("create index concurrently on public.a (v); update public.b set v = v", {"b"}),
        ("create index concurrently on public.a (v); alter table public.c alter column id type bigint", {"c"}),
        ("create index concurrently on public.a (v)", set()),
        ("create table public.made as select * from public.a", set()),
        ("create index concurrently on public.a (v); do $$ begin update public.b set v = v; commit; end $$", None),
    ],
)
async def test_the_written_tables_are_known(project: Any, text: str, tables: set[str] | None) -> None:
    database, folder = project
    assert await wrote(database, folder, text) == tables


async def test_a_deferred_trigger_may_write_anywhere(project: Any) -> None:
    database, folder = project
    psql(
        database.url,
        """
        create function public.copied() returns trigger language plpgsql as
        $$ begin insert into public.c values (new.id); return null; end $$;
        create constraint trigger late after insert on public.a deferrable initially deferred
        for each row execute function public.copied()
        """,
    )
    assert await wrote(database, folder, "insert into public.a values (3)") is None


async def test_the_deploys_own_ids_are_known_even_in_subtransactions(quiet_database: Any, tmp_path: Path) -> None:
    """Rows written under a savepoint carry an id of their own."""
    psql(quiet_database.url, TABLES)
    text = """
    insert into public.c values (1, 'plain');
    do $$ begin
      for i in 2..4 loop
        begin insert into public.c values (i, 'inner'); exception when others then null; end;
      end loop;
    end $$"""
    await wrote(quiet_database, tmp_path, text)
    ids = rows(
        quiet_database.url,
        """select c.id, exists (
             select from supabase_migrations.deploy_agent_file as f
             where c.xmin::text::bigint <@ f.own_ids) as own from public.c as c order by id""",
    )
    assert ids == [(1, True), (2, True), (3, True), (4, True)]


@pytest.mark.parametrize("inner", [True, False])
async def test_what_others_write_meanwhile_is_not_taken_for_the_deploys(project: Any, inner: bool) -> None:
    """The migration itself lets another session commit between its own writes."""
    database, folder = project
    psql(database.admin_url, "create extension if not exists dblink with schema extensions")
    connection = psycopg.conninfo.make_conninfo(database.admin_url)
    body = f"""
      insert into public.c values (1, 'deploy');
      perform extensions.dblink_exec({connection!r}, 'insert into public.c values (2, ''other'')');
      {"begin insert into public.c values (3, 'inner'); exception when others then null; end;" if inner else ""}
    """
    await wrote(database, folder, f"do $$ begin {body} end $$")
    kinds = dict(
        rows(
            database.url,
            """select c.v, case when bool_or(c.xmin::text::bigint <@ f.own_ids) then 'own'
                 when bool_or(c.xmin::text::bigint <@ f.unsure_ids) then 'unsure' else 'other' end
               from public.c as c cross join supabase_migrations.deploy_agent_file as f group by c.v""",
        )
    )
    assert kinds == (
        {"deploy": "own", "other": "unsure", "inner": "unsure"} if inner else {"deploy": "own", "other": "other"}
    )
