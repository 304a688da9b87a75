"""Rehearsals on branches of the simulated platform, which are real databases: made, used, and always deleted."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.bootstrap import volume_mark
from agent.core.models import Deploy, DeployRequest, Event
from agent.core.platform import Branch
from agent.core.rehearsal import Rehearsal, branch_name, left_behind
from agent.deploy import rehearsal
from agent.deploy.rehearsal import BranchWish, Hearing
from agent.errors import InputError, PlatformError, PreflightError
from agent.local_agent import open_agent
from agent.settings import Settings
from tests.conftest import Database
from tests.simulator import Platform, simulating
from tests.support.deploying import deploy, make_settings, write_migrations
from tests.support.hosted import runbook
from tests.support.oracle import rows, schema_dump, table_hashes

APPLIED = {"20260101000000_notes.sql": "create table public.notes (id int primary key, body text);"}
PENDING = {"20260102000000_tags.sql": "alter table public.notes add column tag int;"}
BAD = {"20260103000000_bad.sql": "alter table public.notes drop column tag;\nselect 1 / 0;"}
CHECKS = """
checks:
  - id: tagged
    sql: select count(*) from information_schema.columns where table_name = 'notes' and column_name = 'tag'
    expect: 1
  - id: application
    http: {url: "http://127.0.0.1:9/"}
"""


@pytest.fixture
def platform(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    monkeypatch.setattr(rehearsal, "_DELETE_PAUSES_S", (0.01,))
    with simulating(database.server, database.name) as running:
        running.plan = "pro"
        yield running


@pytest.fixture
async def settings(database: Database, tmp_path: Path, platform: Platform) -> Settings:
    """A project with one migration applied and one pending."""
    write_migrations(tmp_path, APPLIED)
    assert (await deploy(make_settings(database.url, tmp_path))).state == "succeeded"
    write_migrations(tmp_path, PENDING)
    section = {"base_url": platform.url, "token": platform.token, "ref": platform.ref}
    return make_settings(database.url, tmp_path, platform=section)


class Heard:
    """What a rehearsal tells, and a hand in it."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.events: list[Event] = []
        self.begun = asyncio.Event()

    def begin(self, deploy: Deploy) -> None:
        self.begun.set()

    def hearing(self) -> Hearing:
        return Hearing(tell=self.told.append, begun=self.begin, event=self.events.append)


async def rehearse(settings: Settings, heard: Heard | None = None, **wish: float) -> tuple[Rehearsal, Deploy | None]:
    async with open_agent(settings) as agent:
        order = DeployRequest(project="test", requested_by="test")
        wishes = BranchWish(poll_s=0.1, **wish)  # type: ignore[arg-type]  # numbers only
        return await agent.rehearse(order, wishes, (heard or Heard()).hearing())


def branches(platform: Platform) -> list[str]:
    return [one.name for one in platform.branches.values() if not one.is_default]


def whole(database: Database) -> tuple[str, dict[str, str]]:
    return schema_dump(database.admin_url, without=()), table_hashes(database.admin_url)


async def test_what_is_pending_is_applied_on_a_branch_and_nowhere_else(settings, platform, database, tmp_path):
    runbook(tmp_path, CHECKS)
    before = whole(database)
    heard = Heard()

    result, deployed = await rehearse(settings, heard)

    assert deployed is not None
    assert deployed.state.value == "succeeded", deployed.failure
    assert deployed.versions == ("20260102000000",)
    assert whole(database) == before
    assert branches(platform) == []
    assert (result.deleted, result.state) == ((result.branch,), "succeeded")
    assert "none of the project's rows" in result.caveats[0]
    assert [event.data["id"] for event in heard.events if event.kind == "check"] == ["tagged"]
    assert heard.told[-1] == f"Deleted the branch {result.branch}."
    assert not [call for call in platform.calls if call.path.endswith(("/merge", "/push"))]
    assert list((settings.state_dir / "rehearsal").glob("run-*")) == []
    async with open_agent(settings) as agent:
        assert deployed.id not in [one.id for one in await agent.deploys()]


async def test_a_failing_migration_is_found_on_the_branch(settings, platform, database, tmp_path):
    write_migrations(tmp_path, BAD)
    before = whole(database)
    _, deployed = await rehearse(settings)
    assert deployed is not None
    assert deployed.failure is not None
    assert (deployed.failure.version, deployed.failure.sqlstate) == ("20260103000000", "22012")
    assert whole(database) == before
    assert branches(platform) == []


async def test_an_interrupted_rehearsal_deletes_its_branch(settings, platform):
    heard = Heard()
    task = asyncio.create_task(rehearse(settings, heard))
    await heard.begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert branches(platform) == []


async def test_a_branch_of_which_only_the_request_is_known_and_that_is_never_ready(settings, platform):
    platform.fault("v1-create-a-branch", cut="after")
    with pytest.raises(PlatformError) as caught:
        await rehearse(settings, ready_s=0)
    assert caught.value.code == "rehearsal.stuck"
    assert branches(platform) == []


async def test_a_refused_branch_is_no_branch(settings, platform):
    platform.plan = "free"
    heard = Heard()
    with pytest.raises(PlatformError) as caught:
        await rehearse(settings, heard)
    assert caught.value.code == "platform.plan"
    assert not [one for one in heard.told if one.startswith("Deleted")]


async def test_a_branch_that_cannot_be_deleted_is_said_and_deleted_by_the_next_rehearsal(settings, platform):
    platform.fault("v1-delete-a-branch", status=403, times=2)
    with pytest.raises(PlatformError) as caught:
        await rehearse(settings, ready_s=0)
    assert caught.value.code == "rehearsal.branch_left"
    assert "not ready" in caught.value.message
    [left] = branches(platform)
    for file in (settings.migrations).glob("*_tags.sql"):
        file.unlink()

    result, deployed = await rehearse(settings)

    assert deployed is None
    assert result.deleted == (left,)
    assert result.branch == ""
    assert branches(platform) == []


def test_a_killed_rehearsal_is_cleaned_up_by_the_next_one(settings, platform, tmp_path):
    """The command itself: killed while its branch is there, then run to its end."""
    url = settings.require_database_url().get_secret_value()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("DEPLOY_AGENT_")},
        "DEPLOY_AGENT_PROJECT": "test",
        "DEPLOY_AGENT_DATABASE_URL": url,
        "DEPLOY_AGENT_STATE_DIR": str(settings.state_dir),
        "DEPLOY_AGENT_MIGRATIONS": str(settings.migrations),
        "DEPLOY_AGENT_RUNBOOK": str(settings.runbook),
        "DEPLOY_AGENT_PLATFORM__TOKEN": platform.token,
        "DEPLOY_AGENT_PLATFORM__REF": platform.ref,
        "DEPLOY_AGENT_PLATFORM__BASE_URL": platform.url,
    }
    command = [sys.executable, "-m", "agent", "rehearse", "--json"]
    refused = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert json.loads(refused.stdout)["error"]["code"] == "input.not_confirmed"
    assert "billed by the hour" in refused.stderr

    with subprocess.Popen([*command, "--yes"], env=environment, stderr=subprocess.PIPE, text=True) as killed:
        assert killed.stderr is not None
        assert any(line.startswith("The branch is ready") for line in killed.stderr)
        killed.send_signal(signal.SIGKILL)
    [left] = branches(platform)

    again = subprocess.run([*command, "--yes"], env=environment, capture_output=True, text=True, check=False)

    assert again.returncode == 0, again.stderr
    *_, deployed, result = [json.loads(line) for line in again.stdout.splitlines()]
    assert (deployed["type"], deployed["state"]) == ("deploy", "succeeded")
    assert (result["type"], result["deleted"]) == ("rehearsal", [left, result["branch"]])
    assert branches(platform) == []
    assert rows(url, "select version from supabase_migrations.schema_migrations") == [("20260101000000",)]


async def test_without_a_token_there_is_no_rehearsal(database, tmp_path):
    write_migrations(tmp_path, PENDING)
    with pytest.raises(InputError) as caught:
        await rehearse(make_settings(database.url, tmp_path))
    assert caught.value.code == "rehearsal.no_platform"


async def test_a_plan_with_errors_makes_no_branch(settings, platform, tmp_path):
    write_migrations(tmp_path, {"20250101000000_late.sql": "select 1;"})
    with pytest.raises(PreflightError):
        await rehearse(settings)
    assert not [call for call in platform.calls if call.operation == "v1-create-a-branch"]


def test_whose_branches_are_left_behind(tmp_path):
    now = datetime(2026, 3, 2, 12, tzinfo=UTC)
    mine = volume_mark(make_settings("postgresql://postgres@127.0.0.1:1/x", tmp_path))

    def branch(name: str, *, default: bool = False) -> Branch:
        facts = {"id": name, "project_ref": name, "parent_project_ref": "p", "persistent": False, "with_data": False}
        return Branch(name=name, is_default=default, status="", created_at="", **facts)

    young, old = now.replace(hour=11), now.replace(day=1, hour=11)
    known = [
        branch("main", default=True),
        branch("feature"),
        branch(branch_name(mine, young)),
        branch(branch_name("0badcafe", young)),
        branch(branch_name("0badcafe", old)),
        branch("deploy-agent-rehearsal-by-hand"),
    ]
    assert [one.name for one in left_behind(known, mine, now)] == [known[2].name, known[4].name]


async def test_deleting_goes_on_however_often_somebody_interrupts():
    begun, go, done = asyncio.Event(), asyncio.Event(), []

    async def work() -> None:
        begun.set()
        await go.wait()
        done.append(True)

    task = asyncio.create_task(rehearsal._surely(work()))
    await begun.wait()
    for _ in range(3):
        task.cancel()
        await asyncio.wait([task], timeout=0)
        await asyncio.wait([asyncio.create_task(asyncio.sleep(0))])
    assert not task.done()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == [True]
