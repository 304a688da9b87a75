"""Rung 4 on a real database: as role `postgres`, who is no superuser."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import psycopg
import pytest

from agent.core.models import EventKind
from agent.edges.object_store import FolderStore
from agent.errors import BackupError, StatementError, TargetError
from tests.conftest import Database
from tests.edges.backup_kit import DAMAGE, RICH, Kit, kit, schema_text


@pytest.fixture
async def rich(database: Database, tmp_path: Path):
    async with kit(database.url, FolderStore(tmp_path / "backups"), tmp_path, lock_timeout_s=0.5) as made:
        await made.run(RICH)
        yield made


async def pg_dump_of(made: Kit) -> Path:
    return next(Path(path) for path in await made.tools.versions() if path.endswith("pg_dump"))


async def test_everything_is_as_it_was(rich: Kit, database: Database):
    pg_dump = await pg_dump_of(rich)
    record, before = await rich.take()
    schema = schema_text(pg_dump, database.admin_url)
    history = await rich.value("SELECT jsonb_agg(h ORDER BY version) FROM supabase_migrations.schema_migrations h")
    jobs = "SELECT jsonb_agg(jsonb_build_array(jobname, schedule, command, active) ORDER BY jobname) FROM cron.job"
    cron = await rich.value(jobs)

    await rich.run(DAMAGE)
    assert (await rich.differences(before)).all
    await rich.restore(record)

    assert (await rich.differences(before)).all == ()
    assert schema_text(pg_dump, database.admin_url) == schema
    assert history == await rich.value(
        "SELECT jsonb_agg(h ORDER BY version) FROM supabase_migrations.schema_migrations h"
    )
    assert await rich.value(jobs) == cron
    assert await rich.value("SELECT nextval('public.tickets')") == 110
    assert await rich.value("INSERT INTO public.artists (name) VALUES ('next') RETURNING id") == 21


async def test_restoring_twice_changes_nothing_more(rich: Kit):
    record, before = await rich.take()
    await rich.restore(record)
    await rich.restore(record)
    assert (await rich.differences(before)).all == ()
