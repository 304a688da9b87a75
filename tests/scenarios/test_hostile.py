"""Migrations that work against the agent: whatever they do, what the agent says at the end is true."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psycopg
import pytest

from agent.core.states import State
from tests.support.deploying import Outcome, deploy, make_settings, write_migrations
from tests.support.oracle import psql, rows, schema_dump, table_hashes

BASE = """
create table public.notes (id bigint generated always as identity primary key, body text not null);
insert into public.notes (body) select 'note ' || n from generate_series(1, 50) as n;
create sequence public.tickets;
select nextval('public.tickets') from generate_series(1, 20);
insert into storage.buckets (id, name) values ('old', 'old');
select vault.create_secret('old', 'old');
"""
FIRST = "20260101000000_first.sql"
LAST = {"20260201000000_last.sql": "select 1 / 0;"}
FENCE = "supabase_migrations.deploy_agent_fence"


def whole(admin_url: str) -> tuple[object, ...]:
    """All of the database, and what is in no database."""
    return (
        schema_dump(admin_url, without=()),
        table_hashes(admin_url),
        rows(admin_url, "select rolname, rolconnlimit, rolpassword from pg_authid order by 1"),
        rows(admin_url, "select setdatabase, setrole, setconfig from pg_db_role_setting order by 1, 2"),
        rows(admin_url, "select oid from pg_largeobject_metadata"),
        rows(admin_url, "select indexrelid::regclass::text from pg_index where not indisvalid"),
    )


@pytest.fixture
def project(database, tmp_path: Path):
    psql(database.url, BASE)
    return database, tmp_path


BUCKET = "do $$ begin insert into storage.buckets (id, name) values ('new', 'new'); end $$;"
OUTSIDE = {
    "storage.objects": "truncate storage.objects;",
    "auth.users": "insert into auth.users (id) values (gen_random_uuid());",
    "vault.secrets": "select vault.update_secret(id, 'hidden') from vault.secrets;",
    "net.http_request_queue": "select net.http_get('http://127.0.0.1:1/');",
    "pg_authid": "alter role hostile_member password 'secret';",
    "role:hostile_role is new": "create role hostile_role;",
    "extensions.mine": "create function extensions.mine() returns int language sql as 'select 1';",
}


@pytest.mark.parametrize("mode", ["per_migration", "statement"])
async def test_what_no_backup_holds_is_never_called_restored(project, mode: str) -> None:
    database, folder = project
    psql(database.url, "create role hostile_member")
    write_migrations(folder, {FIRST: "\n".join(OUTSIDE.values()), **LAST})
    try:
        outcome = await deploy(make_settings(database.url, folder), mode)
    finally:
        psql(database.url, "drop role if exists hostile_member, hostile_role")

    assert outcome.state == "needs_operator"
    assert outcome.deploy.failure is not None
    assert outcome.deploy.failure.sqlstate == "22012", "the first reason is kept"
    told = outcome.of("rung")[-1].data["differences"]
    assert [name for name in OUTSIDE if not any(name in line for line in told)] == []


async def test_cron_jobs_are_in_the_backup(project) -> None:
    database, folder = project
    psql(database.url, "select cron.schedule('old', '* * * * *', 'select 1')")
    changes = "select cron.schedule('new', '1 * * * *', 'select 2'), cron.schedule('old', '2 * * * *', 'select 3');"
    write_migrations(folder, {FIRST: changes, **LAST})
    before = rows(database.url, "select jobname, schedule, command from cron.job")

    outcome = await deploy(make_settings(database.url, folder), "per_migration")

    assert outcome.state == "restored", outcome.why
    assert rows(database.url, "select jobname, schedule, command from cron.job") == before


@pytest.mark.parametrize("mode", ["per_migration", "statement"])
@pytest.mark.parametrize("targeted", [True, False], ids=["targeted", "everything"])
async def test_buckets_are_in_the_backup_and_what_others_made_stays(project, mode: str, targeted: bool) -> None:
    database, folder = project
    others = "insert into storage.buckets (id, name) values ('others', 'others')"
    write_migrations(folder, {FIRST: BUCKET + "update storage.buckets set public = true where id = 'old';", **LAST})
    before = rows(database.url, "select * from storage.buckets")
    made = False

    def meanwhile(state: State) -> None:
        nonlocal made
        if state is State.ROLLING_BACK and not made:
            made = True
            psql(database.admin_url, others)

    settings = make_settings(database.url, folder, deploy={"targeted_restore": targeted})
    outcome = await deploy(settings, mode, moved=meanwhile)

    assert made
    assert outcome.state == "needs_operator"
    told = outcome.of("rung")[-1].data["differences"]
    assert told == ["storage.buckets, outside the application's schemas, was written to: 2 rows, it had 1"]
    assert rows(database.url, "select * from storage.buckets where id <> 'others'") == before
    assert rows(database.url, "select id from storage.buckets where id = 'others'") == [("others",)]


async def test_a_bucket_that_holds_files_stays(project) -> None:
    database, folder = project
    file = "insert into storage.objects (bucket_id, name) values ('new', 'a.png');"
    write_migrations(folder, {FIRST: BUCKET + "create table public.t (a int);" + file, **LAST})

    outcome = await deploy(make_settings(database.url, folder), "per_migration")

    assert outcome.state == "needs_operator"
    told = outcome.of("rung")[-1].data["differences"]
    assert [line.partition(",")[0] for line in told] == ["storage.buckets", "storage.objects"]
    files = rows(database.url, "select bucket_id from storage.objects join storage.buckets as b on b.id = bucket_id")
    assert files == [("new",)]


async def test_a_rollback_script_that_undoes_it_is_believed(project) -> None:
    database, folder = project
    write_migrations(folder, {FIRST: BUCKET, **LAST})
    (folder / "deploy.yaml").write_text(
        'version: 1\ntitle: t\nmigrations:\n  - version: "20260101000000"\n    rollback:\n      sql: |\n'
        "        set local storage.allow_delete_query = 'true';\n        delete from storage.buckets where id = 'new'\n"
    )
    before = whole(database.admin_url)

    outcome = await deploy(make_settings(database.url, folder), "per_migration")

    assert outcome.state == "rolled_back", outcome.why
    assert whole(database.admin_url) == before


HELD = {
    "fence-deleted": f"delete from {FENCE};",
    "fence-shut": f"update {FENCE} set state = 'closed';",
    "fence-dropped": f"drop table {FENCE} cascade;",
    "history-dropped": "drop schema supabase_migrations cascade;",
    "history-mute": "create rule mute as on insert to supabase_migrations.schema_migrations do instead nothing;",
}


@pytest.mark.parametrize("name", HELD)
async def test_a_file_cannot_take_the_agents_own_tables_away(project, name: str) -> None:
    database, folder = project
    write_migrations(folder, {FIRST: "delete from public.notes where id = 1;" + HELD[name], **LAST})
    before = whole(database.admin_url)

    outcome = await deploy(make_settings(database.url, folder), "per_migration")

    assert outcome.state == "rolled_back", outcome.why
    assert outcome.deploy.failure is not None
    assert outcome.deploy.failure.version == "20260101000000"
    assert whole(database.admin_url) == before


@pytest.mark.parametrize("table", ["fence", "ledger"])
async def test_nor_can_one_that_runs_statement_by_statement(project, table: str) -> None:
    database, folder = project
    text = f"begin;\ndrop table supabase_migrations.deploy_agent_{table} cascade;\ndelete from public.notes;\ncommit;\n"
    write_migrations(folder, {FIRST: text})
    before = whole(database.admin_url)

    outcome = await deploy(make_settings(database.url, folder, deploy={"lock_timeout_s": 0.2}))

    assert outcome.state == "restored", outcome.why
    assert whole(database.admin_url) == before


LEFT_BEHIND = {
    "locks": "select pg_advisory_unlock_all(); set role anon;",
    "temporary-catalog": "create temp table notes (a int); create temp table pg_class (a int);",
    "settings": "set default_transaction_read_only = on; select set_config('search_path', '', false);",
}


@pytest.mark.parametrize("name", LEFT_BEHIND)
async def test_no_file_reaches_the_next(project, name: str) -> None:
    database, folder = project
    look = """
    do $$ begin
      if not exists (select from pg_catalog.pg_locks where locktype = 'advisory' and pid = pg_backend_pid()) then
        raise 'no lock';
      end if;
    end $$;
    insert into public.notes (body) values ('x');
    """
    write_migrations(folder, {FIRST: LEFT_BEHIND[name], "20260102000000_second.sql": look, **LAST})
    before = whole(database.admin_url)

    outcome = await deploy(make_settings(database.url, folder), "per_migration")

    assert outcome.state == "restored", outcome.why
    assert outcome.deploy.failure is not None
    assert outcome.deploy.failure.version == "20260201000000", outcome.why
    assert whole(database.admin_url) == before


async def test_a_sequence_set_back_is_set_forward(project) -> None:
    database, folder = project
    write_migrations(folder, {FIRST: "select setval('public.tickets', 5);", **LAST})
    before = whole(database.admin_url)

    outcome = await deploy(make_settings(database.url, folder), "atomic")

    assert outcome.state == "rolled_back", outcome.why
    assert whole(database.admin_url) == before
    assert rows(database.url, "select nextval('public.tickets')") == [(21,)]


async def test_versions_of_somebody_else_are_not_undone(project) -> None:
    """The first file applies what `supabase db push` might have applied at the same time."""
    database, folder = project
    push = "insert into supabase_migrations.schema_migrations (version) values ('20260115000000');"
    write_migrations(folder, {FIRST: push, **LAST})

    outcome = await deploy(make_settings(database.url, folder), "per_migration")

    assert outcome.state == "needs_operator"
    assert outcome.deploy.failure is not None
    assert "20260115000000" in outcome.deploy.failure.detail
    assert len(rows(database.url, "select from supabase_migrations.schema_migrations")) == 2


async def test_a_table_without_columns(project) -> None:
    database, folder = project
    psql(database.url, "create table public.bare (); insert into public.bare default values;")
    write_migrations(folder, {FIRST: "delete from public.bare;", **LAST})

    outcome = await deploy(make_settings(database.url, folder), "per_migration")

    assert outcome.state == "restored", outcome.why
    assert rows(database.url, "select count(*) from public.bare") == [(1,)]


async def test_a_broken_snapshot_ends_the_deploy_not_the_worker(project) -> None:
    database, folder = project
    write_migrations(folder, {FIRST: "select 1;"})
    # Terminates the session that holds the snapshot, while the runbook's values are read.
    (folder / "deploy.yaml").write_text(
        "version: 1\ntitle: t\nsnapshot:\n  - name: n\n    sql: select pg_terminate_backend(pg_backend_pid())\n"
    )
    before = whole(database.admin_url)

    outcome = await deploy(make_settings(database.url, folder))

    assert outcome.state == "aborted", outcome.why
    assert whole(database.admin_url) == before


async def test_a_restore_is_proven_while_the_application_writes(project) -> None:
    """Statements that wait for the restored table run as soon as it is there, before anybody can compare."""
    database, folder = project
    write_migrations(folder, {FIRST: "delete from public.notes;", **LAST})
    settings = make_settings(database.url, folder)
    done = asyncio.Event()

    async def write() -> int:
        written = 0
        async with await psycopg.AsyncConnection.connect(database.url, autocommit=True) as application:
            while not done.is_set():
                try:
                    await application.execute("insert into public.notes (body) values ('meanwhile')")
                    written += 1
                except psycopg.errors.UndefinedTable:  # it waited for the table that the restore has replaced
                    continue
        return written

    async def run() -> Outcome:
        try:
            return await deploy(settings, "per_migration")
        finally:
            done.set()

    outcome, written = await asyncio.gather(run(), write())

    assert outcome.state == "restored", outcome.why
    assert written
    assert rows(database.url, "select count(*) from public.notes where body like 'note %'") == [(50,)]
    assert "public.notes" in outcome.of("proposal")[-1].data["tables"]


async def test_a_trigger_that_forgets_the_deploy_at_commit(project) -> None:
    database, folder = project
    write_migrations(
        folder,
        {
            FIRST: """
            create function public.forget() returns trigger language plpgsql as $$
              begin delete from supabase_migrations.schema_migrations; return null; end $$;
            create constraint trigger forget after insert on supabase_migrations.schema_migrations
              deferrable initially deferred for each row execute function public.forget();
            delete from public.notes;
            """
        },
    )
    before = whole(database.admin_url)

    outcome = await deploy(make_settings(database.url, folder), "atomic")

    assert outcome.state == "restored", outcome.why
    assert "migrate.history_lost" in outcome.why
    assert whole(database.admin_url) == before
