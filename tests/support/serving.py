"""`deploy-agent serve` as a process of its own, and what it says while it runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
import yaml

from tests.support.canaries import Canaries

TOKEN = "a-token-of-the-tests-0123456789"
PATIENCE_S = 60.0  # for a loaded machine; nothing waits so long when all is well


class Agent:
    """A running `serve`. Its log is read as it comes."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.log: list[dict[str, Any]] = []
        self.raw: list[str] = []
        self._news = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self._http: httpx.Client | None = None

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._news:
                self.raw.append(line)
                if line.startswith("{"):
                    self.log.append(json.loads(line))
                self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()

    def said(self, event: str, **fields: Any) -> list[dict[str, Any]]:
        """The log's lines of that message and with those fields."""
        with self._news:
            return [one for one in self.log if one.get("event") == event and fields.items() <= one.items()]

    def wait_for(self, event: str, **fields: Any) -> dict[str, Any]:
        """Block until the log says so; the first such line."""
        with self._news:
            self._news.wait_for(lambda: self._ended or self.said(event, **fields), PATIENCE_S)
            found = self.said(event, **fields)
        assert found, f"the log never said {event!r}:\n{''.join(self.raw)}"
        return found[0]

    @property
    def http(self) -> httpx.Client:
        if self._http is None:
            port = self.wait_for("serving")["port"]
            self._http = httpx.Client(
                base_url=f"http://127.0.0.1:{port}", headers={"authorization": f"Bearer {TOKEN}"}, timeout=PATIENCE_S
            )
        return self._http

    def get(self, path: str, **params: Any) -> Any:
        answer = self.http.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def wait_until(self, what: Callable[[], Any]) -> Any:
        """Ask again until the answer is true; that answer. For what the log does not tell: other processes, pages."""
        until = time.monotonic() + PATIENCE_S
        while not (found := what()):
            assert time.monotonic() < until, "".join(self.raw)
            assert self.process.poll() is None, "".join(self.raw)
            time.sleep(0.05)  # between two questions: who is asked has no way to call back
        return found

    def ready(self) -> Agent:
        self.wait_for("ready")
        assert self.http.get("/readyz").status_code == 200
        return self

    def deploy(self, **order: Any) -> str:
        """Ask for a deploy; its id."""
        answer = self.http.post("/api/v1/deploys", json=order)
        assert answer.status_code == 202, answer.text
        return answer.json()["id"]

    def ended(self, deploy_id: str) -> dict[str, Any]:
        """Wait until the deploy is final."""
        if self._listed(deploy_id)["finished_at"] is None:
            self.wait_for("deploy ended", deploy_id=deploy_id)
        found = self._listed(deploy_id)
        assert found["finished_at"] is not None
        return found

    def _listed(self, deploy_id: str) -> dict[str, Any]:
        [found] = [one for one in self.get("/api/v1/deploys") if one["id"] == deploy_id]
        return found

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Signal, and wait for its end; the exit code."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        code = self.process.wait(PATIENCE_S)
        self._reader.join()
        return code

    def close(self) -> None:
        if self._http is not None:
            self._http.close()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._reader.join()
        if self.process.stderr is not None:
            self.process.stderr.close()


def write_config(folder: Path, url: str, **settings: Any) -> Path:
    """A settings file (JSON is YAML) with everything under `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "migrations").mkdir(exist_ok=True)
    path = folder / "deploy-agent.yaml"
    path.write_text(
        json.dumps(
            {
                "project": "test",
                "database_url": url,
                "migrations": str(folder / "migrations"),
                "runbook": str(folder / "deploy.yaml"),
                "state_dir": str(folder / "state"),
                "backup": {"min_bytes": 0},
                "http": {"port": 0, "token": TOKEN},
                "log": {"format": "json"},
                **settings,
            }
        )
    )
    return path


def command(config: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "agent", *arguments, "--config", str(config)]


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("DEPLOY_AGENT_")}


@contextmanager
def serving(config: Path, arguments: Sequence[str] = ()) -> Iterator[Agent]:
    """The agent during the `with`; killed at its end if it still runs. `arguments`: another command that runs it.

    Whatever the test is about: no secret of its settings may be in the log.
    """
    secrets = _secrets(config)
    process = subprocess.Popen(
        arguments or command(config, "serve"),
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    agent = Agent(process)
    try:
        yield agent
    finally:
        agent.close()
    assert secrets.found("".join(agent.raw)) == set()


def _secrets(config: Path) -> Canaries:
    """The secrets that stand in a settings file itself: the database's password, the token, keys of webhooks."""
    found = Canaries()
    settings = yaml.safe_load(config.read_text()) if config.is_file() else {}
    given = {
        "database": unquote(urlsplit(settings.get("database_url", "")).password or ""),
        "token": settings.get("http", {}).get("token", ""),
        **{one["name"]: one.get("secret", "").removeprefix("whsec_") for one in settings.get("notify", ())},
    }
    for name, value in given.items():
        if len(value) >= 8:  # a shorter one is in many words
            found.plant(name, value)
    return found
