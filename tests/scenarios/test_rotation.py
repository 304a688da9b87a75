"""Secrets that change while `serve` runs: taken up from their files, without a restart and without being told."""

from __future__ import annotations

import secrets
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from agent.core.access import digest
from tests.support.oracle import psql
from tests.support.serving import TOKEN, serving, write_config

WEBHOOK = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def role(database) -> Iterator[str]:
    """Somebody who may log in and works as `postgres`, with a password that nobody else has."""
    name = f"rotating_{secrets.token_hex(4)}"
    psql(database.admin_url, f"create role {name} login in role postgres; alter role {name} set role postgres")
    yield name
    psql(database.admin_url, f"drop owned by {name}; drop role {name}")


def test_what_is_rotated_counts_at_once(database, role: str, webhooks, tmp_path: Path) -> None:
    first, second, new_token = (secrets.token_urlsafe(24) for _ in range(3))
    files = {name: tmp_path / name for name in ("database_url", "token", "hook")}

    def url(password: str, name: str = database.name) -> str:
        return f"postgresql://{role}:{password}@127.0.0.1:{database.server.port}/{name}?sslmode=disable"

    psql(database.admin_url, f"alter role {role} password '{first}'")
    files["database_url"].write_text(url(first))
    files["token"].write_text(TOKEN)
    files["hook"].write_text(f"{webhooks.url}/first")
    config = write_config(
        tmp_path,
        "",
        database_url_file=str(files["database_url"]),
        http={"port": 0, "token_file": str(files["token"])},
        notify=[{"name": "ops", "kind": "standard", "url_file": str(files["hook"]), "secret": WEBHOOK}],
    )
    text = config.read_text().replace('"database_url": "", ', "")
    config.write_text(text)
    with serving(config) as agent:
        agent.ready()
        # The database password: the old one does not count any more, and no session has stayed open.
        psql(database.admin_url, f"alter role {role} password '{second}'")
        psql(database.admin_url, f"select pg_terminate_backend(pid) from pg_stat_activity where usename = '{role}'")
        refused = agent.http.post("/api/v1/plan")
        assert refused.json()["code"] == "target.auth_failed"
        files["database_url"].write_text(url(second))
        assert agent.http.post("/api/v1/plan").status_code == 200
        assert agent.wait_for("settings read again")["changed"] == ["database_url"]
        # A webhook's address, and the client programs with the new password.
        files["hook"].write_text(f"{webhooks.url}/second")
        (tmp_path / "migrations" / "001_a.sql").write_text("create table public.a (id int);")
        assert agent.ended(agent.deploy())["state"] == "succeeded"
        agent.wait_until(lambda: any(one.path == "/second" for one in webhooks.requests))
        assert not any(one.path == "/first" for one in webhooks.requests)
        # The token, and one more that may only look.
        files["token"].write_text(new_token)
        assert agent.http.get("/status").status_code == 401
        assert agent.http.get("/status", headers={"authorization": f"Bearer {new_token}"}).status_code == 200
        known = f"sha256:{digest(b'sda_look').hex()}"
        entry = f'"http": {{"tokens": [{{"name": "look", "hash": "{known}"}}], '
        config.write_text(text.replace('"http": {', entry))
        look = httpx.Headers({"authorization": "Bearer sda_look"})
        assert agent.http.get("/status", headers=look).status_code == 200
        # Another database is not followed; settings that cannot be read change nothing; both are told.
        files["database_url"].write_text(url(second, "elsewhere"))
        agent.process.send_signal(signal.SIGHUP)
        agent.wait_for("database_url leads to another database now: restart the agent to follow it")
        files["token"].write_text("short")
        agent.process.send_signal(signal.SIGHUP)
        assert agent.wait_for("settings cannot be read again")["code"] == "settings.invalid"
        assert agent.http.post("/api/v1/plan", headers={"authorization": f"Bearer {new_token}"}).status_code == 200
        assert agent.stop() == 0
    said = "".join(agent.raw)
    for secret in (first, second, new_token, TOKEN, WEBHOOK, f"{webhooks.url}/"):
        assert secret not in said
