"""The simulator is what it says: real SQL, real permissions and limits, faults where they were asked for."""

from __future__ import annotations

import asyncio

import httpx
import psycopg
import pytest

from tests.conftest import Database
from tests.simulator import Platform, simulating, simulator


@pytest.fixture
def platform(database: Database):
    with simulating(database.server, database.name) as running:
        yield running


@pytest.fixture
def http(platform: Platform):
    with httpx.Client(
        base_url=platform.url, headers={"authorization": f"Bearer {platform.token}"}, timeout=30
    ) as client:
        yield client


def _query(http: httpx.Client, platform: Platform, text: str, **more) -> httpx.Response:
    return http.post(f"/v1/projects/{platform.ref}/database/query", json={"query": text, **more})


async def test_it_runs_inside_an_event_loop_and_ends_with_it(database: Database) -> None:
    async with simulator(database.server, database.name) as platform, httpx.AsyncClient() as http:
        answer = await http.get(f"{platform.url}/v1/projects", headers={"authorization": f"Bearer {platform.token}"})
        assert [one["ref"] for one in answer.json()] == [platform.ref]
    with pytest.raises(httpx.ConnectError):
        await asyncio.to_thread(httpx.get, platform.url)


def test_a_project_tells_its_status_and_the_servers_version(http: httpx.Client, platform: Platform) -> None:
    found = http.get(f"/v1/projects/{platform.ref}").json()
    assert found["status"] == "ACTIVE_HEALTHY"
    assert found["database"]["version"].startswith("17.")
    assert http.get("/v1/projects/aaaaaaaaaaaaaaaaaaaa").status_code == 404
    services = http.get(f"/v1/projects/{platform.ref}/health", params={"services": ["db", "rest"]}).json()
    assert [(one["name"], one["healthy"]) for one in services] == [("db", True), ("rest", True)]


def test_sql_is_real_and_so_are_its_errors(http: httpx.Client, platform: Platform) -> None:
    answer = _query(http, platform, "CREATE TABLE t (id bigint, tags text[]); INSERT INTO t VALUES (1, '{a,\"b c\"}')")
    assert (answer.status_code, answer.json()) == (201, [])
    answer = _query(http, platform, "SELECT *, 1.50 AS price, now() - now() AS none, true AS yes FROM t")
    assert answer.json() == [{"id": 1, "tags": ["a", "b c"], "price": "1.50", "none": "00:00:00", "yes": True}]
    assert _query(http, platform, "SELECT $1::int + 1 AS n", parameters=[41]).json() == [{"n": 42}]
    answer = _query(http, platform, "SELECT 1;\nSELECT * FROM nowhere")
    assert answer.status_code == 400
    assert answer.json()["message"] == (
        'Failed to run sql query: ERROR:  42P01: relation "nowhere" does not exist\n'
        "LINE 2: SELECT * FROM nowhere\n                      ^\n"
    )


def test_what_is_read_only_cannot_write(http: httpx.Client, platform: Platform) -> None:
    answer = http.post(
        f"/v1/projects/{platform.ref}/database/query/read-only", json={"query": "CREATE TABLE public.t ()"}
    )
    assert answer.status_code == 400
    assert "25006" in answer.json()["message"]
    assert _query(http, platform, "SELECT current_user AS me", read_only=True).json() == [
        {"me": "supabase_read_only_user"}
    ]


def test_a_token_is_asked_for_and_a_scoped_one_held_to_what_it_holds(http: httpx.Client, platform: Platform) -> None:
    assert httpx.get(f"{platform.url}/v1/projects").status_code == 401
    scoped = {"authorization": f"Bearer {platform.scoped_token({'projects_read'})}"}
    assert http.get("/v1/projects", headers=scoped).status_code == 200
    answer = http.get(f"/v1/projects/{platform.ref}/database/backups", headers=scoped)
    assert (answer.status_code, answer.json()["missing_permissions"]) == (403, ["backups_read"])


def test_limits_are_counted_for_a_project_and_an_endpoint(http: httpx.Client, platform: Platform) -> None:
    platform.rate_limit = 2
    path = f"/v1/projects/{platform.ref}/database/backups"
    answers = [http.get(path) for _ in range(3)]
    assert [one.status_code for one in answers] == [200, 200, 429]
    assert [one.headers["x-ratelimit-remaining"] for one in answers] == ["1", "0", "0"]
    assert 0 < int(answers[2].headers["x-ratelimit-reset"]) <= 60
    assert http.get(f"/v1/projects/{platform.ref}").status_code == 200
    platform.forget_rate_limits()
    assert http.get(path).status_code == 200


def test_faults_come_at_the_call_that_was_named(http: httpx.Client, platform: Platform) -> None:
    platform.fault("v1-list-all-projects", status=500, after=1, times=2)
    platform.fault("v1-list-all-projects", body=b"<html>", times=1)
    platform.fault("v1-list-all-projects", status=429, headers={"retry-after": "7"})
    answers = [http.get("/v1/projects") for _ in range(6)]
    assert [one.status_code for one in answers] == [200, 500, 500, 200, 429, 200]
    assert answers[3].content == b"<html>"
    assert answers[4].headers["retry-after"] == "7"
    assert [one.status for one in platform.called("v1-list-all-projects")] == [200, 500, 500, 200, 429, 200]


def test_a_connection_is_cut_before_or_after_the_effect(http: httpx.Client, platform: Platform) -> None:
    platform.fault("v1-run-a-query", cut="before")
    platform.fault("v1-run-a-query", cut="after")
    for name in ("one", "two"):
        with pytest.raises(httpx.TransportError):
            _query(http, platform, f"CREATE TABLE {name} ()")
    rows = _query(http, platform, "SELECT to_regclass('one') AS one, to_regclass('two') AS two").json()
    assert rows == [{"one": None, "two": "two"}]


def test_a_request_that_violates_the_document_is_refused(http: httpx.Client, platform: Platform) -> None:
    path = f"/v1/projects/{platform.ref}/database/query"
    for wrong in ({"query": ""}, {"sql": "SELECT 1"}, ["SELECT 1"]):
        assert http.post(path, json=wrong).status_code == 400
    assert http.post(path, content=b"{", headers={"content-type": "application/json"}).status_code == 400
    assert all(one.problems for one in platform.called("v1-run-a-query"))


def test_an_answer_that_violates_the_document_fails_the_test(database: Database) -> None:
    running = simulating(database.server, database.name)
    platform = running.__enter__()
    platform.project.status = "NO SUCH STATUS"
    httpx.get(f"{platform.url}/v1/projects", headers={"authorization": f"Bearer {platform.token}"})
    with pytest.raises(AssertionError, match=r"v1-list-all-projects: 200: answer.*NO SUCH STATUS"):
        running.__exit__(None, None, None)


def test_a_login_role_logs_in_and_is_gone_when_dropped(http: httpx.Client, platform: Platform) -> None:
    path = f"/v1/projects/{platform.ref}/cli/login-role"
    made = http.post(path, json={"read_only": False}).json()
    pooler = platform.project.pooler
    assert pooler is not None
    target = {
        "host": pooler.host,
        "port": pooler.port,
        "dbname": platform.project.database,
        "user": f"{made['role']}.{platform.ref}",
        "password": made["password"],
    }
    with psycopg.connect(**target) as connection:
        connection.execute("SET ROLE postgres")
        assert connection.execute("SELECT session_user, current_user").fetchone() == (made["role"], "postgres")
    assert http.delete(path).json() == {"message": "ok"}
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(**target)
