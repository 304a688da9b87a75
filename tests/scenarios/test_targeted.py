"""Rung 3 on real databases: what the deploy changed comes back, and nothing else is touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.core.states import State
from tests.conftest import Database
from tests.support.deploying import Outcome, deploy, make_settings, write_migrations
from tests.support.oracle import psql, rows, schema_dump, table_hashes

APPLICATION = """
create type public.mood as enum ('calm', 'loud');
create table public.authors (id bigint generated always as identity primary key, name text not null unique);
create table public.posts (
  id bigint generated always as identity primary key,
  author_id bigint not null references public.authors,
  title text not null check (title <> ''),
  mood public.mood not null default 'calm',
  created_at timestamptz not null default now()
);
create index posts_author_idx on public.posts (author_id);
create table public.comments (
  id bigint generated always as identity primary key,
  post_id bigint not null references public.posts on delete cascade,
  body text
);
create table public.aside (id int primary key, note text);
create function public.shout(t text) returns text language sql immutable as $$ select upper(t) $$;
create view public.loud_posts as select id, public.shout(title) as title from public.posts where mood = 'loud';
create function public.touch() returns trigger language plpgsql as $$
  begin new.title := trim(new.title); return new; end $$;
create trigger touch before update on public.posts for each row execute function public.touch();
alter table public.posts enable row level security;
create policy mine on public.posts for select to authenticated using (author_id = 1);
comment on table public.posts is 'what people wrote';
grant select on public.posts to anon;
create function public.on_user() returns trigger language plpgsql security definer as
  $$ begin insert into public.authors (name) values (new.id::text); return new; end $$;
create trigger on_auth_user after insert on auth.users for each row execute function public.on_user();
insert into public.authors (name) select 'author ' || n from generate_series(1, 20) as n;
insert into public.posts (author_id, title, mood)
  select 1 + n % 20, 'post ' || n, case when n % 3 = 0 then 'loud' else 'calm' end::public.mood
  from generate_series(1, 200) as n;
insert into public.comments (post_id, body) select 1 + n % 200, 'comment ' || n from generate_series(1, 300) as n;
insert into public.aside select n, 'note ' || n from generate_series(1, 50) as n;
"""
FIRST, SECOND = "20260101000000_first.sql", "20260102000000_second.sql"
FAILS = {SECOND: "select 1 / 0;"}


@pytest.fixture
def project(database: Database, tmp_path: Path) -> tuple[Database, Path]:
    psql(database.url, APPLICATION)
    return database, tmp_path


def whole(url: str) -> tuple[str, dict[str, str]]:
    return schema_dump(url), table_hashes(url)


def rungs(outcome: Outcome) -> list[tuple[int, bool]]:
    return [(event.data["rung"], event.data["ok"]) for event in outcome.of("rung")]


def files(url: str) -> dict[str, int]:
    """Which file each table of the application lies in: another one if it was made anew or truncated."""
    return dict(
        rows(
            url,
            "select oid::regclass::text, relfilenode from pg_class "
            "where relnamespace = 'public'::regnamespace and relkind = 'r'",
        )
    )


CHANGES = {
    "a new table": "create table public.extra (id int references public.posts); insert into public.extra values (1);",
    "a new column": "alter table public.posts add column slug text; update public.posts set slug = 'p' || id;",
    "a new generated column": "alter table public.aside add column long text generated always as (note || '!') stored;",
    "a dropped column": "alter table public.posts drop column title cascade;",
    "another type": "alter table public.aside alter column note type varchar(200);",
    "rows gone": "delete from public.comments where id % 2 = 0;",
    "rows changed": "update public.posts set mood = 'loud';",
    "a truncated table": "truncate public.comments;",
    "a truncated parent": "truncate public.authors cascade;",
    "a dropped table": "drop table public.comments;",
    "a dropped parent": "drop table public.authors cascade;",
    "a renamed table": "alter table public.aside rename to elsewhere;",
    "a renamed column": "alter table public.aside rename column note to remark;",
    "an enum value": "alter type public.mood add value 'wild';",
    "another function body": "create or replace function public.shout(t text) returns text language sql immutable as "
    "$$ select lower(t) $$;",
    "another function argument": "drop view public.loud_posts; drop function public.shout(text);"
    "create function public.shout(words text) returns text language sql immutable as $$ select upper(words) $$;",
    "a dropped function": "drop function public.on_user() cascade;",
    "another policy": "alter policy mine on public.posts using (true);",
    "a dropped policy": "drop policy mine on public.posts; create policy yours on public.posts using (false);",
    "row security off": "alter table public.posts disable row level security;",
    "other grants": "revoke select on public.posts from anon; grant insert, delete on public.posts to anon;"
    "grant update (title) on public.posts to authenticated;",
    "other comments": "comment on table public.posts is 'x'; comment on column public.posts.title is 'y';"
    "comment on function public.shout(text) is 'z';",
    "defaults": "alter table public.posts alter column mood set default 'loud', alter column title set default '-';",
    "not null": "alter table public.posts alter column author_id drop not null;"
    "alter table public.comments alter column body set default ''; ",
    "a dropped constraint": "alter table public.posts drop constraint posts_title_check;",
    "a new constraint": "alter table public.aside add constraint short check (length(note) < 100) not valid;",
    "a dropped key": "alter table public.comments drop constraint comments_pkey;",
    "a dropped foreign key": "alter table public.comments drop constraint comments_post_id_fkey;",
    "another index": "drop index public.posts_author_idx; create index posts_title_idx on public.posts (title);",
    "a disabled trigger": "alter table public.posts disable trigger touch;",
    "a replaced view": "create or replace view public.loud_posts as select id, title from public.posts;",
    "a materialized view": "create materialized view public.totals as select count(*) from public.posts;",
    "a new schema": "create schema more; create table more.things (id int); insert into more.things values (1);",
    "a trigger on auth.users": "drop trigger on_auth_user on auth.users;"
    "create trigger other after update on auth.users for each row execute function public.on_user();",
    "a storage policy": "create policy pictures on storage.objects for select using (public.shout(name) = 'A');",
    "a publication": "alter publication supabase_realtime add table public.posts;",
    "default privileges": "alter default privileges in schema public revoke all on tables from anon;",
    "replica identity": "alter table public.aside replica identity full;",
    "an identity": "alter table public.aside alter column id add generated always as identity;"
    "alter table public.posts alter column id drop identity;",
    "a sequence": "alter table public.posts alter column id set increment by 5; create sequence public.counter;",
    "storage options": "alter table public.posts set (fillfactor = 70); alter table public.posts alter column title "
    "set storage external; alter table public.posts alter column title set statistics 500;",
    "everything moved": "create schema attic; alter table public.aside set schema attic; alter function "
    "public.touch() set schema attic;",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_a_change_is_undone(project, change: str) -> None:
    await undo(project, change, "per_migration")


@pytest.mark.parametrize("change", ["a truncated parent", "rows changed", "a new table", "a dropped column"])
async def test_a_change_by_single_statements_is_undone(project, change: str) -> None:
    await undo(project, CHANGES[change], "statement")


async def undo(project: tuple[Database, Path], change: str, strategy: str, *, large: int = 1 << 20) -> None:
    """Make a change, fail, and see that rung 3 alone has brought everything back."""
    database, folder = project
    write_migrations(folder, {FIRST: change, **FAILS})
    before = whole(database.admin_url)

    backup = {"min_bytes": 0, "restore_ahead_bytes": large}
    outcome = await deploy(make_settings(database.url, folder, backup=backup), strategy)

    assert outcome.state == "restored", outcome.why
    assert rungs(outcome) == [(3, True)], [event.message for kind in ("rung", "log") for event in outcome.of(kind)]
    assert whole(database.admin_url) == before


async def test_what_the_application_writes_elsewhere_stays(project) -> None:
    """Rows of tables that the deploy did not write to are not touched, nor are the tables' files."""
    database, folder = project
    change = "alter table public.posts add column slug text; delete from public.comments;"
    write_migrations(folder, {FIRST: change, **FAILS})
    before = files(database.url)

    await undo_while_written(
        project,
        "insert into public.aside values (1000, 'meanwhile');"
        "insert into public.posts (author_id, title) values (1, 'meanwhile');",
    )

    assert rows(database.url, "select count(*) from public.aside") == [(51,)]
    assert rows(database.url, "select count(*) from public.posts") == [(201,)]  # its content was not the deploy's doing
    assert rows(database.url, "select count(*) from public.comments") == [(300,)]
    after = files(database.url)
    assert {name for name in before if before[name] != after[name]} == {"comments"}


async def test_rows_that_hang_on_lost_rows_go_too(project) -> None:
    """A comment of the application on a post of the application's cannot stay when the posts are loaded again."""
    database, folder = project
    write_migrations(folder, {FIRST: "update public.posts set title = 'x' || title;", **FAILS})

    await undo_while_written(
        project,
        "with new as (insert into public.posts (author_id, title) values (1, 'meanwhile') returning id)"
        "insert into public.comments (post_id, body) select id, 'meanwhile' from new;",
    )

    assert rows(database.url, "select count(*) from public.comments where body = 'meanwhile'") == [(0,)]
    assert rows(database.url, "select count(*) from public.posts where title like 'x%'") == [(0,)]


async def test_rows_that_lost_rows_hang_on_come_back_too(project) -> None:
    """An author whom the application has deleted with all posts is needed by the posts that are loaded again."""
    database, folder = project
    write_migrations(folder, {FIRST: "update public.posts set title = 'x' || title;", **FAILS})

    await undo_while_written(
        project, "delete from public.posts where author_id = 7; delete from public.authors where id = 7;"
    )

    assert rows(database.url, "select count(*) from public.posts where author_id = 7") == [(10,)]
    assert rows(database.url, "select count(*) from public.authors") == [(20,)]
    assert rows(database.url, "select count(*) from public.posts where title like 'x%'") == [(0,)]


@pytest.mark.parametrize("change", ["rows changed", "a new column", "rows gone", "another type"])
async def test_a_large_table_is_written_anew(project, change: str) -> None:
    database, _ = project
    psql(
        database.url,
        "alter table public.posts add column likes int; alter table public.posts alter author_id set statistics 7;",
    )
    before = files(database.url)
    await undo(project, CHANGES[change] + "update public.posts set likes = 1;", "per_migration", large=0)
    after = files(database.url)
    assert before["posts"] != after["posts"]


async def test_what_the_deploy_added_is_gone_before_a_table_is_written_anew(project) -> None:
    """A column of a fixed size that would do if it stayed; of the others none does."""
    change = "alter table public.posts add column likes int; update public.posts set likes = 1, title = 'x' || title;"
    await undo(project, change, "per_migration", large=0)


async def undo_while_written(project: tuple[Database, Path], statements: str) -> None:
    """Deploy; when it has failed and nothing is undone yet, the application writes; then rung 3 brings it back."""
    database, folder = project
    states = []

    def moved(state: State) -> None:
        if state is State.ROLLING_BACK:
            psql(database.url, statements)
            states.append(state)

    outcome = await deploy(make_settings(database.url, folder), "per_migration", moved=moved)

    assert states == [State.ROLLING_BACK]
    assert outcome.state == "restored", outcome.why
    assert rungs(outcome) == [(3, True)]
