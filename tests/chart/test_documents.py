"""What docs/kubernetes.md and helm/examples show: the chart takes it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.support.chart import CHART, ROOT, VALUES, manifests, rendered, template, the
from tests.support.chart_values import values

DOCUMENT = ROOT / "docs" / "kubernetes.md"
TEXT = DOCUMENT.read_text(encoding="utf-8")
EXAMPLES = ROOT / "helm" / "examples"


def _documents() -> list[dict]:
    blocks = re.findall(r"^( *)```yaml\n(.*?)^ *```", TEXT, re.MULTILINE | re.DOTALL)
    texts = ["\n".join(line.removeprefix(indent) for line in block.splitlines()) for indent, block in blocks]
    return [yaml.safe_load(text) for text in texts if "{{" not in text]


@pytest.mark.parametrize("document", _documents(), ids=",".join)
def test_the_documents_values_are_taken(document: dict, tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    assert manifests(template("3", VALUES["minimal"], "--values", file))


def test_every_value_that_the_document_names_exists() -> None:
    known = {one.path for one in values()}
    sections = {path.partition(".")[0] for path in known if "." in path}
    named = {name for name in re.findall(r"`((?:\w+\.)+\w+)[:`]", TEXT) if name.partition(".")[0] in sections}
    assert len(named) > 20
    assert not {name for name in named if name not in known and not name.startswith(("secrets.keys.", "backup."))}


def test_the_documents_names_are_those_of_its_release() -> None:
    objects = manifests(template("3", VALUES["minimal"], release="supabase-deploy-agent"))
    agent = the("StatefulSet", objects)
    assert (
        f"exec {agent['metadata']['name']}-0 -c {agent['spec']['template']['spec']['containers'][0]['name']} " in TEXT
    )
    (claim,) = agent["spec"]["volumeClaimTemplates"]
    assert f"patch pvc {claim['metadata']['name']}-{agent['metadata']['name']}-0 " in TEXT
    assert f"delete statefulset {agent['metadata']['name']} " in TEXT
    grace = agent["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert f"{grace} s by default" in TEXT


def test_argo_cds_values_are_taken(tmp_path: Path) -> None:
    (source,) = [
        one
        for one in yaml.safe_load((EXAMPLES / "argocd.yaml").read_text(encoding="utf-8"))["spec"]["sources"]
        if "chart" in one
    ]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert (source["chart"], source["targetRevision"]) == (chart["name"], chart["version"])
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(source["helm"]["valuesObject"]), encoding="utf-8")
    job = the("Job", manifests(template("3", file)))
    assert job["metadata"]["annotations"]["argocd.argoproj.io/hook"] == "PreSync"


def test_the_external_secret_makes_the_keys_that_the_chart_reads() -> None:
    made = yaml.safe_load((EXAMPLES / "external-secret.yaml").read_text(encoding="utf-8"))["spec"]
    (agent,) = [one for one in rendered("minimal") if one["kind"] == "StatefulSet"]
    (secret,) = [one["secret"] for one in agent["spec"]["template"]["spec"]["volumes"] if "secret" in one]
    assert made["target"]["name"] == secret["secretName"]
    default = next(one.value for one in values() if one.path == "secrets.keys")
    assert set(default.values()) <= {one["secretKey"] for one in made["data"]}
