"""Rows that the application writes until a restore has its locks: none is lost, though it never stops writing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

import psycopg
import pytest

from agent.bootstrap import open_deps
from agent.core import lock_room
from agent.core.models import DeployRequest
from agent.core.salvage import Salvage, Settlement, Wishes
from agent.core.states import State
from agent.deploy import from_backup, late
from agent.deploy.events import read_events
from agent.deploy.salvage_service import Salvages
from agent.deploy.supervisor import queue
from agent.deploy.workflow import run_deploy
from agent.settings import Settings
from tests.conftest import Database
from tests.support.deploying import Outcome, PlainCtx, deploy, make_settings, write_migrations
from tests.support.oracle import psql, rows

TABLES = """
create table public.parents (id text primary key);
create table public.children (id text primary key, parent text not null references public.parents);
create table public.log (id text, "tab	%s {table}" text[], flag boolean, fixed char(4), odd public.pair, nothing int);
create table public.aside (id text primary key);
create table public.parted (id text not null, part int not null, primary key (id, part)) partition by list (part);
create table public.parted_1 partition of public.parted for values in (1);
"""
FIRST = f"create type public.pair as (a int, b text);\n{TABLES}"
MIGRATION = """
insert into public.parents values ('deploy');
insert into public.children values ('deploy', 'deploy');
insert into public.log (id) values ('deploy');
insert into public.parted values ('deploy', 1);
create table public.made (id text primary key);
grant all on public.made to public;
"""
# Tables in the orders in which applications lock them: parents first, children first, and against each other.
ORDERS = (
    ("parents", "children", "log", "aside"),
    ("log", "parted", "parents", "children"),
    ("parted", "log"),
    ("aside", "made"),
)
INSERTS = {
    "parents": "insert into public.parents values (%(id)s)",
    "children": "insert into public.children values (%(id)s, %(id)s)",
    "log": "insert into public.log values "
    r"(%(id)s, array['a', null, %(id)s], true, 'x ', row(null, E'\\\t'), null)",
    "aside": "insert into public.aside values (%(id)s)",
    "parted": "insert into public.parted values (%(id)s, 1)",
    "made": "insert into public.made values (%(id)s)",
}
MADE = "select to_regclass('public.made')"


class Application:
    """A session that inserts into tables, one transaction after the other, entered once the first has committed.

    `committed`: (table, id), once it knows.
    """

    def __init__(self, url: str, name: str, tables: tuple[str, ...]) -> None:
        self.committed: list[tuple[str, str]] = []
        self._url, self._name, self._tables = url, name, tables
        self._stop, self._writes = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> Self:
        self._thread.start()
        self._writes.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        number = 0
        with psycopg.connect(self._url, application_name="application") as connection:
            while not self._stop.is_set():
                number += 1
                one = f"{self._name}-{number}"
                written = []
                try:
                    with connection.transaction():
                        for table in self._tables:
                            if table == "made" and connection.execute(MADE).fetchone() == (None,):
                                continue
                            connection.execute(INSERTS[table], {"id": one})
                            written.append((table, one))
                except (psycopg.errors.DeadlockDetected, psycopg.errors.UndefinedTable):
                    continue
                self.committed += written
                self._writes.set()


def set_up(database: Database, folder: Path, **more: Any) -> Settings:
    psql(database.url, FIRST)
    write_migrations(folder, {"20260101000000_first.sql": MIGRATION, "20260102000000_fails.sql": "select 1/0"})
    return make_settings(database.url, folder, **more)


async def applied(settings: Settings) -> list[Salvage]:
    """Put all salvages back, oldest first, twice: the second time nothing is left to do."""
    async with open_deps(settings) as deps:
        salvages = Salvages(deps)
        found = list(reversed(await salvages.all()))
        for _ in range(2):
            for one in found:
                await salvages.apply(one.id, Wishes())
        return found


def present(database: Database) -> list[tuple[str, str]]:
    names = [name for name in INSERTS if name != "made"]
    return sorted((name, row[0]) for name in names for row in rows(database.url, f"select id from public.{name}"))


@pytest.mark.parametrize("rung", [3, 4])
async def test_an_application_that_never_stops_writing_loses_nothing(
    database: Database, tmp_path: Path, rung: int
) -> None:
    settings = set_up(
        database, tmp_path, deploy={"targeted_restore": rung == 3}, backup={"min_bytes": 0, "restore_ahead_bytes": 0}
    )
    with ExitStack() as stack:
        sessions = [
            stack.enter_context(Application(database.url, f"app{number}", tables))
            for number, tables in enumerate(ORDERS)
        ]
        outcome = await deploy(settings, "per_migration")
    committed = [one for session in sessions for one in session.committed]
    assert outcome.state == "restored", outcome.why
    assert [event.data["rung"] for event in outcome.of("rung")] == [rung]

    found = await applied(settings)

    async with open_deps(settings) as deps:
        samples = [(await Salvages(deps).show(one.id, rows=1_000_000))[1] for one in found]
    # A row that both salvages have is unclear in the second: it may be one of a subtransaction.
    made = [row["id"] for sample in samples for row in sample.get("public.made", ()) if row[""] == "a"]
    assert sorted(made) == sorted(row for table, row in committed if table == "made")
    assert present(database) == sorted(one for one in committed if one[0] != "made")


@contextmanager
def written_late(database: Database, statements: str, *, table: str = "log") -> Iterator[None]:
    """A transaction that has begun before the deploy, and commits once the restore waits for a lock on that table."""
    done = threading.Event()
    waiting = f"""
      select count(*) > 0 from pg_locks where not granted and relation = 'public.{table}'::regclass
      and pid in (select pid from pg_stat_activity where application_name = 'deploy-agent/tools')"""

    def commit_when_asked(writer: psycopg.Connection[Any]) -> None:
        with psycopg.connect(database.admin_url, autocommit=True) as watcher:
            while not done.wait(0.02) and not watcher.execute(waiting).fetchone()[0]:  # type: ignore[index]
                pass
        writer.commit()

    with psycopg.connect(database.url, application_name="application") as writer:
        writer.execute(statements)
        thread = threading.Thread(target=commit_when_asked, args=(writer,))
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


LATE = INSERTS["log"].replace("%(id)s", "'late'")
KEPT = ("late", ["a", None, "late"], True, "x   ", '(,"\\\\\t")', None)


def kept_messages(outcome: Outcome) -> list[dict[str, Any]]:
    return [event.data for event in outcome.of("log") if "before the restore had its locks" in event.message]


@pytest.mark.parametrize("rung", [3, 4])
async def test_what_commits_while_the_restore_waits_is_a_salvage_of_its_own(
    database: Database, tmp_path: Path, rung: int
) -> None:
    settings = set_up(database, tmp_path, deploy={"targeted_restore": rung == 3})
    with written_late(database, LATE):
        outcome = await deploy(settings, "per_migration")
    assert outcome.state == "restored", outcome.why
    [told] = kept_messages(outcome)
    assert (told["rows"], told["application"]) == (1, 1)
    [salvage] = [one for one in await applied(settings) if one.id == told["salvage"]]
    assert salvage.deploy_id == outcome.deploy.id
    assert [(one.table, one.rows) for one in salvage.tables] == [("public.log", 1)]
    columns = 'id, "tab	%s {table}", flag, fixed, odd::text, nothing'
    assert rows(database.url, f"select {columns} from public.log") == [KEPT]
    assert psql(database.url, "select to_regclass('supabase_migrations.deploy_agent_late') is null") == "t"


async def test_each_batch_of_a_restore_keeps_the_rows_of_its_own_tables(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock_room, "room", lambda **_: 12)
    settings = set_up(database, tmp_path, deploy={"targeted_restore": False})
    with (
        written_late(database, LATE),
        written_late(database, INSERTS["aside"].replace("%(id)s", "'late'"), table="aside"),
    ):
        outcome = await deploy(settings, "per_migration")
    assert outcome.state == "restored", outcome.why
    assert len([event for event in outcome.of("progress") if event.data.get("phase") == "empty"]) > 1
    [told] = kept_messages(outcome)
    assert {one["table"]: one["rows"] for one in told["tables"]} == {"public.log": 1, "public.aside": 1}
    assert told["salvage"] in [one.id for one in await applied(settings)]
    assert present(database) == [("aside", "late"), ("log", "late")]


class Killed(BaseException):
    """Nothing catches it, as nothing catches SIGKILL."""


def before_it_is_kept(patch: pytest.MonkeyPatch) -> None:
    keep, seen = late.keep_late, []

    async def killed(*args: Any, **more: Any) -> None:
        seen.append(1)
        if len(seen) == 2:  # the first is before the restore
            raise Killed
        await keep(*args, **more)

    patch.setattr(from_backup, "keep_late", killed)


def before_the_notes_go(patch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        raise Killed

    patch.setattr(late, "tell_kept", killed)


@pytest.mark.parametrize("at", [before_it_is_kept, before_the_notes_go])
async def test_the_next_worker_keeps_what_a_killed_one_has_not(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: Callable[[pytest.MonkeyPatch], None]
) -> None:
    settings = set_up(database, tmp_path)
    async with open_deps(settings) as deps:
        queued = await queue(deps, DeployRequest(project=settings.project, strategy="per_migration"))
        with written_late(database, LATE), monkeypatch.context() as patch:
            at(patch)
            with pytest.raises(Killed):
                await run_deploy(PlainCtx(queued.id), deps)
    assert psql(database.url, "select line[1] from supabase_migrations.deploy_agent_late") == "late"

    async with open_deps(settings) as deps:
        state = await run_deploy(PlainCtx(queued.id), deps)
        assert state == "restored", [event.message for event in await read_events(deps.store, queued.id)]
        holding = [one for one in await Salvages(deps).all() if "public.log" in [each.table for each in one.tables]]
        assert [one.rows for one in holding if one.until != ""] == [1]
        found, _ = await Salvages(deps).apply(holding[0].id, Wishes())
        assert found.settled is Settlement.APPLIED
    assert present(database) == [("log", "late")]
    assert psql(database.url, "select to_regclass('supabase_migrations.deploy_agent_late') is null") == "t"


async def test_where_others_only_deleted_the_proposal_says_that_losses_are_unknown(
    quiet_database: Database, tmp_path: Path
) -> None:
    psql(quiet_database.url, f"{FIRST}; insert into public.parents values ('gone')")
    write_migrations(tmp_path, {"20260101000000_first.sql": MIGRATION, "20260102000000_fails.sql": "select 1/0"})

    def delete(state: State) -> None:
        if state is State.MIGRATE:
            psql(quiet_database.url, "delete from public.parents where id = 'gone'")

    deletes = await deploy(make_settings(quiet_database.url, tmp_path), "per_migration", moved=delete)
    assert deletes.state == "restored", deletes.why
    quiet = await deploy(make_settings(quiet_database.url, tmp_path), "per_migration")
    asked = [one.of("proposal")[0].data for one in (deletes, quiet)]
    assert [(one["rows_salvaged"], one["lost_unknown"]) for one in asked] == [(0, True), (0, False)]
