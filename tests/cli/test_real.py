"""The program itself, as a process, on a real Postgres: deploys, signals, and what is known afterwards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.conftest import Database

ROOT = Path(__file__).parents[2]
BLOCKING = """\
create table public.half_done (id int);
do $$ begin raise notice 'waiting'; perform pg_advisory_lock(4711); end $$;
"""


@pytest.fixture
def project(database: Database, tmp_path: Path) -> Path:
    """A project with one harmless migration."""
    folder = tmp_path / "supabase" / "migrations"
    folder.mkdir(parents=True)
    (folder / "1_a.sql").write_text("create table public.a (id int);\ninsert into public.a values (1);\n")
    (tmp_path / "deploy-agent.yaml").write_text("project: shop\nbackup: {min_bytes: 0}\n")
    return tmp_path


def environment(database: Database) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.upper().startswith("DEPLOY_AGENT_")}
    return {**own, "PYTHONPATH": str(ROOT), "DEPLOY_AGENT_DATABASE_URL": database.url}


def run(project: Path, database: Database, *args: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "agent", *args],
        cwd=project,
        env=environment(database),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stdout + done.stderr
    return done


def document(project: Path, database: Database, *args: str) -> Any:
    return json.loads(run(project, database, *args, "--json").stdout)


@contextmanager
def started(project: Path, database: Database, *args: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "agent", *args],
        cwd=project,
        env=environment(database),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_first_deploy_and_what_is_known_of_it(project: Path, database: Database):
    assert document(project, database, "doctor")["ok"] is True
    plan = document(project, database, "plan")
    deployed = run(project, database, "deploy", "--plan", plan["fingerprint"])
    assert deployed.returncode == 0, deployed.stderr
    assert "✓ Deployed 1 migration to shop" in deployed.stdout
    assert document(project, database, "wait", "latest", "--timeout", "0")["applied"] is True
    status = document(project, database, "status")
    assert (status["applied"], status["pending"], status["last"]["state"]) == (1, [], "succeeded")
    (backup,) = document(project, database, "backup", "list")["backups"]
    assert document(project, database, "backup", "show", backup["id"])["manifest"]["id"] == backup["id"]
    again = run(project, database, "deploy")
    assert again.returncode == 0
    assert "Nothing to do: shop has no pending migration" in again.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_cancels_and_leaves_the_database_as_it_was(project: Path, database: Database, number: signal.Signals):
    (project / "supabase" / "migrations" / "2_b.sql").write_text(BLOCKING)
    with psycopg.connect(database.admin_url, autocommit=True) as other:
        other.execute("select pg_advisory_lock(4711)")
        with started(project, database, "deploy", "--json") as process:
            assert process.stdout is not None
            for line in process.stdout:
                event = json.loads(line)
                if event.get("kind") == "notice" and event["message"] == "waiting":
                    process.send_signal(number)
                    break
            rest = [json.loads(line) for line in process.stdout]
            process.wait(timeout=60)
        assert process.stderr is not None
        assert rest, process.stderr.read()
        last = rest[-1]
        assert last["type"] == "deploy"
        assert last["failure"]["cause"] == "cancelled"
        assert process.returncode == {"cancelled": 7, "rolled_back": 8}[last["state"]]
        tables = other.execute("select relname from pg_class where relname in ('a', 'half_done')").fetchall()
        assert tables == []
    again = run(project, database, "plan", "--json")
    assert [each["version"] for each in json.loads(again.stdout)["migrations"]] == ["1", "2"]


def test_a_failed_deploy_says_where_and_why(project: Path, database: Database):
    (project / "supabase" / "migrations" / "2_b.sql").write_text("select 1;\n\nselect no_such_column from public.a;\n")
    failed = run(project, database, "deploy", "--strategy", "per_migration")
    assert failed.returncode == 9
    assert "2_b.sql line 3 failed" in failed.stdout
    assert 'column "no_such_column" does not exist' in failed.stdout
    assert "schema and contents are identical" in " ".join(failed.stdout.split())
    shown = run(project, database, "show")
    assert "Restored from the backup" in shown.stdout


def test_there_is_no_latest_version_in_an_empty_folder(project: Path, database: Database):
    (project / "supabase" / "migrations" / "1_a.sql").unlink()
    done = run(project, database, "wait", "latest")
    assert done.returncode == 3
    assert "plan.empty_folder" in done.stderr


def test_an_unreachable_database(project: Path, database: Database):
    env = {**environment(database), "DEPLOY_AGENT_DATABASE_URL": "postgresql://postgres:s3cret-word@127.0.0.1:1/x"}
    done = subprocess.run(
        [sys.executable, "-m", "agent", "plan"], cwd=project, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 4
    assert done.stderr.startswith("error  target.unreachable\n")
    assert "s3cret-word" not in done.stdout + done.stderr
