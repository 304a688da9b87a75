"""`deploy-agent demo`, the real program: what it claims to show, and that it leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A temporary folder for the demo alone, open to the account that its Postgres runs as."""
    with tempfile.TemporaryDirectory(prefix="demo-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@contextmanager
def demo(temporary: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "agent", "demo", "--json"],
        cwd=temporary,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def running_in(folder: Path) -> list[str]:
    """Command lines of processes that name the folder."""
    lines = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(entry.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:  # it has ended
            continue
    return [line for line in lines if str(folder) in line]


def test_it_shows_a_good_deploy_and_one_that_is_restored(temporary: Path) -> None:
    with demo(temporary) as process:
        out, err = process.communicate(timeout=300)
    lines: list[dict[str, Any]] = [json.loads(line) for line in out.splitlines()]
    assert process.returncode == 0, err
    assert "less than a minute" in lines[0]["text"]
    assert [line["state"] for line in lines if line["type"] == "deploy"] == ["succeeded", "restored", "restored"]
    said = [line["text"] for line in lines if line["type"] == "say"]
    assert said.count("Equal in every table and in the whole schema.") == 2
    assert any(line.get("data", {}).get("rung") == 5 for line in lines)
    assert not any("UNSIGNED" in text for text in said)
    assert list(temporary.iterdir()) == []


def test_ctrl_c_in_the_middle_leaves_nothing_behind(temporary: Path) -> None:
    with demo(temporary) as process:
        assert process.stdout is not None
        next(line for line in process.stdout if json.loads(line).get("kind") == "migration_started")
        assert running_in(temporary), "there is something to clean up"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
    assert (process.returncode, err.strip()) == (130, "Interrupted.")
    assert list(temporary.iterdir()) == []
    assert running_in(temporary) == []
