"""Programs under measurement: whole commands, and a running `deploy-agent serve`."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
AGENT = (sys.executable, "-m", "agent")
_PATIENCE_S = 600.0
_TOKEN = "benchmark-of-the-agent"
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Seconds of wall and processor time (of children too), MiB of memory at the peak.

    `applying_s`: seconds of the wall time that went into the migrations themselves, where the program tells.
    """

    wall_s: float
    cpu_s: float
    peak_mib: float
    applying_s: float = 0.0


def environment(home: Path) -> dict[str, str]:
    """A bare environment: no settings, telemetry or update notices of the user's."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "SUPABASE_HOME": str(home),
        "SUPABASE_TELEMETRY_DISABLED": "1",
        "SUPABASE_NO_UPDATE_NOTIFIER": "1",
        "DO_NOT_TRACK": "1",
        "NO_COLOR": "1",
        "PYTHONPATH": str(ROOT),
    }


def command(arguments: list[str], *, folder: Path, env: Mapping[str, str]) -> Cost:
    """Run one command to its end. Its peak is never told smaller than the memory of this process (getrusage(2)).

    Raises:
        SystemExit: it failed; a figure of a failed command means nothing.
    """
    with tempfile.TemporaryFile() as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            arguments, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            sys.exit(f"{Path(arguments[0]).name} exited with {process.returncode}:\n{output.read().decode()[-4000:]}")
    return Cost(wall_s=wall_s, cpu_s=usage.ru_utime + usage.ru_stime, peak_mib=usage.ru_maxrss / 1024)


def supabase_cli() -> Path:
    """The real CLI's binary, without the npm wrapper around it."""
    found = sorted((ROOT / ".tools" / "node_modules" / "@supabase").glob("cli-*/bin/supabase"))
    if not found:
        sys.exit("the Supabase CLI is missing: run `make tools` (needs npm)")
    return found[0]


class Serving:
    """A running `deploy-agent serve`. `started`: what it cost until it was ready."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self._process = process
        self._port = port
        self.started = Cost(wall_s=0, cpu_s=0, peak_mib=0)

    def ask(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """GET, or POST of a body; the decoded answer."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._port}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {_TOKEN}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def wait_for(self, event: str, **fields: str) -> None:
        """Read the agent's log until it says so.

        Raises:
            SystemExit: it ended before, or was ended since it took too long.
        """
        said: deque[str] = deque(maxlen=20)
        assert self._process.stderr is not None
        for line in self._process.stderr:
            said.append(line)
            told = json.loads(line) if line.startswith("{") else {}
            if told.get("event") == event and fields.items() <= told.items():
                return
        sys.exit(f"serve ended before it said {event!r}:\n{''.join(said)}")

    def deploy(self, strategy: str) -> Cost:
        """Ask for a deploy and wait for its end: the cost from the request on; memory since the start."""
        before, began = self.cpu_s(), datetime.now(UTC)
        deploy_id = self.ask("/api/v1/deploys", {"strategy": strategy})["id"]
        self.wait_for("deploy ended", deploy_id=deploy_id)
        cpu_s = self.cpu_s() - before
        [deploy] = self.ask("/api/v1/deploys?limit=1")
        if deploy["id"] != deploy_id or deploy["state"] != "succeeded":
            sys.exit(f"the deploy ended {deploy['state']}: {deploy['failure']}")
        wall_s = (datetime.fromisoformat(deploy["finished_at"]) - began).total_seconds()
        applying_s = self._step_s(deploy_id, "migrate")
        return Cost(wall_s=wall_s, cpu_s=cpu_s, peak_mib=self.peak_mib(), applying_s=applying_s)

    def _step_s(self, deploy_id: str, step: str) -> float:
        """How long a step took, as its event tells."""
        after = 0
        while events := self.ask(f"/api/v1/deploys/{deploy_id}/events?limit=1000&after={after}"):
            for event in events:
                if event["kind"] == "step_finished" and event["data"]["step"] == step:
                    return float(event["data"]["seconds"])
            after = events[-1]["seq"]
        sys.exit(f"deploy {deploy_id} does not tell how long {step!r} took")

    def cpu_s(self) -> float:
        """Processor time so far, of the process and of its children that have ended: proc(5), stat, fields 14 to 17."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(int(field) for field in fields[11:15]) / _TICKS

    def peak_mib(self) -> float:
        """The most memory the process has held: proc(5), status, VmHWM."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


@contextmanager
def serving(url: str, *, folder: Path, home: Path) -> Iterator[Serving]:
    """`deploy-agent serve` on a project folder, ready; its log is read where something is waited for."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    env = environment(home) | {
        "DEPLOY_AGENT_DATABASE_URL": url,
        "DEPLOY_AGENT_STATE_DIR": str(home / "state"),
        "DEPLOY_AGENT_HTTP__PORT": str(port),
        "DEPLOY_AGENT_HTTP__TOKEN": _TOKEN,
        "DEPLOY_AGENT_LOG__FORMAT": "json",
    }
    began = time.perf_counter()
    process = subprocess.Popen(
        [*AGENT, "serve"], cwd=folder, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    patience = threading.Timer(_PATIENCE_S, process.kill)
    patience.start()
    with process:
        try:
            server = Serving(process, port)
            server.wait_for("ready")
            server.ask("/readyz")  # 200, or this raises
            wall_s = time.perf_counter() - began
            server.started = Cost(wall_s=wall_s, cpu_s=server.cpu_s(), peak_mib=server.peak_mib())
            yield server
        finally:
            patience.cancel()
            process.send_signal(signal.SIGTERM)
            process.wait(60)
