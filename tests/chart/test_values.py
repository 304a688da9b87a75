"""Values that are refused, and how that reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.settings import Settings
from tests.support.chart import CHART, VALUES, app_with, run_helm, the
from tests.support.chart_values import SCHEMA

MINIMAL = VALUES["minimal"]

# By the schema: (--set-json, what every Helm's message names)
BY_SCHEMA = [
    ("nonsense=1", "nonsense"),
    ('image={"respository":"x"}', "respository"),
    ('mode="server"', "mode"),
    ('image.tag="a b"', "tag"),
    ('image.digest="sha256:1"', "digest"),
    ('config.databse_url="x"', "databse_url"),
    ('config.deploy.strategy="fast"', "strategy"),
    ('config.deploy.lock_timeout_s="4 parsecs"', "lock_timeout_s"),
    ("config.deploy.lock_attempts=0", "lock_attempts"),
    ('config.state_dir="/tmp"', "state_dir"),
    ('config.http={"host":"127.0.0.1"}', "host"),
    ('config.notify=[{"name":"a","kind":"slack","url":"https://hooks.example.com/secret"}]', "url"),
    ('config.notify=[{"name":"a","kind":"slack"}]', "notify"),
    ('config.notify=[{"name":"a","kind":"pager","url":"env(URL)"}]', "kind"),
    ('config.schedules=[{"name":"a","kind":"backup"}]', "cron"),
    ('secrets.keys={"database_ulr":"x"}', "database_ulr"),
    ('secrets.env=[{"name":"A-B","key":"x"}]', "name"),
    ('migrations.source="svn"', "source"),
    ('migrations.git.repository="https://user:password@git.example.com/x.git"', "repository"),
    ('migrations.git.period="often"', "period"),
    ('persistence.size="big"', "size"),
    ('persistence.accessModes=["ReadOnlyMany"]', "accessModes"),
    ("podDisruptionBudget.maxUnavailable=2", "maxUnavailable"),
    ("service.port=0", "port"),
    ('probes.liveness={"periodSecond":1}', "periodSecond"),
    ('resources.limits={"memory":"1 GiB"}', "memory"),
    ("terminationGracePeriodSeconds=-1", "terminationGracePeriodSeconds"),
    ("networkPolicy.egress.database.ports=[]", "ports"),
    ('wait.version="newest"', "version"),
    ('job.hook="flux"', "hook"),
]  # fmt: skip

# By the templates: what goes together (--set-json, the message)
BY_TEMPLATES = [
    ('image.repository=""', "image.repository is empty: set it to where your image of the agent is"),
    ('image.tag="latest"', "image.tag is latest: name a version"),
    ('secrets.existingSecret=""', "secrets.existingSecret is empty: make a Secret with the keys database_url, "),
    ('secrets.keys.database_url=""', "secrets.keys.database_url is empty"),
    ('secrets.keys={"http.token":""}', "secrets.keys.http.token is empty"),
    ("persistence.enabled=false", "the agent would forget a deploy that its pod was killed in"),
    ('mode="job"', "mode is job and persistence.existingClaim is empty"),
    ('config.backup.target="file:///backups"', "config.backup.target file:///backups is on no volume"),
    ('migrations.path="supabase/migrations"', "migrations.path supabase/migrations is not absolute"),
    ('migrations.source="git"', "migrations.git.repository is empty"),
    ('migrations.source="configMap"', "migrations.configMap.name is empty"),
    ('migrations.source="oci"', "migrations.oci.reference is empty"),
    ('runbook={"inline":"version: 1","configMap":{"name":"x"}}', "and runbook.configMap.name are both set"),
    ("ingress.enabled=true", "set ingress.host and ingress.tlsSecret"),
    ("httpRoute.enabled=true", "set httpRoute.parentRefs and httpRoute.hostnames"),
]  # fmt: skip


def refused(version: str, *arguments: str | Path) -> str:
    done = run_helm(version, "template", "shop", CHART, "--values", MINIMAL, *arguments)
    assert done.returncode != 0, done.stdout
    assert "traceback" not in done.stderr.lower()
    assert "panic" not in done.stderr
    return done.stderr


@pytest.mark.parametrize("version", ["3", "4"])
@pytest.mark.parametrize(("value", "names"), BY_SCHEMA)
def test_refused_by_the_schema(version: str, value: str, names: str) -> None:
    message = refused(version, "--set-json", value)
    assert "values don't meet the specifications of the schema" in message
    assert names in message.partition("schema(s)")[2]


@pytest.mark.parametrize(("value", "message"), BY_TEMPLATES)
def test_refused_by_the_templates(value: str, message: str) -> None:
    assert message in refused("3", "--set-json", value)


def test_a_sidecar_keeps_its_memory_on_a_volume() -> None:
    sidecar = ["--set", "mode=include", "--set", "sidecar.enabled=true"]
    message = refused("3", *sidecar, "--set", "secrets.keys.store_url=store_url")
    assert "the chart does not provide for sidecars that share one on Postgres" in message


def test_an_image_volume_needs_a_kubernetes_that_has_them() -> None:
    done = run_helm("3", "template", "shop", CHART, "--values", VALUES["oci"], "--kube-version", "1.30")
    assert "needs Kubernetes 1.31 with the feature gate ImageVolume, and this is v1.30" in done.stderr


def test_waiting_needs_the_databases_url_whoever_deploys() -> None:
    without = ["--set", "mode=include", "--set", "secrets.keys.database_url=", "--set", "config.deploy.via=api"]
    assert "secrets.keys.database_url is empty" in refused("3", *without)


def test_backups_are_not_lost_with_a_pod() -> None:
    message = refused(
        "3", "--set-json", "persistence.enabled=false", "--set-json", 'secrets.keys={"store_url":"store_url"}'
    )
    assert "config.backup.target is no bucket: backups would be lost with the pod" in message


def test_the_schema_is_closed() -> None:
    """No object of it takes a key that it does not name, but those that are Kubernetes' own, or labels."""

    def walk(node: object, path: str) -> list[str]:
        if not isinstance(node, dict):
            return []
        found = [path] if node.get("properties") is not None and node.get("additionalProperties") is not False else []
        for name, inner in node.get("properties", {}).items():
            found += walk(inner, f"{path}.{name}")
        return found + walk(node.get("items"), f"{path}[]")

    assert walk(json.loads(SCHEMA.read_text(encoding="utf-8")), "") == []


def test_secrets_cannot_be_written_into_the_settings() -> None:
    config = json.loads(SCHEMA.read_text(encoding="utf-8"))["properties"]["config"]["properties"]
    assert "database_url" in Settings.model_fields
    assert not {"database_url", "store_url"} & config.keys()
    assert "age_identity" not in config["backup"]["properties"]
    assert "token" not in config["http"]["properties"]


@pytest.mark.parametrize("version", ["3", "4"])
def test_an_application_includes_the_templates(version: str, tmp_path: Path) -> None:
    """helm/examples/app: its pods wait; with the sidecar they also deploy."""

    def pod(*arguments: str) -> dict:
        objects = app_with(tmp_path / str(len(arguments)), *arguments, version=version)
        kinds = [one["kind"] for one in objects]
        assert kinds == (["ConfigMap", "Deployment", "PersistentVolumeClaim"] if arguments else ["Deployment"])
        found: dict = the("Deployment", objects)["spec"]["template"]["spec"]
        volumes = [one["name"] for one in found["volumes"]]
        assert len(set(volumes)) == len(volumes)
        mounted = {mount["name"] for one in found["initContainers"] for mount in one["volumeMounts"]}
        assert mounted == set(volumes)
        return found

    waiting = pod()
    assert [one["name"] for one in waiting["initContainers"]] == ["deploy-agent-copy", "deploy-agent-wait"]
    wait = waiting["initContainers"][-1]
    assert wait["args"] == ["wait", "latest", "--timeout", "300"]
    assert [one["secret"]["items"] for one in waiting["volumes"] if "secret" in one] == [
        [{"key": "database_url", "path": "database_url"}]
    ], "it gets the database's URL and no other secret"

    beside = pod("--set", "supabase-deploy-agent.sidecar.enabled=true")
    copy, agent, last = beside["initContainers"]
    assert agent["restartPolicy"] == "Always"
    assert agent["args"] == ["serve"]
    assert "readinessProbe" not in agent, "the application can serve without the agent"
    assert "restartPolicy" not in copy | last
    assert beside["terminationGracePeriodSeconds"] == 330
