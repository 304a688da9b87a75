"""Metrics: names by the conventions, values as the store has them, the same after a restart, docs in step."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import Counter, Histogram, Info
from prometheus_client.parser import text_string_to_metric_families

from agent import __version__
from agent.core.models import BackupRecord, BackupState, Condition, DeployRequest, EventKind, NewEvent, Proposal, Slot
from agent.core.states import FINAL, Move, State, after
from agent.edges.metrics import GAUGES, RUNBOOK_PREFIX, Metrics
from agent.edges.store import SqlStore, open_store
from tests.support.needs import cannot_run

NOW = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
LATER = NOW + timedelta(days=2)
DOCUMENT = Path(__file__).parents[2] / "docs" / "metrics.md"
WAY = (Move.START, Move.CLEAR, Move.SNAPPED, Move.BACKED_UP, Move.APPLIED, Move.PASSED)
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    opened = await open_store(f"sqlite:///{tmp_path}/agent.db", notify_targets=["chat", "pager"])
    yield opened
    await opened.close()


async def read(
    metrics: Metrics, *, now: datetime = LATER, conditions: tuple[Condition, ...] = (), pending: Any = None, **more: Any
) -> Samples:
    text = (await metrics.exposition(now=now, conditions=conditions, pending=pending, **more)).decode()
    return parsed(text)


def parsed(text: str) -> Samples:
    samples: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = (sample.name.removeprefix("deploy_agent_"), frozenset(sample.labels.items()))
            assert key not in samples, f"{key} is there twice"
            samples[key] = sample.value
    return samples


def at(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())


def event(kind: EventKind, **data: Any) -> NewEvent:
    return NewEvent(kind=kind, message="-", at=NOW, data=data)


def measured(value: float, name: str = "rows", **labels: str) -> NewEvent:
    return event(EventKind.METRIC, name=name, labels=labels, value=value)


async def run(store: SqlStore, deploy: str, *moves: Move, events: tuple[NewEvent, ...] = (), day: int = 0) -> State:
    """A deploy that takes these moves; `events` are told before the last."""
    now = NOW + timedelta(days=day)
    await store.create(deploy, DeployRequest(project="p"), now=now)
    state = State.QUEUED
    for move in moves:
        if move is moves[-1]:
            await store.append(deploy, events)
        await store.transition(deploy, expected=state, move=move, now=now, message="-")
        state = after(state, move)
    return state


TOLD = (
    event(EventKind.STEP_FINISHED, step="backup", seconds=7.0, ok=True),
    event(EventKind.STEP_FINISHED, step="backup", seconds=0.2, ok=True),
    event(EventKind.MIGRATION_FINISHED, version="1", name="a", index=1, total=1, seconds=40.0),
    event(EventKind.CHECK, phase="final", id="a", verdict="passed", severity="error"),
    event(EventKind.CHECK, phase="final", id="b", verdict="passed", severity="error"),
    event(EventKind.CHECK, phase="final", id="c", verdict="failed", severity="warning"),
    event(EventKind.LOCK_WAIT, version="1", attempt=1, blockers=[]),
    event(EventKind.RUNG, rung=1, name="transaction rollback", ok=False, differences=[]),
    event(EventKind.RUNG, rung=4, name="in-place restore", ok=True, differences=[]),
)
TOLD_SAMPLES = {
    at("step_duration_seconds_count", step="backup"): 2,
    at("step_duration_seconds_sum", step="backup"): 7.2,
    at("step_duration_seconds_bucket", step="backup", le="0.5"): 1,
    at("step_duration_seconds_bucket", step="backup", le="10.0"): 2,
    at("migration_duration_seconds_count"): 1,
    at("migration_duration_seconds_sum"): 40,
    at("checks_total", verdict="passed", severity="error"): 2,
    at("checks_total", verdict="failed", severity="warning"): 1,
    at("checks_total", verdict="errored", severity="error"): 0,
    at("checks_not_passed", severity="warning"): 1,
    at("checks_not_passed", severity="error"): 0,
    at("lock_waits_total"): 1,
    at("restore_rungs_total", rung="1", ok="false"): 1,
    at("restore_rungs_total", rung="4", ok="true"): 1,
}


def assert_holds(samples: Samples, wanted: Mapping[Any, float]) -> None:
    assert {key: samples.get(key) for key in wanted} == pytest.approx(dict(wanted))


async def test_nothing_has_happened(store: SqlStore) -> None:
    samples = await read(Metrics(store, "p"))
    assert {labels for name, labels in samples if name == "deploys_total"} == {
        frozenset({("outcome", str(state))}) for state in FINAL
    }, "every outcome is there before it happens, so that its first increase is one"
    assert all(value == 0 for (name, _), value in samples.items() if name != "build_info")
    assert samples[at("build_info", version=__version__, project="p")] == 1
    names = {name for name, _ in samples}
    assert not names & {"backup_age_seconds", "backup_verified", "pending_migrations", "condition_ok"}, "not known"


async def test_a_deploy_is_counted_once_however_often_and_from_wherever_it_is_read(store: SqlStore) -> None:
    metrics = Metrics(store, "p")
    await run(store, "a", *WAY, events=TOLD)
    await run(store, "b", Move.START, Move.FAIL, day=1)
    await store.create("c", DeployRequest(project="another"), now=NOW)
    wanted = {
        **TOLD_SAMPLES,
        at("deploys_total", outcome="succeeded"): 1,
        at("deploys_total", outcome="aborted"): 1,
        at("deploys_running"): 0,
        at("last_deploy_timestamp_seconds", outcome="succeeded"): NOW.timestamp(),
        at("last_deploy_timestamp_seconds", outcome="aborted"): (NOW + timedelta(days=1)).timestamp(),
    }
    assert_holds(await read(metrics), wanted)
    assert_holds(await read(metrics), wanted)
    assert_holds(await read(Metrics(store, "p")), wanted)


async def test_scrapes_at_once_do_not_count_twice(store: SqlStore) -> None:
    metrics = Metrics(store, "p")
    await run(store, "a", *WAY, events=TOLD)
    await asyncio.gather(*(read(metrics) for _ in range(5)))
    assert_holds(await read(metrics), {**TOLD_SAMPLES, at("deploys_total", outcome="succeeded"): 1})


async def test_a_deploy_that_waits_for_approval_is_counted_until_it_is_answered(store: SqlStore) -> None:
    metrics = Metrics(store, "p")
    await store.create("d1", DeployRequest(project="p"), now=NOW)
    name = at("deploys_waiting_for_approval")
    assert_holds(await read(metrics, now=NOW), {name: 0})
    await store.ask_approval("d1", Proposal(rung=4, backup_id="b"), reason="because", now=NOW)
    assert_holds(await read(metrics, now=NOW), {name: 1})
    await store.answer_approval("d1", approve=True, by="nina", now=NOW)
    assert_holds(await read(metrics, now=NOW), {name: 0})


async def test_a_running_deploy_is_followed_and_its_last_words_are_heard(store: SqlStore) -> None:
    metrics = Metrics(store, "p")
    state = await run(store, "a", *WAY[:-1])
    assert_holds(await read(metrics, now=NOW), {at("deploys_running"): 1, at("deploys_total", outcome="succeeded"): 0})
    await store.append("a", [event(EventKind.LOCK_WAIT)])
    assert_holds(await read(metrics, now=NOW), {at("lock_waits_total"): 1})
    await store.transition("a", expected=state, move=WAY[-1], now=NOW, message="-")
    assert_holds(await read(metrics, now=NOW), {at("deploys_running"): 0, at("deploys_total", outcome="succeeded"): 1})
    await store.append("a", [event(EventKind.STEP_FINISHED, step="verify", seconds=1.0)])
    assert_holds(
        await read(metrics),
        {at("step_duration_seconds_count", step="verify"): 1, at("deploys_total", outcome="succeeded"): 1},
    )


async def test_hundreds_of_deploys_are_all_counted(store: SqlStore) -> None:
    metrics = Metrics(store, "p")
    for number in range(230):
        await run(store, f"{number:04}", Move.CANCEL)
    assert_holds(await read(metrics), {at("deploys_total", outcome="cancelled"): 230})
    for number in range(230, 350):
        await run(store, f"{number:04}", Move.CANCEL, day=1)
    assert_holds(await read(metrics), {at("deploys_total", outcome="cancelled"): 350})
    assert_holds(await read(Metrics(store, "p")), {at("deploys_total", outcome="cancelled"): 350})


async def test_runbook_metrics_are_those_of_the_last_deploy_that_measured(store: SqlStore) -> None:
    metrics = Metrics(store, "p")
    rows = f"{RUNBOOK_PREFIX}rows".removeprefix("deploy_agent_")
    size = f"{RUNBOOK_PREFIX}size_bytes".removeprefix("deploy_agent_")
    await run(store, "a", *WAY, events=(measured(1, table="x"), measured(2, table="y"), measured(9, "size_bytes")))
    assert_holds(await read(metrics), {at(rows, table="x"): 1, at(rows, table="y"): 2, at(size): 9})

    await run(store, "b", *WAY, events=(measured(5, table="y", kind='q"\n'), measured(6, table="z", kind="")), day=1)
    for each in (metrics, Metrics(store, "p")):
        samples = await read(each)
        assert {key: value for key, value in samples.items() if key[0] == rows} == {
            at(rows, table="y", kind='q"\n'): 5,
            at(rows, table="z", kind=""): 6,
        }, "other label names, and no series of the deploy before"
        assert samples[at(size)] == 9, "not measured again"


async def test_backups(store: SqlStore) -> None:
    metrics = Metrics(store, "p")

    def record(name: str, day: int, size: int, state: BackupState, verified: datetime | None = None) -> BackupRecord:
        created = NOW + timedelta(days=day)
        return BackupRecord(
            id=name, project="p", created_at=created, location="-", state=state, bytes=size, verified_at=verified
        )

    await store.put_backup(record("a", 0, 100, BackupState.VERIFIED, NOW + timedelta(hours=1)))
    await store.put_backup(record("b", 1, 200, BackupState.PUBLISHED))
    assert_holds(
        await read(metrics),
        {
            at("backups", state="verified"): 1,
            at("backups", state="published"): 1,
            at("backups", state="damaged"): 0,
            at("backup_age_seconds"): 86400,
            at("backup_size_bytes"): 200,
            at("backup_verified"): 0,
            at("backup_last_timestamp_seconds"): (NOW + timedelta(days=1)).timestamp(),
            at("backup_last_verified_timestamp_seconds"): (NOW + timedelta(hours=1)).timestamp(),
        },
    )
    await store.forget_backup("a")
    await store.forget_backup("b")
    names = {name for name, _ in await read(metrics)}
    assert "backup_age_seconds" not in names
    assert "backup_last_verified_timestamp_seconds" not in names


async def test_notifications_are_counted_and_not_taken(store: SqlStore) -> None:
    metrics = Metrics(store, "p")
    await run(store, "a", Move.CANCEL)
    due = await store.due_messages(now=NOW, limit=10)
    await store.message_sent(due[0].id, now=NOW)
    await store.message_failed(due[1].id, error="gone", due_at=None, now=NOW)
    for _ in range(2):
        samples = await read(metrics)
        counted = {key: value for key, value in samples.items() if key[0] == "notifications_undelivered"}
        assert counted == {
            at("notifications_undelivered", target=due[0].target, state="pending"): 1,
            at("notifications_undelivered", target=due[1].target, state="pending"): 1,
            at("notifications_undelivered", target=due[1].target, state="dead"): 1,
        }
    assert len(await store.due_messages(now=NOW, limit=10)) == 2


async def test_the_checks_of_the_last_deploy_by_their_last_result(store: SqlStore) -> None:
    metrics = Metrics(store, "p")

    def told(verdict: str, **key: str) -> NewEvent:
        return event(EventKind.CHECK, **{"phase": "final", "id": "a", "severity": "error"} | key, verdict=verdict)

    name = at("checks_not_passed", severity="error")
    await run(store, "a", *WAY, events=(told("failed"), told("errored", phase="migration:1"), told("passed", id="b")))
    assert_holds(await read(metrics), {name: 2})
    await run(store, "b", *WAY, events=(told("failed"), told("passed"), told("failed", phase="rollback")), day=1)
    assert_holds(await read(metrics), {name: 1})
    assert_holds(await read(Metrics(store, "p")), {name: 1})
    await run(store, "c", *WAY, day=2)
    assert_holds(await read(metrics, now=LATER + timedelta(days=2)), {name: 1})


async def test_a_deploy_needs_a_person_until_a_later_one_succeeds(store: SqlStore) -> None:
    metrics = Metrics(store, "p")
    name = at("needs_operator")
    given_up = (*WAY[:4], Move.FAIL, Move.GIVE_UP)
    await run(store, "a", *WAY)
    assert_holds(await read(metrics), {name: 0})
    await run(store, "b", *given_up, day=1)
    assert_holds(await read(metrics), {name: 1})
    await run(store, "c", Move.START, Move.FAIL, day=2)
    assert_holds(await read(metrics), {name: 1})
    assert_holds(await read(Metrics(store, "p")), {name: 1})
    await run(store, "d", *WAY, day=3)
    assert_holds(await read(metrics), {name: 0})


async def test_how_long_a_deploy_is_where_it_is(store: SqlStore) -> None:
    metrics = Metrics(store, "p")
    await run(store, "a", *WAY[:4])
    assert_holds(
        await read(metrics, now=NOW + timedelta(minutes=5)), {at("deploy_state_age_seconds", state="migrate"): 300}
    )
    await store.transition("a", expected=State.MIGRATE, move=Move.APPLIED, now=LATER, message="-")
    samples = await read(metrics, now=LATER + timedelta(seconds=7))
    assert {key: value for key, value in samples.items() if key[0] == "deploy_state_age_seconds"} == {
        at("deploy_state_age_seconds", state="verify"): 7
    }


async def test_drift_and_slots_come_and_go(store: SqlStore) -> None:
    metrics = Metrics(store, "p")
    slots = (Slot(name="cdc", active=False, lost=True, retained_bytes=5),)
    found = await read(metrics, drifted=True, slots=slots)
    labels = {"slot": "cdc"}
    assert_holds(
        found,
        {
            at("drift"): 1,
            at("replication_slot_retained_bytes", **labels): 5,
            at("replication_slot_active", **labels): 0,
            at("replication_slot_lost", **labels): 1,
        },
    )
    assert_holds(await read(metrics, drifted=False), {at("drift"): 0})
    names = {name for name, _ in await read(metrics)}
    assert not names & {"drift", "replication_slot_retained_bytes", "replication_slot_active"}


async def test_what_waits_for_a_target_is_counted_from_zero(store: SqlStore) -> None:
    await run(store, "a", Move.CANCEL)
    samples = await read(Metrics(store, "p", targets=["chat", "quiet"]))
    counted = {key: value for key, value in samples.items() if key[0] == "notifications_undelivered"}
    assert counted == {
        at("notifications_undelivered", target="chat", state="pending"): 2,
        at("notifications_undelivered", target="chat", state="dead"): 0,
        at("notifications_undelivered", target="pager", state="pending"): 2,
        at("notifications_undelivered", target="quiet", state="pending"): 0,
        at("notifications_undelivered", target="quiet", state="dead"): 0,
    }


async def test_conditions_and_pending_come_and_go(store: SqlStore) -> None:
    metrics = Metrics(store, "p")
    found = (
        Condition(name="store", ok=True, message="-", checked_at=NOW),
        Condition(name="target", ok=False, message="-", checked_at=NOW),
    )
    assert_holds(
        await read(metrics, conditions=found, pending=("1", "2")),
        {
            at("condition_ok", condition="store"): 1,
            at("condition_ok", condition="target"): 0,
            at("pending_migrations"): 2,
        },
    )
    assert "pending_migrations" not in {name for name, _ in await read(metrics, conditions=found)}


async def everything(store: SqlStore) -> bytes:
    """An exposition in which every metric has a sample."""
    await run(store, "a", *WAY, events=(*TOLD, measured(1, table="x")))
    await store.put_backup(
        BackupRecord(
            id="b", project="p", created_at=NOW, location="-", state=BackupState.VERIFIED, bytes=1, verified_at=NOW
        )
    )
    await run(store, "b", Move.START, Move.CLEAR)
    target = Condition(name="target", ok=True, message="-", checked_at=NOW)
    slot = Slot(name="cdc", active=True, lost=False, retained_bytes=1)
    return await Metrics(store, "p").exposition(
        now=LATER, conditions=[target], pending=["1"], drifted=False, slots=[slot]
    )


async def test_names_follow_the_conventions(store: SqlStore) -> None:
    """https://prometheus.io/docs/practices/naming/, as far as a program can tell."""
    text = (await everything(store)).decode()
    for family in text_string_to_metric_families(text):
        assert family.samples, f"{family.name} has no sample here"
        assert family.documentation.endswith("."), family.name
        assert family.name.startswith("deploy_agent_")
        for sample in family.samples:
            assert sample.name.endswith("_total") == (family.type == "counter"), sample.name
        assert not family.name.endswith(("_milliseconds", "_ms", "_kb", "_mb", "_minutes", "_count", "_sum"))
        if "duration" in family.name or "age" in family.name.split("_") or "timestamp" in family.name:
            assert family.name.endswith("_seconds"), family.name
    assert "_created" not in text


async def test_promtool_has_nothing_to_say(store: SqlStore) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        cannot_run("promtool (Debian: prometheus) is not installed")
    text = await everything(store)
    done = await asyncio.to_thread(
        subprocess.run, [promtool, "check", "metrics"], input=text, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")


# --- docs/metrics.md ---


def table(metrics: Metrics) -> str:
    """Every metric, from the registry itself."""
    lines = {}
    for collector in metrics.registry._collector_to_names:
        if isinstance(collector, Counter | Histogram | Info):
            kind = collector._type
            name = collector._name + {"counter": "_total", "info": "_info"}.get(kind, "")
            labels = tuple(collector._value) if isinstance(collector, Info) else collector._labelnames
            lines[name] = (kind, labels, collector._documentation)
    lines |= {name: ("gauge", labels, text) for name, (text, labels) in GAUGES.items()}
    rows = [
        f"| `{name}` | {kind} | {', '.join(f'`{one}`' for one in labels)} | {text} |"
        for name, (kind, labels, text) in sorted(lines.items())
    ]
    return "\n".join(["| metric | type | labels | meaning |", "| --- | --- | --- | --- |", *rows]) + "\n"


async def test_the_document_is_in_step(store: SqlStore) -> None:
    written = DOCUMENT.read_text(encoding="utf-8")
    begin, end = "<!-- table: written by tests/edges/test_metrics.py -->\n", "<!-- end -->\n"
    head, _, rest = written.partition(begin)
    _, _, tail = rest.partition(end)
    wanted = head + begin + table(Metrics(store, "p")) + end + tail
    if os.environ.get("UPDATE_GOLDENS"):
        DOCUMENT.write_text(wanted, encoding="utf-8")
    assert wanted == DOCUMENT.read_text(encoding="utf-8"), "UPDATE_GOLDENS=1 writes it"


async def test_labels_are_as_declared(store: SqlStore) -> None:
    for family in text_string_to_metric_families((await everything(store)).decode()):
        if family.name in GAUGES:
            for sample in family.samples:
                assert set(sample.labels) == set(GAUGES[family.name][1]), family.name
