"""The roles of sql/roles/: what each can do with exactly the privileges that its script gives, and what it cannot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent import sql
from agent.core.catalog import CatalogDiff
from agent.core.models import Finding, Severity
from agent.edges.embedded import EmbeddedPostgres
from agent.local_agent import open_agent
from tests.support.aside import run_aside
from tests.support.deploying import deploy, make_settings, write_migrations
from tests.support.oracle import psql, rows, schema_dump, table_hashes
from tests.support.own_server import own_server

READER, DEPLOYER, PASSWORD = "deploy_agent_reader", "deploy_agent", "of-the-test-roles"
APPLICATION = """
create table public.notes (
  id int primary key generated always as identity, body text not null, owner uuid references auth.users
);
alter table public.notes enable row level security;
create policy own on public.notes using (owner = auth.uid());
create type public.mood as enum ('good', 'bad');
create domain public.short as text check (length(value) < 9);
create function public.touch() returns trigger language plpgsql as $$ begin return new; end $$;
create trigger touch before update on public.notes for each row execute function public.touch();
create view public.titles as select id, body from public.notes;
create table public.parts (day date) partition by range (day);
create table public.parts_2026 partition of public.parts for values from ('2026-01-01') to ('2027-01-01');
create schema supabase_migrations;
create table supabase_migrations.schema_migrations (version text primary key, statements text[], name text);
create schema shop;
create table shop.items (id bigserial primary key);
insert into public.notes (body) values ('first'), ('second');
"""
DAMAGE = {
    "002_damage.sql": "create table public.made (id int); alter table public.notes drop column body cascade; "
    "create policy look on public.notes for select using (true); drop type public.mood;",
    "003_fails.sql": "select 1 / 0;",
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[EmbeddedPostgres]:
    """Of its own: roles belong to the whole server."""
    with own_server() as server:
        psql(server.url("template"), APPLICATION)
        for _ in range(2):  # may be run again
            psql(server.url("template"), "\\set schemas public,shop\n" + script("deployer"))
            psql(server.url("template"), script("reader"))
        for role in (READER, DEPLOYER):
            psql(server.url("template"), f"alter role {role} password '{PASSWORD}'")
        yield server


def script(name: str) -> str:
    return (sql.root() / "roles" / f"{name}.sql").read_text()


@pytest.fixture
def url(cluster: EmbeddedPostgres, request: pytest.FixtureRequest) -> Iterator[str]:
    """A project after both scripts, as `postgres`."""
    run_aside(cluster.create_database("project", template="template"))
    # Privileges on a database are not copied with it.
    psql(cluster.url("project"), f"grant create, temporary on database project to {DEPLOYER}")
    try:
        yield cluster.url("project")
    finally:
        run_aside(cluster.drop_database("project"))


def as_role(cluster: EmbeddedPostgres, role: str) -> str:
    return f"postgresql://{role}:{PASSWORD}@127.0.0.1:{cluster.port}/project?sslmode=disable"


def errors(findings: list[Finding]) -> list[str]:
    return [one.message for one in findings if one.severity is Severity.ERROR]


def whole(cluster: EmbeddedPostgres) -> tuple[str, dict[str, str]]:
    return schema_dump(cluster.admin_url("project")), table_hashes(cluster.admin_url("project"))


async def test_the_reader_backs_up_verifies_and_compares(cluster, url: str, tmp_path: Path) -> None:
    before = whole(cluster)
    write_migrations(tmp_path, {"001_more.sql": "alter table public.notes add column x int;"})
    async with open_agent(make_settings(as_role(cluster, READER), tmp_path)) as agent:
        taken = await agent.backup()
        restored = await agent.verify_backup(taken.id, restore=True)
        assert restored.state == "verified"
        assert (await agent.diff(taken.id))[1] == CatalogDiff()
        # Why it deploys nothing is told before anything is tried.
        said = errors(await agent.doctor())
    assert any("read-only by default" in one for one in said)
    assert f"role {READER} is not the owner of table public.notes, which belongs to {DEPLOYER}" in said
    assert f"role {READER} lacks CREATE on schema supabase_migrations" in said
    outcome = await deploy(make_settings(as_role(cluster, READER), tmp_path))
    assert outcome.state == "aborted"
    assert whole(cluster) == before


def test_the_reader_changes_nothing(cluster, url: str) -> None:
    for statement in (
        "delete from public.notes",
        "create table public.x ()",
        "create temporary table x ()",
        "set default_transaction_read_only = off; insert into public.notes (body) values ('x')",
        "set default_transaction_read_only = off; create schema x",
        "set role postgres",
        "alter role postgres password 'x'",
    ):
        with pytest.raises(AssertionError, match=r"read-only|permission denied|must be"):
            psql(as_role(cluster, READER), statement)


async def test_the_deployer_deploys_and_the_api_sees_it(cluster, url: str, tmp_path: Path) -> None:
    write_migrations(
        tmp_path,
        {
            "001_more.sql": "create table public.tags (id int, author uuid references auth.users);"
            "alter table public.notes add column tag int; alter type public.mood add value 'fair';"
            "create schema blog; create table blog.posts (id int); alter table shop.items add column name text;"
            "create trigger touched after insert on auth.users for each row execute function public.touch();"
        },
    )
    settings = make_settings(as_role(cluster, DEPLOYER), tmp_path)
    async with open_agent(settings) as agent:
        assert errors(await agent.doctor()) == []
    outcome = await deploy(settings)
    assert outcome.state == "succeeded", outcome.why
    for role in ("anon", "authenticated", "service_role"):
        assert rows(url, f"select has_table_privilege('{role}', 'public.tags', 'select, insert')") == [(True,)]
    # `postgres` can do what it could: the dashboard and the Supabase CLI work on.
    psql(url, "alter table public.tags add column x int; drop table public.notes cascade; drop schema blog cascade")


@pytest.mark.parametrize("targeted", [True, False])
async def test_the_deployer_restores_once_it_may_silence_triggers(cluster, url: str, tmp_path: Path, targeted) -> None:
    before = whole(cluster)
    write_migrations(tmp_path, DAMAGE)
    settings = make_settings(as_role(cluster, DEPLOYER), tmp_path, deploy={"targeted_restore": targeted})
    psql(cluster.admin_url("project"), f"grant set on parameter session_replication_role to {DEPLOYER}")
    try:
        outcome = await deploy(settings, "per_migration")
    finally:
        psql(cluster.admin_url("project"), f"revoke set on parameter session_replication_role from {DEPLOYER}")
    assert outcome.state == "restored", outcome.why
    assert whole(cluster) == before


async def test_without_that_it_says_so_before_and_undoes_one_transaction(cluster, url: str, tmp_path: Path) -> None:
    """What `postgres` cannot pass on: on hosted Supabase a restore from a backup needs `postgres` itself."""
    before = whole(cluster)
    psql(url, f"grant set on parameter session_replication_role to {DEPLOYER}")  # a warning, and nothing is granted
    with pytest.raises(AssertionError, match="permission denied to grant role"):
        psql(url, f"grant postgres to {DEPLOYER}")
    write_migrations(tmp_path, DAMAGE)
    outcome = await deploy(make_settings(as_role(cluster, DEPLOYER), tmp_path), "atomic")
    [warned] = [one for one in outcome.of("finding") if one.data["code"] == "preflight.replication_role"]
    assert "no restore from a backup can run as this role" in warned.message
    assert outcome.state == "rolled_back"
    assert whole(cluster) == before


def test_the_deployer_is_less_than_postgres(cluster, url: str) -> None:
    for statement in (
        "create role x",
        "set role supabase_admin",
        "set role postgres",
        "create policy x on storage.objects using (true)",
        "delete from auth.users",
        "alter table auth.users add column x int",
        "drop database template",
        "create extension dblink; select dblink_connect('dbname=project')",
    ):
        with pytest.raises(AssertionError, match=r"permission denied|must be|[Oo]nly roles|password"):
            psql(as_role(cluster, DEPLOYER), statement)
