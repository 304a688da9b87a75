"""The catalog read from a real Postgres: digests, what a backup keeps of it, and setting objects back where they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.core import backups
from agent.core.catalog import digest
from agent.deploy.archive import load_manifest, opened
from agent.deploy.snapshot import application_schemas, backup_catalog, read_catalog, read_objects
from agent.edges.object_store import FolderStore
from tests.conftest import Database
from tests.edges.backup_kit import RICH, Kit, kit


@pytest.fixture
async def rich(database: Database, tmp_path: Path):
    async with kit(database.url, FolderStore(tmp_path / "backups"), tmp_path, lock_timeout_s=0.5) as made:
        await made.run(RICH)
        yield made


async def objects_of(made: Kit):
    async with made.target.session(purpose="test") as session, session.transaction():
        return await read_objects(session, await application_schemas(session, ()))


async def digests_of(made: Kit):
    async with made.target.session(purpose="test") as session, session.transaction():
        return await read_catalog(session, await application_schemas(session, ()))


async def test_digests_are_the_same_in_the_database_and_here(rich: Kit):
    objects = await objects_of(rich)
    assert {name: digest(item) for name, item in objects.items()} == await digests_of(rich)


async def test_a_backup_has_the_catalog(rich: Kit):
    objects = await objects_of(rich)
    record, _ = await rich.take()
    manifest = await load_manifest(rich.objects, record)
    async with opened(rich.objects, manifest, rich.options, only=lambda name: name == backups.CATALOG) as folder:
        assert await backup_catalog(folder) == objects


async def test_what_an_object_needs_is_known_by_name(rich: Kit):
    objects = await objects_of(rich)
    assert "column:public.albums.title" in objects["relation:public.titles"].needs
    assert "relation:public.albums_id_seq" in objects["column:public.albums.id"].needs
    assert "function:public.touch()" in objects["trigger:public.profiles.touch"].needs
    assert "type:public.email" in objects["column:public.profiles.mail"].needs
    assert "relation:public.events" in objects["relation:public.events_2026"].needs
