"""`deploy-agent serve` as a real process: asked, watching, by the clock, stopped, killed, and beside others."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from agent.edges.scheduler import Cron, Schedule
from agent.edges.store import open_store
from agent.errors import BusyError, HealthError, UnfinishedError
from tests.conftest import TEMPLATE
from tests.support.aside import run_aside
from tests.support.oracle import psql, rows, schema_dump, table_hashes
from tests.support.receiver import Receiver, receiving
from tests.support.serving import TOKEN, Agent, command, environment, serving, write_config

BASE = "create table public.notes (id int primary key, body text not null); insert into public.notes values (1, 'a');"
LOCK = 4711
YEARLY = "0 0 1 1 *"
_VERSIONS = itertools.count(20260101000000)


def whole(database) -> tuple[str, dict[str, str]]:
    return schema_dump(database.admin_url, without=()), table_hashes(database.admin_url)


def history(url: str) -> list[str]:
    known = "select to_regclass('supabase_migrations.schema_migrations') is not null"
    if rows(url, known) == [(False,)]:
        return []
    return [row[0] for row in rows(url, "select version from supabase_migrations.schema_migrations order by 1")]


def add_migration(folder: Path, text: str) -> str:
    """A file with the next version; returns that."""
    version = str(next(_VERSIONS))
    (folder / "migrations" / f"{version}_more.sql").write_text(text)
    return version


@contextmanager
def held(database, key: int = LOCK) -> Iterator[Callable[[], bool]]:
    """Holds the advisory lock that a migration waits for; gives a question: is it waiting?"""
    with psycopg.connect(database.admin_url, autocommit=True) as holder:
        holder.execute("select pg_advisory_lock(%s)", (key,))
        waiting = "select pid from pg_locks where locktype = 'advisory' and objid = %s and not granted"
        yield lambda: bool(holder.execute(waiting, (key,)).fetchall())


def run(config: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(config, *arguments), env=environment(), capture_output=True, text=True, timeout=60, check=False
    )


@dataclass(frozen=True, kw_only=True)
class Url:
    url: str
    admin_url: str


@dataclass(frozen=True, kw_only=True)
class Shared:
    """One agent for the tests that do not stop it."""

    agent: Agent
    database: Url
    folder: Path
    config: Path
    prompt: Receiver
    hanging: Receiver


async def seed_cursor(state: Path) -> None:
    """As if the yearly slot had come while no agent ran."""
    schedule = Schedule(name="yearly", kind="backup", cron=Cron(YEARLY, name="yearly"))
    store = await open_store(f"sqlite:///{state / 'agent.db'}")
    await store.move_cursor(schedule.cursor, expected=None, to=datetime.now(UTC) - timedelta(minutes=1))
    await store.close()


@pytest.fixture(scope="module")
def shared(server, tmp_path_factory) -> Iterator[Shared]:
    name = "serve_shared"
    run_aside(server.create_database(name, template=TEMPLATE))
    folder = tmp_path_factory.mktemp("serve")
    try:
        psql(server.url(name), BASE)
        (folder / "state").mkdir()
        run_aside(seed_cursor(folder / "state"))
        with receiving() as prompt, receiving() as hanging:
            hanging.hold()
            secret = {"kind": "standard", "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
            config = write_config(
                folder,
                server.url(name),
                notify=[
                    {"name": "hanging", "url": f"{hanging.url}/hook-secret", **secret},
                    {"name": "prompt", "url": f"{prompt.url}/hook-secret", **secret},
                ],
                watch={"mode": "plan", "every_s": 3600},
                schedules=[{"name": "yearly", "kind": "backup", "cron": YEARLY}],
            )
            with serving(config) as agent:
                agent.ready()
                yield Shared(
                    agent=agent,
                    database=Url(url=server.url(name), admin_url=server.admin_url(name)),
                    folder=folder,
                    config=config,
                    prompt=prompt,
                    hanging=hanging,
                )
                hanging.release()
                assert agent.stop() == 0
                log = "".join(agent.raw)
                assert TOKEN not in log
                assert "hook-secret" not in log
                assert "whsec_" not in log
                assert not [line for line in agent.log if line["level"] in ("error", "critical")], log
    finally:
        run_aside(server.drop_database(name))


def test_a_deploy_over_http_is_told_to_everybody_though_one_target_hangs(shared: Shared) -> None:
    version = add_migration(shared.folder, "create table public.by_api (id int);")
    heard = len(shared.prompt.requests)

    deploy = shared.agent.ended(shared.agent.deploy())

    assert deploy["state"] == "succeeded"
    assert version in history(shared.database.url)
    shared.agent.wait_until(lambda: shared.agent.get("/status")["pending"] == [])
    assert shared.agent.get(f"/api/v1/deploys/{deploy['id']}")["headline"]
    events = shared.agent.get(f"/api/v1/deploys/{deploy['id']}/events")
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    told = [json.loads(one.body) for one in shared.prompt.wait_for(heard + 2)]
    assert "deploy.succeeded" in {one["type"] for one in told if one["data"]["id"] == deploy["id"]}
    held = {one.headers["webhook-id"] for one in shared.hanging.wait_for(1)}
    assert len(held) == 1, "held by its first message, tried again perhaps, which nobody waits for"


def test_one_deploy_at_a_time_and_none_while_it_is_cancelled(shared: Shared) -> None:
    version = add_migration(shared.folder, f"create table public.gone (id int); select pg_advisory_lock({LOCK});")
    before = whole(shared.database)
    with held(shared.database) as waiting:
        deploy_id = shared.agent.deploy()
        shared.agent.wait_until(waiting)
        second = shared.agent.http.post("/api/v1/deploys")
        assert (second.status_code, second.json()["code"]) == (409, "busy.deploying")
        by_hand = run(shared.config, "deploy", "--json")
        assert by_hand.returncode == BusyError.exit_code
        told = json.loads(by_hand.stdout)["error"]
        assert told["where"] == {"deploy_id": deploy_id}
        assert f"deploy {deploy_id} of test is not over: asked for by api at " in told["message"]
        assert "in state migrate since" in told["message"]
        backup = shared.agent.http.post("/api/v1/backups")
        assert (backup.status_code, backup.json()["code"]) == (409, "busy.deploying")
        assert shared.agent.get("/status")["running"]["id"] == deploy_id
        answer = shared.agent.http.post(f"/api/v1/deploys/{deploy_id}/cancel", json={"reason": "second thoughts"})
        assert answer.status_code == 202
        deploy = shared.agent.ended(deploy_id)

    assert (deploy["state"], deploy["cancel_reason"]) == ("cancelled", "second thoughts")
    assert whole(shared.database) == before
    next(shared.folder.glob(f"migrations/{version}*")).unlink()


def test_the_command_line_hands_its_deploy_over(shared: Shared) -> None:
    version = add_migration(shared.folder, "create table public.by_cli (id int);")

    done = run(shared.config, "deploy", "--json")

    assert done.returncode == 0, done.stderr
    assert version in history(shared.database.url)
    newest = shared.agent.get("/api/v1/deploys", limit=1)[0]
    assert newest["request"]["requested_by"] == "cli"
    assert shared.agent.said("deploy started", deploy_id=newest["id"]), "serve ran it"
    assert newest["id"] in done.stdout, "and the command followed it"


def test_a_slot_that_passed_is_made_up_for(shared: Shared) -> None:
    taken = shared.agent.wait_for("backup taken")
    assert taken["backup_id"] in [one["id"] for one in shared.agent.get("/api/v1/backups")]
    assert len(shared.agent.said("schedule due")) == 1


def test_a_second_agent_on_the_same_folder_is_refused(shared: Shared) -> None:
    with serving(shared.config) as second:
        assert second.wait() == 11
        assert f"process {shared.agent.process.pid} already runs an agent" in " ".join("".join(second.raw).split())


def test_a_taken_port_is_one_clear_error(shared: Shared, tmp_path: Path) -> None:
    port = shared.agent.wait_for("serving")["port"]
    config = write_config(tmp_path, shared.database.url, http={"port": port, "token": TOKEN})
    with serving(config) as second:
        assert second.wait() == 3
        log = "".join(second.raw)
        assert "settings.http_port" in log
        assert f"port {port}" in log
        assert "Traceback" not in log


def test_its_health_is_asked_for_on_the_command_line(shared: Shared, tmp_path: Path) -> None:
    port = shared.agent.wait_for("serving")["port"]
    config = write_config(tmp_path, shared.database.url, http={"port": port, "token": TOKEN})
    for arguments, answer in ((("health",), "alive\n"), (("health", "--ready", "--json"), '{"ready": true}\n')):
        done = run(config, *arguments)
        assert (done.returncode, done.stdout) == (0, answer)
    done = run(shared.config, "health")
    assert done.returncode == HealthError.exit_code
    assert "health.port" in done.stderr


def test_an_open_address_needs_a_token(tmp_path: Path) -> None:
    config = write_config(tmp_path, "postgresql://postgres:x@127.0.0.1:1/x", http={"port": 0, "host": "0.0.0.0"})
    with serving(config) as agent:
        assert agent.wait() == 3
        assert "settings.http_token" in "".join(agent.raw)


def test_without_its_database_it_lives_and_says_why_it_is_not_ready(tmp_path: Path) -> None:
    config = write_config(tmp_path, "postgresql://postgres:hunter2hunter2@127.0.0.1:1/nowhere")
    with serving(config) as agent:
        assert agent.http.get("/livez").status_code == 200

        def only_target() -> str:
            answer = agent.http.get("/readyz")
            assert answer.status_code == 503
            missing = {one["name"]: one["message"] for one in answer.json()["missing"]}
            return missing["target"] if set(missing) == {"target"} and "127.0.0.1:1" in missing["target"] else ""

        assert "hunter2" not in agent.wait_until(only_target)
        assert agent.stop() == 0


def test_watching_it_deploys_by_itself_and_tries_a_failed_plan_once(database, tmp_path: Path) -> None:
    psql(database.url, BASE)
    config = write_config(tmp_path, database.url, watch={"mode": "deploy", "every_s": 1})
    bad = add_migration(tmp_path, "insert into public.notes values (1, 'again');")
    with serving(config) as agent:
        agent.ready()
        [failed] = agent.wait_until(lambda: agent.get("/api/v1/deploys"))
        assert agent.ended(failed["id"])["state"] == "rolled_back"

        looks: set[str] = set()
        agent.wait_until(lambda: looks.add(target(agent)["checked_at"]) or len(looks) > 3)
        assert len(agent.get("/api/v1/deploys")) == 1

        next(tmp_path.glob(f"migrations/{bad}*")).write_text("insert into public.notes values (2, 'b');")
        newest = agent.wait_until(lambda: next(iter(agent.get("/api/v1/deploys")[:-1]), None))
        assert agent.ended(newest["id"])["state"] == "succeeded"
        assert newest["request"]["requested_by"] == "watch"
        good = add_migration(tmp_path, "insert into public.notes values (3, 'c');")
        newest = agent.wait_until(lambda: next(iter(agent.get("/api/v1/deploys")[:-2]), None))
        assert agent.ended(newest["id"])["state"] == "succeeded"
        assert agent.stop() == 0
    assert history(database.url) == [bad, good]


def target(agent: Agent) -> dict[str, str]:
    [found] = [one for one in agent.get("/healthz")["conditions"] if one["name"] == "target"]
    return found


def test_sigterm_stops_a_running_deploy_and_the_next_agent_deploys_it(database, tmp_path: Path) -> None:
    psql(database.url, BASE)
    config = write_config(tmp_path, database.url, watch={"mode": "deploy", "every_s": 1})
    version = add_migration(tmp_path, f"insert into public.notes values (2, 'b'); select pg_advisory_lock({LOCK});")
    before = whole(database)
    with held(database) as waiting, serving(config) as agent:
        agent.wait_until(waiting)
        assert agent.stop() == 0
        agent.wait_for("deploy ended", state="cancelled")
        assert whole(database) == before

    with serving(config) as agent:
        agent.ready()
        newest = agent.wait_until(lambda: next(iter(agent.get("/api/v1/deploys")[:-1]), None))
        assert agent.ended(newest["id"])["state"] == "succeeded"
        assert agent.stop() == 0
    assert history(database.url) == [version]


def test_a_deploy_that_does_not_stop_in_time_is_named_and_the_next_agent_ends_it(database, tmp_path: Path) -> None:
    psql(database.url, BASE)
    config = write_config(tmp_path, database.url, deploy={"cancel_grace_s": 0})
    add_migration(tmp_path, f"insert into public.notes values (2, 'b'); select pg_advisory_lock({LOCK});")
    before = whole(database)
    with held(database) as waiting, serving(config) as agent:
        agent.ready()
        deploy_id = agent.deploy()
        agent.wait_until(waiting)
        assert agent.stop() == UnfinishedError.exit_code
        last = " ".join("".join(agent.raw).split())  # lines are broken where the terminal ends
        assert "serve.deploy_running" in last
        assert f"deploy {deploy_id} (migrate)" in last

    with serving(config) as agent:
        agent.ready()
        assert agent.ended(deploy_id)["state"] == "cancelled"
        assert agent.stop() == 0
    assert whole(database) == before


def test_what_a_killed_agent_left_is_brought_to_its_end(database, tmp_path: Path) -> None:
    psql(database.url, BASE)
    config = write_config(tmp_path, database.url)
    version = add_migration(tmp_path, f"insert into public.notes values (2, 'b'); select pg_advisory_lock({LOCK});")
    with held(database) as waiting, serving(config) as agent:
        agent.ready()
        deploy_id = agent.deploy()
        agent.wait_until(waiting)
        agent.stop(signal.SIGKILL)

    with serving(config) as agent:
        agent.ready()
        assert agent.ended(deploy_id)["state"] == "succeeded"
        assert agent.stop() == 0
    assert history(database.url) == [version]
    assert rows(database.url, "select id from public.notes order by id") == [(1,), (2,)], "once"
