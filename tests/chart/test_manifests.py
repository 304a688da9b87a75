"""What the chart renders: the same with Helm 3 and 4, valid for each Kubernetes, and as strict as it says."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.core.states import EXIT_CODES
from tests.support.chart import (
    CHART,
    KUBERNETES,
    ROOT,
    VALUES,
    Manifest,
    containers,
    manifests,
    pods,
    rendered,
    run_helm,
    template,
    the,
)
from tests.support.chart_tools import kubernetes_validate
from tests.support.chart_values import values

GOLDEN = Path(__file__).parent / "golden"
NOT_KUBERNETES_OWN = {"ServiceMonitor", "PrometheusRule", "HTTPRoute"}

by_values = pytest.mark.parametrize("name", VALUES)


@by_values
def test_snapshot(name: str) -> None:
    golden = GOLDEN / f"{name}.yaml"
    text = yaml.safe_dump_all(
        [_without_copies(one) for one in rendered(name)], sort_keys=False, width=120, allow_unicode=True
    )
    if os.environ.get("UPDATE_GOLDENS"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text, encoding="utf-8")
    assert golden.read_text(encoding="utf-8") == text, "look at the difference; UPDATE_GOLDENS=1 keeps it"


def _without_copies(one: Manifest) -> Manifest:
    """Alerts and dashboard are files of config/, copied; another test compares them."""
    if one["kind"] == "PrometheusRule":
        return one | {"spec": "config/prometheus/rules.yaml"}
    if "supabase-deploy-agent.json" in one.get("data", {}):
        return one | {"data": {"supabase-deploy-agent.json": "config/grafana/dashboard.json"}}
    return one


def test_no_snapshot_is_left_over() -> None:
    assert {path.stem for path in GOLDEN.glob("*.yaml")} == set(VALUES)


@by_values
def test_helm_3_and_4_render_the_same(name: str) -> None:
    assert rendered(name, "4") == rendered(name, "3")


@pytest.mark.parametrize("version", ["3", "4"])
@by_values
def test_lint(name: str, version: str) -> None:
    done = run_helm(version, "lint", "--strict", CHART, "--values", VALUES[name], "--kube-version", "1.33")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stdout


@pytest.mark.parametrize("version", KUBERNETES)
def test_valid_for_each_kubernetes(version: str) -> None:
    validate = kubernetes_validate()
    for name in VALUES:
        for one in rendered(name):
            if one["kind"] in NOT_KUBERNETES_OWN or (name == "oci" and version < "1.31" and "volumes" in str(one)):
                continue
            assert validate.validate(one, version, strict=True) == version, (name, one["kind"])


@pytest.mark.parametrize("version", KUBERNETES)
def test_the_kubernetes_version_changes_nothing(version: str) -> None:
    """So that one rendering is enough to be looked at for all of them."""
    assert tuple(manifests(template("3", VALUES["placed"], kubernetes=version))) == rendered("placed")


def test_an_unsupported_kubernetes_is_refused() -> None:
    done = run_helm("3", "template", "shop", CHART, "--values", VALUES["minimal"], "--kube-version", "1.28")
    assert "incompatible with Kubernetes v1.28" in done.stderr


def test_every_value_is_tried() -> None:
    """Each value differs from its default in at least one of the files, or is named here with the reason."""
    files = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in VALUES.values()]

    def differs(path: str, default: Any) -> bool:
        for document in files:
            node: Any = document
            for part in path.split("."):
                node = node.get(part) if isinstance(node, dict) else None
            if node is not None and node != default:
                return True
        return False

    untried = {one.path for one in values() if not differs(one.path, one.value)}
    assert untried == {
        "image.pullPolicy", "migrations.git.period", "migrations.git.image", "migrations.git.resources",
        "migrations.oci.pullPolicy", "probes.liveness", "probes.readiness", "probes.startup", "podSecurityContext",
        "securityContext", "wait.version", "wait.timeout", "wait.resources", "service.type",
        "service.publishNotReadyAddresses", "serviceAccount.annotations", "job.backoffLimit",
        "job.ttlSecondsAfterFinished", "serviceMonitor.scrapeTimeout", "dashboard.labels",
    }  # fmt: skip  # handed on as they are


@by_values
def test_policies(name: str) -> None:
    """What restricted clusters ask for, of every container of every pod."""
    for whose, pod in pods(rendered(name)):
        assert pod["automountServiceAccountToken"] is False, whose
        assert pod["enableServiceLinks"] is False, whose
        assert pod["securityContext"]["runAsNonRoot"] is True, whose
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, whose
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys(), whose
        for one in containers(pod):
            where = f"{whose}, {one['name']}"
            security = one["securityContext"]
            assert security["runAsNonRoot"] is True, where
            assert security["runAsUser"] >= 10000, where
            assert security["readOnlyRootFilesystem"] is True, where
            assert security["allowPrivilegeEscalation"] is False, where
            assert security["privileged"] is False, where
            assert security["capabilities"] == {"drop": ["ALL"]}, where
            assert security["seccompProfile"] == {"type": "RuntimeDefault"}, where
            assert {"cpu", "memory"} <= one["resources"]["requests"].keys(), where
            assert "memory" in one["resources"]["limits"], where
            image, _, tag = one["image"].rpartition("@" if "@" in one["image"] else ":")
            assert image, where
            assert tag not in {"", "latest"}, where
            if one.get("args") == ["serve"]:
                assert one["livenessProbe"]["httpGet"]["path"] == "/livez", where
                assert one["startupProbe"]["httpGet"]["path"] == "/livez", where
                assert one["readinessProbe"]["httpGet"]["path"] == "/readyz", where
        assert all("hostPath" not in one for one in pod["volumes"]), whose


@by_values
def test_what_is_mounted_is_there(name: str) -> None:
    for whose, pod in pods(rendered(name)):
        claims = {
            one["metadata"]["name"]
            for owner in rendered(name)
            if f"{owner['kind']} {owner['metadata']['name']}" == whose
            for one in owner["spec"].get("volumeClaimTemplates", ())
        }
        volumes = [one["name"] for one in pod["volumes"]]
        mounted = {mount["name"] for one in containers(pod) for mount in one.get("volumeMounts", ())}
        assert len(set(volumes)) == len(volumes), whose
        assert mounted == set(volumes) | claims, whose


@by_values
def test_selectors_meet_their_pods(name: str) -> None:
    """The Service and the PodDisruptionBudget reach the agent alone, the NetworkPolicy also its test."""
    objects = rendered(name)
    agents = [one["spec"]["template"]["metadata"]["labels"] for one in objects if one["kind"] == "StatefulSet"]
    tests = [one["metadata"]["labels"] for one in objects if one["kind"] == "Pod"]
    for one in objects:
        if one["kind"] == "Service":
            selector = one["spec"]["selector"].items()
            assert all(selector <= labels.items() for labels in agents)
            assert not any(selector <= labels.items() for labels in tests)
        elif one["kind"] == "PodDisruptionBudget":
            selector = one["spec"]["selector"]["matchLabels"].items()
            assert all(selector <= labels.items() for labels in agents)
            assert not any(selector <= labels.items() for labels in tests)
        elif one["kind"] == "NetworkPolicy":
            selector = one["spec"]["podSelector"]["matchLabels"].items()
            assert all(selector <= labels.items() for labels in [*agents, *tests])


@by_values
def test_no_secret_is_written_out(name: str) -> None:
    assert not [one for one in rendered(name) if one["kind"] == "Secret"]
    for _, pod in pods(rendered(name)):
        for one in containers(pod):
            for variable in one.get("env", ()):
                assert "secretKeyRef" in variable.get("valueFrom", {}) or variable["name"] in {
                    "DEPLOY_AGENT_CONFIG", "HOME",
                }, variable  # fmt: skip


def test_a_job_is_ready_before_its_release() -> None:
    """What the hook's Job needs comes before it, by weight, and nothing of it is left to the release itself."""
    objects = rendered("job")
    hooks = {one["kind"]: one["metadata"]["annotations"] for one in objects}
    assert {one["helm.sh/hook"] for one in hooks.values()} == {"pre-install,pre-upgrade"}
    job = hooks.pop("Job")
    assert set(hooks) == {"ConfigMap", "NetworkPolicy", "ServiceAccount"}
    assert all(int(one["helm.sh/hook-weight"]) < int(job["helm.sh/hook-weight"]) for one in hooks.values())
    assert job["helm.sh/hook-delete-policy"] == "before-hook-creation", "its logs stay"


def test_argo_cd_runs_the_job_before_a_sync() -> None:
    objects = rendered("job-argocd")
    hooks = {one["kind"]: one["metadata"]["annotations"] for one in objects}
    assert {one["argocd.argoproj.io/hook"] for one in hooks.values()} == {"PreSync"}
    assert not any("helm.sh/hook" in one for one in hooks.values()), "Argo CD reads either, not both"
    job = hooks.pop("Job")
    assert all(
        int(one["argocd.argoproj.io/sync-wave"]) < int(job["argocd.argoproj.io/sync-wave"]) for one in hooks.values()
    )


def test_a_plain_job_gets_a_new_name_with_new_values() -> None:
    first = the("Job", rendered("job-plain"))["metadata"]["name"]
    changed = manifests(template("3", VALUES["job-plain"], "--set", "config.deploy.strategy=atomic"))
    assert the("Job", changed)["metadata"]["name"] != first


@pytest.mark.parametrize("name", ["postgres", "job"])
def test_the_next_pod_has_the_same_host_name(name: str) -> None:
    """An agent whose memory is on Postgres goes on at once with a deploy that its host name began."""
    (kind, pod), *_ = [one for one in pods(rendered(name)) if not one[0].startswith("Pod ")]
    assert kind.startswith("StatefulSet ") or pod["hostname"] == "shop-supabase-deploy-agent"


def test_a_failed_deploy_is_not_tried_again() -> None:
    """The Job gives up at the exit codes that say that a deploy has ended, and goes on after a kill."""
    rules = the("Job", rendered("job"))["spec"]["podFailurePolicy"]["rules"]
    assert rules[0] == {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    final = rules[1]["onExitCodes"]["values"]
    ended = set(EXIT_CODES.values()) - {0}
    assert ended <= set(final)
    assert not {1, 4, 11, 16, 18, 130, 137, 143} & set(final)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("300", 330),
        ("600", 630),
        ("0", 30),
        ('"5m"', 330),
        ('"1h30m"', 5430),
        ('"1500ms"', 32),
        ('"1 h 5 min"', 3930),
        ('"1d"', 86430),
    ],
)
def test_grace_period_comes_from_the_settings(value: str, seconds: int) -> None:
    text = template("3", VALUES["minimal"], "--set-json", f"config.deploy.cancel_grace_s={value}")
    assert the("StatefulSet", manifests(text))["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == seconds


def test_a_change_of_settings_restarts_the_pod() -> None:
    def checksum(*arguments: str) -> str:
        objects = manifests(template("3", VALUES["minimal"], *arguments))
        found: str = the("StatefulSet", objects)["spec"]["template"]["metadata"]["annotations"]["checksum/settings"]
        return found

    assert checksum() == checksum()
    assert checksum() != checksum("--set", "config.watch.mode=plan")


def test_long_names_fit() -> None:
    objects = manifests(template("3", VALUES["minimal"], "--set", "fullnameOverride=" + "a" * 63))
    # a StatefulSet's pods have a label of its name and ten more characters, and a label has at most 63
    assert len(the("StatefulSet", objects)["metadata"]["name"]) == 52
    assert all(len(one["metadata"]["name"]) <= 63 for one in objects)


def test_alerts_and_dashboard_are_those_of_config() -> None:
    objects = rendered("monitoring")
    rules = (ROOT / "config" / "prometheus" / "rules.yaml").read_text(encoding="utf-8")
    dashboard = (ROOT / "config" / "grafana" / "dashboard.json").read_text(encoding="utf-8")
    assert the("PrometheusRule", objects)["spec"] == yaml.safe_load(rules)
    (found,) = [one for one in objects if one["metadata"]["name"].endswith("-dashboard")]
    assert found["data"]["supabase-deploy-agent.json"] == dashboard
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"


def test_prometheus_sends_the_token() -> None:
    (endpoint,) = the("ServiceMonitor", rendered("monitoring"))["spec"]["endpoints"]
    assert endpoint["authorization"] == {
        "type": "Bearer",
        "credentials": {"name": "deploy-agent", "key": "metrics_token"},
    }
    assert endpoint["path"] == "/metrics"
