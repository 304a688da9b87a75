"""`deploy-agent support-bundle`: what is in it, that it also works when nothing else does, and no secret anywhere."""

from __future__ import annotations

import json
import re
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from pyrage import x25519

from agent.cli import bundle
from agent.errors import InputError
from tests.conftest import Database
from tests.support.serving import TOKEN, command, environment, write_config

CANARIES = {
    "telemetry": "canary-telemetry-0123456789",
    "webhook": "canary-webhook-0123456789",
    "role": "canary-role-0123456789",
    "log": "canary-log-0123456789",
    "bound": "canary-bound-0123456789",
    "identity": str(x25519.Identity.generate()),
    "signing": "whsec_Y2FuYXJ5LWNhbmFyeS1jYW5hcnktY2FuYXJ5",
    "platform": "sbp_canary0123456789canary0123456789",
}
FAILING = f"""
create table public.notes (id int primary key, body text);
alter role anon password '{CANARIES["role"]}';
do $$ begin raise exception 'no' using detail = 'row (1, private-row)'; end $$;
"""


def run(config: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(config, *arguments),
        env=environment() | more,
        capture_output=True,
        text=True,
        check=False,
        cwd=config.parent,
    )


def opened(path: Path) -> dict[str, str]:
    with tarfile.open(path) as archive:
        return {
            member.name.partition("/")[2]: archive.extractfile(member).read().decode()
            for member in archive.getmembers()
        }


def configured(folder: Path, url: str, **more: Any) -> Path:
    config = write_config(
        folder,
        url,
        notify=[
            {
                "name": "chat",
                "kind": "standard",
                "url": f"http://127.0.0.1:9/{CANARIES['webhook']}",
                "secret": CANARIES["signing"],
                "events": ["succeeded"],
            }
        ],
        telemetry={"headers": f"authorization=Bearer {CANARIES['telemetry']}"},
        backup={"min_bytes": 0, "age_identity": CANARIES["identity"]},
        **more,
    )
    (folder / "migrations" / "001_notes.sql").write_text(FAILING)
    return config


def test_what_is_in_a_bundle_and_no_secret(database: Database, tmp_path: Path) -> None:
    config = configured(tmp_path, database.url)
    assert run(config, "deploy").returncode == 8
    log = tmp_path / "agent.log"
    log.write_text(
        "".join(f"line {number}\n" for number in range(3000))
        + f'{{"event": "x", "password": "{CANARIES["log"]}", "url": "postgres://u:{CANARIES["bound"]}@h/d"}}\n'
    )
    platform = {"DEPLOY_AGENT_PLATFORM__TOKEN": CANARIES["platform"], "DEPLOY_AGENT_PLATFORM__REF": "a" * 20}
    done = run(config, "support-bundle", "--json", "--log", str(log), **platform)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    path = tmp_path / told["file"]
    assert re.fullmatch(r"deploy-agent-support-test-\d{8}T\d{6}Z\.tar\.gz", path.name)
    assert path.stat().st_mode & 0o777 == 0o600
    assert told["not_read"] == []
    found = opened(path)
    assert list(found) == told["contents"]
    assert set(found) == {"README.txt", *bundle.CONTENTS} - {"error.json", "crashes.txt"}
    assert all(name in found["README.txt"] for name in found if name != "README.txt")

    data = {name: json.loads(text) for name, text in found.items() if name.endswith(".json")}
    [deploy] = data["deploys.json"]
    assert deploy["state"] == "rolled_back"
    assert {one["kind"] for one in data["events.json"][deploy["id"]]} >= {"state", "failure", "snapshot"}
    assert data["settings.json"]["project"] == "test"
    assert data["version.json"]["environment"] == sorted(platform)
    assert data["store.json"]["files"]["agent.db"] > 0
    assert {one["name"] for one in data["server.json"]["settings"]} >= {"max_connections", "server_version"}
    assert [one["file"] for one in data["migrations.json"]] == ["001_notes.sql"]
    assert "pg_dump" in found["tools.json"]
    assert {one["code"] for one in data["doctor.json"]} >= {"doctor.database", "doctor.tools"}
    assert found["log.txt"].splitlines()[0] == "line 1001"

    everything = "".join(found.values()) + done.stdout + done.stderr
    password = database.url.partition("://postgres:")[2].partition("@")[0]
    for canary in (*CANARIES.values(), TOKEN, password, "private-row", "raise exception"):
        assert canary not in everything


def test_with_sql_there_is_sql_and_still_no_secret(database: Database, tmp_path: Path) -> None:
    config = configured(tmp_path, database.url)
    assert run(config, "deploy").returncode == 8
    done = run(config, "support-bundle", "--with-sql", "--output", "it.tar.gz")
    assert done.returncode == 0, done.stderr
    found = opened(tmp_path / "it.tar.gz")
    assert "create table public.notes" in found["migrations.json"]
    assert "raise exception" in found["deploys.json"]
    for canary in (*CANARIES.values(), TOKEN):
        assert canary not in "".join(found.values())
    again = run(config, "support-bundle", "--output", "it.tar.gz")
    assert (again.returncode, "input.bundle_file" in again.stderr) == (3, True)


@pytest.mark.parametrize("broken", ["database", "store", "settings"])
def test_it_works_when_something_else_does_not(tmp_path: Path, broken: str) -> None:
    config = configured(tmp_path, "postgresql://postgres:s3cret-canary@127.0.0.1:1/none")
    if broken == "store":
        (tmp_path / "state").mkdir()
        (tmp_path / "state" / "agent.db").write_text(
            "this is no database, and it is long enough to be seen as one" * 99
        )
    if broken == "settings":
        config.write_text("no_such_key: 1\n")
    done = run(config, "support-bundle", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    found = opened(tmp_path / told["file"])
    reason = {"database": "target.unreachable", "store": "store.", "settings": "settings.unknown_key"}[broken]
    missing = {"database": "server.json", "store": "error.json", "settings": "error.json"}[broken]
    assert missing in told["not_read"]
    assert reason in found[missing]
    assert "s3cret-canary" not in "".join(found.values())
    assert "deploy_agent" in found["version.json"]


def test_a_log_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        bundle.log_tail(tmp_path / "none.log")
    assert caught.value.code == "input.log_file"
