"""Rung 5: what no backup holds comes back through the platform, whose restores are real; or a person is called."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from agent.bootstrap import open_deps
from agent.core.models import Failure
from agent.core.platform import ACTIVE_HEALTHY
from agent.core.salvage import Wishes
from agent.deploy.salvage_service import Salvages
from agent.edges import management_api_budget
from agent.edges.embedded import EmbeddedPostgres
from agent.errors import PlatformError
from agent.report.view import deploy_view
from tests.simulator import Platform
from tests.support.aside import run_aside
from tests.support.deploying import Outcome, make_settings, until_told, write_migrations
from tests.support.oracle import psql, rows, schema_dump
from tests.support.platform_deploys import PROJECT, QUICK, Place, run, start
from tests.support.seconds import next_second

PITR, UNDO = "v1-restore-pitr-backup", "v1-undo"
BASE = """
create table public.notes (id int primary key, body text not null);
insert into public.notes values (1, 'a');
insert into auth.users (id, email) values ('00000000-0000-0000-0000-000000000001', 'a@example.test');
"""
SIGN_UP = "insert into auth.users (id, email) values ('00000000-0000-0000-0000-000000000002', 'b@example.test')"
# The users are in no backup: neither of rungs 3 and 4 can bring them back.
BAD = {
    "001_tags.sql": "create table public.tags (id int primary key); insert into public.tags values (1);",
    "002_users.sql": "delete from auth.users;",
    "003_bad.sql": "insert into public.notes values (1, 'again');",
}


@dataclass(frozen=True, kw_only=True)
class World:
    """A project on the simulated platform, and a folder with migrations that fail after two have committed."""

    platform: Platform
    place: Place
    admin_url: str
    schema: str

    @property
    def url(self) -> str:
        return self.place.url

    @property
    def is_as_before(self) -> bool:
        return schema_dump(self.admin_url, without=()) == self.schema and self.users == 1

    @property
    def users(self) -> int:
        return int(rows(self.admin_url, "select count(*) from auth.users")[0][0])

    @property
    def notes(self) -> list[int]:
        return [one for (one,) in rows(self.admin_url, "select id from public.notes order by id")]

    @property
    def asked(self) -> int:
        return len(self.platform.called(PITR)) + len(self.platform.called(UNDO))

    def write(self, number: int) -> None:
        psql(self.url, f"insert into public.notes values ({number}, 'by the application')")


@pytest.fixture
def world(
    own: EmbeddedPostgres, simulated: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    run_aside(own.drop_database(PROJECT))
    run_aside(own.create_database(PROJECT, template="template"))
    psql(
        own.admin_url(PROJECT), f"set role postgres; {BASE.replace('insert into auth', 'reset role; insert into auth')}"
    )
    write_migrations(tmp_path, BAD)
    simulated.restore_points = False
    simulated.calls.clear()
    monkeypatch.setattr(management_api_budget, "_budgets", {})  # a minute's requests are not this test's alone
    yield World(
        platform=simulated,
        place=Place(
            url=own.url(PROJECT),
            folder=str(tmp_path),
            ref=simulated.ref,
            token=simulated.token,
            base_url=simulated.url,
        ),
        admin_url=own.admin_url(PROJECT),
        schema=schema_dump(own.admin_url(PROJECT), without=()),
    )
    simulated.clear_faults()
    simulated.script_restores()
    simulated.project.addons.add("pitr_7")
    if not (own.data / "postmaster.pid").exists():  # left down by a restore that failed
        run_aside(own.resume())
    simulated.project.status = ACTIVE_HEALTHY


def rung_5(outcome: Outcome) -> tuple[bool, str]:
    [told] = [event for event in outcome.of("rung") if event.data["rung"] == 5]
    return told.data["ok"], told.message


def phases(outcome: Outcome) -> list[str]:
    return [event.data["phase"] for event in outcome.of("platform_restore")]


def gave_up(outcome: Outcome) -> Failure:
    """Why a person is needed."""
    assert outcome.state == "needs_operator"
    return Failure.model_validate(outcome.of("failure")[-1].data)


class Writer(threading.Thread):
    """The application: writes until the database is gone. `written`: what was committed, by its answer."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url
        self.written: list[int] = []

    def run(self) -> None:
        with contextlib.suppress(psycopg.OperationalError), psycopg.connect(self.url, autocommit=True) as connection:
            for number in itertools.count(100):
                connection.execute("insert into public.notes select %s, 'at its pace' from pg_sleep(0.01)", [number])
                self.written.append(number)


async def salvaged(world: World) -> set[int]:
    """The ids of all notes in salvages."""
    found: set[int] = set()
    async with open_deps(make_settings(world.url, Path(world.place.folder))) as deps:
        for one in await Salvages(deps).all():
            _, samples = await Salvages(deps).show(one.id, rows=1_000_000)
            found |= {int(row["id"]) for row in samples.get("public.notes", ())}
    return found


async def test_what_no_backup_holds_comes_back_to_the_second(world: World) -> None:
    world.platform.fault(PITR, status=429)  # it was not acted on, so it may be sent again
    writer = Writer(world.url)
    outcome = await run(world.place, at={"migrate": lambda: world.write(2), "rolling_back": writer.start})
    writer.join()
    assert outcome.state == "restored", outcome.why
    assert world.is_as_before
    assert world.notes == [1, 2]  # the rest was written after the second
    assert len(writer.written) > 5
    assert set(writer.written) <= await salvaged(world)
    assert rung_5(outcome) == (True, "platform restore: the database equals the snapshot")
    assert [call.status for call in world.platform.called(PITR)] == [429, 201]
    assert {event.data["rung"]: event.data["ok"] for event in outcome.of("rung")} == {3: False, 5: True}
    assert [phases(outcome)[0], phases(outcome)[-1]] == ["marked", "back"]
    assert "written since the backup are in the deploy's salvages" in outcome.of("platform_restore")[-1].message


async def test_a_restore_point_is_made_and_gone_back_to(world: World) -> None:
    world.platform.restore_points = True
    world.platform.project.addons.discard("pitr_7")
    outcome = await run(
        world.place, at={"rolling_back": lambda: psql(world.admin_url, SIGN_UP)}, targeted_restore=False
    )
    assert outcome.state == "restored", outcome.why
    assert world.is_as_before
    assert len(world.platform.called(UNDO)) == 1
    assert not world.platform.called(PITR)
    async with open_deps(make_settings(world.url, Path(world.place.folder))) as deps:
        kept = next(iter(await Salvages(deps).all()))  # the newest: who signed up goes with the project, and is kept
        assert [(one.table, one.rows) for one in kept.tables] == [("auth.users", 1)]
        await Salvages(deps).apply(kept.id, Wishes())
    assert world.users == 2


class AcceptedWith500:
    """Says of a restore that it failed, though it was accepted."""

    def __init__(self, api: Any) -> None:
        self._api = api

    def __getattr__(self, name: str) -> Any:
        return getattr(self._api, name)

    async def restore_pitr(self, at: int) -> None:
        await self._api.restore_pitr(at)
        raise PlatformError("HTTP 500", code="platform.in_doubt", status=500, in_doubt=True)


@pytest.mark.parametrize("how", ["cut", "500"])
async def test_a_request_in_doubt_is_looked_at_and_never_repeated(world: World, how: str) -> None:
    world.platform.script_restores(late_polls=4, polls=2)  # the status tells late
    if how == "cut":
        world.platform.fault(PITR, cut="after")
    wrap = AcceptedWith500 if how == "500" else (lambda api: api)
    outcome = await run(world.place, targeted_restore=False, wrap=wrap)
    assert outcome.state == "restored", outcome.why
    assert world.is_as_before
    assert world.asked == 1
    assert "in_doubt" in phases(outcome)


async def test_a_request_that_failed_and_had_no_effect_calls_a_person(world: World) -> None:
    world.platform.fault(PITR, status=500)
    outcome = await run(world.place, targeted_restore=False, options=replace(QUICK, begin_s=0.5))
    failure = gave_up(outcome)
    assert failure.code == "restore.platform_in_doubt"
    assert "nobody knows whether the platform will restore" in failure.message
    assert f"Project {world.platform.ref}: a restore to unix second" in failure.hint
    assert world.asked == 1
    world.write(9)  # nobody is locked out any more


@pytest.mark.parametrize(
    ("script", "code", "said", "options"),
    [
        (
            "stuck",
            "restore.platform_stuck",
            "the project's status is RESTORING. Please finish or cancel it.",
            replace(QUICK, deadline_s=1.0),
        ),
        ("failed", "restore.platform_failed", "RESTORE_FAILED", QUICK),
    ],
)
async def test_a_restore_that_does_not_end_well_calls_a_person(
    world: World, script: Any, code: str, said: str, options: Any
) -> None:
    world.platform.script_restores(script)
    outcome = await run(world.place, targeted_restore=False, options=options)
    failure = gave_up(outcome)
    assert failure.code == code
    assert said in failure.hint
    assert rung_5(outcome)[0] is False
    assert world.asked == 1
    view = deploy_view(outcome.deploy, outcome.events)
    assert [one.command for one in view.next_commands][-2:] == ["deploy-agent status", "deploy-agent salvage list"]
    if script == "stuck":
        await ended(world)


async def ended(world: World) -> None:
    """Let a stuck restore go on to its end."""
    world.platform.release_restores()
    while world.platform.project.status != ACTIVE_HEALTHY:
        await asyncio.sleep(0.05)  # the platform calls nobody back


async def test_another_moment_is_not_taken_for_the_right_one(world: World) -> None:
    world.platform.script_restores(shift_s=-1)
    for _ in range(2):
        next_second()  # a second before the deploy this test's database is there
    psql(world.url, "insert into public.notes values (5, 'x')")
    outcome = await run(world.place, targeted_restore=False)
    assert gave_up(outcome).code == "restore.platform_moment"
    assert world.asked == 1


@pytest.mark.parametrize(
    ("obstacle", "said"),
    [
        ("no pitr", "the project has neither a restore point that can be used nor PITR"),
        ("slot", "1 replication slot (reader), which must be gone before"),
        ("unlogged", "unlogged tables, which a restore would leave empty (public.cache)"),
        ("no backups_write", "the token lacks backups_write"),
    ],
)
async def test_what_cannot_be_done_is_said_and_nothing_is_asked(world: World, obstacle: str, said: str) -> None:
    if obstacle == "no pitr":
        world.platform.project.addons.discard("pitr_7")
    elif obstacle == "slot":
        psql(world.admin_url, "select pg_create_physical_replication_slot('reader')")
    elif obstacle == "unlogged":
        psql(world.url, "create unlogged table public.cache (id int); insert into public.cache values (1)")
    else:
        world.platform.fault(PITR, status=403, missing_permissions=["backups_write"])
    try:
        outcome = await run(world.place, targeted_restore=False)
        assert said in rung_5(outcome)[1]
        assert said in gave_up(outcome).message
        assert [call.status for call in world.platform.called(PITR)] in ([], [403])
        world.write(9)  # nobody is locked out
    finally:
        if obstacle == "slot":
            psql(world.admin_url, "select pg_drop_replication_slot('reader')")


async def test_without_the_policy_the_platform_is_never_asked(world: World) -> None:
    outcome = await run(world.place, targeted_restore=False, platform_restore="hold")
    assert gave_up(outcome).code == "restore.not_proven"
    assert world.asked == 0
    assert not world.platform.called("v1-create-restore-point")
    assert 5 not in {event.data["rung"] for event in outcome.of("rung")}


async def test_it_asks_first_and_a_no_is_a_no(world: World) -> None:
    settings = make_settings(world.url, Path(world.place.folder))
    asking = asyncio.create_task(run(world.place, targeted_restore=False, platform_restore="approve"))
    await until_told(settings, "approval", when=lambda data: data["proposal"]["rung"] == 5)
    async with open_deps(settings) as deps:
        [one] = await deps.store.deploys(limit=1)
        assert one.approval is not None
        assert "bring the whole project back to" in one.approval.proposal.way
        await deps.store.answer_approval(one.id, approve=False, by="me", now=deps.clock.now())
    outcome = await asking
    failure = gave_up(outcome)
    assert failure.code == "restore.refused"
    assert "the restore (rung 5) was rejected by me" in failure.message
    assert world.asked == 0


async def test_an_agent_that_is_killed_meanwhile_asks_nobody_twice(world: World) -> None:
    world.platform.script_restores("stuck")
    settings = make_settings(world.url, Path(world.place.folder))
    process = start(world.place)
    told = asyncio.create_task(
        until_told(settings, "platform_restore", when=lambda data: data["status"] == "RESTORING")
    )
    ended_early = asyncio.create_task(asyncio.to_thread(process.wait))
    try:
        await asyncio.wait({told, ended_early}, return_when=asyncio.FIRST_COMPLETED)
        assert told.done(), "the deploy's process ended"
        told.result()
    finally:
        told.cancel()
        process.kill()
        await ended_early
    async with open_deps(settings) as deps:
        [left] = await deps.store.deploys(limit=1)
        asked = json.loads(await deps.store.get_evidence(left.id, "platform_restore") or "{}")
    assert (left.state.value, asked["answer"]) == ("restoring", "accepted")
    await ended(world)
    outcome = await run(world.place, again=left.id)
    assert outcome.state == "restored", outcome.why
    assert world.is_as_before
    assert world.asked == 1
