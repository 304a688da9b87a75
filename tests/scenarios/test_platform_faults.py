"""Every fault at every call that a deploy makes to the platform: it ends as it should, and the database as it says.

What a deploy asks is recorded in one that meets no fault; then each of its calls meets each fault, and the end is
judged by what is really there. `PLATFORM_FAULTS=all` runs each pair in a deploy of its own (`PLATFORM_FAULTS=v1-undo`:
those of one operation); else all calls outside a restore meet a fault in one deploy, each another one, until each has
met all, and in a restore only the request for it meets each.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from agent.bootstrap import open_deps
from agent.core.models import DeployRequest, Strategy
from agent.core.platform import ACTIVE_HEALTHY
from agent.core.platform_operations import OPERATIONS
from agent.deploy.events import read_events
from agent.deploy.supervisor import queue
from agent.deploy.workflow import run_deploy
from agent.edges import management_api_budget
from agent.edges.embedded import EmbeddedPostgres
from agent.edges.management_api import ManagementApi, Timing
from agent.edges.management_api_budget import Budget
from agent.settings import Settings
from tests.simulator import Platform
from tests.support.aside import run_aside
from tests.support.deploying import Outcome, PlainCtx, make_settings, write_migrations
from tests.support.hosted import runbook
from tests.support.oracle import psql, rows, schema_dump, table_hashes
from tests.support.platform_deploys import PROJECT, QUICK

WANTED = os.environ.get("PLATFORM_FAULTS", "")
pytestmark = [pytest.mark.timeout(0)] if WANTED else []
PITR, UNDO = "v1-restore-pitr-backup", "v1-undo"
EFFECT = (PITR, UNDO)

ATTEMPTS = 4
SLOW_S, TIMEOUT_S = 3.0, 2.0
AGAIN = {429, 500, 544}

FAULTS: dict[str, dict[str, Any]] = {
    "429": {"status": 429, "headers": {"retry-after": "0"}},
    "429 for an hour": {"status": 429, "headers": {"retry-after": "3600"}},
    "401": {"status": 401},
    "403": {"status": 403, "missing_permissions": ["some_permission"]},
    "500": {"status": 500},
    "544": {"status": 544},
    "slow": {"seconds": SLOW_S},
    "cut before": {"cut": "before"},
    "cut after": {"cut": "after"},
    "nonsense": {"body": b'{"what": ["is", "this"'},
}

SAID = {
    "v1-get-services-health": "the health of the project's services",
    "v1-get-readonly-mode-status": "whether the platform has made the database read-only",
    "v1-get-disk-utilization": "how full the disk is",
    "v1-get-postgres-upgrade-status": "whether an upgrade is running",
    "v1-get-postgres-upgrade-eligibility": "whether an upgrade is on offer",
    "v1-get-postgres-config": "the settings of Postgres",
    "v2-list-organization-maintenance-windows": "maintenance windows",
    "v1-get-network-restrictions": "network restrictions",
    "v1-list-all-network-bans": "network bans",
    "v1-list-all-backups": "the platform's own backups",
    "v1-get-organization-entitlements": "what the plan allows",
}
"""What a deploy has not looked at where an operation, asked once, gives no answer."""

OFTEN = frozenset({"v1-get-project", "v1-scrape-project-metrics"})
"""Two ask for the first at once, for the second it is asked again and again: a fault that is tried alone meets all."""

Call = tuple[str, int]
"""An operation, and which of its calls, counted from 0."""

GOOD = {
    "20260101000000_notes.sql": "create table public.notes (id int primary key); alter table public.notes "
    "enable row level security;",
    "20260102000000_first.sql": "insert into public.notes values (1), (2);",
}
# The users are in no backup: only the platform can bring them back.
BAD = {
    "001_tags.sql": "create table public.tags (id int primary key); insert into public.tags values (1);",
    "002_users.sql": "delete from auth.users;",
    "003_bad.sql": "select 1 / 0;",
}
BASE = """
insert into auth.users (id, email) values ('00000000-0000-0000-0000-000000000001', 'a@example.test');
create table public.kept (id int primary key, body text); insert into public.kept values (1, 'a');
"""
RUNBOOK = """
advisors: {}
platform_metrics: {every: 300ms, limits: [{name: pg_stat_database_num_backends, max: 999, samples: 1, id: backends}]}
"""


@dataclass(frozen=True, kw_only=True)
class World:
    """A project that is made anew for each deploy, and the faults of its platform."""

    own: EmbeddedPostgres
    platform: Platform
    folder: Path
    numbers: Iterator[int]

    @property
    def url(self) -> str:
        return self.own.url(PROJECT)

    @property
    def content(self) -> tuple[str, dict[str, str]]:
        """All that is in the database, found out without the agent."""
        admin = self.own.admin_url(PROJECT)
        return schema_dump(admin, without=()), table_hashes(admin)

    def begin(self, files: dict[str, str], *, points: bool = False) -> Path:
        """A fresh database and a fresh folder."""
        if not (self.own.data / "postmaster.pid").exists():  # left down by a restore that failed
            run_aside(self.own.resume())
        run_aside(self.own.drop_database(PROJECT))
        run_aside(self.own.create_database(PROJECT, template="template"))
        psql(self.own.admin_url(PROJECT), BASE)
        self.platform.project.status = ACTIVE_HEALTHY
        self.platform.restore_points = points
        self.platform.clear_faults()
        self.platform.calls.clear()
        folder = self.folder / str(next(self.numbers))
        write_migrations(folder, files)
        return folder

    def fault(self, call: Call, kind: str, *, often: bool = False) -> None:
        """Let a call meet a fault for good: also when it is tried again, and with `often` all calls."""
        operation, after = call
        fault = FAULTS[kind]
        again = fault.get("status") in AGAIN or "cut" in fault
        repeats = next(one.repeats for one in OPERATIONS.values() if one.id == operation)
        times = ATTEMPTS if again and (repeats or fault.get("status") == 429) else 1
        self.platform.fault(operation, after=0 if often else after, times=None if often else times, **fault)

    def pairs(self, calls: Sequence[Call]) -> list[tuple[Call, str]]:
        """Each of these calls with each fault, as far as somebody wants them."""
        return [one for one in itertools.product(calls, FAULTS) if WANTED in ("all", one[0][0])]

    def calls(self) -> list[Call]:
        """What the deploy has asked."""
        seen: Counter[str] = Counter()
        found = []
        for one in self.platform.calls:
            assert one.operation is not None
            found.append((one.operation, seen[one.operation]))
            seen[one.operation] += 1
        return found

    def done(self, *operations: str) -> int:
        """How many requests with an effect took effect."""
        return sum(1 for one in self.platform.calls if one.operation in operations and _had_effect(one))


def _had_effect(one: Any) -> bool:
    fault = one.fault
    return fault is None or (fault.status is None and fault.cut != "before")


@pytest.fixture
def world(own: EmbeddedPostgres, simulated: Platform, tmp_path: Path) -> Iterator[World]:
    yield World(own=own, platform=simulated, folder=tmp_path, numbers=itertools.count())
    simulated.clear_faults()


@asynccontextmanager
async def client(platform: Platform, *, patience_s: float) -> AsyncIterator[ManagementApi]:
    """The real client, with a count of its own, that waits a fiftieth of the time."""

    async def shortly(seconds: float) -> None:
        await asyncio.sleep(seconds / 50)

    api = ManagementApi(
        ref=platform.ref,
        token=lambda: SecretStr(platform.token),
        base_url=platform.url,
        timing=Timing(timeout_s=patience_s, slow_timeout_s=patience_s, deadline_s=120.0, sleep=shortly),
        budget=Budget(),
    )
    try:
        yield api
    finally:
        await api.close()


async def run(world: World, settings: Settings, strategy: Strategy, **options: Any) -> Outcome:
    slow = any(fault.seconds for fault in world.platform.scripted)
    async with client(world.platform, patience_s=TIMEOUT_S if slow else 60.0) as api, open_deps(settings) as opened:
        deps = replace(opened, platform=api, options=replace(opened.options, poll_s=0.05, **options))
        queued = await queue(deps, DeployRequest(project="test", strategy=strategy))
        await run_deploy(PlainCtx(queued.id), deps)
        return Outcome(deploy=await deps.store.get(queued.id), events=await read_events(deps.store, queued.id))


async def deploy_well(world: World, faults: Sequence[tuple[Call, str]]) -> Outcome:
    """A deploy over a connection that asks all that is asked outside a restore; its end is held to what is there."""
    folder = world.begin(GOOD)
    runbook(folder, RUNBOOK)
    before = world.content[1]
    for call, kind in faults:
        world.fault(call, kind, often=bool(WANTED) and call[0] in OFTEN)
    outcome = await run(world, make_settings(world.url, folder), Strategy.ATOMIC)
    assert outcome.state == "succeeded", outcome.why
    after = world.content[1]
    new = {"public.notes", "supabase_migrations.schema_migrations"}
    assert {name: one for name, one in after.items() if name not in new} == before
    assert rows(world.url, "select count(*) from public.notes") == [(2,)]
    return outcome


def not_checked(outcome: Outcome) -> list[str]:
    """What the deploy says it could not look at."""
    findings = [one.message for one in outcome.of("finding") if one.data["code"].endswith(".not_checked")]
    return findings + [one.data["observed"] for one in outcome.of("check") if one.data["verdict"] == "errored"]


def left_out(outcome: Outcome, faults: Sequence[tuple[Call, str]]) -> list[str]:
    """What could not be looked at, and is not said."""
    said = "; ".join(not_checked(outcome))
    hidden = {SAID[call[0]] for call, kind in faults if call[0] in SAID and not is_cured(call, kind)}
    return sorted(one for one in hidden if one not in said)


def is_cured(call: Call, kind: str) -> bool:
    """Whether the answer is got in spite of the fault."""
    # A late answer is waited for or asked for again; where the v2 route is broken there are two of v1.
    return kind == "slow" or (call[0], kind) == ("v2-run-project-advisors", "nonsense")


async def test_what_the_platform_does_not_answer_fails_no_deploy_and_is_said(world: World) -> None:
    outcome = await deploy_well(world, [])
    assert not_checked(outcome) == []
    calls = world.calls()
    operations = Counter(operation for operation, _ in calls)
    assert {"v1-get-project", "v2-run-project-advisors", "v1-scrape-project-metrics"} <= set(operations)
    assert set(SAID) <= set(operations)
    if WANTED:
        for call, kind in world.pairs(calls):
            outcome = await deploy_well(world, [(call, kind)])
            assert is_cured(call, kind) or not_checked(outcome), (call, kind)
            assert left_out(outcome, [(call, kind)]) == []
        return
    kinds = list(FAULTS)
    for turn in range(len(kinds)):
        pairs = [
            ((operation, turn % operations[operation]), kinds[(turn + place) % len(kinds)])
            for place, operation in enumerate(sorted(operations))
        ]
        outcome = await deploy_well(world, pairs)
        assert left_out(outcome, pairs) == []


async def restore(world: World, faults: Sequence[tuple[Call, str]], *, points: bool) -> Outcome:
    """A deploy that only the platform can undo; its end is held to what is there."""
    folder = world.begin(BAD, points=points)
    before = world.content
    world.platform.take_daily_backup()  # the log that a restore reads goes back to the last one
    for call, kind in faults:
        world.fault(call, kind)
    settings = make_settings(world.url, folder, deploy={"platform_restore": "auto", "targeted_restore": False})
    quick = replace(QUICK, poll_s=0.1, begin_s=3.0, window_s=3.0)
    outcome = await run(world, settings, Strategy.PER_MIGRATION, platform_restore=quick)
    if world.platform.project.status != ACTIVE_HEALTHY:  # it may go on after the deploy has given up
        assert outcome.state == "needs_operator"
        await asyncio.to_thread(world.platform.settle)
        assert world.platform.project.status == ACTIVE_HEALTHY
    assert world.done(PITR, UNDO) <= 1, "it was asked twice"
    if world.content == before:
        assert outcome.state == "restored", outcome.why
        assert world.done(PITR, UNDO) == 1
    else:
        assert outcome.state == "needs_operator"
        assert world.done(PITR, UNDO) == 0
        failure = outcome.of("failure")[-1]
        assert failure.data["hint"], "a person is called, and not told what to do"
    return outcome


@pytest.mark.parametrize("points", [False, True], ids=["pitr", "restore point"])
async def test_a_restore_ends_where_the_database_is(world: World, points: bool) -> None:
    outcome = await restore(world, [], points=points)
    assert outcome.state == "restored", outcome.why
    calls = world.calls()
    begun = calls.index(("v1-create-restore-point", 0))
    asked = [one for one in calls[begun:] if one[0] == "v1-get-project"]
    wanted = [one for one in calls[begun:] if one not in asked[4:-1]]  # how often it is polled is a matter of time
    ended = Counter[str]()
    effect = [(call, kind) for call in wanted if call[0] in EFFECT for kind in FAULTS]
    assert effect
    for call, kind in world.pairs(wanted) if WANTED else effect:
        outcome = await restore(world, [(call, kind)], points=points)
        ended[outcome.state] += 1
        sys.stdout.write(f"{call} {kind} {outcome.state}\n")
    if WANTED in ("", "all"):
        assert ended["restored"]
        assert ended["needs_operator"]
    if WANTED == "all":
        assert ended["restored"] > ended["needs_operator"]


async def deploy_over_api(world: World, faults: Sequence[tuple[Call, str]]) -> Outcome:
    """A deploy without a connection; its end is held to what is there."""
    folder = world.begin(GOOD)
    before = world.content
    for call, kind in faults:
        world.fault(call, kind)
    section = {"base_url": world.platform.url, "token": world.platform.token, "ref": world.platform.ref}
    settings = make_settings("", folder, database_url=None, platform=section, deploy={"via": "api"})
    management_api_budget._budgets.clear()  # what an earlier fault has told the agent about its limits
    outcome = await run(world, settings, Strategy.ATOMIC, via_api_limit_s=4.0, via_api_doubt_s=20.0)
    if world.content == before:
        assert outcome.state in {"aborted", "rolled_back"}, faults
    else:
        assert rows(world.url, "select count(*) from public.notes") == [(2,)]
        assert outcome.state == "succeeded", (faults, outcome.why)
    assert len(world.platform.called("v1-run-a-query")) <= (ATTEMPTS if faults and faults[0][1] == "429" else 1)
    return outcome


async def test_over_the_api_alone_the_end_is_what_the_history_says(world: World) -> None:
    outcome = await deploy_over_api(world, [])
    assert outcome.state == "succeeded", outcome.why
    calls = [one for one in world.calls() if one[0] in {"v1-run-a-query", "v1-read-only-query"}]
    states = Counter[str]()
    some = [
        (calls[0], "544"),
        *((("v1-run-a-query", 0), kind) for kind in ("429 for an hour", "cut before", "cut after")),
    ]
    for call, kind in world.pairs(calls) if WANTED else some:
        outcome = await deploy_over_api(world, [(call, kind)])
        states[outcome.state] += 1
        sys.stdout.write(f"{call} {kind} {outcome.state}\n")
    if WANTED in ("", "all"):
        assert states["succeeded"]
        assert states["rolled_back"] + states["aborted"]
