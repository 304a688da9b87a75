"""Deploys whose backups lie in the Storage of another project, simulated."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.core.models import BackupState
from agent.edges import storage_api
from agent.local_agent import open_agent
from agent.settings import Settings
from tests.conftest import TEMPLATE, Database
from tests.simulator import Platform, keys, simulating
from tests.support.aside import run_aside
from tests.support.deploying import deploy, make_settings, write_migrations
from tests.support.oracle import psql, rows, schema_dump, table_hashes
from tests.support.storage import BUCKET, make_bucket

BASE = """
create table public.notes (id bigint generated always as identity primary key, body bytea not null);
insert into public.notes (body) select extensions.gen_random_bytes(1000) from generate_series(1, 8000);
"""
BAD = {
    "20260101000000_tags.sql": "alter table public.notes add column tag int;\nupdate public.notes set tag = id % 7;\n"
    "delete from public.notes where id > 7000;",
    "20260102000000_bad.sql": "select 1 / 0;",
}


@pytest.fixture
def platform(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    """Another project than the one that is deployed to."""
    monkeypatch.setattr(storage_api, "PAUSES_S", (0.01,) * 4)
    name = f"{database.name}_storage"
    run_aside(database.server.create_database(name, template=TEMPLATE))
    try:
        with simulating(database.server, name) as running:
            make_bucket(running)
            yield running
    finally:
        run_aside(database.server.drop_database(name))


@pytest.fixture
def settings(database: Database, platform: Platform, tmp_path: Path) -> Settings:
    psql(database.url, BASE)
    write_migrations(tmp_path, BAD)
    backup = {
        "target": f"supabase://{platform.ref}/{BUCKET}/agent",
        "storage_key": keys.secret(platform.project),
        "storage_url": platform.url,
        "min_bytes": 0,
    }
    return make_settings(database.url, tmp_path, backup=backup)


def whole(database: Database) -> tuple[str, dict[str, str]]:
    return schema_dump(database.admin_url, without=()), table_hashes(database.admin_url)


def lying(platform: Platform) -> list[str]:
    return [row[0] for row in rows(platform.project.admin_url, "select name from storage.objects order by name")]


async def test_a_failed_deploy_is_restored_from_storage_over_a_bad_line(settings, platform, database):
    """Every sixth request is cut, before or after Storage has done it."""
    before = whole(database)
    for number in range(40):
        platform.fault("storage", cut="after" if number % 2 else "before", after=5)

    outcome = await deploy(settings, "per_migration")

    assert outcome.state == "restored", outcome.why
    assert whole(database) == before
    place = f"agent/test/{outcome.deploy.backup_id}"
    assert f"{place}/manifest.json" in lying(platform)
    assert any(one.method == "PATCH" and one.status == 204 for one in platform.api_calls), "no file was large enough"
    assert any(one.method == "PATCH" and one.status == 0 for one in platform.api_calls), "no part was cut"
    assert not list((settings.state_dir / "backups").glob("*"))


async def test_backups_in_storage_are_verified_and_restored(settings, platform, database):
    before = whole(database)
    async with open_agent(settings) as agent:
        backup = await agent.backup()
        assert backup.location.startswith(f"supabase://{platform.ref}/{BUCKET}/agent/test/")
        assert (await agent.verify_backup(backup.id, restore=True)).state is BackupState.VERIFIED
        psql(database.url, "delete from public.notes")
        await agent.restore(backup.id, lambda _event: None)
    assert whole(database) == before


async def test_a_bucket_that_refuses_stops_the_deploy_before_it_begins(settings, platform, database):
    before = whole(database)
    psql(platform.project.admin_url, f"update storage.buckets set public = true where id = '{BUCKET}'")

    outcome = await deploy(settings, "per_migration")

    assert outcome.state == "aborted"
    assert "public" in outcome.why
    assert whole(database) == before
    assert lying(platform) == []
