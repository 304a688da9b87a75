"""A real OCI registry on loopback: Debian's docker-registry."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.needs import cannot_run
from tests.support.ports import free_ports

_CONFIG = """\
version: 0.1
log: {{accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {folder}}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


@contextmanager
def registry() -> Iterator[str]:
    """Its address, such as `127.0.0.1:5000`; plain HTTP, open to all, empty, gone afterwards."""
    program = shutil.which("docker-registry")
    if program is None:
        cannot_run("there is no OCI registry: install docker-registry (Debian)")
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory(prefix="deploy-agent-registry-") as folder:
        config = Path(folder) / "config.yml"
        config.write_text(_CONFIG.format(folder=folder, port=port), encoding="utf-8")
        log = Path(folder) / "log"
        with log.open("w") as output:
            process = subprocess.Popen([program, "serve", str(config)], stdout=output, stderr=output)
        try:
            address = f"127.0.0.1:{port}"
            _wait_until_it_answers(process, f"http://{address}/v2/", log)
            yield address
        finally:
            process.terminate()
            process.wait(30)


def _wait_until_it_answers(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    while True:
        if process.poll() is not None:
            raise AssertionError(f"the registry ended: {log.read_text(encoding='utf-8')}")
        try:
            urllib.request.urlopen(url, timeout=10).close()
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.02)  # only its log tells, in words of its version; that it answers is what counts
        else:
            return
