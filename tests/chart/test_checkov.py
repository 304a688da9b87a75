"""checkov's policies over everything that the chart renders.

`make policy` runs it in an environment of its own, of about a hundred packages; so does the workflow, after `.ci/run`,
which has the policies that matter most as plain asserts (test_policies).
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.support.chart import VALUES, template

# What checkov finds, and why it stays. All are of low severity but CKV_K8S_35, which is medium.
EXPLAINED = {
    "CKV_K8S_8": "the pod of `helm test` runs once; the agent has a liveness probe",
    "CKV_K8S_9": "as CKV_K8S_8; the agent has a readiness probe, and git-sync beside it serves nobody",
    "CKV_K8S_11": "no CPU limit: a migration that is throttled holds its locks longer",
    "CKV_K8S_15": "IfNotPresent: a tag does not move; a registry that is away keeps no agent from coming back",
    "CKV_K8S_35": "secrets.env, where somebody chooses it: clouds' clients read their credentials there",
    "CKV_K8S_43": "image.digest pins a digest; the default is the chart's own version",
}


@pytest.mark.skipif(not os.environ.get("CHECKOV"), reason="set CHECKOV to checkov's program, or run `make policy`")
def test_nothing_is_found_that_is_not_explained(tmp_path: Path) -> None:
    for name, path in VALUES.items():
        (tmp_path / f"{name}.yaml").write_text(template("3", path), encoding="utf-8")
    done = subprocess.run(
        [os.environ["CHECKOV"], "--directory", tmp_path, "--framework", "kubernetes", "--quiet", "--output", "json"],
        capture_output=True,
        text=True,
        check=False,
    )
    report = json.loads(done.stdout)
    assert report["summary"]["parsing_errors"] == 0
    assert report["summary"]["passed"] > 1000
    failed = report["results"]["failed_checks"]
    assert {one["check_id"] for one in failed} == set(EXPLAINED)
    assert all("-test" in one["resource"] for one in failed if one["check_id"] == "CKV_K8S_8")
    assert {one["file_path"] for one in failed if one["check_id"] == "CKV_K8S_35"} == {"/postgres.yaml"}
