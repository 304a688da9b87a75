"""What the platform tells of a project is true where it can be, and changes where it was changed."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import psycopg
import pytest

from tests.conftest import Database
from tests.simulator import Platform, simulating
from tests.support import oracle


@pytest.fixture
def platform(database: Database) -> Iterator[Platform]:
    with simulating(database.server, database.name) as running:
        running.rate_limit = None
        yield running


@pytest.fixture
def project(platform: Platform) -> Iterator[httpx.Client]:
    base = f"{platform.url}/v1/projects/{platform.ref}"
    with httpx.Client(base_url=base, headers={"authorization": f"Bearer {platform.token}"}, timeout=120) as client:
        yield client


def _lints(project: httpx.Client, kind: str) -> list[tuple[str, str, str]]:
    found = project.get(f"/advisors/{kind}").json()["lints"]
    return sorted((one["name"], one["level"], one["cache_key"]) for one in found)


def test_advisors_find_what_is_in_the_catalog(project: httpx.Client, database: Database) -> None:
    assert _lints(project, "security") == []
    oracle.psql(
        database.url,
        "CREATE TABLE a (id int PRIMARY KEY);"
        "CREATE TABLE b (a int CONSTRAINT to_a REFERENCES a, indexed int REFERENCES a);"
        "CREATE INDEX ON b (indexed); CREATE POLICY p ON b USING (true);"
        "CREATE TABLE c (id int PRIMARY KEY); ALTER TABLE c ENABLE ROW LEVEL SECURITY;"
        "CREATE VIEW v AS SELECT * FROM a; CREATE VIEW w WITH (security_invoker) AS SELECT * FROM a;"
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';"
        "CREATE FUNCTION g() RETURNS int LANGUAGE sql SET search_path = '' AS 'SELECT 1';",
    )
    assert _lints(project, "security") == [
        (
            "function_search_path_mutable",
            "WARN",
            "function_search_path_mutable_public_f_" + oracle.psql(database.url, "SELECT md5('SELECT 1')"),
        ),
        ("policy_exists_rls_disabled", "ERROR", "policy_exists_rls_disabled_public_b"),
        ("rls_disabled_in_public", "ERROR", "rls_disabled_in_public_public_a"),
        ("rls_disabled_in_public", "ERROR", "rls_disabled_in_public_public_b"),
        ("rls_enabled_no_policy", "INFO", "rls_enabled_no_policy_public_c"),
        ("security_definer_view", "ERROR", "security_definer_view_public_v"),
    ]
    assert _lints(project, "performance") == [
        ("no_primary_key", "INFO", "no_primary_key_public_b"),
        ("unindexed_foreign_keys", "INFO", "unindexed_foreign_keys_public_b_to_a"),
    ]


def test_the_pooler_that_is_named_lets_in_and_hides_the_ref(project: httpx.Client, platform: Platform) -> None:
    [found] = project.get("/config/database/pooler").json()
    url = found["connection_string"].replace("[YOUR-PASSWORD]", platform.project.password)
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT current_user, current_database()").fetchone() == (
            "postgres",
            platform.project.database,
        )
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(found["connection_string"])


def test_metrics_and_settings_are_the_servers_own(project: httpx.Client) -> None:
    text = project.get("/analytics/endpoints/metrics").text
    assert "\npg_up{" in text
    assert project.get("/config/database/postgres").json()["max_connections"] == 60
    disk = project.get("/config/disk/util").json()["metrics"]
    assert 0 < disk["fs_used_bytes"] < disk["fs_size_bytes"]


def test_what_was_changed_is_told(project: httpx.Client, platform: Platform) -> None:
    assert project.get("/ssl-enforcement").json()["currentConfig"] == {"database": False}
    project.put("/ssl-enforcement", json={"requestedConfig": {"database": True}})
    assert project.get("/ssl-enforcement").json()["currentConfig"] == {"database": True}
    project.post("/network-restrictions/apply", json={"dbAllowedCidrs": ["10.0.0.0/8"]})
    assert project.get("/network-restrictions").json()["config"]["dbAllowedCidrs"] == ["10.0.0.0/8"]
    platform.project.banned = ["127.0.0.1", "10.0.0.1"]
    project.request("DELETE", "/network-bans", json={"ipv4_addresses": [], "requester_ip": True})
    assert project.post("/network-bans/retrieve").json() == {"banned_ipv4_addresses": ["10.0.0.1"]}
    platform.project.read_only = True
    assert project.get("/readonly").json()["enabled"] is True
    project.post("/readonly/temporary-disable")
    assert project.get("/readonly").json()["enabled"] is False
    project.patch("/billing/addons", json={"addon_type": "pitr", "addon_variant": "pitr_14"})
    assert project.get("/database/backups").json()["pitr_enabled"] is True
    platform.plan = "free"
    found = httpx.get(
        f"{platform.url}/v1/organizations/{platform.organization}/entitlements",
        headers={"authorization": f"Bearer {platform.token}"},
    ).json()["entitlements"]
    assert {one["feature"]["key"]: one["hasAccess"] for one in found}["pitr.available_variants"] is False


def test_an_upgrade_is_held_up_by_a_logical_slot(project: httpx.Client, platform: Platform) -> None:
    platform.project.upgrade_to = "17.99.1.001"
    assert project.get("/upgrade/eligibility").json()["eligible"] is True
    with psycopg.connect(platform.project.url("supabase_admin"), autocommit=True) as connection:
        connection.execute("SELECT pg_create_logical_replication_slot('held', 'pgoutput')")
        try:
            found = project.get("/upgrade/eligibility").json()
        finally:
            connection.execute("SELECT pg_drop_replication_slot('held')")
    assert (found["eligible"], found["validation_errors"]) == (
        False,
        [{"type": "active_replication_slot", "slot_name": "held"}],
    )


def _made(project: httpx.Client, platform: Platform, name: str) -> dict:
    platform.settle()
    found = project.get(f"/branches/{name}").json()
    assert found["status"] == "FUNCTIONS_DEPLOYED"
    return found


def test_a_branch_is_a_project_of_its_own(project: httpx.Client, platform: Platform, database: Database) -> None:
    project.post("/database/migrations", json={"query": "CREATE TABLE notes (word text)", "name": "notes"})
    oracle.psql(database.url, "INSERT INTO notes VALUES ('secret')")
    made = project.post("/branches", json={"branch_name": "trial"})
    assert (made.status_code, made.json()["status"]) == (201, "CREATING_PROJECT")
    assert project.post("/branches", json={"branch_name": "trial"}).status_code == 400
    ref = _made(project, platform, "trial")["project_ref"]
    branches = f"{platform.url}/v1/branches/{ref}"
    details = project.get(branches).json()
    target = {
        "host": details["db_host"],
        "port": details["db_port"],
        "user": details["db_user"],
        "password": details["db_pass"],
        "dbname": "postgres",
    }
    with psycopg.connect(**target, autocommit=True) as connection:
        assert connection.execute("SELECT count(*) FROM notes").fetchone() == (0,)
        connection.execute("DROP TABLE notes")
    project.post("/database/migrations", json={"query": "CREATE TABLE more ()", "name": "more"})
    assert project.post(f"{branches}/push", json={}).status_code == 201
    _made(project, platform, "trial")
    with psycopg.connect(**target) as connection:
        assert connection.execute("SELECT to_regclass('more')::text, to_regclass('notes')").fetchone() == ("more", None)
    assert project.post(f"{branches}/reset", json={}).status_code == 201
    _made(project, platform, "trial")
    with psycopg.connect(**target) as connection:
        assert connection.execute("SELECT to_regclass('notes')::text").fetchone() == ("notes",)
    assert oracle.psql(database.url, "SELECT word FROM notes") == "secret"
    assert project.delete(branches).json() == {"message": "ok"}
    assert [one["name"] for one in project.get("/branches").json()] == ["main"]
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(**target)


def test_a_branch_with_data_is_a_copy(project: httpx.Client, platform: Platform, database: Database) -> None:
    oracle.psql(database.url, "CREATE TABLE notes (word text); INSERT INTO notes VALUES ('kept')")
    project.post("/branches", json={"branch_name": "copy", "with_data": True})
    ref = _made(project, platform, "copy")["project_ref"]
    branch = platform.projects[ref]
    assert oracle.table_hashes(branch.admin_url) == oracle.table_hashes(database.admin_url)
