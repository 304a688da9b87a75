"""The real Supabase CLI, run against a database of the test's own."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def environment(home: Path) -> dict[str, str]:
    """Without telemetry, update notice or the user's settings."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "SUPABASE_HOME": str(home),
        "SUPABASE_TELEMETRY_DISABLED": "1",
        "DO_NOT_TRACK": "1",
        "SUPABASE_NO_UPDATE_NOTIFIER": "1",
        "NO_COLOR": "1",
    }


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one run said: `data` is its JSON, `notes` what it wrote for people."""

    code: int
    data: dict[str, Any]
    notes: str


@dataclass(frozen=True, kw_only=True)
class Cli:
    """The CLI in a project folder of its own, without telemetry, update notice or the user's settings."""

    binary: Path
    url: str
    project: Path

    @property
    def migrations(self) -> Path:
        return self.project / "supabase" / "migrations"

    def write(self, files: Mapping[str, bytes | str], *, config: str = "") -> None:
        """Replace the project's files."""
        self.migrations.mkdir(parents=True, exist_ok=True)
        for old in self.migrations.iterdir():
            old.unlink()
        for name, content in files.items():
            (self.migrations / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        if config:
            (self.project / "supabase" / "config.toml").write_text(config)

    def run(self, *arguments: str) -> Answer:
        """Run one command on the database; `--yes` and the target are added."""
        home = self.project / "home"
        home.mkdir(exist_ok=True)
        finished = subprocess.run(
            [self.binary, *arguments, "--yes", "--agent=no", "--output-format=json", f"--remote={self.url}"],
            cwd=self.project,
            env=environment(home),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        try:
            data = json.loads(finished.stdout)
        except json.JSONDecodeError as error:
            raise AssertionError(f"no JSON from the CLI: {finished.stdout}{finished.stderr}") from error
        return Answer(code=finished.returncode, data=data, notes=finished.stderr)
