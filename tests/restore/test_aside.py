"""A backup into another database, as role `postgres`: complete, in parallel, compared; or refused, or taken back."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from agent.core.aside import Aside
from agent.core.models import BackupRecord
from agent.deploy.aside import restore_aside
from agent.edges.object_store import FolderStore
from agent.edges.pgtools import PostgresTools
from agent.edges.target import PsycopgTarget
from tests.conftest import TEMPLATE, Database
from tests.edges.backup_kit import CLOCK, RICH, Kit, kit
from tests.support.aside import run_aside
from tests.support.oracle import psql, rows, schema_dump, table_hashes

USERS = "COPY auth.users TO STDOUT"


@pytest.fixture
def other(database: Database) -> Iterator[Database]:
    """A second database, as a new Supabase project has it."""
    name = f"{database.name}_other"
    server = database.server
    run_aside(server.create_database(name, template=TEMPLATE))
    try:
        yield Database(name=name, url=server.url(name), admin_url=server.admin_url(name), server=server)
    finally:
        run_aside(server.drop_database(name))


@pytest.fixture
async def rich(database: Database, tmp_path: Path):
    async with kit(database.url, FolderStore(tmp_path / "backups"), tmp_path, lock_timeout_s=0.5) as made:
        await made.run(RICH)
        yield made


async def aside(made: Kit, record: BackupRecord, other: Database, **more: Any) -> Aside:
    return await restore_aside(
        **{
            "source": made.target,
            "target": PsycopgTarget(SecretStr(other.url)),
            "tools": PostgresTools(SecretStr(other.url)),
            "objects": made.objects,
            "backup": record,
            "options": made.options,
            "overwrite": False,
            "jobs": 2,
            "clock": CLOCK,
            "emit": made.events.append,
            **more,
        }
    )


def bring_users(source: Database, other: Database) -> None:
    """The rows of `auth.users`, which a backup holds only if it is asked to."""
    users = psql(source.admin_url, USERS)
    psql(other.admin_url, f"SET session_replication_role = replica;\nCOPY auth.users FROM STDIN;\n{users}\n\\.\n")


def whole(database: Database) -> tuple[list[str], dict[str, str]]:
    """The definition of everything, line by line (in which order rights were granted is no matter), and all rows."""
    blocks = schema_dump(database.admin_url).split("\n\n\n")
    lines = [line for block in blocks for line in (sorted(block.split("\n")) if "\nGRANT " in block else [block])]
    return lines, table_hashes(database.admin_url)


def unlike(one: Database, another: Database) -> list[str]:
    """What differs between two databases."""
    (lines, tables), (other_lines, other_tables) = whole(one), whole(another)
    rows = sorted(f"{name}: {what}" for name, what in tables.items() ^ other_tables.items() if name != "cron.job")
    return [*difflib.unified_diff(other_lines, lines, "wanted", "found", n=0, lineterm=""), *rows]


async def test_a_new_project_becomes_the_same(rich: Kit, database: Database, other: Database):
    record, _ = await rich.take()
    bring_users(database, other)
    done = await aside(rich, record, other)
    assert done.complete, done
    assert (done.tables, done.replaced) == (7, False)
    assert unlike(other, database) == []
    jobs = "SELECT jobname, schedule, command, active FROM cron.job"
    assert rows(other.admin_url, jobs) == rows(database.admin_url, jobs)
    assert rows(other.url, "SELECT nextval('public.tickets')") == [(110,)]
    phases = {event.data["phase"] for event in rich.events if event.data.get("what") == "restore"}
    assert phases == {"load", "compare"}


async def test_keys_to_users_that_are_missing_are_made_unchecked_and_named(
    rich: Kit, database: Database, other: Database
):
    record, _ = await rich.take()
    done = await aside(rich, record, other)
    assert done.unchecked_keys == ("public.profiles profiles_id_fkey",)
    assert done.left_out == ()
    bring_users(database, other)
    psql(other.url, "ALTER TABLE public.profiles VALIDATE CONSTRAINT profiles_id_fkey")
    assert unlike(other, database) == []
