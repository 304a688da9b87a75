"""The chart as it is shipped: packaged, in a registry, installed from there, and after an older one."""

from __future__ import annotations

import copy
import io
import re
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent import __version__
from tests.support.chart import CHART, ROOT, VALUES, Manifest, manifests, rendered, run_helm, template
from tests.support.registry import registry

CHART_YAML = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))


def test_the_chart_installs_the_agent_of_this_version() -> None:
    assert CHART_YAML["appVersion"] == __version__


@pytest.mark.parametrize("version", ["3", "4"])
def test_through_a_registry(version: str, tmp_path: Path) -> None:
    """Packaged, pushed, pulled, and rendered from the registry: the same objects as from the folder."""
    name = f"supabase-deploy-agent-{CHART_YAML['version']}.tgz"
    env = {
        "HOME": str(tmp_path),
        "HELM_CACHE_HOME": str(tmp_path / "cache"),
        "HELM_CONFIG_HOME": str(tmp_path / "config"),
    }

    def helm(*arguments: str | Path) -> str:
        done = run_helm(version, *arguments, env=env)
        assert done.returncode == 0, done.stderr
        return done.stdout

    helm("package", CHART, "--destination", tmp_path)
    with registry() as address:
        charts = f"oci://{address}/charts"
        helm("push", tmp_path / name, charts, "--plain-http")
        source = [f"{charts}/supabase-deploy-agent", "--version", CHART_YAML["version"], "--plain-http"]
        pulled = tmp_path / "pulled"
        pulled.mkdir()
        helm("pull", *source, "--destination", pulled)
        assert (pulled / name).read_bytes() == (tmp_path / name).read_bytes()
        text = helm(
            "template",
            "shop",
            *source,
            "--namespace",
            "apps",
            "--values",
            VALUES["monitoring"],
            "--kube-version",
            "1.33",
        )
    told, _, objects = text.partition("---\n")  # Helm 4 says first what it pulled
    assert told == "" or told.startswith("Pulled: ")
    assert tuple(manifests(objects)) == rendered("monitoring")


def test_the_package_holds_the_chart_and_nothing_else(tmp_path: Path) -> None:
    assert run_helm("3", "package", CHART, "--destination", tmp_path).returncode == 0
    (package,) = tmp_path.glob("*.tgz")
    with tarfile.open(package) as archive:
        found = {name.removeprefix("supabase-deploy-agent/") for name in archive.getnames()}
    here = {str(path.relative_to(CHART)) for path in CHART.rglob("*") if path.is_file()}
    assert found == here - {".helmignore"} or found == here


# What Kubernetes does not let anybody change in an object that exists.
FIXED = {
    "StatefulSet": ("serviceName", "selector", "podManagementPolicy", "volumeClaimTemplates"),
    "PersistentVolumeClaim": ("accessModes", "storageClassName", "volumeName", "selector"),
    "Service": ("clusterIP",),
}


def cannot_be_upgraded(before: list[Manifest], after: list[Manifest]) -> list[str]:
    """Fields that Kubernetes would refuse to change in place, and volumes that would be left behind."""
    found = []
    new = {(one["kind"], one["metadata"]["name"]): one for one in after}
    for one in before:
        key = (one["kind"], one["metadata"]["name"])
        if one["kind"] not in FIXED or "helm.sh/hook" in one["metadata"].get("annotations", {}):
            continue
        if key not in new:
            if one["kind"] != "Service":
                found.append(f"{key[0]} {key[1]} is gone")
            continue
        found += [
            f"{key[0]} {key[1]}: {field}"
            for field in FIXED[one["kind"]]
            if one["spec"].get(field) != new[key]["spec"].get(field)
        ]
    return found


def _other_size(spec: dict[str, Any]) -> None:
    spec["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"] = "1Gi"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda spec: spec["selector"]["matchLabels"].update(tier="x"), ["selector"]),
        (lambda spec: spec.update(serviceName="other"), ["serviceName"]),
        (_other_size, ["volumeClaimTemplates"]),
        (lambda spec: spec["template"]["spec"].update(terminationGracePeriodSeconds=1), []),
    ],
)
def test_an_upgrade_that_kubernetes_would_refuse_is_found(change: Any, told: list[str]) -> None:
    before = list(rendered("minimal"))
    after = copy.deepcopy(before)
    (agent,) = [one for one in after if one["kind"] == "StatefulSet"]
    change(agent["spec"])
    name = agent["metadata"]["name"]
    assert cannot_be_upgraded(before, after) == [f"StatefulSet {name}: {field}" for field in told]


def test_the_previous_release_can_be_upgraded(tmp_path: Path) -> None:
    tags = subprocess.run(
        ["git", "tag", "--list", "v*", "--sort=-version:refname"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    for tag in tags:
        listed = subprocess.run(
            ["git", "archive", tag, "helm/supabase-deploy-agent"], cwd=ROOT, capture_output=True, check=False
        )
        if listed.returncode == 0:
            break
    else:  # nothing to upgrade from: then nothing may have been released either
        assert re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE) == ["0.1.0 (unreleased)"]
        return
    with tarfile.open(fileobj=io.BytesIO(listed.stdout)) as archive:
        archive.extractall(tmp_path, filter="data")
    old = tmp_path / "helm" / "supabase-deploy-agent"
    for name in ("minimal", "postgres", "git-https", "volume"):
        before = manifests(template("3", VALUES[name], chart=old))
        assert cannot_be_upgraded(before, list(rendered(name))) == [], f"{tag}, {name}"
