"""What lies in no schema, such as roles' settings and foreign servers, is set back; secrets are not written down."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent import sql
from agent.core.backups import OutsideObject, outside_changes
from agent.core.models import EventKind
from agent.deploy import outside
from agent.deploy.snapshot import read_catalog
from agent.edges.object_store import FolderStore
from agent.ports import Session
from tests.conftest import Database
from tests.edges.backup_kit import Kit, kit
from tests.support.deploying import deploy, make_settings, write_migrations
from tests.support.oracle import psql, rows

ADMIN = """
DROP ROLE IF EXISTS outside_one, outside_two;
CREATE EXTENSION postgres_fdw WITH SCHEMA extensions;
GRANT USAGE ON FOREIGN DATA WRAPPER postgres_fdw TO postgres;
"""
BEFORE = """
CREATE ROLE outside_one LOGIN CONNECTION LIMIT 3;
CREATE ROLE outside_two NOLOGIN;
COMMENT ON ROLE outside_one IS 'one';
GRANT outside_two TO outside_one WITH INHERIT FALSE;
ALTER ROLE outside_one SET search_path = "$user", "Odd, name", public;
ALTER ROLE outside_one SET work_mem = '8MB';
ALTER ROLE outside_one IN DATABASE {name} SET statement_timeout = 60000;
ALTER DATABASE {name} SET "DateStyle" = 'ISO, DMY';
COMMENT ON DATABASE {name} IS 'mine';
GRANT CREATE ON DATABASE {name} TO outside_two;
CREATE SERVER one TYPE 'a' VERSION '1' FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'h', port '1');
COMMENT ON SERVER one IS 'it''s one';
GRANT USAGE ON FOREIGN SERVER one TO outside_one;
CREATE USER MAPPING FOR postgres SERVER one OPTIONS (user 'me');
CREATE USER MAPPING FOR PUBLIC SERVER one;
"""
CHANGES = {
    "attributes": "ALTER ROLE outside_one NOLOGIN CREATEROLE VALID UNTIL '2030-01-01' CONNECTION LIMIT 5",
    "comment on a role": "COMMENT ON ROLE outside_one IS NULL; COMMENT ON ROLE outside_two IS 'two'",
    "a membership's options": "GRANT outside_two TO outside_one WITH INHERIT TRUE, ADMIN TRUE",
    "a membership gone": "REVOKE outside_two FROM outside_one",
    "a membership made": "GRANT outside_one TO anon",
    "a setting": "ALTER ROLE outside_one SET search_path = ''; ALTER ROLE outside_one RESET work_mem",
    "a new setting": "ALTER ROLE outside_two SET pgrst.db_schemas = 'public'",
    "a setting in the database": "ALTER ROLE outside_one IN DATABASE {name} SET statement_timeout = 1",
    "settings of the database": 'ALTER DATABASE {name} RESET "DateStyle"; ALTER DATABASE {name} SET work_mem = 64',
    "all settings": "ALTER ROLE outside_one RESET ALL",
    "the database": "COMMENT ON DATABASE {name} IS 'other'; ALTER DATABASE {name} CONNECTION LIMIT 77;"
    "REVOKE CREATE ON DATABASE {name} FROM outside_two; GRANT TEMPORARY ON DATABASE {name} TO outside_one",
    "options of a server": "ALTER SERVER one VERSION '2' OPTIONS (SET host 'x', DROP port, ADD dbname 'it''s')",
    "who may use a server": "REVOKE USAGE ON FOREIGN SERVER one FROM outside_one;"
    "GRANT USAGE ON FOREIGN SERVER one TO anon",
    "a server gone": "DROP SERVER one CASCADE",
    "a server made": "CREATE SERVER two FOREIGN DATA WRAPPER postgres_fdw;"
    "CREATE USER MAPPING FOR postgres SERVER two OPTIONS (user 'x', password 'hunter2')",
    "user mappings": "ALTER USER MAPPING FOR postgres SERVER one OPTIONS (SET user 'you');"
    "DROP USER MAPPING FOR PUBLIC SERVER one",
}


@pytest.fixture
def world(database: Database) -> Iterator[Database]:
    """A database with what the changes are made to; the roles are the whole server's, so they go again."""
    psql(database.admin_url, ADMIN)
    psql(database.url, BEFORE.format(name=database.name))
    yield database
    psql(
        database.admin_url,
        f"REVOKE ALL ON DATABASE {database.name} FROM outside_one, outside_two;"
        "DROP OWNED BY outside_one, outside_two; DROP ROLE outside_one, outside_two;",
    )


@pytest.fixture
async def made(world: Database, tmp_path: Path):
    async with kit(world.url, FolderStore(tmp_path / "backups"), tmp_path) as one:
        yield one


async def digests(session: Session) -> dict[str, str]:
    """What a deploy compares."""
    async with session.transaction():
        catalog = await read_catalog(session, ["public"])
        for row in await session.rows(sql.load("snapshot/outside"), {"others": []}):
            catalog[row["identity"]] = row["digest"]
    return catalog


async def set_back(session: Session, before: list[OutsideObject]) -> list[OutsideObject]:
    dropped, made = outside_changes(before, await outside.read_outside(session, ["public"]))
    work = [item.drop for item in reversed(dropped) if item.shared] + [item.create for item in made if item.shared]
    await session.run_transaction([statement for statement in work if statement])
    return [*dropped, *made]


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_what_was_changed_is_set_back(made: Kit, world: Database, change: str) -> None:
    async with made.target.session(purpose="test") as session:
        was, before = await digests(session), await outside.read_outside(session, ["public"])
        psql(world.url, change.format(name=world.name))
        assert await digests(session) != was
        await set_back(session, before)
        assert await digests(session) == was


async def test_a_wrapper_of_the_application_is_set_back(world: Database, tmp_path: Path) -> None:
    psql(
        world.admin_url,
        "CREATE FOREIGN DATA WRAPPER own OPTIONS (region 'eu'); CREATE SERVER far FOREIGN DATA WRAPPER own",
    )
    async with (
        kit(world.admin_url, FolderStore(tmp_path / "backups"), tmp_path) as made,
        made.target.session(purpose="test") as session,
    ):
        was, before = await digests(session), await outside.read_outside(session, ["public"])
        for change in (
            "DROP FOREIGN DATA WRAPPER own CASCADE",
            "ALTER FOREIGN DATA WRAPPER own OPTIONS (SET region 'us')",
        ):
            psql(world.admin_url, change)
            assert await digests(session) != was
            await set_back(session, before)
            assert await digests(session) == was


async def test_what_the_role_may_not_change_stays_and_the_rest_is_set_back(made: Kit, world: Database) -> None:
    async with made.target.session(purpose="test") as session:
        was, before = await digests(session), await outside.read_outside(session, ["public"])
        psql(
            world.admin_url,
            "ALTER ROLE supabase_admin SET work_mem = '9MB'; ALTER ROLE outside_one SET work_mem = '9MB'",
        )
        try:
            await set_back(session, before)
            now = await digests(session)
        finally:
            psql(world.admin_url, "ALTER ROLE supabase_admin RESET work_mem")
        assert [name for name in was | now if was.get(name) != now.get(name)] == ["settings:supabase_admin"]


SECRETS = """
ALTER ROLE outside_one SET pgrst.jwt_secret = 'hunter2';
ALTER USER MAPPING FOR postgres SERVER one OPTIONS (ADD password 'hunter2');
ALTER USER MAPPING FOR PUBLIC SERVER one OPTIONS (ADD password 'hunter2');
CREATE SERVER two FOREIGN DATA WRAPPER postgres_fdw;
"""


async def test_secrets_are_in_no_file_of_a_backup(made: Kit, world: Database, tmp_path: Path) -> None:
    psql(world.url, SECRETS)
    await made.take()
    texts = [path.read_bytes() for path in (tmp_path / "backups").rglob("*") if path.is_file()]
    assert any(b"outside_one: work_mem" in text for text in texts)
    assert not any(b"hunter2" in text for text in texts)


async def test_what_holds_a_secret_stays_as_it_is_and_a_deploy_names_it(world: Database, tmp_path: Path) -> None:
    psql(world.url, SECRETS)
    write_migrations(
        tmp_path,
        {
            "1_a.sql": "ALTER USER MAPPING FOR PUBLIC SERVER one OPTIONS (SET password 'hunter3');"
            "ALTER SERVER one OPTIONS (SET host 'elsewhere');",
            "2_b.sql": "SELECT 1 / 0;",
        },
    )
    outcome = await deploy(make_settings(world.url, tmp_path), "per_migration")
    assert outcome.state == "needs_operator"
    told = [(event.data["rung"], event.data["differences"]) for event in outcome.of(EventKind.RUNG)]
    assert told == [(rung, ["user mapping:public on one is altered"]) for rung in (3, 4)]
    assert "hunter" not in "".join(event.model_dump_json() for event in outcome.events)
    kept = "SELECT usename, umoptions FROM pg_user_mappings WHERE srvname = 'one' ORDER BY 1"
    assert rows(world.admin_url, kept) == [
        ("postgres", ["user=me", "password=hunter2"]),
        ("public", ["password=hunter3"]),
    ]
    assert rows(world.admin_url, "SELECT srvoptions FROM pg_foreign_server WHERE srvname = 'one'") == [
        (["host=h", "port=1"],)
    ]
