"""The settings file that the chart renders, read by the agent itself."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.core.runbook_io import load_runbook
from agent.settings import Settings, load_settings
from tests.support.chart import VALUES, containers, manifests, pods, rendered, template

SECRETS = {
    "database_url": "postgresql://postgres.abcdefghijklmnopqrst:pw@eu-central-1.pooler.supabase.com:5432/postgres",
    "http_token": "t" * 32,
    "store_url": "postgresql://agent:pw@store:5432/agent",
    "age_identity": "AGE-SECRET-KEY-1QQQQ",
    "management_token": "sbp_" + "0" * 40,
    "storage_key": "sb_secret_0123456789",
    "otlp_headers": "authorization=Bearer x",
    "audit_url": "https://audit.example.com/hook",
    "ci_hash": "sha256:" + "0" * 64,
    "prometheus_hash": "sha256:" + "1" * 64,
    "audit_secret": "whsec_c2VjcmV0c2VjcmV0c2VjcmV0",
}
FOLDER = "/run/secrets/deploy-agent"
WITH_SETTINGS = [name for name in VALUES if name != "include"]


def settings_file(objects: Any) -> dict[str, Any]:
    (text,) = [one["data"]["deploy-agent.yaml"] for one in objects if "deploy-agent.yaml" in one.get("data", {})]
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def load(objects: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """As the agent does in its container, whose folder of secrets is `folder` here."""
    for name in [name for name in os.environ if name.startswith("DEPLOY_AGENT_")]:
        monkeypatch.delenv(name)
    for key, text in SECRETS.items():
        (folder / key).write_text(text + "\n", encoding="utf-8")
    for _, pod in pods(objects):
        for container in containers(pod):
            for variable in container.get("env", ()):
                if "valueFrom" in variable:
                    monkeypatch.setenv(variable["name"], "https://hooks.example.com/x")
    file = folder / "deploy-agent.yaml"
    file.write_text(yaml.safe_dump(settings_file(objects)).replace(FOLDER, str(folder)), encoding="utf-8")
    return load_settings(file)


@pytest.mark.parametrize("name", WITH_SETTINGS)
def test_the_agent_reads_it(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    objects = rendered(name)
    settings = load(objects, tmp_path, monkeypatch)
    if settings.platform.login_role:
        assert settings.database_url is None
    else:
        assert settings.require_database_url().get_secret_value() == SECRETS["database_url"]
    assert settings.log.format == "json"
    serves = not name.startswith("job")
    assert settings.http.open_to_all != serves
    assert settings.http.host == ("0.0.0.0" if serves else "127.0.0.1")


@pytest.mark.parametrize("name", WITH_SETTINGS)
def test_its_folders_are_where_the_pod_has_them(name: str) -> None:
    settings = settings_file(rendered(name))
    for whose, pod in pods(rendered(name)):
        for one in containers(pod):
            if one.get("args", [""])[0] not in {"serve", "deploy", "doctor"}:
                continue
            mounts = {mount["mountPath"]: mount for mount in one["volumeMounts"]}
            assert settings["state_dir"] in mounts, whose
            assert not mounts[settings["state_dir"]].get("readOnly"), whose
            assert "/tmp" in mounts, whose
            in_image = name in IN_THE_AGENTS_IMAGE
            for file in [settings["migrations"]] + ([settings["runbook"]] if name not in NO_RUNBOOK else []):
                held = any(file == path or file.startswith(f"{path}/") for path in mounts)
                assert held != in_image, (whose, file)


IN_THE_AGENTS_IMAGE = {
    "httproute", "include-sidecar", "ingress", "job-plain", "long", "minimal", "monitoring", "network", "open",
    "placed",
    "platform", "postgres", "tokens", "volume",
}  # fmt: skip
NO_RUNBOOK: set[str] = set()


def test_what_the_values_say_arrives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(rendered("postgres"), tmp_path, monkeypatch)
    assert settings.project == "shop"
    assert settings.deploy.cancel_grace_s == 5400
    assert settings.deploy.max_rows_lost == 1_000_000  # Helm writes 1e+06
    assert settings.deploy.restore == "approve"
    assert settings.backup.target == "s3://backups/shop"
    assert settings.backup.age_identity is not None
    assert settings.store_url is not None
    assert settings.store_url.get_secret_value() == SECRETS["store_url"]
    on_call, audit = settings.notify
    assert on_call.url.get_secret_value() == "https://hooks.example.com/x"
    assert audit.url.get_secret_value() == SECRETS["audit_url"]
    assert audit.secret is not None
    assert audit.secret.get_secret_value() == SECRETS["audit_secret"]


def test_secrets_of_sections_arrive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(rendered("platform"), tmp_path, monkeypatch)
    assert settings.platform.token is not None
    assert settings.platform.token.get_secret_value() == SECRETS["management_token"]
    assert settings.platform.required
    assert settings.backup.storage_key is not None
    assert settings.backup.storage_key.get_secret_value() == SECRETS["storage_key"]
    assert settings.telemetry.headers is not None
    assert settings.telemetry.sample_ratio == 0.5


def test_schedules_arrive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(rendered("volume"), tmp_path, monkeypatch)
    assert [(one.name, one.cron, one.time_zone) for one in settings.schedules] == [
        ("nightly", "30 2 * * *", "Europe/Berlin"),
        ("drill", "@weekly", "UTC"),
    ]
    assert settings.log.level == "debug"
    assert settings.log.format == "json"


def test_the_log_may_be_something_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    objects = manifests(template("3", VALUES["minimal"], "--set", "config.log.format=console"))
    assert load(objects, tmp_path, monkeypatch).log.format == "console"


def test_a_runbook_in_the_values_arrives_as_it_is() -> None:
    (text,) = [one["data"]["deploy.yaml"] for one in rendered("copied") if "deploy.yaml" in one.get("data", {})]
    runbook = load_runbook(text, name="deploy.yaml")
    assert runbook.checks[0].sql == "select '{{ .Values }}' as text"
