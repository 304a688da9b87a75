"""Both tools on one database, in turn: neither ever finds anything to object to in what the other did."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.conftest import TEMPLATE
from tests.interop.peer import Cli
from tests.support.deploying import deploy, make_settings
from tests.support.oracle import rows

FILES = {
    "20260101000000_notes.sql": "create table public.notes (id int primary key, body text);\n"
    "-- a comment; with a semicolon\n"
    "insert into public.notes values (1, 'a;b'), (2, $$c;d$$);\n",
    "20260102000000_more.sql": "alter table public.notes add column tag text default 'x';\n",
    "20260103000000_index.sql": "create index concurrently notes_tag on public.notes (tag);\n",
    "20260104000000_own.sql": "begin;\nupdate public.notes set tag = 'y';\ncommit;\n",
    "20260105000000_empty.sql": "",
    "20260106000000_function.sql": "create function public.f() returns int language plpgsql as $f$\n"
    "begin\n  return 1; -- one\nend;\n$f$;\n-- the end",
}
BAD = {"20260107000000_bad.sql": "insert into public.notes values (3);\nselect 1 / 0;\n"}
HISTORY = "select version, name, statements from supabase_migrations.schema_migrations order by version"


def first(count: int) -> dict[str, str]:
    return dict(list(FILES.items())[:count])


@pytest.fixture
def cli(supabase_cli: Path, database, tmp_path: Path) -> Cli:
    return Cli(binary=supabase_cli, url=database.url, project=tmp_path / "project")


def settings_for(cli: Cli, tmp_path: Path):
    return make_settings(cli.url, tmp_path, migrations=cli.migrations)


def agrees(cli: Cli, *, pending: int = 0) -> None:
    """`migration list` shows folder and history as they are; `db push --dry-run` would do just the pending ones."""
    listed = cli.run("migration", "list")
    assert listed.code == 0, listed.notes
    migrations = listed.data["migrations"]
    assert sum(not one["remote"] for one in migrations) == pending
    assert all(one["local"] for one in migrations)
    dry = cli.run("db", "push", "--dry-run")
    assert dry.code == 0, dry.notes
    assert len(dry.data["migrations"]) == pending


@pytest.mark.parametrize("strategy", ["auto", "per_migration"])
async def test_after_a_deploy(cli: Cli, database, tmp_path: Path, strategy: str) -> None:
    cli.write(FILES)
    outcome = await deploy(settings_for(cli, tmp_path), strategy)
    assert outcome.state == "succeeded", outcome.why
    await asyncio.to_thread(agrees, cli)


async def test_the_history_is_what_the_cli_would_have_written(
    cli: Cli, server, database, supabase_cli: Path, tmp_path: Path
) -> None:
    cli.write(FILES)
    outcome = await deploy(settings_for(cli, tmp_path))
    assert outcome.state == "succeeded", outcome.why
    await server.create_database("pushed", template=TEMPLATE)
    try:
        peer = Cli(binary=supabase_cli, url=server.url("pushed"), project=tmp_path / "peer")
        peer.write(FILES)
        pushed = await asyncio.to_thread(peer.run, "db", "push")
        assert pushed.code == 0, pushed.notes
        assert rows(database.url, HISTORY) == rows(server.url("pushed"), HISTORY)
    finally:
        await server.drop_database("pushed")


@pytest.mark.parametrize(("strategy", "ends"), [("atomic", "rolled_back"), ("per_migration", "restored")])
async def test_after_a_failed_deploy(cli: Cli, database, tmp_path: Path, strategy: str, ends: str) -> None:
    cli.write(first(1))
    assert (await asyncio.to_thread(cli.run, "db", "push")).code == 0
    before = rows(database.url, HISTORY)
    cli.write({**first(2), **BAD})

    outcome = await deploy(settings_for(cli, tmp_path), strategy)

    assert outcome.state == ends, outcome.why
    assert rows(database.url, HISTORY) == before
    await asyncio.to_thread(agrees, cli, pending=2)
    cli.write(first(2))
    assert (await asyncio.to_thread(cli.run, "db", "push")).code == 0
    await asyncio.to_thread(agrees, cli)


async def test_in_turn(cli: Cli, database, tmp_path: Path) -> None:
    settings = settings_for(cli, tmp_path)
    for count in range(1, len(FILES) + 1):
        cli.write(first(count))
        if count % 2:
            pushed = await asyncio.to_thread(cli.run, "db", "push")
            assert pushed.code == 0, pushed.notes
        else:
            outcome = await deploy(settings)
            assert outcome.state == "succeeded", outcome.why
            assert len(outcome.deploy.versions) == 1
        await asyncio.to_thread(agrees, cli)
    nothing = await deploy(settings)
    assert nothing.state == "succeeded"
    assert not nothing.deploy.versions
