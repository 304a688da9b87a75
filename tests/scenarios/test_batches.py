"""Several files in one message: each commits, fails, waits and speaks as if it had been sent by itself."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psycopg
import pytest

from tests.support.deploying import deploy, make_settings, until_told, write_migrations
from tests.support.oracle import psql, rows

HISTORY = "select version from supabase_migrations.schema_migrations order by 1"


@pytest.fixture
def project(database, tmp_path: Path):
    psql(database.url, "create table public.notes (id int primary key); create table public.tags (id int primary key);")
    return database, tmp_path


def files(count: int, **special: str) -> dict[str, str]:
    """`count` files that each insert their number; those named `f3=…` hold something else."""
    plain = {f"f{n}": f"insert into public.notes values ({n});" for n in range(1, count + 1)}
    return {f"2026010100{int(name[1:]):04}_{name}.sql": text for name, text in (plain | special).items()}


def in_messages_of_several(outcome) -> bool:
    return any("more, in one message" in event.message for event in outcome.of("migration_started"))


@pytest.mark.parametrize("strategy", ["atomic", "per_migration"])
async def test_every_file_is_told_of_once_and_in_order(project, strategy: str) -> None:
    database, folder = project
    say = "do $$ begin raise notice 'from seven'; end $$;"
    write_migrations(folder, files(20, f7=f"select 1; {say} select 2;"))

    outcome = await deploy(make_settings(database.url, folder), strategy)

    assert outcome.state == "succeeded", outcome.why
    assert in_messages_of_several(outcome)
    order = [(e.kind, e.data["index"]) for e in outcome.events if e.kind in {"migration_started", "migration_finished"}]
    assert order == [(kind, n) for n in range(1, 21) for kind in ("migration_started", "migration_finished")]
    assert [event.data["version"] for event in outcome.of("notice")] == ["20260101000007"]
    assert len(rows(database.url, HISTORY)) == 20


@pytest.mark.parametrize("strategy", ["atomic", "per_migration"])
@pytest.mark.parametrize(
    "text",
    [
        "insert into public.tags values (1);\n-- two\nselect 1 / 0;",
        "insert into public.tags values (1);\n-- two\nselect nobody;",
        "insert into public.tags values (1);\n-- two\ndo $$ begin execute 'selekt'; end $$;",
    ],
)
async def test_the_file_that_failed_is_blamed(project, strategy: str, text: str) -> None:
    database, folder = project
    write_migrations(folder, files(20, f13=text))

    outcome = await deploy(make_settings(database.url, folder, deploy={"restore": "hold"}), strategy)

    assert in_messages_of_several(outcome)
    failure = outcome.deploy.failure
    assert failure is not None
    assert (failure.version, failure.statement, failure.line) == ("20260101000013", 2, 3)
    started, finished = (
        [event.data["index"] for event in outcome.of(f"migration_{what}")] for what in ("started", "finished")
    )
    assert started == list(range(1, 14))
    assert finished == list(range(1, 13))
    assert rows(database.url, "select count(*) from public.tags") == [(0,)]
    if strategy == "atomic":
        assert outcome.state == "rolled_back"
        assert rows(database.url, "select count(*) from public.notes") == [(0,)]
    else:
        assert outcome.state == "needs_operator"
        assert rows(database.url, "select max(id) from public.notes") == [(12,)]
        assert len(rows(database.url, HISTORY)) == 12


@pytest.mark.parametrize("strategy", ["atomic", "per_migration"])
async def test_the_file_that_shuts_the_fence_is_found(project, strategy: str) -> None:
    database, folder = project
    shut = "update supabase_migrations.deploy_agent_fence set state = 'closed';"
    write_migrations(folder, files(20, f13=shut))

    outcome = await deploy(make_settings(database.url, folder), strategy)

    failure = outcome.deploy.failure
    assert failure is not None
    assert (failure.version, failure.sqlstate) == ("20260101000013", "DA002")
    assert rows(database.url, "select count(*) from public.notes") == [(0,)]


async def test_a_lock_in_the_middle_of_a_message_is_waited_for(project) -> None:
    database, folder = project
    write_migrations(folder, files(20, f13="insert into public.tags values (1);"))
    settings = make_settings(database.url, folder, deploy={"lock_timeout_s": 0.2, "lock_attempts": 10})
    async with await psycopg.AsyncConnection.connect(database.url) as blocker:
        await blocker.execute("lock table public.tags in exclusive mode")

        async def release() -> list[tuple[str]]:
            await until_told(settings, "lock_wait", when=lambda data: data["attempt"] > 0)
            seen = rows(database.url, HISTORY)
            await blocker.rollback()
            return seen

        outcome, seen = await asyncio.gather(deploy(settings, "per_migration"), release())

    assert outcome.state == "succeeded", outcome.why
    assert len(seen) == 12  # those before it had committed
    assert len(rows(database.url, HISTORY)) == 20
    assert [event.data["index"] for event in outcome.of("migration_finished")] == list(range(1, 21))


async def test_a_setting_of_one_file_does_not_reach_how_the_next_transaction_begins(project) -> None:
    database, folder = project
    write_migrations(folder, files(20, f5="set default_transaction_read_only = on;"))

    outcome = await deploy(make_settings(database.url, folder), "per_migration")

    assert outcome.state == "succeeded", outcome.why
