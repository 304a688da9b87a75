"""What is shipped, and how it is built: licences, list of contents, workflows."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from agent.build import commit
from tests.support import licences
from tests.support.generated import wanted
from tests.support.licences import Package, packages, unwanted

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def test_no_dependency_has_a_licence_that_is_not_accepted() -> None:
    found = list(packages("image.txt", "base.txt", "dev.txt"))
    assert len(found) > 60
    assert [one for one in found if unwanted(one)] == []


@pytest.mark.parametrize(
    ("licence", "refused"),
    [
        ("MIT", False),
        ("Apache-2.0 OR GPL-3.0-only", False),
        ("MIT AND (Apache-2.0 OR BSD-2-Clause)", False),
        ("MIT AND GPL-2.0-only", True),
        ("LGPL-3.0-only", True),
        ("AGPL-3.0-or-later", True),
        ("", True),
        ("BSD", True),
    ],
)
def test_what_is_accepted(licence: str, refused: bool) -> None:
    assert unwanted(Package(name="x", licence=licence, home="")) is refused


def test_the_page_of_licences_is_in_step() -> None:
    page = ROOT / "docs" / "licences.md"
    assert wanted()[page] == page.read_text(encoding="utf-8"), "python -m tests.support.generated"
    assert "| [psycopg]" in licences.report()


def test_the_list_of_contents() -> None:
    """`make sbom` in its own environment; here the one at hand."""
    done = subprocess.run(
        [sys.executable, ROOT / "config" / "image" / "sbom.py", "--python"], capture_output=True, text=True, check=True
    )
    document = json.loads(done.stdout)
    names = {one["name"] for one in document["components"]}
    assert {"psycopg", "dbos", "cpython"} <= names
    assert "dpkg" not in names
    assert document["metadata"]["component"]["name"] == "supabase-deploy-agent"


def test_a_wheel_knows_its_commit(tmp_path: Path) -> None:
    """As `pip install .` in a clone makes it."""
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as files:
        assert commit(), "git knows it"
        assert files.read("agent/_commit").decode().strip() == commit()


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_may_do_little_and_runs_what_it_names(workflow: Path) -> None:
    document = YAML(typ="safe").load(workflow.read_text(encoding="utf-8"))
    assert document["permissions"] == {}
    for job in document["jobs"].values():
        assert job["permissions"] is not None
        assert job["timeout-minutes"] <= 60
        for step in job["steps"]:
            assert "uses" not in step or re.fullmatch(r"[\w-]+/[\w./-]+@[0-9a-f]{40}", step["uses"])


def test_zizmor_finds_nothing(tmp_path: Path) -> None:
    assert {path.stem for path in WORKFLOWS} == {"ci", "release"}
    shutil.copytree(ROOT / ".github", tmp_path / ".github")
    done = subprocess.run(
        [Path(sys.executable).with_name("zizmor"), "--offline", "--persona=pedantic", "--no-progress", tmp_path],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NO_COLOR": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # It does find something where there is something to find.
    ci = tmp_path / ".github" / "workflows" / "ci.yml"
    ci.write_text(re.sub(r"@[0-9a-f]{40}", "@main", ci.read_text()))
    again = subprocess.run(
        [Path(sys.executable).with_name("zizmor"), "--offline", tmp_path], capture_output=True, text=True, check=False
    )
    assert "unpinned-uses" in again.stdout
