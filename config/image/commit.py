"""A hook of hatchling: a wheel that is built in a checkout knows its commit, as `deploy-agent --version` tells it."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

DESCRIBE = ("git", "describe", "--always", "--exclude=*", "--abbrev=40", "--dirty=-changed")


class CommitHook(BuildHookInterface[Any]):
    """Puts `agent/_commit` into the wheel. An editable one asks git itself; an image's build has written it before."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling; `version` is the kind of wheel."""
        root = Path(self.root)
        if version == "editable" or (root / "agent" / "_commit").exists() or not (root / ".git").exists():
            return
        try:
            done = subprocess.run(DESCRIBE, cwd=root, check=False, capture_output=True, text=True)  # noqa: S603
        except OSError:  # a checkout on a machine without git
            return
        if done.returncode == 0:
            file = Path(tempfile.mkdtemp()) / "_commit"
            file.write_text(done.stdout, encoding="ascii")
            build_data["force_include"][str(file)] = "agent/_commit"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Called by hatchling when the wheel is there."""
        del version, artifact_path
        for path, place in build_data["force_include"].items():
            if place == "agent/_commit":
                Path(path).unlink()
                Path(path).parent.rmdir()
