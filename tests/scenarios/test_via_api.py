"""Deploys without a connection to the database: one request to the simulated platform, in doubt or not."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.bootstrap import open_deps
from agent.core.models import DeployRequest, Strategy
from agent.deploy import service
from agent.deploy.events import read_events
from agent.deploy.supervisor import queue
from agent.deploy.workflow import run_deploy
from agent.errors import PlatformError, TargetError
from agent.settings import Settings
from tests.conftest import TEMPLATE
from tests.interop.peer import Cli
from tests.simulator import Platform, simulating
from tests.support.aside import run_aside
from tests.support.deploying import Outcome, PlainCtx, deploy, make_settings, write_migrations
from tests.support.oracle import psql, rows

QUERY, READ = "v1-run-a-query", "v1-read-only-query"
GOOD = {
    "20260101000000_notes.sql": "create table public.notes (id int primary key, body text not null); -- 100%",
    "20260102000000_first.sql": "insert into public.notes values (1, 'it''s a \\ note'), (2, 'b');",
}
MORE = "set search_path = public; insert into notes values (3, 'c')"
HISTORY = "select version, name, statements from supabase_migrations.schema_migrations order by version"


@pytest.fixture
def platform(database):
    with simulating(database.server, database.name) as running:
        running.rate_limit = None
        yield running


@pytest.fixture
def second_url(database):
    """Another database, as fresh as the first."""
    name = f"{database.name}_second"
    run_aside(database.server.create_database(name, template=TEMPLATE))
    yield database.server.url(name)
    run_aside(database.server.drop_database(name))


@pytest.fixture
def settings(tmp_path: Path, platform: Platform) -> Settings:
    write_migrations(tmp_path, GOOD)
    return only_api(tmp_path, platform)


def only_api(folder: Path, platform: Platform, **more: Any) -> Settings:
    section = {"base_url": platform.url, "token": platform.token, "ref": platform.ref, **more}
    return make_settings("", folder, database_url=None, platform=section, deploy={"via": "api"})


async def run(
    settings: Settings,
    *,
    limit_s: float = 20.0,
    doubt_s: float = 20.0,
    again: str = "",
    wrap=lambda api: api,
    **request,
) -> Outcome:
    async with open_deps(settings) as opened:
        options = replace(opened.options, via_api_limit_s=limit_s, via_api_doubt_s=doubt_s, poll_s=0.05)
        deps = replace(opened, options=options, platform=wrap(opened.platform))
        order = DeployRequest(project="test", **request)
        id_ = again or (await queue(deps, order)).id
        await run_deploy(PlainCtx(id_), deps)
        return Outcome(deploy=await deps.store.get(id_), events=await read_events(deps.store, id_))


def runbook(settings: Settings, text: str) -> None:
    settings.runbook.write_text(f"version: 1\ntitle: t\n{text}")


def notes(database) -> list[int] | None:
    if rows(database.url, "select to_regclass('public.notes') is null") == [(True,)]:
        return None
    return [one for (one,) in rows(database.url, "select id from public.notes order by id")]


def findings(outcome: Outcome) -> dict[str, str]:
    return {event.data["code"]: event.severity.value for event in outcome.of("finding")}


async def test_all_goes_in_one_request_and_the_history_is_what_a_connection_would_have_written(
    database, settings, platform, tmp_path, second_url
):
    outcome = await run(settings)
    assert outcome.state == "succeeded", outcome.why
    assert notes(database) == [1, 2]
    assert len(platform.called(QUERY)) == 1
    assert findings(outcome)["plan.via_api"] == "info"
    assert findings(outcome)["preflight.no_backup_via_api"] == "warning"
    assert not [one for one in platform.calls if one.problems]
    write_migrations(tmp_path / "other", GOOD)
    direct = await deploy(make_settings(second_url, tmp_path / "other"), "atomic")
    assert direct.state == "succeeded", direct.why
    assert rows(database.url, HISTORY) == rows(second_url, HISTORY)
    assert (await run(settings)).state == "succeeded"
    assert len(platform.called(QUERY)) == 1  # nothing was pending


async def test_the_real_cli_agrees_with_the_history(database, settings, tmp_path, supabase_cli):
    assert (await run(settings)).state == "succeeded"
    (tmp_path / "project").mkdir()
    cli = Cli(binary=supabase_cli, url=database.url, project=tmp_path / "project")
    cli.write(GOOD)
    listed = cli.run("migration", "list").data["migrations"]
    assert [(row["local"], row["remote"]) for row in listed] == [(one[:14], one[:14]) for one in GOOD]
    assert cli.run("db", "push", "--dry-run").code == 0


async def test_a_later_deploy_sees_no_drift_and_adds_to_the_history(database, settings, tmp_path):
    assert (await run(settings)).state == "succeeded"
    write_migrations(
        tmp_path, {"20260103000000_more.sql": "set search_path = public; insert into notes values (3, 'c')"}
    )
    outcome = await run(settings)
    assert outcome.state == "succeeded", outcome.why
    assert "preflight.drift" not in findings(outcome)
    assert notes(database) == [1, 2, 3]


async def test_of_files_that_fail_nothing_remains(database, settings, tmp_path):
    write_migrations(tmp_path, {"20260103000000_bad.sql": "insert into public.notes values (1, 'again')"})
    outcome = await run(settings)
    assert outcome.state == "rolled_back", outcome.why
    assert outcome.deploy.failure.sqlstate == "23505"
    assert "one of 3 files" in outcome.deploy.failure.message
    assert notes(database) is None
    assert rows(database.url, "select to_regnamespace('supabase_migrations')") == [(None,)]


CHECK = "checks:\n  - {{title: Two notes, sql: select count(*) as notes from public.notes, expect: {expect}}}\n"


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("2", "3"),
        ("{that: notes == before.two and not notes < 1}", "{that: notes > before.two}"),
        ("{every: notes * 2 - 1 == 3, rows: 1..}", "{rows: '>1'}"),
        ("{empty: false}", "{empty: true}"),
    ],
)
async def test_checks_are_judged_before_commit(database, settings, platform, good, bad):
    snapshot = "snapshot:\n  - {name: two, sql: select 2}\n"
    runbook(settings, snapshot + CHECK.format(expect=bad))
    outcome = await run(settings)
    assert (outcome.state, outcome.deploy.failure.code) == ("rolled_back", "check.failed"), outcome.why
    [failed] = outcome.of("check")
    assert failed.data["observed"] == '{"notes":2}'
    assert failed.data["expected"]
    assert notes(database) is None
    runbook(settings, snapshot + CHECK.format(expect=good))
    outcome = await run(settings)
    assert outcome.state == "succeeded", outcome.why
    assert [event.data["observed"] for event in outcome.of("check")] == ["it held before COMMIT"]
    assert "plan.via_api_after_commit" not in findings(outcome)


async def test_a_check_that_writes_is_refused_before_commit(database, settings):
    writes = "with gone as (delete from public.notes returning 1) select count(*) from gone"
    runbook(settings, f"checks:\n  - {{title: Writes, sql: {writes}, expect: 2}}\n")
    outcome = await run(settings)
    assert outcome.state in {"rolled_back", "aborted"}
    assert notes(database) is None


async def test_a_check_that_fails_after_commit_calls_a_person_who_is_told_what_to_do(database, settings, platform):
    runbook(settings, "checks:\n  - {title: No notes table, table: {name: notes, exists: false}}\n")
    outcome = await run(settings)
    assert outcome.state == "needs_operator"
    assert findings(outcome)["plan.via_api_after_commit"] == "warning"
    assert outcome.deploy.failure.code == "check.failed"
    assert "the migrations are committed" in outcome.deploy.failure.detail
    assert f"supabase backups restore --project-ref {platform.ref} -t 1" in outcome.deploy.failure.hint
    assert notes(database) == [1, 2]
    runbook(settings, "checks:\n  - {title: Notes table, table: {name: notes, columns: [id, body]}}\n")
    write = "insert into public.notes values (3, 'c')"
    (settings.migrations / "20260103000000_more.sql").write_text(write)
    outcome = await run(settings)
    assert outcome.state == "succeeded", outcome.why


@pytest.mark.parametrize(("cut", "state"), [("after", "succeeded"), ("before", "rolled_back")])
async def test_a_request_in_doubt_is_looked_for_and_not_repeated(database, settings, platform, cut, state):
    platform.fault(QUERY, cut=cut)
    platform.fault(READ, status=503, after=len(GOOD) + 20, times=1)
    outcome = await run(settings, limit_s=2.0)
    assert outcome.state == state, outcome.why
    assert len(platform.called(QUERY)) == 1
    assert notes(database) == ([1, 2] if state == "succeeded" else None)
    if state == "rolled_back":
        assert outcome.deploy.failure.code == "deploy.api_not_applied"


async def test_where_nobody_can_tell_a_person_is_called(database, settings, platform):
    platform.fault(QUERY, cut="after")

    def blind(api):
        class Blind:
            ref = api.ref

            def __getattr__(self, name):
                return getattr(api, name)

            async def query(self, text, parameters=(), *, read_only=False):
                try:
                    return await api.query(text, parameters, read_only=read_only)
                except PlatformError:
                    platform.fault(READ, status=403, times=None)
                    raise

        return Blind()

    outcome = await run(settings, limit_s=0.5, doubt_s=0.2, wrap=blind)
    platform.clear_faults()
    assert outcome.state == "needs_operator"
    assert "nobody can tell whether the migrations are in" in outcome.deploy.failure.detail
    assert "supabase migration list" in outcome.deploy.failure.hint
    assert len(platform.called(QUERY)) == 1


class _Killed(BaseException):
    """The process is gone."""


def killing(*, before: bool):
    def wrap(api):
        class Killing:
            ref = api.ref

            def __getattr__(self, name):
                return getattr(api, name)

            async def query(self, text, parameters=(), *, read_only=False):
                if read_only:
                    return await api.query(text, parameters, read_only=True)
                if not before:
                    await api.query(text, parameters)
                raise _Killed

        return Killing()

    return wrap


@pytest.mark.parametrize(("before", "requests"), [(True, 1), (False, 1)])
async def test_after_a_kill_around_the_request_the_next_worker_looks_first(
    database, settings, platform, before, requests
):
    with pytest.raises(_Killed):
        await run(settings, limit_s=2.0, wrap=killing(before=before))
    async with open_deps(settings) as deps:
        [left] = await deps.store.deploys(limit=1)
    assert left.state == "migrate"
    outcome = await run(settings, limit_s=2.0, again=left.id)
    assert outcome.state == "succeeded", outcome.why
    assert len(platform.called(QUERY)) == requests
    assert notes(database) == [1, 2]


async def test_two_at_once_never_interleave(database, settings, platform, tmp_path):
    slow = {**GOOD, "20260103000000_slow.sql": "select pg_sleep(1)"}
    for name in ("a", "b"):
        write_migrations(tmp_path / name, slow)
    both = await asyncio.gather(*(run(only_api(tmp_path / name, platform)) for name in ("a", "b")))
    states = sorted(one.state for one in both)
    assert states == ["rolled_back", "succeeded"]
    [lost] = [one for one in both if one.state == "rolled_back"]
    assert lost.deploy.failure.code in {"busy.locked", "deploy.api_history_changed"}
    assert notes(database) == [1, 2]


async def test_a_deploy_over_a_connection_keeps_one_over_the_api_out(database, settings):
    async with (
        open_deps(make_settings(database.url, settings.state_dir / "other")) as deps,
        deps.target.session(purpose="other") as session,
    ):
        assert await session.value("select pg_try_advisory_lock(x'6465706c6f796131'::bigint)")
        outcome = await run(settings)
    assert (outcome.state, outcome.deploy.failure.code) == ("rolled_back", "busy.locked")
    assert notes(database) is None


async def test_what_takes_too_long_is_rolled_back_whole(database, settings, tmp_path):
    write_migrations(tmp_path, {"20260103000000_slow.sql": "select pg_sleep(1.1);\n" * 3})
    outcome = await run(settings, limit_s=2.0)
    assert (outcome.state, outcome.deploy.failure.code) == ("rolled_back", "deploy.api_too_late")
    assert notes(database) is None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("create index concurrently i on public.notes (body)", "plan.via_api_transaction"),
        ("begin; select 1; commit;", "plan.via_api_transaction"),
        ("copy public.notes from stdin", "plan.copy_stdin"),
        ("set standard_conforming_strings = off", "plan.via_api_transaction"),
    ],
)
async def test_what_does_not_go_this_way_is_refused_before_anything_is_sent(
    database, settings, platform, tmp_path, text, code
):
    write_migrations(tmp_path, {"20260103000000_other.sql": text})
    outcome = await run(settings)
    assert (outcome.state, outcome.deploy.failure.code) == ("aborted", code)
    assert not platform.called(QUERY)


async def test_other_strategies_and_checks_that_need_a_connection_are_refused(settings, platform):
    outcome = await run(settings, strategy=Strategy.PER_MIGRATION)
    assert outcome.deploy.failure.code == "plan.via_api_strategy"
    runbook(settings, "checks:\n  - {title: Fast, performance: {sql: select 1, max_ms: 10}}\n")
    outcome = await run(settings)
    assert outcome.deploy.failure.code == "plan.via_api_check"
    assert not platform.called(QUERY)


async def test_that_the_platform_is_not_asked_for_a_restore_is_said_in_the_plan(settings, tmp_path):
    deploy_section = settings.deploy.model_copy(update={"platform_restore": "auto"})
    outcome = await run(settings.model_copy(update={"deploy": deploy_section}))
    assert findings(outcome)["plan.via_api_platform_restore"] == "warning"
    (settings.migrations / "20260103000000_more.sql").write_text("insert into public.notes values (3, 'c')")
    assert "plan.via_api_platform_restore" not in findings(await run(settings))


async def test_a_policy_that_demands_the_platform_demands_its_backup(settings, platform, tmp_path):
    platform.project.backups = []
    outcome = await run(only_api(tmp_path, platform, required=True))
    assert (outcome.state, outcome.deploy.failure.code) == ("aborted", "preflight.no_backup_via_api")
    platform.project.addons.add("pitr_7")
    assert "preflight.no_backup_via_api" in findings(await run(only_api(tmp_path, platform, required=True)))


async def test_backups_need_a_connection_and_status_and_doctor_do_not(database, settings):
    assert (await run(settings)).state == "succeeded"
    async with open_deps(settings) as deps:
        assert await service.applied_versions(deps) == ["20260101000000", "20260102000000"]
        assert not [one for one in await service.doctor(deps, []) if one.severity == "error"]
        with pytest.raises(TargetError) as refused:
            await service.backup(deps, lambda _: None)
    assert refused.value.code == "target.api_only"


def test_without_a_token_there_is_no_such_way(tmp_path):
    with pytest.raises(ValueError, match=r"deploy\.via api needs platform\.token"):
        make_settings("", tmp_path, database_url=None, deploy={"via": "api"})


async def test_a_late_request_ends_itself(database, settings, platform):
    """What arrives after the agent has stopped waiting for it must not take effect."""
    held: list[str] = []

    def late(api):
        class Late:
            ref = api.ref

            def __getattr__(self, name):
                return getattr(api, name)

            async def query(self, text, parameters=(), *, read_only=False):
                if read_only:
                    return await api.query(text, parameters, read_only=True)
                held.append(text)
                raise PlatformError("lost", code="platform.in_doubt", in_doubt=True)

        return Late()

    outcome = await run(settings, limit_s=1.0, wrap=late)
    assert (outcome.state, outcome.deploy.failure.code) == ("rolled_back", "deploy.api_not_applied")
    with pytest.raises(Exception, match="too late"):
        psql(database.url, held[0])
    assert notes(database) is None
