"""The agent as process 1, in a namespace of process ids of its own: what a container is to it."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent import pid1
from tests.support.needs import cannot_run

ROOT = Path(__file__).resolve().parents[2]
BEGIN = "import os, signal, sys, time; from agent.pid1 import leave_pid1; leave_pid1(); "


@pytest.fixture(scope="module")
def unshare() -> list[str]:
    """What makes the command that follows it process 1."""
    command = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    try:
        subprocess.run([*command, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        cannot_run("unshare cannot make a namespace of process ids here")
    return command


@contextmanager
def first_process(unshare: list[str], script: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A container's first process that runs the script, and its number outside the container."""
    command = [*unshare, sys.executable, "-c", BEGIN + script]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        [first] = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        try:
            yield process, int(first)
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("assert os.getpid() != 1; assert os.getppid() == 1", 0),
        ("sys.exit(18)", 18),
        ("os.kill(os.getpid(), signal.SIGKILL)", 128 + signal.SIGKILL),
    ],
)
def test_the_container_ends_as_the_agent_does(unshare: list[str], script: str, code: int) -> None:
    assert subprocess.run([*unshare, sys.executable, "-c", BEGIN + script], cwd=ROOT, check=False).returncode == code


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_reaches_the_agent(unshare: list[str], number: signal.Signals) -> None:
    script = f"""
number = signal.Signals({int(number)})
signal.pthread_sigmask(signal.SIG_BLOCK, [number])
print('begun', flush=True)
signal.sigwait([number])
sys.exit(40)
"""
    with first_process(unshare, f"exec({script!r})") as (process, first):
        os.kill(first, number)
        assert process.wait() == 40


def test_ctrl_c_at_a_terminal_is_one_signal(unshare: list[str]) -> None:
    script = """
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
print('begun', os.tcgetpgrp(0) == os.getpgrp(), flush=True)
signal.sigwait([signal.SIGINT])
sys.exit(40 if signal.sigtimedwait([signal.SIGINT], 0.3) is None else 1)
"""
    ours, its = pty.openpty()
    command = ["setsid", "--ctty", "--wait", *unshare, sys.executable, "-c", f"{BEGIN}exec({script!r})"]
    with (
        os.fdopen(ours, "r+b", buffering=0) as screen,
        os.fdopen(its, "r+b", buffering=0) as terminal,
        subprocess.Popen(command, cwd=ROOT, stdin=terminal, stdout=terminal) as process,
    ):
        assert screen.readline() == b"begun True\r\n", "the agent has the terminal"
        screen.write(b"\x03")
        assert process.wait() == 40


def test_what_dies_without_a_parent_is_collected(unshare: list[str]) -> None:
    script = """
reading, writing = os.pipe()
held, release = os.pipe()
middle = os.fork()
if middle == 0:
    orphan = os.fork()
    if orphan:
        os.write(writing, str(orphan).encode())
        os._exit(0)
    os.close(release)
    os.read(held, 1)
    os._exit(0)
orphan = os.read(reading, 20).decode()
os.waitpid(middle, 0)  # from here on process 1 is the orphan's parent
os.close(release)
print('begun', flush=True)
while os.path.exists(f'/proc/{orphan}'):  # for good, if process 1 does not collect it; it tells nobody that it has
    time.sleep(0.01)
"""
    with first_process(unshare, f"exec({script!r})") as (process, _):
        assert process.wait() == 0


def test_elsewhere_it_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def never() -> int:
        raise AssertionError("forked")

    monkeypatch.setattr(os, "fork", never)
    pid1.leave_pid1()
