"""The real Supabase CLI takes the simulator for the platform: it checks the answers with schemas of its own.

A profile file redirects it. Its commands on the database itself cannot be redirected by a profile alone: the direct
host is always `db.<ref>.<project_host>` and the port always 5432, in the CLI's words "IPv6 is not supported on your
current network", after which it asks for the pooler; and a pooler's host must have a domain ("failed to parse pooler
TLD"), which an address has not. `127.21554` is both: to the CLI a domain, to the system the address 127.0.84.50.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.edges.embedded import EmbeddedPostgres
from tests.interop.peer import environment
from tests.simulator import Platform, simulating
from tests.simulator.pooler import SessionPooler
from tests.support import oracle
from tests.support.needs import cannot_run
from tests.support.own_server import own_server
from tests.support.seconds import next_second

POOLER_HOST = "127.21554"
POOLER_ADDRESS = "127.0.84.50"


@dataclass(frozen=True, kw_only=True)
class Redirected:
    """The CLI with a profile of the simulator's."""

    binary: Path
    home: Path
    platform: Platform

    def run(self, *arguments: str) -> str:
        """Run one command; what it wrote to its standard output."""
        finished = subprocess.run(
            [self.binary, *arguments, "--yes", "--agent=no", f"--workdir={self.home}"],
            cwd=self.home,
            env=environment(self.home)
            | {
                "SUPABASE_ACCESS_TOKEN": self.platform.token,
                "SUPABASE_PROFILE": str(self.home / "profile.yaml"),
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert finished.returncode == 0, f"{arguments}: {finished.stdout}{finished.stderr}"
        return finished.stdout

    def json(self, *arguments: str):
        """The same with JSON."""
        return json.loads(self.run(*arguments, "--output=json"))

    @property
    def remote(self) -> str:
        return f"--remote={self.platform.ref}"


@pytest.fixture(scope="module")
def own() -> Iterator[EmbeddedPostgres]:
    """A server whose databases may all go back."""
    with own_server("postgres") as postgres:
        yield postgres


@pytest.fixture(scope="module")
def cli(own: EmbeddedPostgres, supabase_cli: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redirected]:
    home = tmp_path_factory.mktemp("cli")
    (home / "supabase" / "migrations").mkdir(parents=True)
    (home / "supabase" / "config.toml").write_text('project_id = "simulated"\n')
    with simulating(own, restores=True) as platform:
        (home / "profile.yaml").write_text(
            f"name: simulated\napi_url: {platform.url}\ndashboard_url: {platform.url}/dashboard\n"
            f"project_host: simulated.invalid\npooler_host: '{POOLER_HOST}'\n"
        )
        yield Redirected(binary=supabase_cli, home=home, platform=platform)


def test_it_lists_projects_and_organizations(cli: Redirected) -> None:
    assert [one["id"] for one in cli.json("projects", "list")] == [cli.platform.ref]
    assert cli.platform.organization in cli.run("orgs", "list")


def test_it_lists_backups_and_restores_to_a_second(cli: Redirected) -> None:
    url = cli.platform.project.url()
    assert cli.json("backups", "list", cli.remote)["pitr_enabled"] is True
    oracle.psql(url, "CREATE TABLE notes (word text); INSERT INTO notes VALUES ('before')")
    second = next_second()
    oracle.psql(url, "INSERT INTO notes VALUES ('after')")
    cli.run("backups", "restore", "-t", str(second), cli.remote)
    while cli.json("projects", "list")[0]["status"] != "ACTIVE_HEALTHY":
        assert cli.platform.project.status != "RESTORE_FAILED"
    assert oracle.psql(url, "SELECT word FROM notes") == "before"


def test_it_makes_and_lists_branches(cli: Redirected) -> None:
    cli.run("branches", "create", "trial", cli.remote)
    found = {one["name"]: one for one in cli.json("branches", "list", cli.remote)}
    assert set(found) == {"main", "trial"}
    while (status := found["trial"]["status"]) != "FUNCTIONS_DEPLOYED":
        assert not status.endswith("FAILED")
        found = {one["name"]: one for one in cli.json("branches", "list", cli.remote)}
    [made] = [one for one in cli.platform.branches.values() if one.name == "trial"]
    assert oracle.psql(made.project.url(), "SELECT 1") == "1"
    cli.run("branches", "delete", "trial", cli.remote)
    assert [one["name"] for one in cli.json("branches", "list", cli.remote)] == ["main"]


def test_it_runs_sql_and_shows_what_the_advisors_found(cli: Redirected) -> None:
    assert "42" in cli.run("db", "query", "SELECT 42 AS answer", cli.remote)
    cli.run("db", "query", "CREATE TABLE public.open_to_all (id int PRIMARY KEY)", cli.remote)
    try:
        assert "rls_disabled_in_public_public_open_to_all" in cli.run(
            "db", "advisors", "--output-format=json", cli.remote
        )
    finally:
        cli.run("db", "query", "DROP TABLE public.open_to_all", cli.remote)


def test_it_pushes_through_the_pooler_as_a_login_role(cli: Redirected) -> None:
    platform, migrations = cli.platform, cli.home / "supabase" / "migrations"
    (migrations / "20260101000000_pushed.sql").write_text("CREATE TABLE pushed (id int);")

    async def move() -> None:
        project = platform.project
        assert project.pooler is not None
        await project.pooler.stop()
        project.pooler = SessionPooler(project.ref, project.postgres.port, host=POOLER_ADDRESS, port=5432)
        await project.pooler.start()
        project.pooler.host = POOLER_HOST

    try:
        platform.run(move())
    except OSError as error:
        cannot_run(f"port 5432 of {POOLER_ADDRESS} is in use: {error}")
    cli.run("link", f"--project-ref={platform.ref}")
    cli.run("db", "push", "--remote")
    assert platform.called("v1-create-login-role")[-1].body == {"read_only": False}
    owner = "SELECT tableowner FROM pg_tables WHERE tablename = 'pushed'"
    assert oracle.psql(platform.project.url(), owner) == "postgres"
    history = "SELECT version, name FROM supabase_migrations.schema_migrations"
    assert oracle.psql(platform.project.url(), history) == "20260101000000|pushed"
