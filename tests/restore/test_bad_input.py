"""All that can be wrong with a restore, through the real command line: one coded error, the database as it was."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pyrage
import pytest

from agent.core import backups as core
from agent.core.states import EXIT_CODES, State
from agent.local_agent import open_agent
from tests.conftest import Database
from tests.restore.waiting import LOCK, until_it_waits
from tests.scenarios.test_bad_input import Ended, Project, fingerprint, private_disk
from tests.support.deploying import make_settings
from tests.support.oracle import psql

MINE = """
CREATE TABLE public.authors (id int PRIMARY KEY, name text);
CREATE TABLE public.books (id int PRIMARY KEY, author int REFERENCES public.authors (id), body text);
INSERT INTO public.authors SELECT n, 'author ' || n FROM generate_series(1, 50) n;
INSERT INTO public.books SELECT n, 1 + n % 50, repeat(md5(n::text), 20) FROM generate_series(1, 2000) n;
"""
SINCE = "DROP TABLE public.books; UPDATE public.authors SET name = 'nobody'; CREATE TABLE public.later (id int)"
THERE = "CREATE TABLE public.there (id int PRIMARY KEY); INSERT INTO public.there VALUES (1)"


@dataclass(kw_only=True)
class Case:
    """A project with a backup, its database changed since, and another database."""

    project: Project
    database: Database
    other: Database
    id: str
    way: str

    @property
    def files(self) -> Path:
        """The folder of the backup."""
        return self.project.folder / "backups" / "test" / self.id

    @property
    def aim(self) -> Database:
        """The database that is restored into."""
        return self.database if self.way == "in place" else self.other

    async def restore(self) -> Ended:
        arguments = ["restore", self.id, "--yes"]
        if self.way != "in place":
            url = self.project.folder / "url"
            url.write_text(self.other.url)
            arguments += ["--to-file", str(url)]
        if self.way == "over":
            arguments.append("--overwrite")
        return await self.project(*arguments)

    async def refused(self, exit_code: int, code: str) -> str:
        """The restore ends so, and both databases are what they were."""
        before = await fingerprint(self.database), await fingerprint(self.other)
        message = (await self.restore()).check(exit_code, code)
        assert (await fingerprint(self.database), await fingerprint(self.other)) == before
        return message

    def largest(self) -> Path:
        return max((self.files / core.APPLICATION).iterdir(), key=lambda path: path.stat().st_size)

    def rewrite_manifest(self, **changes: Any) -> None:
        """With a checksum that fits: what another agent could have written."""
        path = self.files / core.MANIFEST
        manifest = core.unseal(path.read_bytes(), where="test")
        path.write_bytes(core.seal(manifest.model_copy(update=changes)))


async def back_up(project: Project) -> str:
    """Not through the command line, which has tests of its own: that would take a second more a test."""
    settings = make_settings(
        project.url, project.folder, backup=project.settings["backup"], state_dir=project.folder / ".deploy-agent"
    )
    async with open_agent(settings) as agent:
        return (await agent.backup()).id


@pytest.fixture(params=["in place", "aside", "over"])
async def case(request: pytest.FixtureRequest, database: Database, other: Database, tmp_path: Path) -> Case:
    psql(database.url, MINE)
    backups = tmp_path / "backups"
    project = Project(
        folder=tmp_path, url=database.url, settings={"backup": {"min_bytes": 0, "target": f"file://{backups}"}}
    )
    project.write({})
    made = Case(project=project, database=database, other=other, id=await back_up(project), way=request.param)
    psql(database.url, SINCE)
    if made.way == "over":
        psql(other.url, THERE)
    return made


async def test_a_good_backup_is_restored(case: Case) -> None:
    """The opposite of all others here: without it they would pass for any reason."""
    ended = await case.restore()
    assert ended.code == 0, ended.out + ended.err
    assert psql(case.aim.url, "SELECT count(*), min(length(body)) FROM public.books") == "2000|640"
    assert psql(case.aim.url, "SELECT to_regclass('public.there'), to_regclass('public.later')") == "|"


@pytest.mark.parametrize("case", ["in place"], indirect=True)
async def test_an_unknown_backup(case: Case) -> None:
    case.id = "20200101T000000Z-none"
    await case.refused(12, "notfound.backup")


@pytest.mark.parametrize("case", ["in place", "aside"], indirect=True)
async def test_the_files_are_gone(case: Case) -> None:
    shutil.rmtree(case.files)
    message = await case.refused(12, "notfound.backup")
    assert case.id in message


@pytest.mark.parametrize("case", ["aside"], indirect=True)
async def test_a_file_is_missing(case: Case) -> None:
    case.largest().unlink()
    assert "is missing" in await case.refused(5, "backup.damaged")


@pytest.mark.parametrize("case", ["in place", "aside"], indirect=True)
async def test_a_file_is_truncated(case: Case) -> None:
    path = case.largest()
    path.write_bytes(path.read_bytes()[:-100])
    message = await case.refused(5, "backup.damaged")
    assert path.name in message
    assert "were written" in message


@pytest.mark.parametrize("case", ["in place", "aside", "over"], indirect=True)
async def test_a_file_is_tampered_with(case: Case) -> None:
    path = case.largest()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert "checksum" in await case.refused(5, "backup.damaged")


@pytest.mark.parametrize("case", ["in place"], indirect=True)
async def test_the_manifest_is_tampered_with(case: Case) -> None:
    path = case.files / core.MANIFEST
    path.write_text(path.read_text().replace('"test"', '"best"'))
    await case.refused(5, "backup.manifest_damaged")


@pytest.mark.parametrize("case", ["aside"], indirect=True)
async def test_the_manifest_is_cut_short(case: Case) -> None:
    path = case.files / core.MANIFEST
    path.write_bytes(path.read_bytes()[:200])
    await case.refused(5, "backup.manifest_damaged")


@pytest.mark.parametrize("case", ["in place"], indirect=True)
async def test_a_backup_of_another_project_by_its_id(case: Case) -> None:
    case.project.settings["project"] = "another"
    message = await case.refused(12, "notfound.backup")
    assert "'test'" in message
    assert "'another'" in message


@pytest.mark.parametrize("case", ["in place", "aside"], indirect=True)
async def test_the_files_of_another_projects_backup(case: Case) -> None:
    case.rewrite_manifest(project="another")
    assert "'another'" in await case.refused(5, "backup.other_backup")


@pytest.mark.parametrize("case", ["aside"], indirect=True)
async def test_a_backup_of_a_newer_agent(case: Case) -> None:
    case.rewrite_manifest(format=2)
    await case.refused(5, "backup.newer_format")


@pytest.mark.parametrize("case", ["in place", "aside"], indirect=True)
async def test_a_backup_of_a_newer_server(case: Case) -> None:
    case.rewrite_manifest(server_version="18.1")
    message = await case.refused(4, "restore.newer_server")
    assert "18.1" in message
    assert "17" in message


@pytest.mark.parametrize("case", ["in place", "aside"], indirect=True)
@pytest.mark.parametrize("key", ["none", "wrong"])
async def test_a_missing_or_wrong_age_key(case: Case, key: str) -> None:
    right, wrong = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
    case.project.settings["backup"] |= {"age_recipients": [str(right.to_public())]}
    case.id = await back_up(case.project)
    if key == "wrong":
        case.project.settings["backup"] |= {"age_identity": str(wrong)}
    await case.refused(5, {"none": "backup.identity_missing", "wrong": "backup.decryption_failed"}[key])


@pytest.mark.parametrize("case", ["in place", "aside"], indirect=True)
@pytest.mark.parametrize("who", ["20260101-000000-abcd", "restore"])
async def test_a_deploy_or_another_restore_is_running_there(case: Case, who: str) -> None:
    async with await psycopg.AsyncConnection.connect(
        case.aim.url, autocommit=True, application_name=f"deploy-agent/{who}"
    ) as running:
        await running.execute("SELECT pg_advisory_lock(x'6465706c6f796131'::bigint)")
        assert f"deploy-agent/{who} of postgres" in await case.refused(11, "busy.locked")
        await running.execute("SELECT")  # it has not been ended


@pytest.mark.parametrize("case", ["in place", "over"], indirect=True)
async def test_a_table_is_locked(case: Case) -> None:
    case.project.settings["backup"] |= {"restore_lock_timeout_s": 3, "restore_lock_attempts": 1}
    table = {"in place": "authors", "over": "there"}[case.way]
    async with await psycopg.AsyncConnection.connect(case.aim.url, application_name="shop") as shop:
        await shop.execute(f"SELECT FROM public.{table}")
        message = await case.refused(4, "restore.locked")
        assert f"pid {shop.info.backend_pid} (postgres, shop)" in message


@pytest.mark.parametrize("case", ["in place", "over"], indirect=True)
async def test_a_missing_privilege(case: Case) -> None:
    """Supabase's administrator has taken a right away that the restore turns out to need."""
    psql(
        case.aim.admin_url,
        "CREATE FUNCTION extensions.refuse() RETURNS event_trigger LANGUAGE plpgsql AS"
        " $$BEGIN RAISE 'permission denied for table books' USING ERRCODE = '42501'; END$$;"
        "CREATE EVENT TRIGGER refuse ON ddl_command_end WHEN TAG IN ('CREATE INDEX', 'ALTER TABLE')"
        " EXECUTE FUNCTION extensions.refuse(); ALTER EVENT TRIGGER refuse ENABLE ALWAYS",
    )
    assert "books" in await case.refused(4, "restore.missing_privilege")


@pytest.mark.parametrize("case", ["aside", "over"], indirect=True)
async def test_a_role_that_may_create_nothing(case: Case) -> None:
    psql(case.other.admin_url, "REVOKE CREATE ON SCHEMA public FROM pg_database_owner, supabase_realtime_admin")
    message = await case.refused(4, "restore.missing_privilege")
    assert "public" in message


@pytest.mark.parametrize("case", ["aside"], indirect=True)
async def test_a_database_that_is_read_only(case: Case) -> None:
    psql(case.other.admin_url, f"ALTER DATABASE {case.other.name} SET default_transaction_read_only = on")
    await case.refused(4, "restore.read_only")


@pytest.mark.parametrize("case", ["aside"], indirect=True)
async def test_a_database_that_is_not_empty(case: Case) -> None:
    psql(case.other.url, THERE)
    assert "table public.there" in await case.refused(4, "restore.not_empty")


@pytest.mark.parametrize("case", ["aside", "over"], indirect=True)
async def test_the_very_same_database(case: Case) -> None:
    case.other = case.database
    await case.refused(4, "restore.same_database")


@pytest.mark.parametrize("case", ["aside"], indirect=True)
@pytest.mark.parametrize(
    ("url", "exit_code", "code"),
    [("env(OTHER)", 3, "settings.env_unset"), ("postgresql://h:6543/x", 4, "target.transaction_pooler")],
)
async def test_a_wrong_url(case: Case, url: str, exit_code: int, code: str) -> None:
    before = await fingerprint(case.other)
    (await case.project("restore", case.id, "--yes", "--to", url)).check(exit_code, code)
    assert await fingerprint(case.other) == before


@pytest.mark.parametrize("case", ["aside"], indirect=True)
async def test_an_unreachable_database(case: Case) -> None:
    (case.project.folder / "closed").write_text("postgresql://postgres:s3cr3t-word@127.0.0.1:1/x")
    ended = await case.project("restore", case.id, "--to-file", "closed")
    ended.check(4, "target.unreachable")


@pytest.mark.parametrize("case", ["in place", "aside"], indirect=True)
async def test_no_room_to_unpack(case: Case) -> None:
    """An encrypted backup is made plain where the agent runs."""
    key = pyrage.x25519.Identity.generate()
    case.project.settings["backup"] |= {"age_recipients": [str(key.to_public())], "age_identity": str(key)}
    psql(
        case.database.url,
        "CREATE TABLE public.noise (a bytea); INSERT INTO public.noise SELECT (SELECT string_agg("
        "uuid_send(gen_random_uuid()), '') FROM generate_series(1, 6400) WHERE i > 0) FROM generate_series(1, 40) AS i",
    )
    case.id = await back_up(case.project)
    psql(case.database.url, "DROP TABLE public.noise")
    work = case.project.folder / "work"
    work.mkdir()
    case.project.settings["backup"] |= {"work_dir": str(work)}
    case.project.prefix = private_disk(work, "2m")
    message = await case.refused(5, "restore.agent_disk_full")
    assert str(work) in message


@pytest.mark.parametrize("case", ["in place"], indirect=True)
@pytest.mark.parametrize("damage", ["gone", "truncated"])
async def test_a_deploy_whose_backup_is_damaged_says_what_to_do(case: Case, damage: str) -> None:
    """The ladder's last rung needs it: the deploy ends with an operator, and names the backup's fault."""
    psql(case.database.url, "CREATE SCHEMA supabase_migrations")
    folder = case.project.folder / "backups" / "test"
    case.project.write(
        {
            "20250101000000_more.sql": "create table public.more (id int);",
            "20250102000000_wait.sql": f"do $$ begin perform pg_advisory_xact_lock({LOCK}); end $$;\n"
            "select no_such_column from public.more;",
        }
    )
    known = {path.name for path in folder.iterdir()}
    async with await psycopg.AsyncConnection.connect(case.database.url, autocommit=True) as holder:
        await holder.execute(f"SELECT pg_advisory_lock({LOCK})")
        running = asyncio.create_task(case.project("deploy", "--strategy", "per_migration"))
        await until_it_waits(holder, running)
        [new] = {path.name for path in folder.iterdir()} - known
        case.id = new
        if damage == "gone":
            shutil.rmtree(case.files)
        else:
            path = case.largest()
            path.write_bytes(path.read_bytes()[:-10])
    ended = await running
    assert ended.code == EXIT_CODES[State.NEEDS_OPERATOR], ended.out + ended.err
    said = json.dumps(ended.last)
    assert {"gone": "there is no ", "truncated": "the backup is damaged: "}[damage] in said, said
    assert "deploy-agent backup list" in said or "take a new one" in said
    assert "Traceback" not in ended.out + ended.err


_SMALL_DISK = """
import asyncio, shutil, sys
from pathlib import Path
import psycopg
from agent.edges.embedded import EmbeddedPostgres

async def main():
    disk = Path(sys.argv[1])
    async with asyncio.timeout(120):
        server = EmbeddedPostgres()
        await server.start()
    try:
        shutil.chown(disk, server.data.owner())
        async with await psycopg.AsyncConnection.connect(server.admin_url(), autocommit=True) as admin:
            await admin.execute(f"CREATE TABLESPACE small LOCATION '{disk}'")
            await admin.execute("CREATE DATABASE shop TABLESPACE small")
        await server.bootstrap_supabase("shop")
        print(server.url("shop"), server.admin_url("shop"), flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    finally:
        await server.stop()

asyncio.run(main())
"""


@asynccontextmanager
async def server_on_a_small_disk(disk: Path, size: str) -> AsyncIterator[Database]:
    """A Postgres whose database lies on a disk of its own."""
    process = await asyncio.create_subprocess_exec(
        *private_disk(disk, size),
        sys.executable,
        "-c",
        _SMALL_DISK,
        str(disk),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        url, admin_url = (await process.stdout.readline()).decode().split()
        yield Database(name="shop", url=url, admin_url=admin_url, server=None)  # type: ignore[arg-type]  # nobody asks it
    finally:
        process.stdin.close()
        await process.wait()


@pytest.fixture
def disk() -> Iterator[Path]:
    """A folder that the server's user may reach, which those of pytest are not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


async def test_the_servers_disk_is_full_on_the_way(case: Case, disk: Path) -> None:
    """In place the old rows need their room until the new ones are in."""
    async with server_on_a_small_disk(disk, "64m" if case.way == "in place" else "36m") as small:
        if case.way == "in place":
            case.database, case.project.url = small, small.url
            psql(small.url, MINE)
        psql(
            case.database.url,
            "CREATE SCHEMA bulk; CREATE TABLE bulk.noise (a bytea);"
            " ALTER TABLE bulk.noise ALTER a SET STORAGE EXTERNAL;"
            "INSERT INTO bulk.noise SELECT (SELECT string_agg(uuid_send(gen_random_uuid()), '')"
            " FROM generate_series(1, 6400) WHERE i > 0) FROM generate_series(1, 300) AS i",
        )
        case.id = await back_up(case.project)
        if case.way != "in place":
            case.other = small
        if case.way == "over":
            psql(small.url, THERE)
        await case.refused(4, "restore.server_disk_full")
