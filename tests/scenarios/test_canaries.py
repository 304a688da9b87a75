"""No secret comes out: a canary in each, and a look at everything that the agent writes, says, starts and leaves.

Not looked for is what a person asked for by name: `salvage show --rows` shows rows, `token new` shows a token.
"""

from __future__ import annotations

import base64
import json
import secrets
import signal
import sqlite3
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import psycopg
import pyrage
import pytest
from click.testing import Result
from pydantic import BaseModel, SecretStr
from typer.testing import CliRunner

from agent.cli import exits
from agent.cli.app import app
from agent.core.access import digest
from agent.core.planning import Plan
from agent.settings import Settings, load_settings
from tests.conftest import Database
from tests.support.canaries import Canaries, children_watched
from tests.support.oracle import dump, psql, rows
from tests.support.otlp import Collector, collecting
from tests.support.receiver import Receiver
from tests.support.s3 import S3
from tests.support.serving import Agent, command, environment, serving, write_config

LOCK = 4711
ROW = "canary-of-a-row-5e0d"
WRITTEN = "canary-in-a-migration-77a1"


@dataclass
class World:
    """A project in whose every secret a canary sits; `said` collects what came out, by where."""

    folder: Path
    config: Path
    kept_elsewhere: Path
    """The same settings with the store on Postgres."""
    canaries: Canaries
    settings: dict[str, Any]
    operate: str
    admin_url: str
    url: str
    store_url: str
    said: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, config: Path | None = None, **variables: str) -> Result:
        """A command in this process, aloud; what it says is kept."""
        line = [*arguments, "--verbose", "--config", str(config or self.config)]
        done = CliRunner(env=variables).invoke(app, line)
        return self._kept(done, arguments)

    def _kept(self, done: Result, arguments: tuple[str, ...]) -> Result:
        assert done.exit_code != exits.BUG, done.output
        assert "Traceback" not in done.output
        self.said[f"{' '.join(arguments)} ({len(self.said)})"] = done.output
        return done

    def deploys(self, *arguments: str, config: Path | None = None) -> None:
        """A command that runs the engine: a process of its own."""
        line = [*command(config or self.config, *arguments), "--verbose"]
        done = subprocess.run(line, env=environment(), capture_output=True, text=True, timeout=120, check=False)
        assert "Traceback" not in done.stdout + done.stderr
        self.said[f"{' '.join(arguments)} ({len(self.said)})"] = done.stdout + done.stderr

    def other(self, name: str, settings: dict[str, Any], *, without: str = "") -> Path:
        """Another settings file beside the real one, with something else in it."""
        path = self.folder / "wrong" / f"{name}.yaml"
        path.write_text(json.dumps({key: value for key, value in (self.settings | settings).items() if key != without}))
        return path

    def migration(self, name: str, text: str) -> None:
        (self.folder / "migrations" / name).write_text(text)


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as running:
        yield running


@pytest.fixture
def world(
    database: Database,
    webhooks: Receiver,
    collector: Collector,
    s3: S3,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[World]:
    canaries, role = Canaries(), f"canary_{secrets.token_hex(4)}"
    password = canaries.plant("database")
    psql(database.admin_url, f"create role {role} login in role postgres password '{password}'")
    psql(database.admin_url, f"alter role {role} set role postgres")
    coded = password.replace("/", "%2F").replace(":", "%3A")
    url = f"postgresql://{role}:{coded}@127.0.0.1:{database.server.port}/{database.name}?sslmode=disable"
    store = f"{role}_store"
    psql(database.admin_url, f"create role {store} login password '{canaries.plant('store', 'store-' + '5' * 20)}'")
    psql(database.admin_url, f"create database {store} owner {store}")
    store_url = f"postgresql://{store}:store-{'5' * 20}@127.0.0.1:{database.server.port}/{store}?sslmode=disable"
    operate = canaries.plant("operate token", "sda_" + secrets.token_urlsafe(32))
    age = pyrage.x25519.Identity.generate()
    canaries.plant("row", ROW)
    canaries.plant("migration", WRITTEN)
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    canaries.plant("object store", s3.secret_key)
    kept = tmp_path / "secrets"
    kept.mkdir()

    def secret(name: str, value: str) -> str:
        (kept / name).write_text(value)
        return str(kept / name)

    hashed = canaries.plant("hash", digest(operate.encode()).hex())
    key = base64.b64encode(secrets.token_bytes(24)).decode()
    config = write_config(
        tmp_path,
        "",
        backup={
            "target": f"s3://{s3.bucket}/backups",
            "age_recipients": [str(age.to_public())],
            "age_identity_file": secret("age", canaries.plant("age", str(age))),
            "min_bytes": 0,
            "storage_key_file": secret("storage", canaries.plant("storage key", "sb_secret_" + secrets.token_hex(12))),
        },
        http={
            "port": 0,
            "token_file": secret("token", canaries.plant("http token")),
            "tokens": [{"name": "ci", "scope": "operate", "hash_file": secret("hash", f"sha256:{hashed}")}],
        },
        notify=[
            {
                "name": "audit",
                "kind": "standard",
                "url_file": secret("hook", f"{webhooks.url}/{canaries.plant('webhook')}"),
                "secret_file": secret("hook_secret", canaries.plant("webhook secret", f"whsec_{key}", part=key)),
            },
            {"name": "chat", "kind": "slack", "url_file": secret("chat", f"{webhooks.url}/{canaries.plant('chat')}")},
        ],
        platform={
            "token_file": secret("platform", canaries.plant("platform", "sbp_" + secrets.token_hex(20))),
            "ref": "abcdefghijklmnopqrst",
            "base_url": "http://127.0.0.1:9",
            "deadline_s": 1,
            "proxy_file": secret("proxy", f"http://agent:{canaries.plant('proxy', 'proxy-' + '7' * 20)}@127.0.0.1:9"),
        },
        api={
            "url": "http://127.0.0.1:9",
            "anon_key_file": secret("anon_key", canaries.plant("anon key")),
            "service_key_file": secret("service_key", canaries.plant("service key")),
        },
        telemetry={
            "endpoint": collector.endpoint,
            "headers_file": secret("otlp", f"authorization=Bearer {canaries.plant('telemetry')}"),
        },
        log={"format": "json", "level": "debug"},
    )
    settings = json.loads(config.read_text())
    del settings["database_url"]
    settings["database_url_file"] = secret("database_url", url)
    config.write_text(json.dumps(settings))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)  # Python remembers it
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OF_THE_RUNBOOK", canaries.plant("runbook's own"))
    (kept / "user").write_text(canaries.plant("test user"))
    elsewhere = tmp_path / "wrong" / "elsewhere.yaml"
    elsewhere.parent.mkdir()
    elsewhere.write_text(json.dumps(settings | {"store_url_file": secret("store_url", store_url)}))
    psql(
        database.url,
        f"create table public.people (id int primary key, name text not null, card text unique);"
        f"insert into public.people values (1, '{ROW}', '{ROW}'), (2, 'b', '{ROW}2')",
    )
    yield World(
        folder=tmp_path, config=config, kept_elsewhere=elsewhere, canaries=canaries, settings=settings, operate=operate,
        admin_url=database.admin_url, url=url, store_url=store_url,
    )  # fmt: skip
    psql(database.admin_url, f"drop database {store} with (force)")
    psql(database.admin_url, f"drop role {store}")
    psql(database.admin_url, f"drop owned by {role}; drop role {role}")


GOOD = f"""
create table public.notes (id int);
select vault.create_secret('{WRITTEN}');
create role canary_of_a_migration password '{WRITTEN}';
drop role canary_of_a_migration;
"""
COMMITTED = "update public.people set card = card || 'x'; alter table public.people add column note text;"
FAILS = (
    f"select pg_advisory_lock({LOCK}); insert into public.people select id + 10, null, card || 'y' from public.people;"
)


def secret_settings(model: type[BaseModel]) -> set[str]:
    """Where a secret may stand in the settings."""
    found = set()
    for name, info in model.model_fields.items():
        for kind in (info.annotation, *get_args(info.annotation)):
            if kind is SecretStr:
                found.add(name)
            elif isinstance(kind, type) and issubclass(kind, BaseModel):
                found |= {f"{name}.{inner}" for inner in secret_settings(kind)}
    return found


def set_secrets(value: Any) -> set[str]:
    """Where one does stand."""
    found = set()
    for name in type(value).model_fields:
        each = getattr(value, name)
        for one in each if isinstance(each, tuple) else (each,):
            if isinstance(one, SecretStr):
                found.add(name)
            elif isinstance(one, BaseModel):
                found |= {f"{name}.{inner}" for inner in set_secrets(one)}
    return found


def test_each_secret_of_the_settings_has_its_canary(world: World) -> None:
    settings = [load_settings(file) for file in (world.config, world.kept_elsewhere)]
    assert set().union(*map(set_secrets, settings)) == secret_settings(Settings)
    assert [value for one in settings for value in one.secrets() if not world.canaries.found(value)] == []


def asked(agent: Agent, world: World) -> None:
    """Every endpoint, with the right token, a wrong one, and a body in which a secret stands."""
    right = {"authorization": f"Bearer {world.operate}"}
    document = agent.http.get("/api/v1/openapi.json", headers=right).json()
    deploy_id = agent.http.get("/api/v1/deploys", headers=right).json()[0]["id"]
    for path, item in document["paths"].items():
        for method in item:
            url = path.replace("{deploy_id}", deploy_id)
            for headers in (right, {"authorization": f"Bearer {world.operate[:-1]}"}, {}):
                for body in (None, {world.operate: world.operate}) if method == "post" else (None,):
                    answer = agent.http.request(method, url, headers=headers, json=body)
                    name = f"{method} {url} {answer.status_code} ({len(world.said)})"
                    world.said[name] = f"{answer.headers}\n{answer.text}"


def planned(folder: Path) -> list[str]:
    """The plans in the agent's store, which are compressed there."""
    [store] = folder.rglob("agent.db")
    with closing(sqlite3.connect(store)) as connection:
        texts = connection.execute("select content from evidence where name = 'plan'").fetchall()
    return [Plan.unpacked(text).model_dump_json() for (text,) in texts]


def test_no_secret_comes_out(world: World, webhooks: Receiver, collector: Collector) -> None:
    canaries = world.canaries
    with serving(world.config) as agent, children_watched(canaries, agent.process.pid) as watched:
        agent.http.headers["authorization"] = f"Bearer {world.operate}"
        agent.ready()
        # A good deploy; then one that commits a part, fails, and is restored while rows are kept.
        world.migration("001_good.sql", GOOD)
        assert agent.ended(agent.deploy())["state"] == "succeeded"
        world.migration("002_committed.sql", COMMITTED)
        world.migration("003_fails.sql", FAILS)
        with psycopg.connect(world.admin_url, autocommit=True) as other:
            other.execute("select pg_advisory_lock(%s)", (LOCK,))
            failing = agent.deploy(strategy="per_migration")
            waiting = "select from pg_locks where locktype = 'advisory' and objid = %s and not granted"
            agent.wait_until(lambda: other.execute(waiting, (LOCK,)).rowcount)
            other.execute("insert into public.people values (3, %s, 'c')", (ROW,))
        assert agent.ended(failing)["state"] == "restored"
        assert rows(world.admin_url, "select card from public.people where id = 1") == [(ROW,)]
        asked(agent, world)
        (world.folder / "deploy.yaml").write_text(f"titel: {world.operate}")  # a runbook that cannot be read
        agent.process.send_signal(signal.SIGHUP)
        asked(agent, world)
        (world.folder / "deploy.yaml").unlink()
        agent.wait_until(lambda: any("restored" in one.body.decode() for one in webhooks.requests))
        assert agent.stop() == 0
        world.said["log of serve"] = "".join(agent.raw)
    assert "pg_dump" in watched.programs, watched.programs
    # croniter, which DBOS imports, lets `file` look at Python's binary; it inherits what the agent itself was given.
    watched.hits.pop("environ of file", None)
    assert watched.hits == {}

    commanded(world, webhooks)
    provoked(world)

    assert any(request.path == "/checked" for request in webhooks.requests), "the runbook's check was sent"
    for request in webhooks.requests:  # a webhook's own path is its secret, and goes to nobody else
        if request.path != "/checked":  # what a check sends to where the runbook says
            world.said[f"webhook ({len(world.said)})"] = f"{dict(request.headers)}\n{request.body.decode()}"
    assert collector.named("deploy")
    for request in collector.receiver.requests:  # its headers hold what it wants to see
        world.said[f"trace ({len(world.said)})"] = request.body.decode(errors="replace")
    assert {where: hits for where, text in world.said.items() if (hits := canaries.found(text))} == {}
    mine = (world.folder / "secrets", world.folder / "wrong", world.folder / "migrations")
    # A deploy that is taken up again runs the very text that was planned: that, and nothing else, is in the store.
    assert canaries.in_files(world.folder, without=mine) == {}
    plans = planned(world.folder)
    assert plans
    assert set().union(*(canaries.found(one) for one in plans)) == {"migration"}
    assert list((world.folder / "tmp").iterdir()) == []
    assert len(world.said) > 100, "something was looked at"


RUNBOOK = """\
version: 1
title: Secrets of its own
checks:
  - title: An API that refuses
    http: {url: "%(url)s/checked", headers: {authorization: "Bearer ${OF_THE_RUNBOOK}"}, status: 418}
    severity: warning
migrations:
  - version: "002"
    checks:
      - title: A user who cannot sign in
        api: {as: {email: {env: OF_THE_RUNBOOK}, password: {file: "%(user)s"}}, knows: [people]}
        severity: warning
      - title: An API that refuses here, too
        http: {url: "%(url)s/checked", headers: {authorization: "Bearer ${OF_THE_RUNBOOK}"}, status: 418}
        severity: warning
"""


def commanded(world: World, webhooks: Receiver) -> None:
    """Each command where it works, for people and for machines."""
    backup = json.loads(world.run("backup", "list", "--json").stdout)["backups"][0]["id"]
    deploy_id = json.loads(world.run("history", "--json").stdout)["deploys"][0]["id"]
    salvages = json.loads(world.run("salvage", "list", "--json").stdout)["salvages"]
    assert salvages
    for arguments in (
        ("doctor",), ("plan",), ("status",), ("history",), ("show", deploy_id), ("events", deploy_id),
        ("backup", "list"), ("backup", "show", backup), ("backup", "verify", backup), ("diff",), ("salvage", "list"),
        *(("salvage", "show", one["id"]) for one in salvages),
    ):  # fmt: skip
        world.run(*arguments)
        world.run(*arguments, "--json")
    bundled(world, world.config)
    world.run("backup", "create")
    world.run("backup", "prune", "--dry-run")
    user = world.folder / "secrets" / "user"
    (world.folder / "deploy.yaml").write_text(RUNBOOK % {"url": webhooks.url, "user": user})
    assert world.run("runbook", "check").exit_code == 0
    world.run("verify")
    world.deploys("deploy", "--strategy", "per_migration", config=world.kept_elsewhere)
    world.run("show", "--json", config=world.kept_elsewhere)
    bundled(world, world.kept_elsewhere)
    world.said["the store on Postgres"] = dump(world.store_url)
    (world.folder / "deploy.yaml").unlink()
    world.deploys("restore", backup, "--yes")


def bundled(world: World, config: Path) -> None:
    """What is in a support bundle."""
    world.run("support-bundle", "--output", "bundle.tar.gz", config=config)
    with tarfile.open("bundle.tar.gz") as bundle:
        for member in bundle.getmembers():
            if (part := bundle.extractfile(member)) is not None:
                world.said[f"{member.name} ({len(world.said)})"] = part.read().decode()
    Path("bundle.tar.gz").unlink()


def provoked(world: World) -> None:
    """Each command where it cannot work, and settings that are wrong around their secrets."""
    secret, url = world.operate, world.url
    backup = json.loads(world.run("backup", "list", "--json").stdout)["backups"][0]["id"]
    for other in (
        url.replace("@127.0.0.1:", "@127.0.0.1:1").replace(":1" + url.rpartition(":")[2][:5], ":9"),
        url.replace(url.rpartition("/")[2], "nothing?sslmode=disable"),
        url.replace("sslmode=disable", "sslmode=verify-full&sslrootcert=/nowhere"),
        url.replace("canary%2F", "canary/"),
        url.replace("postgresql://", "mysql://"),
        url.replace(":canary", ":wrong-canary"),
        url + "#fragment",
    ):
        world.run("restore", backup, "--to", "env(OTHER)", "--yes", OTHER=other)
        config = world.other("url", {"database_url": other}, without="database_url_file")
        assert world.run("doctor", config=config).exit_code != 0
        assert world.run("plan", "--json", config=config).exit_code != 0
    for wrong in (
        {"http": {"tokens": [{"name": "ci", "hash": secret}]}},
        {"http": {"tokens": [{"name": "ci", "hsh": secret}]}},
        {"http": {"token": secret[:15]}},
        {"notify": [{"name": "a", "kind": "slack", "url": secret}]},
        {"notify": [{"name": "a", "kind": "standard", "url": f"https://h/{secret}"}]},
        {"backup": {"age_identity": secret, "age_recipients": [secret]}},
        {"platform": {"token": f"{secret} {secret}"}},
        {"platform": {"token": secret, "proxy": secret}},
        {"store_url": url.replace("postgresql", "oracle")},
        {"store_url": url.replace("/test_", "/nothing_")},
        {"database_url": [secret]},
    ):
        config = world.other("wrong", wrong, without="database_url_file" if "database_url" in wrong else "")
        assert world.run("doctor", config=config).exit_code != 0, wrong
    broken = world.folder / "wrong" / "broken.yaml"
    broken.write_text(f'database_url: "{secret}\n  token: [{secret}')
    assert world.run("doctor", config=broken).exit_code != 0
    assert world.run("doctor", DEPLOY_AGENT_HTTP__TOKENS=f'[{{"name": {secret}').exit_code != 0
    assert world.run("doctor", DEPLOY_AGENT_DATABASE_URL_FILE=f"/nowhere/{backup}").exit_code != 0
