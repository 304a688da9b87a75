"""Restores that are asked for first: said what they would do, waited for, approved, rejected, and taken up again."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.bootstrap import open_deps
from agent.core.models import (
    Approval,
    Deploy,
    DeployRequest,
    Event,
    EventKind,
    OutboxState,
    Proposal,
    Severity,
    Strategy,
)
from agent.core.restore_policy import Policy
from agent.core.states import Move, State
from agent.deploy.approval import permitted, policy_of
from agent.deploy.deps import Deps, Run, Stop
from agent.deploy.emitter import Emitter
from agent.deploy.events import read_events
from agent.deploy.supervisor import queue
from agent.deploy.workflow import run_deploy
from agent.edges.store import SqlStore
from agent.local_agent import open_agent
from agent.settings import Settings
from tests.support.deploying import PlainCtx, deploy, make_settings, write_migrations
from tests.support.oracle import psql, rows, schema_dump, table_hashes
from tests.support.receiver import receiving
from tests.support.serving import Agent, command, environment, serving, write_config

KILLED = 137
BASE = "create table public.notes (id int primary key, body text not null); insert into public.notes values (1, 'a');"
BAD = {
    "001_tags.sql": "create table public.tags (id int primary key); insert into public.tags values (1);",
    "002_notes.sql": "update public.notes set body = 'b';",
    "003_bad.sql": "insert into public.notes values (1, 'again');",
}
TAGS = "select to_regclass('public.tags') is not null"


def whole(database) -> tuple[str, dict[str, str]]:
    return schema_dump(database.admin_url, without=()), table_hashes(database.admin_url)


def lock_is_held(database) -> bool:
    held = """
        select count(*) from pg_locks
        where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())
    """
    return rows(database.admin_url, held)[0][0] > 0


@pytest.fixture
def project(database, tmp_path: Path):
    """A database, a folder with a migration that fails after two others have committed, and what was before."""
    psql(database.url, BASE)
    write_migrations(tmp_path, BAD)
    return database, tmp_path, whole(database)


def settings_of(database, folder: Path, **policy: Any) -> Settings:
    return make_settings(
        database.url, folder, deploy={"strategy": "per_migration", **(policy or {"restore": "approve"})}
    )


@asynccontextmanager
async def quick_deps(settings: Settings, **more: Any) -> AsyncIterator[Deps]:
    async with open_deps(settings) as deps:
        yield replace(deps, options=replace(deps.options, poll_s=0.02), **more)


class Asking:
    """A deploy that runs until it asks."""

    def __init__(self, deps: Deps, deploy_id: str, task: asyncio.Task[State]) -> None:
        self.deps, self.deploy_id, self.task = deps, deploy_id, task

    async def now(self) -> Deploy:
        return await self.deps.store.get(self.deploy_id)

    async def answer(self, *, approve: bool) -> None:
        await self.deps.store.answer_approval(
            self.deploy_id, approve=approve, by="nina", remark="seen", now=self.deps.clock.now()
        )


@asynccontextmanager
async def asking(settings: Settings, deploy_id: str = "") -> AsyncIterator[Asking]:
    """Run a deploy, a new one or one that was left, until it has asked something that nobody has answered."""
    moved = asyncio.Event()
    async with quick_deps(settings, moved=lambda _: moved.set()) as deps:
        if not deploy_id:
            request = DeployRequest(project=settings.project, strategy=settings.deploy.strategy, requested_by="test")
            deploy_id = (await queue(deps, request)).id
        task = asyncio.create_task(run_deploy(PlainCtx(deploy_id), deps))
        task.add_done_callback(lambda _: moved.set())
        one = Asking(deps, deploy_id, task)
        try:
            while not (await one.now()).waits_for_approval:
                assert not task.done(), await one.now()
                await moved.wait()
                moved.clear()
            yield one
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_nothing_is_undone_before_somebody_says_yes(project) -> None:
    database, folder, before = project
    async with asking(settings_of(database, folder)) as one:
        deploy_now = await one.now()
        assert deploy_now.state is State.RESTORING
        assert deploy_now.approval is not None
        proposal = deploy_now.approval.proposal
        assert proposal.backup_id == deploy_now.backup_id
        assert proposal.undone
        assert "public.notes" in proposal.tables
        assert proposal.seconds > 0
        assert deploy_now.approval.reason == "restore is set to approve"
        assert rows(database.url, TAGS) == [(True,)], "the database is as the deploy left it"
        assert lock_is_held(database), "and nobody else may deploy"
        await one.answer(approve=True)
        assert await one.task is State.RESTORED
    assert whole(database) == before


async def test_a_rejected_restore_is_left_to_people(project) -> None:
    database, folder, _ = project
    async with asking(settings_of(database, folder)) as one:
        left = table_hashes(database.admin_url)
        await one.answer(approve=False)
        assert await one.task is State.NEEDS_OPERATOR
        ended = await one.now()
    assert ended.failure is not None
    assert ended.failure.sqlstate == "23505", "the cause stays what it was"
    assert "was rejected by nina: seen" in ended.failure.detail
    assert table_hashes(database.admin_url) == left


async def test_what_is_held_is_said_and_not_done(project) -> None:
    database, folder, _ = project
    outcome = await deploy(settings_of(database, folder, restore="hold"), "per_migration")
    assert outcome.state == "needs_operator"
    assert outcome.of("rung") == []
    [proposal] = outcome.of("proposal")
    assert (proposal.data["verdict"], proposal.data["reason"]) == ("hold", "restore is set to hold")
    assert proposal.data["undone"]
    assert rows(database.url, TAGS) == [(True,)]


@pytest.mark.parametrize(
    ("policy", "runbook", "reason"),
    [
        ({"max_downtime": 0}, "", "max_downtime is 0 ms"),
        ({}, "on_failure: {restore: approve}", "restore is set to approve"),
        ({"restore": "approve", "max_downtime": 3600}, "on_failure: {max_downtime: 0s}", "max_downtime is 0 ms"),
    ],
)
async def test_the_limit_that_was_exceeded_is_named(project, policy: dict[str, Any], runbook: str, reason: str) -> None:
    database, folder, before = project
    if runbook:
        (folder / "deploy.yaml").write_text(f"version: 1\ntitle: Test\n{runbook}\n")
    async with asking(settings_of(database, folder, **(policy or {"restore": "auto"}))) as one:
        approval = (await one.now()).approval
        assert approval is not None
        assert reason in approval.reason
        await one.answer(approve=True)
        assert await one.task is State.RESTORED
    assert whole(database) == before


async def test_within_the_policy_nobody_is_asked(project) -> None:
    database, folder, before = project
    outcome = await deploy(settings_of(database, folder, restore="auto", max_downtime=3600), "per_migration")
    assert outcome.state == "restored", outcome.why
    assert [one.data["verdict"] for one in outcome.of("proposal")][-1] == "go"
    assert outcome.of("approval") == []
    assert whole(database) == before


async def test_a_connection_that_dies_while_people_think_is_opened_again(project) -> None:
    database, folder, before = project
    async with asking(settings_of(database, folder)) as one:
        psql(
            database.admin_url,
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and application_name like 'deploy-agent/%'",
        )
        await one.answer(approve=True)
        assert await one.task is State.RESTORED
    assert whole(database) == before


async def test_who_leaves_a_waiting_deploy_leaves_no_delivery_behind(project) -> None:
    """The message is on its way while the command ends: what it uses is closed then."""
    database, folder, _ = project
    with receiving() as chat:
        chat.hold()
        notify = [{"name": "chat", "kind": "slack", "url": f"{chat.url}/hook", "events": ["restoring"]}]
        settings = make_settings(database.url, folder, deploy={"restore": "approve"}, notify=notify)
        asked = asyncio.Event()

        def heard(event: Event) -> None:
            if event.kind is EventKind.APPROVAL:
                asked.set()

        before = asyncio.all_tasks()
        async with open_agent(settings) as agent:
            request = DeployRequest(project=settings.project, strategy=Strategy.PER_MIGRATION)
            running = asyncio.create_task(agent.deploy(request, heard))
            await asked.wait()
            await asyncio.to_thread(chat.wait_for, 1)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            assert running.cancelled()
            assert asyncio.all_tasks() == before


# --- killed while it waits ---


def killed_when_it_asks(settings: Settings) -> str:
    """A deploy in a process of its own, which dies at the moment that it has asked; the deploy's id."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            ask = SqlStore.ask_approval

            async def last_words(self: SqlStore, *arguments: Any, **more: Any) -> Approval:
                await ask(self, *arguments, **more)
                os._exit(KILLED)

            SqlStore.ask_approval = last_words  # type: ignore[method-assign]
            asyncio.run(deploy(settings, "per_migration"))
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == KILLED
    return asyncio.run(the_open_deploy(settings))


async def the_open_deploy(settings: Settings) -> str:
    async with open_deps(settings) as deps:
        [one] = await deps.store.deploys()
        assert one.waits_for_approval
        return one.id


@pytest.mark.parametrize("when", ["before the restart", "after the restart"])
def test_the_next_agent_waits_for_the_same_answer(project, when: str) -> None:
    database, folder, before = project
    settings = settings_of(database, folder)
    deploy_id = killed_when_it_asks(settings)

    async def go_on() -> None:
        if when == "after the restart":
            async with asking(settings, deploy_id) as one:
                await one.answer(approve=True)
                assert await one.task is State.RESTORED
        else:
            async with quick_deps(settings) as deps:
                await deps.store.answer_approval(deploy_id, approve=True, by="nina", now=deps.clock.now())
                assert await run_deploy(PlainCtx(deploy_id), deps) is State.RESTORED
        async with open_deps(settings) as deps:
            events = await read_events(deps.store, deploy_id)
        assert [one.data["number"] for one in events if one.kind is EventKind.APPROVAL] == [1, 1], "asked once"

    asyncio.run(go_on())
    assert whole(database) == before


# --- asked directly ---


@asynccontextmanager
async def a_run(database, folder: Path, policy: Policy) -> AsyncIterator[Run]:
    """A deploy that is being restored, without anything to restore."""
    settings = make_settings(database.url, folder, notify=[{"name": "chat", "kind": "slack", "url": "http://x.test/a"}])
    async with quick_deps(settings) as opened, AsyncExitStack() as stack:
        deps = replace(opened, options=replace(opened.options, policy=policy))
        queued = await queue(deps, DeployRequest(project="test"))
        state = State.QUEUED
        for move in (Move.START, Move.CLEAR, Move.SNAPPED, Move.BACKED_UP, Move.FAIL, Move.NOT_UNDONE):
            state = await deps.store.transition(queued.id, expected=state, move=move, now=deps.clock.now(), message="m")
        emitter = await stack.enter_async_context(Emitter(deps.store, deps.clock, queued.id, redactor=deps.redactor))
        run = Run(deps=deps, deploy_id=queued.id, emitter=emitter, resources=stack)
        stack.push_async_callback(run.drop_session)
        yield run


PROPOSAL = Proposal(rung=3, backup_id="b", tables=("public.a",), seconds=1)


async def answered(run: Run, proposal: Proposal, *, approve: bool = True) -> bool:
    """`permitted`, with somebody who answers as soon as something is asked."""
    asked = asyncio.Event()
    run.deps = replace(run.deps, moved=lambda _: asked.set())
    task = asyncio.create_task(permitted(run, proposal))
    task.add_done_callback(lambda _: asked.set())
    await asked.wait()
    if not task.done():
        await run.deps.store.answer_approval(run.deploy_id, approve=approve, by="nina", now=run.deps.clock.now())
    return await task


async def test_an_approval_covers_what_was_asked_and_no_more(database, tmp_path: Path) -> None:
    async with a_run(database, tmp_path, Policy(restore="approve")) as run:
        assert await answered(run, PROPOSAL), "it had to wait"
        assert not await permitted(run, PROPOSAL.model_copy(update={"rows_salvaged": 9})), "it is approved already"
        assert await answered(run, PROPOSAL.model_copy(update={"tables": ("public.a", "public.b")}))
        assert await answered(run, PROPOSAL.model_copy(update={"rung": 4}))
        deploy_now = await run.deps.store.get(run.deploy_id)
        assert deploy_now.approval is not None
        assert deploy_now.approval.number == 3
        told = await run.deps.store.messages(state=OutboxState.PENDING)
        events = {one.seq: one for one in await read_events(run.deps.store, run.deploy_id)}
        kinds = [events[message.event_seq] for message in told if events[message.event_seq].kind is EventKind.APPROVAL]
        assert len(kinds) == 6, "three questions and three answers for the one channel"


async def test_a_refused_rung_stays_refused(database, tmp_path: Path) -> None:
    async with a_run(database, tmp_path, Policy(restore="approve")) as run:
        with pytest.raises(Stop) as refused:
            await answered(run, PROPOSAL, approve=False)
        assert refused.value.failure.code == "restore.refused"
        with pytest.raises(Stop) as again:
            await permitted(run, PROPOSAL.model_copy(update={"tables": ("public.b",)}))
        assert again.value.failure.code == "restore.refused"


async def test_no_rung_runs_twice(database, tmp_path: Path) -> None:
    async with a_run(database, tmp_path, Policy()) as run:
        await permitted(run, PROPOSAL)
        run.emitter.emit(EventKind.RUNG, "m", severity=Severity.WARNING, rung=3, name="n", ok=False, differences=[])
        with pytest.raises(Stop) as stopped:
            await permitted(run, PROPOSAL)
        assert stopped.value.failure.code == "restore.repeated"
        await permitted(run, PROPOSAL.model_copy(update={"rung": 4}))


async def test_a_long_list_is_cut_and_secrets_are_masked(database, tmp_path: Path) -> None:
    async with a_run(database, tmp_path, Policy(restore="hold")) as run:
        undone = tuple(f"comment {'http://x.test/a'} {n}" for n in range(1000))
        with pytest.raises(Stop):
            await permitted(run, PROPOSAL.model_copy(update={"undone": undone}))
        [told] = [one for one in await read_events(run.deps.store, run.deploy_id) if one.kind is EventKind.PROPOSAL]
        assert told.data["undone"][0] == "comment *** 0"
        assert told.data["undone"][-1] == "800 more"
        assert policy_of(run).restore == "hold"


# --- as processes ---


def run_command(config: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(config, *arguments), env=environment(), capture_output=True, text=True, timeout=90, check=False
    )


def asked(agent: Agent, deploy_id: str) -> Callable[[], bool]:
    return lambda: bool(agent.get(f"/api/v1/deploys/{deploy_id}")["waits_for_approval"])


def test_people_are_told_and_answer_by_http_or_command_line_and_an_agent_may_stop_meanwhile(project) -> None:
    database, folder, before = project
    secret = {"kind": "standard", "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
    with receiving() as chat:
        config = write_config(
            folder,
            database.url,
            deploy={"strategy": "per_migration", "restore": "approve"},
            notify=[{"name": "chat", "url": f"{chat.url}/hook", **secret}],
        )
        with serving(config) as agent:
            first = agent.ready().deploy()
            agent.wait_until(asked(agent, first))
            told = agent.wait_until(
                lambda: [one for one in bodies(chat) if one["type"] == "deploy.waiting_for_approval"]
            )
            assert told[0]["data"]["approval"]["proposal"]["tables"]
            assert told[0]["data"]["next_commands"][0]["command"] == f"deploy-agent approve {first}"
            assert "waiting for" in run_command(config, "history").stdout  # the column may break the line
            answer = agent.http.post(f"/api/v1/deploys/{first}/approve", json={"number": 1})
            assert answer.status_code == 200, answer.text
            assert agent.ended(first)["state"] == "restored"
            assert whole(database) == before

            second = agent.deploy()
            agent.wait_until(asked(agent, second))
            assert agent.stop() == 0, "it does not wait for people"
        with serving(config) as agent:
            agent.ready()
            assert asked(agent, second)()
            done = run_command(config, "approve", second, "--yes", "--json")
            assert done.returncode == 0, done.stderr
            assert json.loads(done.stdout)["approval"]["answer"] == "approved"
            assert agent.ended(second)["state"] == "restored"
            assert agent.get(f"/api/v1/deploys/{second}")["approvals"][-1]["number"] == 1, "asked once"
    assert whole(database) == before


def bodies(receiver) -> list[dict[str, Any]]:
    return [json.loads(one.body) for one in receiver.requests]


def test_a_command_that_was_left_is_taken_up_by_the_answer(project) -> None:
    database, folder, before = project
    config = write_config(folder, database.url, deploy={"strategy": "per_migration", "restore": "approve"})
    process = subprocess.Popen(
        command(config, "deploy", "--json"),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            event = json.loads(line)
            if event.get("kind") == "approval":
                process.send_signal(signal.SIGINT)
                break
        process.stdout.read()
        assert process.wait(60) == 130
    finally:
        process.kill()
        process.communicate()
    assert rows(database.url, TAGS) == [(True,)]
    refused = run_command(config, "approve", event["deploy_id"])
    assert refused.returncode == 3, "there is no terminal to ask at"

    done = run_command(config, "approve", event["deploy_id"], "--yes")

    assert done.returncode == 9, done.stdout + done.stderr
    assert "would reload" in done.stdout
    assert whole(database) == before
