"""Traces of real deploys, as a real OTLP receiver gets them: off by default, over restarts, and in nobody's way."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from agent.bootstrap import _telemetry
from agent.core.splitter import split
from agent.errors import InputError
from agent.ports import Place
from tests.conftest import Database
from tests.support.deploying import make_settings
from tests.support.oracle import rows
from tests.support.otlp import FAILED, OK, Collector, collecting
from tests.support.serving import command, environment, serving, write_config

LOCK = 4713
SECRET = "otlp-canary-0123456789"
FILES = {
    "001_plain.sql": "create table public.notes (id int primary key);\n-- the end of a file\n",
    "002_alone.sql": "create index concurrently notes_id on public.notes (id);\n/* kept */ select 'a';",
    "003_waits.sql": f"select pg_advisory_xact_lock({LOCK}); insert into public.notes values (1);",
}


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as running:
        yield running


def configured(folder: Path, database: Database, files: dict[str, str], **telemetry: Any) -> Path:
    config = write_config(
        folder, database.url, deploy={"strategy": "per_migration"}, **({"telemetry": telemetry} if telemetry else {})
    )
    for name, text in files.items():
        (folder / "migrations" / name).write_text(text)
    return config


def deployed(config: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(config, "deploy", "--json"), env=environment(), capture_output=True, text=True, check=False
    )


def test_a_deploy_is_one_trace_although_its_agent_was_killed(
    database: Database, tmp_path: Path, collector: Collector
) -> None:
    config = configured(
        tmp_path, database, FILES, endpoint=collector.endpoint, headers=f"authorization=Bearer {SECRET}, x-team=data"
    )
    waiting = "select pid, query from pg_stat_activity where wait_event = 'advisory' and query like '%notes values%'"
    with psycopg.connect(database.admin_url, autocommit=True) as other:
        other.execute("select pg_advisory_lock(%s)", (LOCK,))
        with serving(config) as first:
            deploy = first.ready().deploy()
            [(pid, query)] = first.wait_until(lambda: other.execute(waiting).fetchall())
            first.wait_until(lambda: collector.named("step backup"))
            first.stop(signal.SIGKILL)
        with serving(config) as second:
            second.wait_until(lambda: [one for one in other.execute(waiting).fetchall() if one[0] != pid])
            other.execute("select pg_advisory_unlock_all()")
            told = second.wait_for("deploy ended")
            events = second.get(f"/api/v1/deploys/{deploy}/events")
            assert second.stop() == 0
    log = "".join(first.raw + second.raw)

    [root] = collector.named("deploy")
    assert {one.trace for one in collector.spans} == {root.trace}
    assert (root.parent, root.status) == ("", OK)
    assert root.attributes["deploy_agent.deploy.id"] == deploy
    assert root.attributes["deploy_agent.deploy.outcome"] == "succeeded"
    assert root.resource["service.name"] == "supabase-deploy-agent"

    steps = {one.name: one for one in collector.spans if one.name.startswith("step ")}
    assert set(steps) == {f"step {name}" for name in ("queued", "preflight", "snapshot", "backup", "migrate", "verify")}
    assert {one.parent for one in steps.values()} == {root.id}
    assert all(root.began <= one.began <= one.ended <= root.ended + 10**9 for one in steps.values())
    [last] = [one for one in collector.named("migration") if one.attributes["deploy_agent.migration.version"] == "003"]
    assert last.parent == steps["step migrate"].id
    assert "history/list_versions" in {one.name for one in collector.spans if one.client}

    found = re.search(r"/\*traceparent='([^']*)'\*/", query)
    assert found is not None
    place = Place.parse(found[1])
    assert place is not None
    assert (place.trace_id, place.sampled) == (root.trace, True)
    assert told["trace_id"] == root.trace
    started = [one["data"] for one in events if one["kind"] == "step_started"]
    assert {one["trace_id"] for one in started} == {root.trace}
    assert started[-1]["span_id"] == steps["step verify"].id

    assert {one.headers["authorization"] for one in collector.receiver.requests} == {f"Bearer {SECRET}"}
    assert {one.headers["x-team"] for one in collector.receiver.requests} == {"data"}
    assert SECRET not in log + json.dumps(events)


def test_the_history_holds_what_the_files_hold(database: Database, tmp_path: Path, collector: Collector) -> None:
    files = FILES | {"003_waits.sql": "select pg_catalog.now();\n\n/* kept */ insert into public.notes values (1)"}
    done = deployed(configured(tmp_path, database, files, endpoint=collector.endpoint))
    assert done.returncode == 0, done.stderr
    wanted = [([piece.text for piece in split(text)],) for _, text in sorted(files.items())]
    assert rows(database.url, "select statements from supabase_migrations.schema_migrations order by version") == wanted
    assert [one.attributes["db.operation.name"] for one in collector.named("statement")] == ["CREATE INDEX", "SELECT"]


def test_a_failure_is_marked_with_codes_and_without_words(database: Database, tmp_path: Path, collector: Collector):
    files = {"001_bad.sql": "do $$ begin raise exception 'the-words'; end $$;"}
    done = deployed(configured(tmp_path, database, files, endpoint=f"{collector.endpoint}/v1/traces/"))
    assert done.returncode == 8, done.stderr
    [root] = collector.named("deploy")
    assert root.status == FAILED
    assert root.attributes["error.type"] == "target.statement_failed"
    [message] = [one for one in collector.named("message") if one.status == FAILED]
    assert message.attributes["db.response.status_code"] == "P0001"
    assert {one.name for one in collector.spans if one.status == FAILED} >= {"deploy", "step migrate", "migration"}
    assert {one.path for one in collector.receiver.requests} == {"/v1/traces"}
    assert b"the-words" not in b"".join(one.body for one in collector.receiver.requests)


def test_what_is_not_in_the_sample_is_not_sent(database: Database, tmp_path: Path, collector: Collector):
    config = configured(tmp_path, database, FILES | {"003_waits.sql": ""}, endpoint=collector.endpoint, sample_ratio=0)
    assert deployed(config).returncode == 0
    assert collector.receiver.requests == []


@pytest.mark.parametrize("trouble", ["nobody there", "never answers"])
def test_a_collector_in_trouble_is_in_nobodys_way(
    database: Database, tmp_path: Path, collector: Collector, trouble: str
) -> None:
    endpoint = collector.endpoint
    if trouble == "nobody there":
        endpoint = "http://127.0.0.1:9"
    else:
        collector.receiver.hold()
    files = {"001_plain.sql": FILES["001_plain.sql"]}
    done = deployed(configured(tmp_path, database, files, endpoint=endpoint, timeout_s=300))
    assert done.returncode == 0, done.stderr  # it ended while the collector still held, or would be asked again
    collector.receiver.release()
    assert rows(database.url, "select count(*) from public.notes") == [(0,)]


def test_without_telemetry_none_of_it_is_loaded(database: Database, tmp_path: Path) -> None:
    config = configured(tmp_path, database, {"001_plain.sql": FILES["001_plain.sql"]})
    script = (
        "import sys\nfrom agent.__main__ import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert end.code == 0, end.code\n"
        "print('LOADED', [one for one in sys.modules if one.startswith((\n"
        "    'opentelemetry.sdk', 'opentelemetry.exporter', 'opentelemetry.proto', 'requests', 'google.protobuf',\n"
        "    'agent.edges.telemetry'))])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *command(config, "deploy")[3:]],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "LOADED []"


def test_without_the_extra_it_is_said_what_to_install(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "agent.edges.telemetry", None)
    settings = make_settings(database.url, tmp_path, telemetry={"endpoint": "http://localhost:4318"})
    with pytest.raises(InputError) as caught, _telemetry(settings):
        pass
    assert caught.value.code == "settings.telemetry"
    assert "[otel]" in caught.value.hint
