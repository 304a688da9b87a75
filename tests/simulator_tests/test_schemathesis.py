"""schemathesis, made from the OpenAPI document, finds no answer of the simulator that the document does not allow."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import httpx

from tests.conftest import Database
from tests.simulator import simulating
from tests.simulator_tests.narrowed import narrowed
from tests.support.needs import cannot_run

_PROGRAM = Path(__file__).resolve().parents[2] / ".tools" / "schemathesis" / "bin" / "schemathesis"
_CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def test_no_answer_violates_the_document(database: Database, tmp_path: Path) -> None:
    """Every operation that the simulator has but three, with values that fit the document and values that do not."""
    if not _PROGRAM.exists():
        cannot_run("schemathesis is not installed: run `make tools`")
    # What operations answer that the simulator does not have says nothing about those that it has.
    (tmp_path / "schemathesis.toml").write_text("[phases.coverage]\nunexpected-methods = []\n")
    with simulating(database.server, database.name) as platform:
        platform.rate_limit, platform.plan = None, "enterprise"
        token = f"Bearer {platform.token}"
        projects = f"{platform.url}/v1/projects/{platform.ref}"
        httpx.post(f"{projects}/branches", json={"branch_name": "one"}, headers={"authorization": token})
        while [one.status for one in platform.branches.values()] != ["FUNCTIONS_DEPLOYED"] * 2:
            time.sleep(0.05)  # the branch is being made
        document = narrowed(platform)
        (tmp_path / "openapi.json").write_text(json.dumps(document))
        finished = subprocess.run(
            [
                _PROGRAM,
                f"--config-file={tmp_path / 'schemathesis.toml'}",
                "run",
                tmp_path / "openapi.json",
                f"--url={platform.url}",
                f"--header=Authorization: {token}",
                f"--checks={_CHECKS}",
                "--phases=coverage,fuzzing",
                "--max-examples=2",
                "--seed=1",
                "--no-color",
            ],
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert finished.returncode == 0, finished.stdout[-6000:] + finished.stderr[-2000:]
        asked = {one.operation for one in platform.calls if one.operation}
    wanted = {one["operationId"] for item in document["paths"].values() for one in item.values()}
    assert len(wanted) > 60
    assert wanted <= asked
