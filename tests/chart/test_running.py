"""The agent as the chart's containers run it: their arguments, environment and settings, on a real database."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.conftest import Database
from tests.support import oracle
from tests.support.chart import ROOT, app_with, containers, pods, rendered
from tests.support.serving import Agent, environment, serving

MIGRATION = "20250101000000_tracks.sql"


class Pod:
    """A folder that stands for a pod's volumes, and what runs in it."""

    def __init__(self, objects: Any, folder: Path, database: Database) -> None:
        self.objects = objects
        self.places = {
            "/etc/deploy-agent": folder / "config",
            "/run/secrets/deploy-agent": folder / "secrets",
            "/var/lib/deploy-agent": folder / "state",
            "/project/supabase": folder / "supabase",
            "/tmp/deploy-agent": folder / "tmp",
        }
        for one in self.places.values():
            one.mkdir(parents=True)
        (folder / "supabase" / "migrations").mkdir()
        (folder / "supabase" / "migrations" / MIGRATION).write_text("create table tracks (id int primary key);\n")
        (folder / "secrets" / "database_url").write_text(database.url)
        (folder / "secrets" / "http_token").write_text("a-token-of-the-tests-0123456789")
        for one in objects:
            for name, text in one.get("data", {}).items():
                (folder / "config" / name).write_text(self.placed(text).replace("port: 8080", "port: 0"))

    def placed(self, text: str) -> str:
        for inside, outside in self.places.items():
            text = re.sub(rf"(?<![\w/]){inside}\b", str(outside), text)
        return text

    def container(self, name: str) -> tuple[list[str], dict[str, str]]:
        """Its arguments and its environment."""
        (found,) = [one for _, pod in pods(self.objects) for one in containers(pod) if one["name"] == name]
        env = {one["name"]: self.placed(one["value"]) for one in found.get("env", ())}
        arguments = [*found.get("command", [sys.executable, "-m", "agent"]), *found.get("args", ())]
        return arguments, environment() | env

    def run(self, name: str, **replaced: str) -> subprocess.CompletedProcess[str]:
        arguments, env = self.container(name)
        for old, new in replaced.items():
            arguments = [one.replace(old, new) for one in arguments]
        return subprocess.run(arguments, env=env, capture_output=True, text=True, check=False, cwd=ROOT)


def test_the_service_and_its_helm_test(database: Database, tmp_path: Path) -> None:
    pod = Pod(rendered("minimal"), tmp_path, database)
    url = "http://shop-supabase-deploy-agent.apps:8080/readyz"
    arguments, env = pod.container("deploy-agent")
    with serving(Path(), ["/usr/bin/env", *(f"{name}={text}" for name, text in env.items()), *arguments]) as agent:
        agent.ready()
        ready = _ask(pod, agent, url)
        assert ready.returncode == 0, ready.stderr
        assert '"ready":true' in ready.stdout
        doctor = pod.run("doctor")
        assert doctor.returncode == 0, doctor.stdout + doctor.stderr
        assert agent.stop() == 0


def _ask(pod: Pod, agent: Agent, url: str) -> subprocess.CompletedProcess[str]:
    arguments, env = pod.container("ready")
    there = str(agent.http.base_url.join("/readyz"))
    assert url in arguments[-1]
    return subprocess.run(
        [sys.executable, "-c", arguments[-1].replace(url, there)], env=env, capture_output=True, text=True, check=False
    )


def test_helm_test_says_when_nothing_answers() -> None:
    (_, test), *_ = [one for one in pods(rendered("minimal")) if one[0].startswith("Pod")]
    script = test["containers"][0]["command"][-1].replace(
        "http://shop-supabase-deploy-agent.apps:8080", "http://127.0.0.1:1"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "http://127.0.0.1:1/readyz does not answer" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_job_deploys(database: Database, tmp_path: Path) -> None:
    objects = [one for one in rendered("job-plain") if one["kind"] in {"Job", "ConfigMap"}]
    pod = Pod(objects, tmp_path, database)
    arguments, env = pod.container("deploy-agent")
    env["DEPLOY_AGENT_BACKUP__MIN_BYTES"] = "0"
    done = subprocess.run(arguments, env=env, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert oracle.rows(database.admin_url, "select to_regclass('public.tracks')::text") == [("tracks",)]
    again = subprocess.run(arguments, env=env, capture_output=True, text=True, check=False, cwd=ROOT)
    assert again.returncode == 0, "a release without new migrations goes on"


def test_the_init_container_waits_for_the_version(database: Database, tmp_path: Path) -> None:
    """It is given the database's URL and the migrations, and nothing else of the agent."""
    pod = Pod(app_with(tmp_path / "app"), tmp_path / "pod", database)
    arguments, env = pod.container("deploy-agent-wait")
    arguments[-1] = "0"
    waiting = subprocess.run(arguments, env=env, capture_output=True, text=True, check=False, cwd=ROOT)
    assert waiting.returncode == 14, waiting.stderr
    oracle.psql(
        database.admin_url,
        "create schema if not exists supabase_migrations; "
        "create table if not exists supabase_migrations.schema_migrations (version text primary key); "
        "insert into supabase_migrations.schema_migrations (version) values ('20250101000000');",
    )
    there = subprocess.run(arguments, env=env, capture_output=True, text=True, check=False, cwd=ROOT)
    assert there.returncode == 0, there.stderr


def test_the_image_is_as_the_chart_expects() -> None:
    """The folders, the user and the program that the values' defaults rely on."""
    final = (ROOT / "Dockerfile").read_text(encoding="utf-8").rpartition("\nFROM ")[2]
    (_, pod), *_ = [one for one in pods(rendered("minimal")) if one[0].startswith("StatefulSet")]
    security = pod["securityContext"]
    assert f"\nUSER {security['runAsUser']}:{security['runAsGroup']}\n" in final
    state = next(one["mountPath"] for one in pod["containers"][0]["volumeMounts"] if one["name"] == "deploy-agent-data")
    assert f"DEPLOY_AGENT_STATE_DIR={state}\n" in final
    assert '\nENTRYPOINT ["deploy-agent"]\n' in final
    assert "\nWORKDIR /project\n" in final
    (settings,) = [
        one["data"]["deploy-agent.yaml"] for one in rendered("minimal") if "deploy-agent.yaml" in one.get("data", {})
    ]
    assert "migrations: /project/supabase/migrations\n" in settings
