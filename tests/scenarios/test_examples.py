"""Both example projects, deployed by the agent: as they are, and with each of their faults."""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from agent import sql
from tests.support.deploying import deploy, make_settings
from tests.support.oracle import psql, rows, schema_dump, table_hashes

EXAMPLES = Path(__file__).parents[2] / "examples"
LAST_BASE = {"tracks-posts": "20250108140000", "media-gallery": "011"}
MIGRATIONS = {"tracks-posts": "supabase/migrations", "media-gallery": "scripts"}
FAULTS = sorted((fault.parent.parent.name, fault.name) for fault in EXAMPLES.glob("*/faults/*") if fault.is_dir())
ROWS = 1500
"""Enough that a missing index shows in the plans, few enough to be quick."""


def load_generator(example: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"generate_{example}", EXAMPLES / example / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def prepare(database, folder: Path, example: str) -> Any:
    """The project before the guide: base migrations, recorded as the CLI does, and content."""
    shutil.copytree(EXAMPLES / example, folder, dirs_exist_ok=True)
    psql(database.url, f"begin; {sql.load('history/create')}; commit;")
    for file in sorted((folder / MIGRATIONS[example]).glob("*.sql")):
        version = file.name.partition("_")[0]
        if version <= LAST_BASE[example]:
            psql(database.url, file.read_text())
            psql(
                database.url,
                "insert into supabase_migrations.schema_migrations (version, name) "
                f"values ('{version}', '{file.stem.partition('_')[2]}')",
            )
    load_generator(example).generate(database.url, ROWS)
    return make_settings(
        database.url,
        folder,
        migrations=folder / MIGRATIONS[example],
        runbook=folder / "supabase" / "deploy.yaml",
    )


def whole(admin_url: str) -> tuple[str, dict[str, str]]:
    return schema_dump(admin_url, without=()), table_hashes(admin_url)


@pytest.mark.parametrize("example", sorted(LAST_BASE))
@pytest.mark.parametrize("strategy", ["atomic", "per_migration"])
async def test_the_guide(database, tmp_path: Path, example: str, strategy: str) -> None:
    settings = await asyncio.to_thread(prepare, database, tmp_path, example)

    outcome = await deploy(settings, strategy)

    assert outcome.state == "succeeded", outcome.why
    verdicts = {event.data["id"]: event.data["verdict"] for event in outcome.of("check")}
    assert len(verdicts) >= 20
    assert set(verdicts.values()) == {"passed"}, {name for name, verdict in verdicts.items() if verdict != "passed"}
    assert outcome.of("metric")
    applied = rows(database.url, "select version from supabase_migrations.schema_migrations order by 1")
    assert [row[0] for row in applied][-4:] == list(outcome.deploy.versions)


@pytest.mark.parametrize("strategy", ["atomic", "per_migration"])
@pytest.mark.parametrize(("example", "fault"), FAULTS, ids=lambda value: value)
async def test_a_fault(database, tmp_path: Path, example: str, fault: str, strategy: str) -> None:
    settings = await asyncio.to_thread(prepare, database, tmp_path, example)
    overlay = EXAMPLES / example / "faults" / fault
    told = YAML(typ="safe").load((overlay / "fault.yaml").read_text())
    shutil.copytree(overlay, tmp_path, dirs_exist_ok=True)
    if (overlay / "data.sql").exists():
        await asyncio.to_thread(psql, database.url, (overlay / "data.sql").read_text())
    before = await asyncio.to_thread(whole, database.admin_url)

    outcome = await deploy(settings, strategy)

    failure = outcome.deploy.failure
    assert failure is not None, outcome.state
    for key, value in told["failure"].items():
        assert getattr(failure, key) == value, (key, outcome.why)
    assert outcome.state == told["ends"][strategy], outcome.why
    assert await asyncio.to_thread(whole, database.admin_url) == before
    assert told["hint"] in " ".join((failure.hint, *failure.runbook_hints))
