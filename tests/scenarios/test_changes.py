"""What a deploy changed, what was changed beside it, and what differs from its backup."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.errors import BackupError, NotFoundError
from agent.local_agent import open_agent
from agent.settings import Settings
from tests.conftest import Database
from tests.support import oracle
from tests.support.deploying import Outcome, deploy, make_settings, write_migrations

FIRST = {
    "20260101000000_first.sql": """
CREATE TABLE public.orders (id int PRIMARY KEY, total numeric NOT NULL);
CREATE VIEW public.totals AS SELECT sum(total) AS total FROM public.orders;
CREATE VIEW public.doubled AS SELECT total * 2 AS total FROM public.totals;
CREATE TABLE public.old (id int);
"""
}
SECOND = {
    "20260102000000_second.sql": """
ALTER TABLE public.orders ADD COLUMN note text;
ALTER TABLE public.orders ALTER COLUMN total SET DEFAULT 0;
CREATE OR REPLACE VIEW public.totals AS SELECT sum(total + 1) AS total FROM public.orders;
CREATE TABLE public.new (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY);
DROP TABLE public.old;
"""
}


@pytest.fixture
async def settings(database: Database, tmp_path: Path) -> Settings:
    made = make_settings(database.url, tmp_path)
    write_migrations(tmp_path, FIRST)
    assert (await deploy(made)).state == "succeeded"
    return made


def drifts(outcome: Outcome) -> list[str]:
    return [event.message for event in outcome.of("finding") if event.data["code"] == "preflight.drift"]


async def test_a_deploy_says_what_it_changed(settings: Settings, tmp_path: Path):
    write_migrations(tmp_path, SECOND)
    outcome = await deploy(settings)
    [event] = outcome.of("changes")
    assert event.data["created"] == [
        "column:public.orders.note",
        "index:public.new_pkey",
        "relation:public.new",
        "relation:public.new_id_seq",
    ]
    assert event.data["dropped"] == ["relation:public.old"]
    assert event.data["altered"] == ["column:public.orders.total", "relation:public.totals"]
    assert event.data["counts"] == {"created": 4, "dropped": 1, "altered": 2}


async def test_a_deploy_that_failed_says_nothing(settings: Settings, tmp_path: Path):
    write_migrations(tmp_path, {"20260102000000_bad.sql": "CREATE TABLE public.new (id int); SELECT 1/0;"})
    outcome = await deploy(settings)
    assert outcome.state == "rolled_back"
    assert outcome.of("changes") == []


async def test_diff_with_the_last_backup(settings: Settings, tmp_path: Path):
    write_migrations(tmp_path, SECOND)
    outcome = await deploy(settings)
    async with open_agent(settings) as agent:
        backup, found = await agent.diff("")
        same = await agent.diff(backup.id[:-1])
    assert backup.id == outcome.deploy.backup_id
    assert same[0] == backup
    assert [one.name for one in found.created] == ["column public.orders.note", "table public.new"]
    assert [one.name for one in found.dropped] == ["table public.old"]
    default, view = found.altered
    assert [(one.what, one.before) for one in default.details] == [("default", "")]
    assert default.dependents == ("relation:public.doubled", "relation:public.totals")
    assert view.identity == "relation:public.totals"
    assert view.dependents == ("relation:public.doubled",)


async def test_diff_finds_nothing_where_nothing_is(settings: Settings):
    async with open_agent(settings) as agent:
        backup = await agent.backup(lambda _: None)
        assert (await agent.diff(backup.id))[1].none


async def test_diff_without_a_backup_or_with_a_damaged_one(database: Database, tmp_path: Path):
    async with open_agent(make_settings(database.url, tmp_path)) as agent:
        with pytest.raises(NotFoundError, match="has no backup"):
            await agent.diff("")
        backup = await agent.backup(lambda _: None)
        [stored] = (tmp_path / "state").rglob("catalog.json")
        stored.write_bytes(stored.read_bytes().replace(b"schema:public", b"schema:pvblic"))
        with pytest.raises(BackupError) as caught:
            await agent.diff(backup.id)
        assert caught.value.code == "backup.damaged"


async def test_drift_is_a_warning_of_the_next_preflight(settings: Settings, database: Database, tmp_path: Path):
    oracle.psql(database.url, "ALTER TABLE public.orders ADD COLUMN by_hand int; CREATE TABLE public.mine (id int)")
    write_migrations(tmp_path, {"20260102000000_more.sql": "CREATE TABLE public.more (id int);"})
    outcome = await deploy(settings)
    [message] = drifts(outcome)
    assert outcome.state == "succeeded"
    assert "2 created" in message
    assert "column:public.orders.by_hand, relation:public.mine" in message


async def test_what_this_deploy_left_is_no_drift(settings: Settings, tmp_path: Path):
    write_migrations(tmp_path, SECOND)
    assert drifts(await deploy(settings)) == []
    write_migrations(tmp_path, {"20260103000000_more.sql": "CREATE TABLE public.more (id int);"})
    assert drifts(await deploy(settings)) == []


async def test_drift_after_a_deploy_that_was_rolled_back(settings: Settings, database: Database, tmp_path: Path):
    write_migrations(tmp_path, {"20260102000000_bad.sql": "CREATE TABLE public.new (id int); SELECT 1/0;"})
    assert (await deploy(settings)).state == "rolled_back"
    write_migrations(tmp_path, {"20260102000000_bad.sql": "CREATE TABLE public.new (id int);"})
    oracle.psql(database.url, "COMMENT ON TABLE public.orders IS 'by hand'")
    [message] = drifts(await deploy(settings))
    assert "1 altered): relation:public.orders" in message


async def test_another_tool_that_deployed_is_no_drift(settings: Settings, database: Database, tmp_path: Path):
    """The Supabase CLI may have applied a version in between: the history tells."""
    other = "20260102000000_other.sql"
    write_migrations(tmp_path, {other: "CREATE TABLE public.other (id int);"})
    oracle.psql(
        database.url,
        "CREATE TABLE public.other (id int); "
        "INSERT INTO supabase_migrations.schema_migrations (version, name) VALUES ('20260102000000', 'other')",
    )
    write_migrations(tmp_path, {"20260103000000_more.sql": "CREATE TABLE public.more (id int);"})
    outcome = await deploy(settings)
    assert outcome.state == "succeeded"
    assert drifts(outcome) == []
