"""The Helm chart, rendered."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.support.chart_tools import helm

ROOT = Path(__file__).resolve().parent.parent.parent
CHART = ROOT / "helm" / "supabase-deploy-agent"
APP = ROOT / "helm" / "examples" / "app"
VALUES = {path.stem: path for path in sorted((ROOT / "tests" / "chart" / "values").glob("*.yaml"))}
KUBERNETES = ("1.29", "1.30", "1.31", "1.32", "1.33")
Manifest = dict[str, Any]


def run_helm(
    version: str, *arguments: str | Path, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run Helm 3 or 4 as if this machine knew no cluster."""
    environ = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "KUBECONFIG": "/nonexistent"} | dict(env or {})
    return subprocess.run(
        [helm(version), *arguments], capture_output=True, text=True, check=False, env=environ, stdin=subprocess.DEVNULL
    )


def template(
    version: str,
    values: Path,
    *arguments: str | Path,
    chart: Path = CHART,
    kubernetes: str = "1.33",
    release: str = "shop",
) -> str:
    """What `helm template` prints."""
    options = ["--namespace", "apps", "--values", values, "--kube-version", kubernetes]
    done = run_helm(version, "template", release, chart, *options, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def manifests(text: str) -> list[Manifest]:
    """The objects, in an order that does not depend on Helm's version."""
    found = [one for one in yaml.load_all(text, Loader=yaml.CSafeLoader) if one]
    return sorted(found, key=lambda one: (one["kind"], one["metadata"]["name"]))


@functools.cache
def rendered(name: str, version: str = "3") -> tuple[Manifest, ...]:
    """The objects of a file of tests/chart/values."""
    return tuple(manifests(template(version, VALUES[name])))


def pods(objects: tuple[Manifest, ...] | list[Manifest]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every pod's specification and whose it is."""
    for one in objects:
        if one["kind"] == "Pod":
            yield f"Pod {one['metadata']['name']}", one["spec"]
        elif one["kind"] in {"StatefulSet", "Deployment", "Job"}:
            yield f"{one['kind']} {one['metadata']['name']}", one["spec"]["template"]["spec"]


def containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    """All of a pod's containers."""
    return [*pod.get("initContainers", ()), *pod["containers"]]


def the(kind: str, objects: tuple[Manifest, ...] | list[Manifest]) -> Manifest:
    """The only object of a kind."""
    (found,) = [one for one in objects if one["kind"] == kind]
    return found


def app_with(folder: Path, *arguments: str, version: str = "3") -> list[Manifest]:
    """The objects of helm/examples/app, with this chart as its dependency, copied to `folder`."""
    app = folder / "helm" / "examples" / "app"
    shutil.copytree(APP, app)
    shutil.copytree(CHART, folder / "helm" / "supabase-deploy-agent")
    for command in (["dependency", "build", app], ["template", "shop", app, *arguments]):
        done = run_helm(version, *command, env={"HOME": str(folder)})
        assert done.returncode == 0, done.stderr
    return manifests(done.stdout)
