"""Deploys on a real Supabase-like database: what succeeds is all there, what fails leaves no trace."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psycopg
import pytest

from agent.local_agent import open_agent
from agent.report.view import deploy_view
from tests.support.deploying import deploy, make_settings, until_told, write_migrations
from tests.support.oracle import psql, rows, schema_dump, table_hashes

BASE = """
create table public.notes (id bigint generated always as identity primary key, owner uuid not null, body text not null);
alter table public.notes enable row level security;
create policy "own notes" on public.notes for select to authenticated using (owner = auth.uid());
insert into public.notes (owner, body) select gen_random_uuid(), 'note ' || n from generate_series(1, 50) as n;
"""
GOOD = {
    "20260101000000_tags.sql": "create table public.tags (id int primary key, name text not null);\n"
    "insert into public.tags values (1, 'red'), (2, '100 % blue');",
    "20260102000000_note_tags.sql": "alter table public.notes add column tag int references public.tags (id);\n"
    "update public.notes set tag = 1;",
}
BAD = {
    **GOOD,
    "20260103000000_bad.sql": "insert into public.tags values (3, 'green');\n\n"
    "-- nobody has this tag\nupdate public.notes set tag = 99;",
}


def whole(admin_url: str) -> tuple[str, dict[str, str]]:
    """Everything that must be the same again."""
    return schema_dump(admin_url, without=()), table_hashes(admin_url)


def history(url: str) -> list[str]:
    return [row[0] for row in rows(url, "select version from supabase_migrations.schema_migrations order by 1")]


@pytest.fixture
def project(database, tmp_path: Path):
    """A database with some content, and a folder for its migrations."""
    psql(database.url, BASE)
    return database, tmp_path


@pytest.mark.parametrize("strategy", ["auto", "atomic", "per_migration"])
async def test_success(project, strategy: str) -> None:
    database, folder = project
    write_migrations(folder, GOOD)

    outcome = await deploy(make_settings(database.url, folder), strategy)

    assert outcome.state == "succeeded"
    assert history(database.url) == ["20260101000000", "20260102000000"]
    assert rows(database.url, "select name from public.tags order by id") == [("red",), ("100 % blue",)]
    assert rows(database.url, "select count(*) from public.notes where tag = 1") == [(50,)]
    assert rows(database.url, "select relname from pg_class where relname like 'deploy\\_agent\\_%'") == [], (
        "the agent leaves nothing of its own"
    )


async def test_only_the_backup_stays_in_the_backups_folder(project) -> None:
    database, folder = project
    write_migrations(folder, GOOD)
    settings = make_settings(database.url, folder)

    outcome = await deploy(settings)

    backups = folder / "state" / "backups"
    assert [path.name for path in backups.iterdir()] == ["test"]
    assert [path.name for path in (backups / "test").iterdir()] == [outcome.deploy.backup_id]


async def test_nothing_to_do(project) -> None:
    database, folder = project
    write_migrations(folder, GOOD)
    settings = make_settings(database.url, folder)
    await deploy(settings)
    before = whole(database.admin_url)

    outcome = await deploy(settings)

    assert outcome.state == "succeeded"
    assert not outcome.deploy.versions
    assert whole(database.admin_url) == before


async def test_atomic_failure_is_rolled_back_whole(project) -> None:
    database, folder = project
    write_migrations(folder, BAD)
    before = whole(database.admin_url)

    outcome = await deploy(make_settings(database.url, folder), "atomic")

    assert outcome.state == "rolled_back"
    assert whole(database.admin_url) == before
    failure = outcome.deploy.failure
    assert failure is not None
    assert (failure.version, failure.statement, failure.line) == ("20260103000000", 2, 4)
    assert failure.sqlstate == "23503"
    assert outcome.of("rung")[-1].data["ok"] is True


async def test_committed_migrations_are_restored_from_the_backup(project) -> None:
    database, folder = project
    write_migrations(folder, BAD)
    before = whole(database.admin_url)

    outcome = await deploy(make_settings(database.url, folder), "per_migration")

    assert outcome.state == "restored", outcome.why
    assert whole(database.admin_url) == before
    assert [event.data["rung"] for event in outcome.of("rung")] == [3]


RUNBOOK = """
version: 1
title: Tags
snapshot:
  - name: notes
    sql: select count(*) as notes from public.notes
migrations:
  - version: "20260101000000"
    rollback:
      sql: drop table public.tags
  - version: "20260102000000"
    checks:
      - id: all-tagged
        sql: select count(*) from public.notes where tag is null
        expect: 0
    rollback:
      sql: alter table public.notes drop column tag
checks:
  - id: no-note-lost
    sql: select count(*) as notes from public.notes
    expect:
      that: notes == before.notes
    hint: Somebody deleted notes; see the application's log.
"""


async def test_rollback_scripts_come_before_the_backup(project) -> None:
    database, folder = project
    write_migrations(folder, BAD)
    (folder / "deploy.yaml").write_text(RUNBOOK)
    before = whole(database.admin_url)

    outcome = await deploy(make_settings(database.url, folder), "per_migration")

    assert outcome.state == "rolled_back", outcome.why
    assert whole(database.admin_url) == before
    assert [(event.data["rung"], event.data["ok"]) for event in outcome.of("rung")] == [(2, True)]


async def test_a_rollback_script_that_is_not_enough_is_not_believed(project) -> None:
    database, folder = project
    write_migrations(folder, BAD)
    (folder / "deploy.yaml").write_text(RUNBOOK.replace("drop column tag", "alter column tag drop not null"))
    before = whole(database.admin_url)

    outcome = await deploy(make_settings(database.url, folder), "per_migration")

    assert outcome.state == "restored", outcome.why
    assert whole(database.admin_url) == before
    assert [(event.data["rung"], event.data["ok"]) for event in outcome.of("rung")] == [(2, False), (3, True)]


async def test_a_failed_check_undoes_an_atomic_deploy(project) -> None:
    database, folder = project
    write_migrations(folder, {**GOOD, "20260104000000_lossy.sql": "delete from public.notes where id = 7;"})
    (folder / "deploy.yaml").write_text(RUNBOOK)
    before = whole(database.admin_url)

    outcome = await deploy(make_settings(database.url, folder), "atomic")

    assert outcome.state == "rolled_back", outcome.why
    assert whole(database.admin_url) == before
    failure = outcome.deploy.failure
    assert failure is not None
    assert failure.check == "no-note-lost"
    assert "see the application's log" in failure.hint


async def test_statements_outside_a_transaction(project) -> None:
    database, folder = project
    write_migrations(
        folder,
        {
            **GOOD,
            "20260105000000_index.sql": "create index concurrently notes_tag on public.notes (tag);",
            "20260106000000_own.sql": "begin;\ninsert into public.tags values (4, 'own');\ncommit;\n",
            "20260107000000_enum.sql": "create type public.mood as enum ('calm');\n"
            "alter type public.mood add value 'wild';\ncommit;\ncreate table public.m (m public.mood default 'wild');",
        },
    )

    outcome = await deploy(make_settings(database.url, folder))

    assert outcome.state == "succeeded", outcome.why
    assert len(history(database.url)) == 5
    assert rows(database.url, "select indisvalid from pg_index where indexrelid = 'public.notes_tag'::regclass") == [
        (True,)
    ]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            "create index concurrently notes_tag on public.notes (tag);\nselect 1 / 0;", id="index-then-failure"
        ),
        pytest.param("begin;\ndelete from public.notes;\ncommit;\nselect 1 / 0;", id="own-commit-then-failure"),
        pytest.param("begin;\ndelete from public.notes;\nselect 1 / 0;\ncommit;", id="failure-inside-own-transaction"),
    ],
)
async def test_a_failure_outside_a_transaction_is_never_called_clean(project, text: str) -> None:
    database, folder = project
    write_migrations(folder, {**GOOD, "20260105000000_odd.sql": text})
    before = whole(database.admin_url)

    outcome = await deploy(make_settings(database.url, folder))

    assert outcome.state == "restored", outcome.why
    assert whole(database.admin_url) == before


async def test_cancel_while_a_statement_runs(project) -> None:
    database, folder = project
    write_migrations(folder, {**GOOD, "20260108000000_slow.sql": "select pg_sleep(600);"})
    before = whole(database.admin_url)
    settings = make_settings(database.url, folder)

    async def cancel() -> None:
        async with await psycopg.AsyncConnection.connect(database.admin_url, autocommit=True) as watcher:
            while not (
                await (
                    await watcher.execute(
                        "select 1 from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()"
                    )
                ).fetchall()
            ):
                await asyncio.sleep(0.05)
        async with open_agent(settings) as agent:
            [running] = await agent.deploys(1)
            await agent.cancel(running.id, "changed my mind")

    outcome, _ = await asyncio.gather(deploy(settings, "atomic"), cancel())

    assert outcome.state == "cancelled"
    assert whole(database.admin_url) == before


async def test_a_lock_is_waited_for_and_the_file_tried_again(project) -> None:
    database, folder = project
    write_migrations(folder, GOOD)
    settings = make_settings(database.url, folder, deploy={"lock_timeout_s": 0.2, "lock_attempts": 10})
    async with await psycopg.AsyncConnection.connect(database.url) as blocker:
        await blocker.execute("lock table public.notes in access share mode")

        async def release() -> None:
            await until_told(settings, "lock_wait")
            await blocker.rollback()

        outcome, _ = await asyncio.gather(deploy(settings, "per_migration"), release())

    assert outcome.state == "succeeded", outcome.why
    assert outcome.of("lock_wait")


async def test_a_second_deploy_of_the_same_database_is_refused(project, tmp_path: Path) -> None:
    database, folder = project
    write_migrations(folder, GOOD)
    other = make_settings(database.url, folder, state_dir=tmp_path / "another-agent")
    async with await psycopg.AsyncConnection.connect(database.url, autocommit=True) as holder:
        await holder.execute("set application_name = 'deploy-agent/somebody'")
        await holder.execute("select pg_advisory_lock(x'6465706c6f796131'::bigint)")
        before = whole(database.admin_url)

        outcome = await deploy(other)

    assert outcome.state == "aborted"
    assert outcome.deploy.failure is not None
    assert outcome.deploy.failure.code == "busy.locked"
    assert "deploy-agent/somebody" in outcome.deploy.failure.message
    assert whole(database.admin_url) == before


async def test_a_secret_in_a_failing_statement_is_masked_everywhere(project) -> None:
    database, folder = project
    write_migrations(
        folder,
        {
            "20260101000000_role.sql": "do $$ begin raise notice 'as postgres://app:hunter2-notice@db/x'; end $$;\n"
            "create role hostile_tester password 'hunter2-in-sql' in role no_such_role;"
        },
    )
    settings = make_settings(database.url, folder)
    password = database.url.partition("://")[2].partition(":")[2].partition("@")[0]

    outcome = await deploy(settings, "atomic")

    assert outcome.state == "rolled_back", outcome.why
    told = outcome.deploy.model_dump_json() + "".join(event.model_dump_json() for event in outcome.events)
    assert "no_such_role" in told
    assert "hunter2" not in told
    assert password not in told


async def test_the_runbook_s_hints_come_with_failures_before_the_migrations(project) -> None:
    database, folder = project
    write_migrations(folder, GOOD)
    (folder / "deploy.yaml").write_text(
        "version: 1\ntitle: Hints\n"
        "preflight: {checks: [{id: quiet, sql: select 1, expect: 0}]}\n"
        "troubleshooting: [{issue: Somebody works here, action: Ask on the channel, when: {cause: preflight}}]\n"
    )

    outcome = await deploy(make_settings(database.url, folder))

    assert outcome.state == "aborted"
    assert outcome.deploy.failure is not None
    assert outcome.deploy.failure.runbook_hints == ("Somebody works here. Ask on the channel.",)


async def test_the_runbook_s_hints_come_with_a_database_that_cannot_be_reached(project) -> None:
    database, folder = project
    write_migrations(folder, GOOD)
    (folder / "deploy.yaml").write_text(
        "version: 1\ntitle: Hints\n"
        "troubleshooting: [{issue: The VPN is down, action: Ask on the channel, when: {cause: preflight}}]\n"
    )

    outcome = await deploy(make_settings(database.url.replace(database.name, "no_such_database"), folder))

    assert outcome.state == "aborted"
    assert outcome.deploy.failure is not None
    assert outcome.deploy.failure.code == "target.database_missing"
    assert outcome.deploy.failure.runbook_hints == ("The VPN is down. Ask on the channel.",)


@pytest.mark.parametrize(
    ("runbook", "said"),
    [
        (None, "there is no runbook, so nothing was checked"),
        ("", "the runbook has no checks, so nothing was checked"),
        ("migrations: [{version: '20250101000000', checks: [{id: old, sql: select 1, expect: 1}]}]", None),
        (
            (
                "migrations: [{version: '20260101000000', checks: [{id: a, sql: select 1, expect: 1}]}]\n"
                "checks: [{id: b, sql: select 1, expect: 1}, {id: c, sql: select 1, expect: 1}]"
            ),
            "every check passed (3)",
        ),
        (
            "checks: [{id: a, sql: select 1, expect: 1}, {id: b, sql: select 1, expect: 2, severity: warning}]",
            "1 of 2 checks passed; only warnings: b",
        ),
    ],
    ids=["no runbook", "no checks", "none for these", "all", "a warning"],
)
@pytest.mark.parametrize("strategy", ["atomic", "per_migration"])
async def test_success_says_what_was_checked(project, strategy: str, runbook: str | None, said: str | None) -> None:
    database, folder = project
    if said is None:  # a version that was applied before the runbook spoke of it
        write_migrations(folder, {"20250101000000_old.sql": "select 1;"})
        assert (await deploy(make_settings(database.url, folder))).state == "succeeded"
        said = "the runbook has no check for these migrations"
    write_migrations(folder, GOOD)
    if runbook is not None:
        (folder / "deploy.yaml").write_text(f"version: 1\ntitle: Checks\n{runbook}\n")

    outcome = await deploy(make_settings(database.url, folder), strategy)

    assert outcome.state == "succeeded", outcome.why
    assert outcome.of("state")[-1].message == said


async def test_a_migration_begins_with_the_time_that_the_runbook_expects(project) -> None:
    database, folder = project
    write_migrations(folder, GOOD)
    (folder / "deploy.yaml").write_text(
        "version: 1\ntitle: Times\n"
        "volumes: {measure: select count(*) from public.notes, ranges: {tiny: <10, small: '>=10'}}\n"
        "migrations: [{version: '20260102000000', expected: {tiny: 1s, small: 15m..25m}}]\n"
    )

    outcome = await deploy(make_settings(database.url, folder), "per_migration")

    assert outcome.state == "succeeded", outcome.why
    told = {event.data["version"]: event.data["expected"] for event in outcome.of("migration_started")}
    assert told == {"20260101000000": None, "20260102000000": {"low_s": 900, "high_s": 1500}}
    [row] = [one for one in deploy_view(outcome.deploy, outcome.events).migrations if one.index == 2]
    assert row.expected == "15 min to 25 min"


async def test_a_database_without_a_schema_of_its_own(database, tmp_path: Path) -> None:
    """Nothing is in the archive then, and not the whole database: a restore takes away what the deploy made."""
    psql(database.admin_url, "drop schema public cascade")
    settings = make_settings(database.url, tmp_path)
    write_migrations(
        tmp_path,
        {
            "20260101000000_app.sql": "create schema app; create table app.notes (id int); create schema public;",
            "20260102000000_bad.sql": "select 1 / 0;",
        },
    )
    before = whole(database.admin_url)

    outcome = await deploy(settings, "per_migration")

    assert outcome.state == "restored", outcome.why
    assert whole(database.admin_url) == before
    [backup] = (tmp_path / "state" / "backups" / "test").iterdir()
    assert [path.name for path in (backup / "application").iterdir()] == ["toc.dat"]


@pytest.mark.parametrize(
    ("strategy", "files", "hint"),
    [
        ("atomic", 2, "If another file adds the value, deploy with `--strategy per_migration`"),
        ("per_migration", 1, "can be used once it is committed: move ALTER TYPE … ADD VALUE to an earlier file"),
    ],
)
async def test_an_enum_value_that_is_used_too_early_has_a_hint(project, strategy: str, files: int, hint: str) -> None:
    """Added by dynamic SQL, which no plan can see."""
    database, folder = project
    psql(database.url, "create type public.mood as enum ('sad')")
    add = "do $$ begin execute 'alter type public.mood add value ''great'''; end $$;\n"
    use = "create table public.moods as select 'great'::public.mood as mood;\n"
    write_migrations(folder, {"1_add.sql": add, "2_use.sql": use} if files == 2 else {"1_both.sql": add + use})

    outcome = await deploy(make_settings(database.url, folder), strategy)

    assert outcome.state == "rolled_back"
    assert outcome.deploy.failure is not None
    assert outcome.deploy.failure.sqlstate == "55P04"
    assert hint in outcome.deploy.failure.hint
