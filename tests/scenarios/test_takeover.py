"""Agents on several hosts that share a store on Postgres: what one leaves when it dies, another brings to its end."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGKILL
from typing import Any

import psycopg
import pytest

from agent.errors import StoreError
from tests.scenarios.test_serve import BASE, LOCK, held, history
from tests.support.aside import run_aside
from tests.support.oracle import psql, rows
from tests.support.serving import Agent, environment, serving, write_config

VERSION = "20260101000000"
# What `python -m agent` does, in a container of that name.
ON_HOST = """
import socket, sys
name = sys.argv.pop(1)
socket.gethostname = lambda: name
from agent.__main__ import main
main()
"""
HOLDER_LETS_GO = f"""
select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and objid = {LOCK} and granted
"""
WORKFLOWS = "select workflow_uuid, status, executor_id from dbos.workflow_status order by created_at"


@pytest.fixture
def store(server, database) -> Iterator[str]:
    """A database of its own for the agents' memory: its name."""
    name = f"{database.name}_store"
    run_aside(server.create_database(name))
    try:
        yield name
    finally:
        run_aside(server.drop_database(name))


@pytest.fixture
def shared(server, database, store: str, tmp_path: Path) -> dict[str, Any]:
    """What the agents of all hosts have in common; one migration waits for a lock of the test's."""
    psql(database.url, BASE)
    migrations = tmp_path / "migrations"
    migrations.mkdir()
    text = f"insert into public.notes values (2, 'b'); select pg_advisory_lock({LOCK});"
    (migrations / f"{VERSION}_more.sql").write_text(text)
    backups = {"min_bytes": 0, "target": f"file://{tmp_path}/backups"}
    return {"store_url": server.admin_url(store), "migrations": str(migrations), "backup": backups}


def command(host: str, config: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-c", ON_HOST, host, *arguments, "--config", str(config)]


@contextmanager
def on_host(host: str, config: Path) -> Iterator[Agent]:
    with serving(config, command(host, config, "serve")) as agent:
        yield agent.ready()


def test_of_two_agents_one_goes_on_where_a_killed_one_on_another_host_was(
    database, server, store: str, shared: dict[str, Any], tmp_path: Path
) -> None:
    configs = {host: write_config(tmp_path / host, database.url, **shared) for host in "abc"}
    with held(database) as waiting, on_host("b", configs["b"]) as second, on_host("c", configs["c"]) as third:
        with on_host("a", configs["a"]) as first:
            deploy_id = first.deploy()
            first.wait_until(waiting)
            first.stop(SIGKILL)
        second.wait_until(lambda: len(rows(server.admin_url(store), WORKFLOWS)) == 2)
        second.wait_until(waiting)
        left, again = rows(server.admin_url(store), WORKFLOWS)
        goes_on, looks_on = (second, third) if again[2].startswith("test@b/") else (third, second)
        psql(database.admin_url, HOLDER_LETS_GO)
        assert goes_on.ended(deploy_id)["state"] == "succeeded"
        assert goes_on.stop() == looks_on.stop() == 0
    told = [agent.said("deploy of a dead agent taken over", deploy_id=deploy_id) for agent in (second, third)]
    assert sum(len(one) for one in told) == 1
    assert not looks_on.said("deploy ended")
    assert [left[0], again[0]] == [deploy_id, f"{deploy_id}.1"]
    assert left[1] == "CANCELLED"
    assert left[2].startswith("test@a/")
    assert history(database.url) == [VERSION]
    assert rows(database.url, "select id from public.notes order by id") == [(1,), (2,)], "once"


def test_a_deploy_at_the_command_line_first_brings_one_of_another_host_to_its_end(
    database, shared: dict[str, Any], tmp_path: Path
) -> None:
    first, second = (write_config(tmp_path / host, database.url, **shared) for host in "ab")
    with held(database) as waiting:
        left = subprocess.Popen(command("a", first, "deploy"), env=environment(), stdout=subprocess.DEVNULL)
        try:
            while not waiting():
                assert left.poll() is None
        finally:
            left.kill()
            left.wait()
    done = subprocess.run(
        command("b", second, "deploy"), env=environment(), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "it is brought to its end first" in done.stdout
    assert "Nothing to do" in done.stdout
    assert history(database.url) == [VERSION]


def test_an_agent_that_loses_its_lock_takes_it_again_and_is_not_taken_over(
    database, server, store: str, shared: dict[str, Any], tmp_path: Path
) -> None:
    first, second = (write_config(tmp_path / host, database.url, **shared) for host in "ab")
    with on_host("a", first) as runs, on_host("b", second) as looks:
        with held(database) as waiting:
            deploy_id = runs.deploy()
            runs.wait_until(waiting)
            end_sessions(server, store, "deploy-agent (alive)")
            runs.wait_for("executor lock held again")
            looks.wait_for("executor lock held again")
        assert runs.ended(deploy_id)["state"] == "succeeded"
        assert looks.stop() == 0, "a deploy that runs elsewhere is not its own to cancel"
        assert runs.stop() == 0
    assert not looks.said("deploy of a dead agent taken over")
    [workflow] = rows(server.admin_url(store), WORKFLOWS)
    assert workflow[1] == "SUCCESS"


def test_an_agent_without_its_lock_ends_in_the_middle_of_a_deploy(
    database, server, store: str, shared: dict[str, Any], tmp_path: Path
) -> None:
    config = write_config(tmp_path / "a", database.url, **shared)
    with held(database) as waiting:
        with on_host("a", config) as agent:
            deploy_id = agent.deploy()
            agent.wait_until(waiting)
            psql(server.admin_url("postgres"), f"alter database {store} allow_connections false")
            end_sessions(server, store, "")
            assert agent.wait() == StoreError.exit_code
        last = " ".join(line.strip() for line in agent.raw if not line.startswith("{"))
        assert "engine.lock_lost" in last
        assert "Traceback" not in last
        psql(server.admin_url("postgres"), f"alter database {store} allow_connections true")
    with on_host("a", config) as agent:
        assert agent.ended(deploy_id)["state"] == "succeeded"
        assert agent.stop() == 0
    assert rows(database.url, "select id from public.notes order by id") == [(1,), (2,)], "once"


def end_sessions(server, store: str, application: str) -> None:
    """End the sessions on the store, of that application name or all."""
    with psycopg.connect(server.admin_url("postgres"), autocommit=True) as other:
        other.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s and application_name ^@ %s",
            (store, application),
        )
