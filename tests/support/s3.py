"""A real S3 server on loopback: SeaweedFS."""

from __future__ import annotations

import json
import secrets
import shutil
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.support.guarded import guarded
from tests.support.ports import free_ports


@dataclass(frozen=True, kw_only=True)
class S3:
    """Where it is, how to get in, and an empty bucket."""

    endpoint: str
    filer: str
    bucket: str = ""
    access_key: str
    secret_key: str
    region: str = "us-east-1"

    def environment(self) -> dict[str, str]:
        """The settings by which S3 clients find it."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": self.region,
            "AWS_ALLOW_HTTP": "true",
        }

    def with_bucket(self, name: str) -> S3:
        """The same server with a new bucket: a folder under `/buckets` of SeaweedFS's filer."""
        request = urllib.request.Request(f"{self.filer}/buckets/{name}/", method="POST")
        urllib.request.urlopen(request, timeout=10).close()
        return replace(self, bucket=name)


def _weed() -> str:
    beside = Path(sys.executable).with_name("weed")
    found = str(beside) if beside.exists() else shutil.which("weed")
    if not found:
        raise AssertionError("weed is missing: run `make setup`")
    return found


@contextmanager
def serving() -> Iterator[S3]:
    """A running server with one identity that may do everything."""
    access_key, secret_key = "test", secrets.token_hex(16)
    folder = Path(tempfile.mkdtemp(prefix="deploy-agent-s3-"))
    config = folder / "s3.json"
    config.write_text(
        json.dumps(
            {
                "identities": [
                    {
                        "name": "test",
                        "credentials": [{"accessKey": access_key, "secretKey": secret_key}],
                        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
                    }
                ]
            }
        )
    )
    # SeaweedFS derives its gRPC ports from these unless they are given, so all are free ones.
    options = [f"{name}.port{kind}" for name in ("master", "volume", "filer", "s3") for kind in ("", ".grpc")]
    ports = dict(zip(options, free_ports(len(options)), strict=True))
    arguments = [
        _weed(),
        "-logtostderr=true",
        "server",
        f"-dir={folder}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-filer",
        "-s3",
        f"-s3.config={config}",
        "-master.telemetry=false",
        "-master.volumeSizeLimitMB=64",
        f"-filer.localSocket={folder}/filer.sock",
        f"-s3.localSocket={folder}/s3.sock",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-volume.max=500",
        *(f"-{name}={port}" for name, port in ports.items()),
    ]
    with guarded(arguments, folder=folder):
        s3 = S3(
            endpoint=f"http://127.0.0.1:{ports['s3.port']}",
            filer=f"http://127.0.0.1:{ports['filer.port']}",
            access_key=access_key,
            secret_key=secret_key,
        )
        for url in (s3.filer, s3.endpoint):
            _wait_until_it_answers(url, folder / "log")
        yield s3


def _wait_until_it_answers(url: str, log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except urllib.error.HTTPError as answer:
            answer.close()
            return
        except OSError as error:
            if time.monotonic() > deadline:
                raise AssertionError(f"SeaweedFS did not start: {log.read_text()[-2000:]}") from error
            time.sleep(0.05)  # only its log tells, in words of its version; that it answers is what counts
        else:
            return
