"""Runs the command line in this process against a scripted agent, and compares its output with a golden file."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from agent.cli import _service
from agent.cli.app import app
from tests.cli.scripted import ScriptedAgent

GOLDEN = Path(__file__).parent / "golden"
URL = "postgresql://postgres:s3cret-word@db.example.com:5432/postgres"


@pytest.fixture(autouse=True)
def workplace(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """An empty folder as the working directory, settings from nowhere but here, logging as it was afterwards."""
    for name in list(os.environ):
        if name.upper().startswith("DEPLOY_AGENT_") or name in ("COLUMNS", "NO_COLOR", "FORCE_COLOR"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("DEPLOY_AGENT_DATABASE_URL", URL)
    monkeypatch.setenv("DEPLOY_AGENT_PROJECT", "tracks-posts")
    monkeypatch.chdir(tmp_path)
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield tmp_path
    root.handlers[:] = handlers
    root.setLevel(level)


@dataclass
class Cli:
    """`run("plan", "--json")` with an agent of its own."""

    agent: ScriptedAgent
    monkeypatch: pytest.MonkeyPatch

    def run(self, *args: str, input: str | None = None) -> Result:  # noqa: A002 - CliRunner's own name
        self.monkeypatch.setattr(_service, "open_service", self.agent.open)
        result = CliRunner().invoke(app, list(args), input=input, catch_exceptions=False)
        assert "s3cret-word" not in result.output
        assert "Traceback" not in result.output
        return result


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch) -> Cli:
    return Cli(agent=ScriptedAgent(), monkeypatch=monkeypatch)


@pytest.fixture
def golden() -> Callable[[str, str], None]:
    """`golden("plan", text)`: the text is the one in golden/plan.txt. UPDATE_GOLDENS=1 writes it."""

    def compare(name: str, text: str) -> None:
        path = GOLDEN / f"{name}.txt"
        text = re.sub(r"[ ]+$", "", text, flags=re.MULTILINE)
        if os.environ.get("UPDATE_GOLDENS"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8")

    return compare
