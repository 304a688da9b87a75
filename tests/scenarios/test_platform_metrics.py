"""Deploys that are held to the platform's metrics, and that soak."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from agent.bootstrap import open_deps
from agent.core.models import DeployRequest
from agent.core.states import State
from agent.deploy.events import read_events
from agent.deploy.supervisor import queue
from agent.deploy.workflow import run_deploy
from tests.conftest import Database
from tests.simulator import Platform, simulating
from tests.support.deploying import PlainCtx, deploy, make_settings, until_told, write_migrations
from tests.support.hosted import answers, client, deployed, runbook
from tests.support.oracle import psql, rows

METRICS = "v1-scrape-project-metrics"
FILES = {"20260101000000_tags.sql": "create table public.tags (id int primary key);"}
LIMIT = "{name: pg_stat_database_num_backends, max: 80, samples: 2, id: connections}"


def text(connections: float) -> bytes:
    return (
        "# TYPE pg_stat_database_num_backends gauge\n"
        f'pg_stat_database_num_backends{{service_type="postgresql",server="localhost:5432"}} {connections}\n'
        'node_filesystem_avail_bytes{device="/dev/nvme1n1",mountpoint="/data"} 7.4e+09\n'
    ).encode()


@pytest.fixture
def project(database: Database, tmp_path: Path) -> tuple[Database, Path]:
    psql(database.url, "create table public.notes (id int primary key); insert into public.notes values (1);")
    write_migrations(tmp_path, FILES)
    return database, tmp_path


@pytest.fixture
def platform(project: tuple[Database, Path]) -> Iterator[Platform]:
    with simulating(project[0].server, project[0].name) as running:
        yield running


def tables(database: Database) -> list[str]:
    return [
        row[0] for row in rows(database.url, "select tablename from pg_tables where schemaname = 'public' order by 1")
    ]


def scripted(platform: Platform, *connections: float) -> None:
    answers(platform, METRICS, *map(text, connections), media="text/plain", last=True)


@pytest.mark.parametrize(
    ("connections", "state", "observed"),
    [
        ((5, 90, 20), "succeeded", "20"),
        ((5, 90, 91), "restored", "91 in 2 samples one after the other"),
    ],
)
async def test_a_limit_fails_the_deploy_only_when_it_is_exceeded_in_a_row(
    project: tuple[Database, Path], platform: Platform, connections: tuple[float, ...], state: str, observed: str
) -> None:
    runbook(project[1], f"platform_metrics: {{every: 200ms, limits: [{LIMIT}]}}")
    scripted(platform, *connections)

    outcome = await deployed(project[0].url, project[1], platform)

    assert outcome.state == state
    (check,) = outcome.of("check")
    assert (check.data["id"], check.data["observed"]) == ("connections", observed)
    assert check.data["expected"] == "pg_stat_database_num_backends is at most 80"
    assert tables(project[0]) == (["notes", "tags"] if state == "succeeded" else ["notes"])


async def test_samples_are_kept_as_evidence(project: tuple[Database, Path], platform: Platform) -> None:
    runbook(project[1], f"platform_metrics: {{limits: [{LIMIT}]}}")
    scripted(platform, 5, 7)
    outcome = await deployed(project[0].url, project[1], platform)
    async with open_deps(make_settings(project[0].url, project[1])) as deps:
        kept = json.loads(await deps.store.get_evidence(outcome.deploy.id, "platform_metrics") or "")
    assert [one["readings"][0]["value"] for one in kept] == [5.0, 7.0]
    (told,) = [one.data["ranges"] for one in outcome.of("log") if "ranges" in one.data]
    assert told["pg_stat_database_num_backends"] == [5.0, 7.0]
    assert "node_filesystem_avail_bytes{device=/dev/nvme1n1,mountpoint=/data}" in told


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        ("{name: pg_stat_database_num_backend, max: 80}", "platform_metrics.no_series"),
        ("{name: pg_stat_database_num_backends, max: 4, hint: Close some}", "platform_metrics.beyond_limit"),
    ],
)
async def test_what_cannot_be_kept_is_found_before_anything_is_touched(
    project: tuple[Database, Path], platform: Platform, limits: str, code: str
) -> None:
    runbook(project[1], f"platform_metrics: {{limits: [{limits}]}}")
    scripted(platform, 5)
    outcome = await deployed(project[0].url, project[1], platform)
    assert (outcome.state, outcome.why.partition(":")[0]) == ("aborted", code)
    assert tables(project[0]) == ["notes"]


@pytest.mark.parametrize(("policy", "state"), [("warn", "succeeded"), ("fail", "aborted")])
@pytest.mark.parametrize("access", ["no token", "analytics_logs_read", "no series in the Prometheus text format"])
async def test_metrics_that_cannot_be_read_are_not_checked_and_never_passed(
    project: tuple[Database, Path], platform: Platform, access: str, policy: str, state: str
) -> None:
    url, folder = project[0].url, project[1]
    runbook(folder, f"platform_metrics: {{every: 100ms, limits: [{LIMIT}], if_not_checked: {policy}}}")
    if access == "no token":
        outcome = await deploy(make_settings(url, folder))
    elif access == "analytics_logs_read":
        outcome = await deployed(url, folder, platform, token=platform.scoped_token(["project_admin_read"]))
    else:
        platform.fault(METRICS, status=200, body=b"node_load1{ what\n", media="text/plain", times=None)
        outcome = await deployed(url, folder, platform)

    assert outcome.state == state
    (told,) = [one for one in outcome.of("finding") if one.data["code"] == "platform_metrics.not_checked"]
    assert access in told.message
    verdicts = [(one.data["verdict"], one.data["observed"][:13]) for one in outcome.of("check")]
    assert verdicts == ([("errored", "not checked: ")] if state == "succeeded" else [])


async def test_what_is_exceeded_while_a_migration_runs_is_told_and_does_not_stop_it(
    project: tuple[Database, Path], platform: Platform
) -> None:
    url, folder = project[0].url, project[1]
    write_migrations(folder, {"20260102000000_slow.sql": "select pg_advisory_xact_lock(7);"})
    runbook(folder, f"platform_metrics: {{every: 100ms, limits: [{LIMIT.replace('samples: 2, ', '')}]}}")
    scripted(platform, 5, 200)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as holder:
        await holder.execute("select pg_advisory_lock(7)")
        settings = make_settings(url, folder, deploy={"lock_timeout_s": 60})
        async with client(platform) as api:
            running = asyncio.create_task(deploy(settings, deps={"platform": api}))
            while len(platform.called(METRICS)) < 3:  # the platform calls nobody back
                await asyncio.sleep(0.02)
            platform.clear_faults()
            scripted(platform, 6)
            await holder.execute("select pg_advisory_unlock(7)")
            outcome = await running
    assert outcome.state == "succeeded"
    (told,) = [one for one in outcome.of("log") if "while it runs" in one.message]
    assert told.message == "while it runs, pg_stat_database_num_backends is 200; the limit is at most 80"


SOAK = """
soak: {{for: {time}, every: 100ms}}
checks:
  - {{id: one-note, sql: select count(*) from notes, expect: 1}}
"""


def soaking(data: dict) -> bool:
    return data.get("what") == "soak"


async def test_a_soak_looks_again_and_tells_only_what_is_new(project: tuple[Database, Path]) -> None:
    url, folder = project[0].url, project[1]
    runbook(folder, SOAK.format(time="450ms"))
    outcome = await deploy(make_settings(url, folder))
    assert outcome.state == "succeeded"
    assert len([one for one in outcome.of("progress") if soaking(one.data)]) > 1
    assert len(outcome.of("check")) == 1
    assert outcome.of("state")[-1].message.startswith("every check passed (1), and stayed so for 450 ms, looked at")


async def test_a_check_that_fails_in_the_soak_undoes_the_deploy_and_keeps_what_others_wrote(
    project: tuple[Database, Path],
) -> None:
    url, folder = project[0].url, project[1]
    runbook(folder, SOAK.format(time="10m"))
    settings = make_settings(url, folder)
    running = asyncio.create_task(deploy(settings))
    await until_told(settings, "progress", when=soaking)
    psql(url, "insert into notes values (2)")
    outcome = await running
    assert outcome.state == "restored"
    assert outcome.deploy.failure is not None
    assert outcome.deploy.failure.check == "one-note"
    assert [one.data["verdict"] for one in outcome.of("check")] == ["passed", "failed"]
    assert tables(project[0]) == ["notes"]
    assert rows(url, "select count(*) from notes") == [(2,)]


async def test_a_soak_is_cancelled_and_the_deploy_undone(project: tuple[Database, Path]) -> None:
    url, folder = project[0].url, project[1]
    runbook(folder, SOAK.format(time="10m"))
    settings = make_settings(url, folder)
    running = asyncio.create_task(deploy(settings))
    await until_told(settings, "progress", when=soaking)
    async with open_deps(settings) as deps:
        (going,) = await deps.store.deploys(limit=1)
        await deps.store.request_cancel(going.id, reason="enough", now=deps.clock.now())
    outcome = await running
    assert outcome.state == "restored"
    assert outcome.deploy.failure is not None
    assert outcome.deploy.failure.cause == "cancelled"
    assert tables(project[0]) == ["notes"]


async def test_a_soak_survives_its_worker_and_its_connection(project: tuple[Database, Path]) -> None:
    url, folder = project[0].url, project[1]
    runbook(folder, SOAK.format(time="3s"))
    settings = make_settings(url, folder)
    async with open_deps(settings) as deps:
        queued = await queue(deps, DeployRequest(project=settings.project, requested_by="test"))
        first = asyncio.create_task(run_deploy(PlainCtx(queued.id), deps))
        await until_told(settings, "progress", when=soaking)
        until = await deps.store.get_evidence(queued.id, "soak_until")
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        assert (await deps.store.get(queued.id)).state is State.VERIFY
        second = asyncio.create_task(run_deploy(PlainCtx(queued.id), deps))
        seen = len(await read_events(deps.store, queued.id))
        while not [one for one in (await read_events(deps.store, queued.id))[seen:] if soaking(one.data)]:
            await asyncio.sleep(0.02)
        psql(
            project[0].admin_url,
            f"select pg_terminate_backend(pid) from pg_stat_activity where application_name like '%{queued.id}%'",
        )
        assert await second is State.SUCCEEDED
        assert await deps.store.get_evidence(queued.id, "soak_until") == until
        events = await read_events(deps.store, queued.id)
    assert [one for one in events if one.message.startswith("the soak has lost its connection")]
    assert tables(project[0]) == ["notes", "tags"]
