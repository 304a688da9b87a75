"""Each alert of config/prometheus/rules.yaml, provoked once: a real agent is in that condition, and a real Prometheus,
which scrapes it, lets the alert fire. Only times and sizes are shortened."""

from __future__ import annotations

import os
import re
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from agent.core.models import BackupRecord, BackupState
from agent.edges.store import open_store
from tests.conftest import Database
from tests.edges.test_prometheus import ALERTS, FOLDER, expressions
from tests.support.aside import run_aside
from tests.support.dashboard_picture import PICTURE, picture
from tests.support.oracle import psql
from tests.support.prometheus import Prometheus, scraping
from tests.support.receiver import Answer, Receiver
from tests.support.serving import TOKEN, Agent, command, environment, serving, write_config

LOCK = 4712
RUNBOOK = """\
version: 1
title: Notes
checks:
  - title: Somebody has written something
    sql: select count(*) as notes from public.notes
    expect: {that: notes > 0}
    severity: warning
"""
SHORTER = {
    r"for: \w+": "for: 0s",
    r"> 3600\b": "> 1",
    r"> 2 \* 1024 \* 1024 \* 1024": "> 1024 * 1024",
}


def shortened() -> str:
    text = (FOLDER / "rules.yaml").read_text(encoding="utf-8")
    for long, short in SHORTER.items():
        text, replaced = re.subn(long, short, text)
        assert replaced, long
    return text


def migration(folder: Path, version: int, text: str) -> None:
    (folder / "migrations" / f"{version}_change.sql").write_text(text)


async def _put_backup(state: Path) -> None:
    """A backup of ten days ago, as an agent that has stood still since would have it."""
    store = await open_store(f"sqlite:///{state / 'agent.db'}")
    taken = datetime.now(UTC) - timedelta(days=10)
    location = (state / "gone").as_uri()
    await store.put_backup(
        BackupRecord(
            id="20260101T000000Z-aaaa",
            project="test",
            created_at=taken,
            location=location,
            state=BackupState.PUBLISHED,
            bytes=1,
        )
    )
    await store.close()


def test_each_alert_is_provoked_once(database: Database, tmp_path: Path, webhooks: Receiver) -> None:
    webhooks.answers.extend(Answer(status=410) for _ in range(50))
    config = write_config(
        tmp_path,
        database.url,
        deploy={"restore": "approve", "strategy": "per_migration"},
        watch={"mode": "plan", "every_s": 1},
        notify=[
            {
                "name": "gone",
                "url": webhooks.url,
                "kind": "standard",
                "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            }
        ],
    )
    (tmp_path / "deploy.yaml").write_text(RUNBOOK)
    migration(tmp_path, 1, "comment on table public.notes is 'written';")
    psql(database.url, "create table public.notes (id int primary key);")
    with serving(config) as agent:
        port = agent.ready().wait_for("serving")["port"]
        with scraping(tmp_path / "prometheus", port=port, token=TOKEN, rules=shortened()) as prometheus:
            fired = _provoke(prometheus, agent, database, config)
            assert fired == set(ALERTS)


def _provoke(prometheus: Prometheus, agent: Agent, database: Database, config: Path) -> set[str]:
    fired: set[str] = set()
    begun = time.time()

    def fires(*names: str, **labels: str) -> None:
        for alert in prometheus.wait_for(*(f"DeployAgent{name}" for name in names)):
            assert "{{" not in str(alert["annotations"])
            assert labels.items() <= alert["labels"].items()
            fired.add(alert["labels"]["alertname"])

    folder = config.parent
    fires("BackupMissing", project="test")
    prometheus.wait_until_only(*fired)

    run_aside(_put_backup(folder / "state"))
    fires("BackupTooOld", "BackupUnverified", project="test")
    prometheus.wait_until_silent("DeployAgentBackupMissing")

    assert agent.ended(agent.deploy())["state"] == "succeeded"
    fires("CheckFailing", "NotificationsDead", project="test")
    prometheus.wait_until_silent("DeployAgentBackupTooOld")

    psql(database.url, "alter table public.notes add column by_hand text;")
    fires("Drift", project="test")

    _hold_wal(database, fires)
    _stand_still(agent, database, folder, fires)
    _ask_and_give_up(agent, folder, fires)
    _damage(config, agent, fires)
    _every_expression_has_an_answer(prometheus)
    drawn = picture(prometheus.ask_over, begun, time.time())
    assert "No data" not in drawn
    if os.environ.get("UPDATE_PICTURE"):
        PICTURE.write_text(drawn, encoding="utf-8")

    (folder / "deploy.yaml").write_text("version: 1\nchecks: wrong\n")
    fires("NotReady", condition="plan")

    agent.close()
    fires("Down", job="deploy-agent")
    return fired


def _hold_wal(database: Database, fires: Any) -> None:
    """A slot without a reader; then the server loses patience with it."""
    with psycopg.connect(database.admin_url, autocommit=True) as admin:
        admin.execute("select pg_create_physical_replication_slot('forgotten', true)")
        try:
            _write_wal(admin)
            fires("SlotRetainsWal", slot="forgotten")
            admin.execute("alter system set max_slot_wal_keep_size = '1MB'")
            admin.execute("select pg_reload_conf()")
            status = "select wal_status from pg_replication_slots where slot_name = 'forgotten'"
            while admin.execute(status).fetchone() != ("lost",):  # the checkpointer has to hear of the setting first
                _write_wal(admin)
                admin.execute("checkpoint")
            fires("SlotLost", slot="forgotten")
        finally:
            admin.execute("alter system reset max_slot_wal_keep_size")
            admin.execute("select pg_reload_conf()")
            admin.execute("select pg_drop_replication_slot('forgotten')")


def _write_wal(admin: psycopg.Connection) -> None:
    for _ in range(2):
        admin.execute("select pg_logical_emit_message(false, 'x', 'y')")
        admin.execute("select pg_switch_wal()")


def _stand_still(agent: Agent, database: Database, folder: Path, fires: Any) -> None:
    """A migration that waits for somebody's lock, and fails once it has it."""
    migration(folder, 2, f"select pg_advisory_xact_lock({LOCK}); select 1 / 0;")
    with psycopg.connect(database.admin_url, autocommit=True) as holder:
        holder.execute("select pg_advisory_lock(%s)", (LOCK,))
        deploy = agent.deploy()
        fires("DeployStuck", state="migrate")
    assert agent.ended(deploy)["state"] == "rolled_back"
    fires("DeployFailed", outcome="rolled_back")


def _ask_and_give_up(agent: Agent, folder: Path, fires: Any) -> None:
    """What has committed can only be restored, which is asked for, and refused."""
    migration(folder, 2, "create table public.tags (id int);")
    migration(folder, 3, "select 1 / 0;")
    deploy = agent.deploy()
    fires("WaitsForApproval", project="test")
    assert agent.http.post(f"/api/v1/deploys/{deploy}/approve", json={"approve": False}).status_code == 200
    assert agent.ended(deploy)["state"] == "needs_operator"
    fires("NeedsOperator", project="test")


def _damage(config: Path, agent: Agent, fires: Any) -> None:
    """A file of the newest backup loses its end; reading it again finds that out."""
    backup = agent.get("/api/v1/backups")[0]["id"]
    [file] = sorted((config.parent / "state" / "backups").rglob(f"{backup}/**/toc.dat"))[:1]
    file.write_bytes(file.read_bytes()[:-1])
    done = subprocess.run(
        command(config, "backup", "verify", backup), env=environment(), capture_output=True, text=True, check=False
    )
    assert "backup.damaged" in done.stderr, done.stderr
    fires("BackupDamaged", project="test")


def _every_expression_has_an_answer(prometheus: Prometheus) -> None:
    """What the dashboard asks is answered by what the agent really serves, but for what there is none of now."""
    assert prometheus.ask('increase(deploy_agent_restore_rungs_total{rung="1"}[1h]) > 0'), "the first one counts, too"
    silent = {place for place, expr in expressions().items() if place not in ALERTS and not prometheus.ask(expr)}
    assert silent == {"Last verified backup 0", "Running deploy 0", "WAL kept by replication slots 0"}
