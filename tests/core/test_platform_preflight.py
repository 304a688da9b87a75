"""What the platform's answers mean for a deploy."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from agent.core import platform as model
from agent.core import platform_preflight as judge
from agent.core.platform_preflight import PlatformLimits
from agent.core.preflight import no_token
from agent.errors import PlatformError
from tests.support.management import REF, project

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
LIMITS = PlatformLimits()


def told(findings) -> list[tuple[str, str]]:
    return [(one.code, one.severity.value) for one in findings]


def of(status: str) -> model.Project:
    return model.Project.model_validate(project(status=status))


@pytest.mark.parametrize(
    ("status", "severity"),
    [
        ("ACTIVE_HEALTHY", None),
        ("ACTIVE_UNHEALTHY", "warning"),
        ("UNKNOWN", "warning"),
        ("NEVER_SEEN_BEFORE", "warning"),
        ("RESTORING", "error"),
        ("RESTORE_FAILED", "error"),
        ("UPGRADING", "error"),
        ("INACTIVE", "error"),
        ("PROMOTING", "error"),
    ],
)
def test_a_status(status, severity):
    expected = [("preflight.platform_status", severity)] if severity else []
    assert told(judge.project(of(status), major=17)) == expected


def test_a_server_of_another_version_is_another_project():
    assert told(judge.project(of("ACTIVE_HEALTHY"), major=15)) == [("preflight.platform_mismatch", "warning")]
    oriole = of("ACTIVE_HEALTHY").model_copy(
        update={"database": model.Database(host="h", version="17", postgres_engine="17-oriole", release_channel="ga")}
    )
    assert judge.project(oriole, major=17) == []


def test_a_service_is_well_only_where_it_is_said():
    services = [
        model.ServiceHealth(name="db", status="ACTIVE_HEALTHY"),
        model.ServiceHealth(name="rest", status="COMING_UP"),
        model.ServiceHealth(name="auth", status="UNHEALTHY", error="no answer"),
    ]
    assert [one.where["service"] for one in judge.health(services)] == ["rest", "auth"]


@pytest.mark.parametrize(
    ("enabled", "lifted", "severity"), [(False, False, None), (True, False, "error"), (True, True, "warning")]
)
def test_read_only_mode(enabled, lifted, severity):
    found = judge.read_only(model.ReadOnly(enabled=enabled, override_enabled=lifted))
    assert told(found) == ([("preflight.read_only", severity)] if severity else [])


@pytest.mark.parametrize(("used", "severity"), [(84, None), (85, "warning"), (94.9, "warning"), (95, "error")])
def test_the_disk(used, severity):
    metrics = model.DiskMetrics(fs_size_bytes=100.0, fs_used_bytes=used, fs_avail_bytes=100 - used)
    found = judge.disk(model.Disk(timestamp="t", metrics=metrics), LIMITS)
    assert told(found) == ([("preflight.platform_disk", severity)] if severity else [])


def test_a_disk_without_a_size_is_no_division_by_zero():
    metrics = model.DiskMetrics(fs_size_bytes=0.0, fs_used_bytes=0.0, fs_avail_bytes=0.0)
    assert judge.disk(model.Disk(timestamp="t", metrics=metrics), LIMITS) == []


@pytest.mark.parametrize(("status", "stops"), [(0, True), (1, False), (2, False), (3, False)])
def test_an_upgrade(status, stops):
    one = model.Upgrade(initiated_at="t", latest_status_at="t", target_version=17, status=status)
    assert bool(judge.upgrade(model.UpgradeStatus(upgrade=one))) is stops
    assert judge.upgrade(model.UpgradeStatus(upgrade=None)) == []


def window(begins: timedelta) -> model.Window:
    start = NOW + begins
    return model.Window(start_at=start.isoformat(), end_at=(start + timedelta(hours=2)).isoformat())


def test_maintenance_that_is_open_or_near():
    def found(current, *upcoming):
        return told(judge.maintenance(model.Maintenance(current=current, upcoming=upcoming), now=NOW, limits=LIMITS))

    warning = [("preflight.maintenance", "warning")]
    assert found(window(timedelta(hours=-1))) == warning
    assert found(None, window(timedelta(hours=1)), window(timedelta(days=7))) == warning
    assert found(None, window(timedelta(hours=3))) == []
    assert found(None, model.Window(start_at="soon", end_at="later")) == []
    assert told(judge.maintenance(None, now=NOW, limits=LIMITS)) == [("preflight.not_checked", "info")]


@pytest.mark.parametrize(
    ("eligible", "latest", "told_of"), [(True, "17.6", True), (True, "17.4", False), (False, "17.6", False)]
)
def test_an_upgrade_on_offer_is_a_note(eligible, latest, told_of):
    found = model.UpgradeEligibility(
        eligible=eligible, current_app_version="17.4", latest_app_version=latest, duration_estimate_hours=1
    )
    assert told(judge.upgrade_offered(found)) == ([("preflight.upgrade_offered", "info")] if told_of else [])


def test_triggers_that_are_off_for_the_whole_project_are_a_warning():
    assert judge.settings({}) == judge.settings({"session_replication_role": "origin", "max_connections": 60}) == []
    assert told(judge.settings({"session_replication_role": "replica"})) == [("preflight.triggers_off", "warning")]


def test_a_project_that_is_not_there_is_one_line():
    def unknown(operation):
        error = PlatformError("no project", code="platform.not_found", where={"operation": operation})
        return f"what {operation} says", error

    apart = [unknown("v1-get-services-health"), unknown("v1-get-disk-utilization")]
    assert len(judge.not_checked(apart, required=False)) == len(apart)
    [finding] = judge.not_checked([unknown("v1-get-project"), *apart], required=False)
    assert finding.message.count("what v1-") == len(apart) + 1


@pytest.mark.parametrize(
    ("networks", "address", "cut_off"),
    [
        (("0.0.0.0/0",), "203.0.113.9", False),
        (("203.0.113.0/24",), "203.0.113.9", False),
        (("198.51.100.0/24",), "203.0.113.9", True),
        (("198.51.100.0/24",), "", False),
        ((), "203.0.113.9", False),
        (("a new form",), "203.0.113.9", False),
    ],
)
def test_restrictions(networks, address, cut_off):
    found = model.NetworkRestrictions(entitlement="allowed", status="stored", config=model.AllowedNetworks(v4=networks))
    assert bool(judge.restrictions(found, address=address)) is cut_off


def test_only_a_ban_of_the_agents_own_address_stops_it():
    found = model.NetworkBans(banned=("203.0.113.9",))
    assert told(judge.bans(found, address="203.0.113.9")) == [("preflight.network_banned", "error")]
    assert judge.bans(found, address="203.0.113.8") == judge.bans(found, address="") == []


def daily(age: timedelta, status: str = "COMPLETED") -> model.DailyBackup:
    return model.DailyBackup(id=1, status=status, inserted_at=(NOW - age).isoformat(), is_physical=True)


@pytest.mark.parametrize(
    ("found", "severity", "words"),
    [
        (model.Backups(pitr_enabled=False, daily=(daily(timedelta(hours=7)),)), "info", "daily backup is 7 h old"),
        (model.Backups(pitr_enabled=False, daily=(daily(timedelta(hours=30)),)), "warning", "30 h old"),
        (model.Backups(pitr_enabled=False, daily=(daily(timedelta(hours=1), "FAILED"),)), "warning", "has no backup"),
        (model.Backups(pitr_enabled=False), "warning", "has no backup"),
        (model.Backups(pitr_enabled=True), "warning", "names no time"),
        (
            model.Backups(pitr_enabled=True, window=model.PitrWindow(latest=int(NOW.timestamp()) - 120)),
            "info",
            "up to 2 min ago",
        ),
        (
            model.Backups(pitr_enabled=True, window=model.PitrWindow(latest=int(NOW.timestamp()) - 3600)),
            "warning",
            "up to 1 h ago",
        ),
    ],
)
def test_what_the_platform_could_bring_back(found, severity, words):
    (finding,) = judge.backups(found, entitlements=None, now=NOW, limits=LIMITS)
    assert finding.severity.value == severity
    assert words in finding.message


@pytest.mark.parametrize(
    ("has", "words"), [(True, "allows point-in-time recovery (pitr_7)"), (False, "does not include"), (None, "")]
)
def test_what_the_plan_would_allow(has, words):
    entitlement = model.Entitlement(
        feature=model.Feature(key="pitr.available_variants"),
        has_access=bool(has),
        type="set",
        config=model.Allowance(enabled=True, set=("pitr_7",)),
    )
    plan = model.Entitlements(entitlements=() if has is None else (entitlement,))
    (finding,) = judge.backups(model.Backups(pitr_enabled=False), entitlements=plan, now=NOW, limits=LIMITS)
    assert words in finding.hint


def test_what_could_not_be_asked_stops_a_deploy_only_where_it_is_required():
    error = PlatformError("no", code="platform.forbidden", hint="h", where={"operation": "v1-x", "path": "/v1"})
    (loose,), (strict,) = (judge.not_checked([("the disk", error)], required=required) for required in (False, True))
    assert (loose.severity.value, strict.severity.value) == ("warning", "error")
    assert loose.message == "not checked: the disk: no"
    assert loose.where == {"operation": "v1-x", "path": "/v1", "why": "platform.forbidden"}
    assert judge.not_checked([], required=True) == []


def test_what_nobody_answered_is_named_in_one_finding():
    gone = PlatformError("no connection", code="platform.unreachable")
    denied = PlatformError("the token lacks x", code="platform.forbidden")
    found = judge.not_checked([("a", gone), ("b", denied), ("c", gone)], required=False)
    assert [one.message for one in found] == ["not checked: b: the token lacks x", "not checked: a; c: no connection"]


def test_a_project_elsewhere_has_no_platform_to_ask():
    assert no_token("", required=False) == []
    assert told(no_token(REF, required=False)) == [("preflight.not_checked", "info")]
    assert told(no_token("", required=True)) == [("preflight.not_checked", "error")]
