"""Large tables are loaded ahead of a full restore, while the application works, and moved to their place by it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from agent.core.models import EventKind
from agent.edges.pgtools import PostgresTools
from agent.errors import StatementError
from tests.conftest import Database
from tests.support import picture
from tests.support.deploying import Outcome, deploy, make_settings, write_migrations
from tests.support.oracle import psql, rows

SHOP = """
create schema "an other";
create table public.customers (
  id bigint generated always as identity primary key, name text unique, boss bigint references public.customers
);
create table public.orders (id bigserial primary key, customer bigint not null references public.customers, note text);
create table "an other".orders (
  id uuid default gen_random_uuid() constraint other_key primary key,
  "an order" bigint references public.orders on delete cascade
);
create table public.eggs (id int primary key, hen int);
create table public.hens (id int primary key, egg int not null references public.eggs);
alter table public.eggs add foreign key (hen) references public.hens;
create index orders_note on public.orders (lower(note)) where note is not null;
create index on "an other".orders using hash ("an order");
alter table public.orders enable row level security;
create policy mine on public.orders for select to authenticated using (customer = 1);
comment on column public.orders.note is 'what they said';
insert into public.customers (name, boss) select 'customer ' || i, nullif(i % 7, 0) from generate_series(1, 200) as i;
insert into public.orders (customer, note) select 1 + i % 200, 'note ' || i from generate_series(1, 1000) as i;
insert into "an other".orders ("an order") select id from public.orders;
insert into public.eggs values (1, null), (2, null);
insert into public.hens values (1, 1), (2, 1);
update public.eggs set hen = 2 where id = 2;
"""
DAMAGE = """
update public.orders set note = 'gone';
alter table public.orders drop column customer cascade;
drop table "an other".orders;
"""
LEFT = "select count(*) from pg_class where relname like 'deploy_agent_ahead%'"
COMPLAINT = "could not be loaded ahead"


async def restored(database: Database, folder: Path, *, before: str = SHOP) -> tuple[Outcome, list[str]]:
    """Deploy what does damage and fails; what is not as it was."""
    psql(database.url, before)
    write_migrations(folder, {"20260101000000_damage.sql": DAMAGE, "20260102000000_fails.sql": "select 1/0"})
    then = picture.take(database.admin_url)
    backup = {"min_bytes": 0, "restore_ahead_bytes": 0}
    settings = make_settings(database.url, folder, deploy={"targeted_restore": False}, backup=backup)
    outcome = await deploy(settings, "per_migration")
    return outcome, then.unlike(picture.take(database.admin_url))


def logs(outcome: Outcome) -> list[str]:
    return [event.message for event in outcome.of(EventKind.LOG) if "ahead" in event.message]


def before_each_load(patch: pytest.MonkeyPatch, action: Any) -> None:
    read = PostgresTools.rows

    @asynccontextmanager
    async def observed(self: PostgresTools, archive: Path, listing: str) -> AsyncIterator[tuple[str, Any]]:
        async with read(self, archive, listing) as (statement, blocks):
            action(statement.removeprefix("COPY ").partition(" (")[0])
            yield statement, blocks

    patch.setattr(PostgresTools, "rows", observed)


async def test_circles_schemas_and_keys_are_as_they_were(database: Database, tmp_path: Path) -> None:
    outcome, differences = await restored(database, tmp_path)
    assert outcome.state == "restored", outcome.why
    assert differences == []
    assert [line.partition(" in ")[0] for line in logs(outcome)] == ["5 tables loaded ahead of the restore"]
    assert rows(database.url, LEFT) == [(0,)]


async def test_the_application_works_meanwhile(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def ask(table: str) -> None:
        with psycopg.connect(database.url, options="-c lock_timeout=1ms") as application:
            seen.append((table, application.execute("update public.orders set note = 'mine' where id = 1").rowcount))
            application.rollback()

    before_each_load(monkeypatch, ask)
    outcome, differences = await restored(database, tmp_path)
    assert (outcome.state, differences) == ("restored", [])
    names = ["public.customers", "public.eggs", "public.hens", "public.orders", '"an other".orders']
    assert sorted(seen) == sorted((name, 1) for name in names)


async def test_a_name_that_is_taken_leaves_all_to_the_restore(database: Database, tmp_path: Path) -> None:
    clash = "create table public.schema_migrations (version int primary key);\n"
    outcome, differences = await restored(database, tmp_path, before=SHOP + clash)
    assert (outcome.state, differences) == ("restored", [])
    assert [COMPLAINT in line for line in logs(outcome)] == [True]
    assert rows(database.url, LEFT) == [(0,)]


async def test_a_failure_in_the_middle_leaves_all_to_the_restore(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(table: str) -> None:
        if table == "public.orders":
            raise StatementError("refused", code="target.statement_failed", sqlstate="XX000")

    before_each_load(monkeypatch, fail)
    outcome, differences = await restored(database, tmp_path)
    assert (outcome.state, differences) == ("restored", [])
    assert [COMPLAINT in line for line in logs(outcome)] == [True]
    assert rows(database.url, LEFT) == [(0,)]


async def test_a_full_disk_ends_the_restore_and_leaves_nothing(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(table: str) -> None:
        if table == "public.orders":
            raise StatementError("No space left on device", code="target.statement_failed", sqlstate="53100")

    before_each_load(monkeypatch, fill)
    outcome, _ = await restored(database, tmp_path)
    assert outcome.state == "needs_operator"
    assert "disk" in outcome.deploy.failure.detail
    assert rows(database.url, "select count(*) from public.orders where note = 'gone'") == [(1000,)]  # nothing changed
    assert rows(database.url, LEFT) == [(0,)]


async def test_what_a_killed_restore_left_goes(database: Database, tmp_path: Path) -> None:
    left = "create schema supabase_migrations; create table supabase_migrations.deploy_agent_ahead_1 (id int);"
    outcome, differences = await restored(database, tmp_path, before=SHOP + left)
    assert outcome.state == "restored", outcome.why
    assert [line for line in differences if "supabase_migrations" not in line] == []
    assert rows(database.url, LEFT) == [(0,)]


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        ("postgres", "alter default privileges grant select on tables to anon"),
        ("supabase_admin", "create publication everything for all tables"),
    ],
)
async def test_what_would_reach_others_leaves_all_to_the_restore(
    database: Database, tmp_path: Path, role: str, statement: str
) -> None:
    psql(database.url_as(role), statement)
    outcome, differences = await restored(database, tmp_path)
    assert (outcome.state, differences) == ("restored", [])
    assert logs(outcome) == []
