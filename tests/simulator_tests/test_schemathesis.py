"""schemathesis, made from the OpenAPI document, finds no answer of the simulator that the document does not allow."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import httpx

from tests.conftest import Database
from tests.simulator import HANDLERS, Platform, simulating
from tests.simulator_tests.narrowed import SERVERS, narrowed
from tests.support.needs import cannot_run
from tests.support.own_server import own_server

_PROGRAM = Path(__file__).resolve().parents[2] / ".tools" / "schemathesis" / "bin" / "schemathesis"
_CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def look(platform: Platform, operations: set[str], folder: Path, *options: str) -> None:
    """Let schemathesis ask these operations, with values that fit the document and values that do not."""
    if not _PROGRAM.exists():
        cannot_run("schemathesis is not installed: run `make tools`")
    # What operations answer that the simulator does not have says nothing about those that it has.
    (folder / "schemathesis.toml").write_text("[phases.coverage]\nunexpected-methods = []\n")
    platform.rate_limit, platform.plan = None, "enterprise"
    token = f"Bearer {platform.token}"
    projects = f"{platform.url}/v1/projects/{platform.ref}"
    httpx.post(f"{projects}/branches", json={"branch_name": "one"}, headers={"authorization": token})
    platform.settle()
    assert [one.status for one in platform.branches.values()] == ["FUNCTIONS_DEPLOYED"] * 2
    document = narrowed(platform, operations)
    (folder / "openapi.json").write_text(json.dumps(document))
    finished = subprocess.run(
        [
            _PROGRAM,
            f"--config-file={folder / 'schemathesis.toml'}",
            "run",
            folder / "openapi.json",
            f"--url={platform.url}",
            f"--header=Authorization: {token}",
            f"--checks={_CHECKS}",
            "--max-examples=2",
            "--seed=1",
            "--no-color",
            *options,
        ],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout[-6000:] + finished.stderr[-2000:]
    asked = {one.operation for one in platform.calls if one.operation}
    wanted = {one["operationId"] for item in document["paths"].values() for one in item.values()}
    assert wanted == operations
    assert wanted <= asked


def test_no_answer_violates_the_document(database: Database, tmp_path: Path) -> None:
    with simulating(database.server, database.name) as platform:
        look(platform, set(HANDLERS) - SERVERS, tmp_path, "--phases=coverage,fuzzing")


def test_no_answer_about_servers_violates_it(tmp_path: Path) -> None:
    with own_server("postgres") as own, simulating(own) as platform:
        look(platform, SERVERS, tmp_path, "--phases=fuzzing", "--request-timeout=60")
