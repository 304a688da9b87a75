"""The catalog read from a real Postgres: digests, what a backup keeps, and setting objects back where they are."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from agent.core import backups
from agent.core.catalog import CatalogObject, digest, in_place
from agent.deploy.archive import load_manifest, opened
from agent.deploy.snapshot import application_schemas, backup_catalog, read_catalog, read_objects
from agent.edges.embedded import EmbeddedPostgres
from agent.edges.object_store import FolderStore
from agent.edges.target import PsycopgTarget
from agent.ports import Session
from tests.conftest import TEMPLATE, Database
from tests.edges.backup_kit import RICH, Kit, kit
from tests.support import oracle


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


def _digests(objects: dict[str, CatalogObject]) -> dict[str, str]:
    return {name: digest(item) for name, item in objects.items()}


async def test_the_catalog_is_read_without_compiling_its_query(rich: Kit):
    """With LLVM at hand a server would take seconds for what is read in a tenth of one."""
    async with rich.target.session(purpose="test") as session:
        async with session.transaction():
            await read_catalog(session, ["app"])
            assert await session.value("SHOW jit") == "off"
        assert await session.value("SHOW jit") == "on"  # what migrations run with is the server's own


async def test_digests_are_the_same_in_the_database_and_here(rich: Kit):
    objects = await objects_of(rich)
    assert _digests(objects) == await digests_of(rich)


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


OWNER = """
DO $$ BEGIN CREATE ROLE kinds_owner NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
GRANT kinds_owner TO postgres;
"""
KINDS = (Path(__file__).parent / "kinds.sql").read_text()

IN_PLACE = {
    "schema owner": "ALTER SCHEMA app OWNER TO kinds_owner",
    "schema comment": "COMMENT ON SCHEMA app IS 'it''s \\ new'",
    "schema privileges": "GRANT USAGE ON SCHEMA app TO anon WITH GRANT OPTION",
    "table owner": "ALTER TABLE app.people OWNER TO kinds_owner",
    "table owner and privileges": "GRANT SELECT ON app.people TO anon; ALTER TABLE app.people OWNER TO kinds_owner",
    "table comment": "COMMENT ON TABLE app.people IS 'new'",
    "table privileges": "GRANT SELECT, UPDATE ON app.people TO anon; GRANT SELECT ON app.people TO PUBLIC",
    "table grant option": "GRANT SELECT ON app.people TO anon; GRANT INSERT ON app.people TO anon WITH GRANT OPTION",
    "privileges granted on": "GRANT SELECT ON app.people TO kinds_owner WITH GRANT OPTION; SET ROLE kinds_owner; "
    "GRANT SELECT ON app.people TO anon; RESET ROLE",
    "owner's privileges": "REVOKE DELETE ON app.people FROM postgres",
    "owner has none": "REVOKE ALL ON app.people FROM postgres",
    "column privileges": "GRANT SELECT (name), UPDATE (nick) ON app.people TO anon",
    "table and column privileges": "GRANT INSERT ON app.people TO anon; GRANT SELECT (name, id) ON app.people TO anon",
    "row level security": "ALTER TABLE app.people ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
    "replica identity full": "ALTER TABLE app.people REPLICA IDENTITY FULL",
    "replica identity index": "ALTER TABLE app.people REPLICA IDENTITY USING INDEX people_number_idx",
    "storage parameters": "ALTER TABLE app.people SET (fillfactor = 70, toast.autovacuum_enabled = false)",
    "unlogged": 'ALTER TABLE app."Odd ""one""" SET UNLOGGED',
    "odd names": 'COMMENT ON COLUMN app."Odd ""one"""."a b" IS \'%s\'; '
    'GRANT SELECT ("a b") ON app."Odd ""one""" TO anon',
    "column default": "ALTER TABLE app.people ALTER name SET DEFAULT 'y', ALTER nick SET DEFAULT lower('N')",
    "column without default": "ALTER TABLE app.people ALTER name DROP DEFAULT",
    "column not null": "ALTER TABLE app.people ALTER name DROP NOT NULL, ALTER nick SET NOT NULL",
    "partitioned not null": "ALTER TABLE app.log ALTER at DROP NOT NULL, ALTER what SET NOT NULL",
    "partition alone": "ALTER TABLE app.log_new ALTER what SET NOT NULL, ALTER what SET DEFAULT 'w'",
    "inherited default": 'ALTER TABLE app."Odd ""one""" ALTER "a b" SET DEFAULT 4',
    "column storage": "ALTER TABLE app.people ALTER name SET STORAGE EXTERNAL",
    "column compression": "ALTER TABLE app.people ALTER name SET COMPRESSION pglz",
    "column statistics": "ALTER TABLE app.people ALTER name SET STATISTICS 500",
    "column options": "ALTER TABLE app.people ALTER name SET (n_distinct = -0.5)",
    "column comment": "COMMENT ON COLUMN app.people.name IS 'new'; COMMENT ON COLUMN app.names.name IS 'new'",
    "identity": "ALTER TABLE app.people ALTER id SET GENERATED ALWAYS",
    "identity sequence": "ALTER TABLE app.people ALTER id SET INCREMENT 5 SET CACHE 3",
    "sequence": "ALTER SEQUENCE app.tickets AS int INCREMENT 2 MINVALUE -99 MAXVALUE 99 START 5 CACHE 4 CYCLE",
    "sequence owned": "ALTER SEQUENCE app.tickets OWNED BY app.people.nick",
    "sequence not owned": "ALTER SEQUENCE app.people_number_seq OWNED BY NONE",
    "sequence privileges": "GRANT USAGE ON SEQUENCE app.tickets TO anon; "
    "GRANT SELECT ON SEQUENCE app.people_number_seq TO anon",
    "sequence owner": "ALTER SEQUENCE app.tickets OWNER TO kinds_owner; COMMENT ON SEQUENCE app.tickets IS 'new'",
    "view query": "CREATE OR REPLACE VIEW app.names AS SELECT id, upper(name) AS name FROM app.people WHERE id > 3",
    "view options": "ALTER VIEW app.names SET (security_invoker = true, security_barrier)",
    "view default": "ALTER VIEW app.names ALTER name SET DEFAULT 'v'",
    "view owner": "ALTER VIEW app.names OWNER TO kinds_owner; GRANT SELECT ON app.names TO anon",
    "materialized view": "REFRESH MATERIALIZED VIEW app.counts WITH NO DATA; ALTER MATERIALIZED VIEW app.counts "
    "SET (fillfactor = 50); COMMENT ON MATERIALIZED VIEW app.counts IS 'new'",
    "constraint comment": "COMMENT ON CONSTRAINT people_name_check ON app.people IS 'new'; "
    "COMMENT ON CONSTRAINT email_check ON DOMAIN app.email IS 'new'",
    "index": "COMMENT ON INDEX app.people_name_idx IS 'new'; ALTER INDEX app.people_name_idx ALTER 1 SET STATISTICS 50",
    "cluster": "ALTER TABLE app.people CLUSTER ON people_number_idx",
    "trigger": "ALTER TABLE app.people DISABLE TRIGGER stamp; COMMENT ON TRIGGER stamp ON app.people IS 'new'",
    "trigger always": "ALTER TABLE app.people ENABLE ALWAYS TRIGGER stamp",
    "partitions' triggers": "ALTER TABLE app.log DISABLE TRIGGER noted",
    "partition's trigger": "ALTER TABLE app.log_new ENABLE REPLICA TRIGGER noted",
    "rule": "ALTER TABLE app.people DISABLE RULE quiet; COMMENT ON RULE quiet ON app.people IS 'new'",
    "policy": "ALTER POLICY mine ON app.people TO anon, service_role USING (id = 2); "
    "COMMENT ON POLICY mine ON app.people IS 'new'",
    "policy of another schema": "ALTER POLICY files ON storage.objects TO anon USING (true)",
    "function source": "CREATE OR REPLACE FUNCTION app.one(a int DEFAULT 1) RETURNS int LANGUAGE plpgsql STABLE STRICT "
    "COST 7 SECURITY DEFINER SET search_path = app AS $f$ BEGIN RETURN 2; END $f$",
    "function privileges": "REVOKE ALL ON FUNCTION app.one FROM PUBLIC; GRANT EXECUTE ON FUNCTION app.one TO anon",
    "function owner": "ALTER FUNCTION app.one OWNER TO kinds_owner; COMMENT ON FUNCTION app.one IS 'new'",
    "procedure": "ALTER PROCEDURE app.work SET work_mem = '1MB'; REVOKE ALL ON PROCEDURE app.work FROM PUBLIC; "
    "COMMENT ON PROCEDURE app.work IS 'new'; ALTER PROCEDURE app.work OWNER TO kinds_owner",
    "aggregate": "REVOKE ALL ON FUNCTION app.total(int) FROM PUBLIC; COMMENT ON AGGREGATE app.total(int) IS 'new'; "
    "ALTER AGGREGATE app.total(int) OWNER TO kinds_owner",
    "aggregate of all": "GRANT EXECUTE ON FUNCTION app.number() TO anon; COMMENT ON AGGREGATE app.number(*) IS 'new'; "
    "ALTER AGGREGATE app.number(*) OWNER TO kinds_owner",
    "type": "ALTER TYPE app.mood OWNER TO kinds_owner; COMMENT ON TYPE app.mood IS 'new'; "
    "REVOKE ALL ON TYPE app.mood FROM PUBLIC; GRANT USAGE ON TYPE app.span TO anon; COMMENT ON TYPE app.span IS 'new'",
    "domain": "ALTER DOMAIN app.email SET NOT NULL; ALTER DOMAIN app.email SET DEFAULT 'a@b'; "
    "COMMENT ON DOMAIN app.email IS 'new'; GRANT USAGE ON DOMAIN app.email TO anon",
    "composite type": "COMMENT ON TYPE app.place IS 'new'; COMMENT ON COLUMN app.place.lat IS 'new'; "
    "ALTER TYPE app.place OWNER TO kinds_owner",
    "operator": "COMMENT ON OPERATOR app.<+> (int, int) IS 'new'; "
    "ALTER OPERATOR app.<+> (int, int) OWNER TO kinds_owner",
    "collation": "COMMENT ON COLLATION app.plain IS 'new'; ALTER COLLATION app.plain OWNER TO kinds_owner",
    "text search": "COMMENT ON TEXT SEARCH CONFIGURATION app.search IS 'new'; "
    "ALTER TEXT SEARCH DICTIONARY app.words OWNER TO kinds_owner",
    "statistics": "ALTER STATISTICS app.people_stats SET STATISTICS 9; "
    "COMMENT ON STATISTICS app.people_stats IS 'new'; "
    "ALTER STATISTICS app.people_stats OWNER TO kinds_owner",
    "publication": "ALTER PUBLICATION news SET (publish = 'insert', publish_via_partition_root = true); "
    "COMMENT ON PUBLICATION news IS 'new'",
    "publication member": "ALTER PUBLICATION news SET TABLE app.people (id) WHERE (id > 3)",
}

BY_ADMIN = {
    "operator family": "COMMENT ON OPERATOR FAMILY app.many USING btree IS 'new'; "
    "ALTER OPERATOR CLASS app.some USING btree OWNER TO kinds_owner",
    "event trigger": "ALTER EVENT TRIGGER watching DISABLE; COMMENT ON EVENT TRIGGER watching IS 'new'",
    "cast": "COMMENT ON CAST (app.mood AS app.email) IS 'new'",
    "foreign server": "GRANT USAGE ON FOREIGN SERVER far TO anon; ALTER SERVER far OWNER TO postgres; "
    "COMMENT ON SERVER far IS 'new'; GRANT USAGE ON FOREIGN DATA WRAPPER wrap TO anon",
    "foreign table": "COMMENT ON FOREIGN TABLE app.afar IS 'new'; ALTER FOREIGN TABLE app.afar ALTER a SET DEFAULT 1, "
    "ALTER a SET NOT NULL; ALTER FOREIGN TABLE app.afar OWNER TO kinds_owner; GRANT SELECT ON app.afar TO anon",
    "conversion": "COMMENT ON CONVERSION app.convert IS 'new'",
}
OF_ADMIN = """
CREATE OPERATOR FAMILY app.many USING btree;
CREATE OPERATOR CLASS app.some FOR TYPE int USING btree FAMILY app.many AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 btint4cmp(int, int);
CREATE EVENT TRIGGER watching ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION app.watch();
CREATE CAST (app.mood AS app.email) WITH INOUT AS ASSIGNMENT;
CREATE FOREIGN DATA WRAPPER wrap;
CREATE SERVER far TYPE 'x' VERSION '1' FOREIGN DATA WRAPPER wrap OPTIONS (key 'secret');
CREATE FOREIGN TABLE app.afar (a int OPTIONS (b 'c')) SERVER far OPTIONS (d 'e');
CREATE CONVERSION app.convert FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
"""


class _Undone(Exception):  # noqa: N818 - it is no error
    """Rolls a case back."""


@pytest.fixture
async def kinds(database: Database, tmp_path: Path):
    oracle.psql(database.admin_url, OWNER)
    async with kit(database.url, FolderStore(tmp_path / "backups"), tmp_path) as made:
        await made.run(KINDS)
        yield made


def _statements(before: dict[str, CatalogObject], now: dict[str, CatalogObject]) -> list[str]:
    """What sets all objects back."""
    assert {name: item.definition for name, item in before.items()} == {
        name: item.definition for name, item in now.items()
    }
    return [one for name in before for part in in_place(before[name], now[name]) for one in part]


async def test_what_is_altered_in_place_is_set_back_in_place(kinds: Kit, subtests: pytest.Subtests):
    async with kinds.target.session(purpose="test") as session:
        await _set_back(session, IN_PLACE, subtests)


async def test_what_an_administrator_altered_is_set_back_by_one(
    kinds: Kit, database: Database, tmp_path: Path, subtests: pytest.Subtests
):
    async with PsycopgTarget(SecretStr(database.admin_url)).session(purpose="test") as session:
        await session.run_many([OF_ADMIN])
        await _set_back(session, BY_ADMIN, subtests)


async def _set_back(session: Session, cases: dict[str, str], subtests: pytest.Subtests) -> None:
    for what, change in cases.items():
        with subtests.test(what), contextlib.suppress(_Undone):
            async with session.transaction():
                before = await read_objects(session, ["app"])
                await session.run_many([change])
                changed = await read_objects(session, ["app"])
                assert _digests(changed) != _digests(before)
                for wanted, present in ((before, changed), (changed, before)):
                    await session.run("SET LOCAL search_path = ''")
                    await session.run_many(_statements(wanted, present))
                    assert _digests(await read_objects(session, ["app"])) == _digests(wanted)
                raise _Undone


async def test_every_object_can_be_dropped(kinds: Kit, subtests: pytest.Subtests):
    async with kinds.target.session(purpose="test") as session:
        async with session.transaction():
            objects = await read_objects(session, ["app"])
        mine = [item for item in objects.values() if item.drop and ("app" in item.identity or "news" in item.identity)]
        assert len({item.kind for item in mine}) > 15
        for item in mine:
            if item.identity == "column:app.log.at":
                continue  # the table is partitioned by it
            with subtests.test(item.identity), contextlib.suppress(_Undone):
                async with session.transaction():
                    await session.run("SET LOCAL search_path = ''")
                    cascade = "" if item.kind == "publication member" or "IDENTITY" in item.drop else " CASCADE"
                    await session.run_many([item.drop + cascade])
                    assert item.identity not in await read_objects(session, ["app"])
                    raise _Undone


async def test_a_dump_and_restore_gives_the_same_catalog(
    kinds: Kit, server: EmbeddedPostgres, database: Database, tmp_path: Path
):
    for what, change in IN_PLACE.items():
        if what != "sequence owned":  # its table has another owner by then
            await kinds.run(change)
    copy = f"{database.name}_copy"
    await server.create_database(copy, template=TEMPLATE)
    try:
        oracle.psql(server.admin_url(copy), oracle.dump(database.url, "--schema=app"))
        async with kit(server.url(copy), FolderStore(tmp_path / "none"), tmp_path) as other:
            assert _inside(await objects_of(other)) == _inside(await objects_of(kinds))
    finally:
        await server.drop_database(copy)


def _inside(objects: dict[str, CatalogObject]) -> dict[str, dict[str, Any]]:
    """What lies in the schema, without the OIDs."""
    without = {"classid", "objid", "objsubid"}
    return {
        name: item.model_dump(exclude=without) for name, item in objects.items() if ":app" in name or "(app" in name
    }
