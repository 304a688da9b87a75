"""A real Prometheus server that scrapes a real agent every second."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.support.needs import cannot_run
from tests.support.ports import free_ports

PATIENCE_S = 120.0  # for a loaded machine


class Prometheus:
    """A running server; `firing` are the names of its alerts that fire now."""

    def __init__(self, process: subprocess.Popen[bytes], url: str, log: Path) -> None:
        self._process = process
        self._log = log
        self._http = httpx.Client(base_url=url, timeout=PATIENCE_S)

    def _get(self, path: str, **params: str) -> Any:
        return self._http.get(path, params=params).raise_for_status().json()["data"]

    def wait_until(self, what: Callable[[], bool], why: Callable[[], str]) -> None:
        """Ask again until it is so. Prometheus calls nobody back but an Alertmanager."""
        until = time.monotonic() + PATIENCE_S
        while not what():
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < until, why()
            time.sleep(0.1)

    def wait_until_ready(self) -> None:
        def answers() -> bool:
            try:
                return self._http.get("/-/ready").status_code == 200
            except httpx.TransportError:
                return False

        self.wait_until(answers, self._log.read_text)

    def firing(self) -> dict[str, dict[str, Any]]:
        return {
            one["labels"]["alertname"]: one for one in self._get("/api/v1/alerts")["alerts"] if one["state"] == "firing"
        }

    def wait_for(self, *names: str) -> list[dict[str, Any]]:
        """Until all these fire at once; the alerts."""
        found = self._wait(lambda firing: set(names) <= set(firing), names)
        return [found[name] for name in names]

    def wait_until_silent(self, *names: str) -> None:
        self._wait(lambda firing: not set(names) & set(firing), names)

    def wait_until_only(self, *names: str) -> None:
        """A scrape that a loaded machine has missed is no news."""
        self._wait(lambda firing: set(names) == set(firing), names)

    def _wait(self, enough: Callable[[dict[str, Any]], bool], names: tuple[str, ...]) -> dict[str, Any]:
        found: dict[str, Any] = {}

        def look() -> bool:
            found.clear()
            found.update(self.firing())
            return enough(found)

        self.wait_until(look, lambda: f"{names}; firing: {sorted(found)}")
        return found

    def ask(self, expr: str) -> list[dict[str, Any]]:
        """The series of an instant query."""
        found: list[dict[str, Any]] = self._get("/api/v1/query", query=expr)["result"]
        return found

    def ask_over(self, expr: str, start: float, end: float, step: float) -> list[dict[str, Any]]:
        """The series of a range query; times in seconds since 1970, `step` in seconds."""
        times = {"start": str(start), "end": str(end), "step": str(step)}
        found: list[dict[str, Any]] = self._get("/api/v1/query_range", query=expr, **times)["result"]
        return found

    def close(self) -> None:
        self._http.close()


@contextmanager
def scraping(folder: Path, *, port: int, token: str, rules: str) -> Iterator[Prometheus]:
    """Prometheus during the `with`, scraping the agent on that port."""
    program = shutil.which("prometheus")
    if program is None:
        cannot_run("prometheus (Debian: prometheus) is not installed")
    folder.mkdir()
    (folder / "token").write_text(token)
    (folder / "rules.yaml").write_text(rules)
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s", "scrape_timeout": "1s"},
        "rule_files": ["rules.yaml"],
        "scrape_configs": [
            {
                "job_name": "deploy-agent",
                "authorization": {"credentials_file": "token"},
                "static_configs": [{"targets": [f"127.0.0.1:{port}"]}],
            }
        ],
    }
    (folder / "prometheus.json").write_text(json.dumps(config))
    [own] = free_ports(1)
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                program,
                f"--config.file={folder / 'prometheus.json'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{own}",
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    server = Prometheus(process, f"http://127.0.0.1:{own}", log)
    try:
        server.wait_until_ready()
        yield server
    finally:
        server.close()
        process.kill()
        process.wait()
