"""A restore in the simulator is a restore: the server's own files and log of changes, to the second."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import psycopg
import pytest

from agent.edges.embedded import EmbeddedPostgres
from tests.simulator import Platform, simulating
from tests.support import oracle
from tests.support.aside import run_aside
from tests.support.own_server import own_server
from tests.support.seconds import next_second


@pytest.fixture(scope="module")
def own() -> Iterator[EmbeddedPostgres]:
    """A server whose databases may all go back."""
    with own_server("postgres") as postgres:
        yield postgres


@pytest.fixture(scope="module")
def running(own: EmbeddedPostgres) -> Iterator[Platform]:
    with simulating(own, restores=True) as running:
        running.rate_limit = None
        yield running


@pytest.fixture
def platform(own: EmbeddedPostgres, running: Platform) -> Iterator[Platform]:
    """As nothing had gone wrong in other tests."""
    running.project.addons.add("pitr_7")
    running.restore_points = True
    running.script_restores()
    yield running
    if running.project.status == "RESTORE_FAILED":
        run_aside(own.resume())
        running.project.status = "ACTIVE_HEALTHY"
    oracle.psql(own.admin_url(), "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")


@pytest.fixture
def project(platform: Platform) -> Iterator[httpx.Client]:
    base = f"{platform.url}/v1/projects/{platform.ref}"
    with httpx.Client(base_url=base, headers={"authorization": f"Bearer {platform.token}"}, timeout=60) as client:
        yield client


def _write(platform: Platform, word: str) -> None:
    oracle.psql(platform.project.url(), f"INSERT INTO notes VALUES ('{word}')")


def _read(platform: Platform) -> list[str]:
    return oracle.psql(platform.project.url(), "SELECT word FROM notes ORDER BY word").split()


@pytest.fixture
def notes(platform: Platform) -> None:
    oracle.psql(platform.project.url(), "DROP TABLE IF EXISTS notes; CREATE TABLE notes (word text)")


def _ends(platform: Platform, project: httpx.Client, status: str, *, polls: int = 0) -> list[str]:
    """What is seen in so many polls; when nothing goes on any more it must be that status."""
    seen = [project.get("").json()["status"] for _ in range(polls)]
    platform.settle()
    assert project.get("").json()["status"] == status
    return seen


def _restore(project: httpx.Client, second: int) -> None:
    answer = project.post("/database/backups/restore-pitr", json={"recovery_time_target_unix": second})
    assert (answer.status_code, answer.content) == (201, b"")


def test_goes_back_to_the_second_and_from_there_to_any_other(platform, project, notes) -> None:
    _write(platform, "a")
    first = next_second()
    _write(platform, "b")
    second = next_second()
    _write(platform, "c")
    platform.script_restores(polls=2)
    _restore(project, second)
    assert _ends(platform, project, "ACTIVE_HEALTHY", polls=2) == ["RESTORING"] * 2
    assert _read(platform) == ["a", "b"]
    _write(platform, "d")
    third = next_second()
    for moment, expected in ((first, ["a"]), (third, ["a", "b", "d"]), (second, ["a", "b"])):
        _restore(project, moment)
        _ends(platform, project, "ACTIVE_HEALTHY", polls=2)
        assert _read(platform) == expected
    _write(platform, "e")


def test_a_restore_point_is_undone_to(platform, project, notes) -> None:
    _write(platform, "a")
    made = project.post("/database/backups/restore-point", json={"name": "before"})
    assert (made.status_code, made.json()["status"]) == (201, "AVAILABLE")
    _write(platform, "b")
    assert project.get("/database/backups/restore-point", params={"name": "before"}).json() == made.json()
    assert project.post("/database/backups/undo", json={"name": "before"}).status_code == 201
    _ends(platform, project, "ACTIVE_HEALTHY")
    assert _read(platform) == ["a"]
    assert project.post("/database/backups/undo", json={"name": "other"}).status_code == 404
    platform.restore_points = False
    assert project.post("/database/backups/restore-point", json={"name": "x"}).status_code == 403


def test_a_daily_backup_is_restored_by_its_id(platform, project, notes) -> None:
    _write(platform, "a")
    made = platform.take_daily_backup()
    _write(platform, "b")
    platform.project.addons.discard("pitr_7")
    listed = project.get("/database/backups").json()
    assert made.id in [one["id"] for one in listed["backups"]]
    assert project.post("/database/backups/restore", json={"id": made.id}).status_code == 201
    _ends(platform, project, "ACTIVE_HEALTHY")
    assert _read(platform) == ["a"]


def test_nobody_gets_in_meanwhile(platform, project, notes) -> None:
    platform.script_restores("stuck")
    _restore(project, next_second())
    assert project.get("").json()["status"] == "RESTORING"
    platform.wait_until_stuck()
    assert project.post("/database/query", json={"query": "SELECT 1"}).status_code == 544
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(platform.project.url())
    services = project.get("/health", params={"services": ["db"]}).json()
    assert (services[0]["healthy"], services[0]["status"]) == (False, "COMING_UP")
    assert project.get("").json()["status"] == "RESTORING"
    platform.release_restores()
    _ends(platform, project, "ACTIVE_HEALTHY")


def test_a_failed_restore_says_so(platform, project, notes) -> None:
    platform.script_restores("failed")
    _restore(project, next_second())
    _ends(platform, project, "RESTORE_FAILED")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(platform.project.url())


def test_the_wrong_moment_and_a_late_status_can_be_had(platform, project, notes) -> None:
    _write(platform, "a")
    moment = next_second()
    _write(platform, "b")
    next_second()
    platform.script_restores(shift_s=1, late_polls=2, polls=1)
    _restore(project, moment)
    assert [project.get("").json()["status"] for _ in range(2)] == ["ACTIVE_HEALTHY"] * 2
    assert _ends(platform, project, "ACTIVE_HEALTHY", polls=1) == ["RESTORING"]
    assert _read(platform) == ["a", "b"]


def test_what_cannot_be_restored_is_refused_or_fails(platform, project, notes) -> None:
    assert project.post("/database/backups/restore-pitr", json={"recovery_time_target_unix": 1}).status_code == 400
    window = project.get("/database/backups").json()["physical_backup_data"]
    assert window["earliest_physical_backup_date_unix"] <= window["latest_physical_backup_date_unix"] + 1
    oracle.psql(platform.project.url("supabase_admin"), "SELECT pg_create_logical_replication_slot('s', 'pgoutput')")
    _restore(project, next_second())
    _ends(platform, project, "RESTORE_FAILED")
    platform.project.addons.discard("pitr_7")
    answer = project.post("/database/backups/restore-pitr", json={"recovery_time_target_unix": 1})
    assert (answer.status_code, answer.json()) == (400, {"message": "PITR is not enabled for this project."})
