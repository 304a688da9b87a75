"""The container image, built for real by buildah over a Debian made by mmdebstrap, and run by podman with runc.

No container engine has to run, nothing comes from an image registry, and all of it lies in one folder that is gone
afterwards. podman takes runc, because crun refuses the mix of cgroup versions that some build machines have.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import os
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.needs import cannot_run

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAMS = ("buildah", "podman", "runc", "mmdebstrap", "make", "git")
TAG = "localhost/supabase-deploy-agent:latest"
CANARY = "canary-of-the-build-5c0f7d"
_BASE = "localhost/debian:trixie"
_NUMBERS = itertools.count(1)
# As strict as it gets: what a careful cluster asks for.
HARDENED = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges")


class Engine:
    """buildah and podman on a store of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        settings = folder / "storage.conf"
        settings.write_text(
            f'[storage]\ndriver = "{_driver(folder)}"\ngraphroot = "{folder}/graph"\nrunroot = "{folder}/run"\n'
        )
        self.environment = {**os.environ, "CONTAINERS_STORAGE_CONF": str(settings), "TMPDIR": str(folder)}

    def do(self, *arguments: str, stdin: int | None = subprocess.DEVNULL) -> str:
        """Run a program to its end; what it printed."""
        done = subprocess.run(
            arguments, check=False, capture_output=True, text=True, stdin=stdin, env=self.environment, cwd=ROOT
        )
        assert done.returncode == 0, f"{' '.join(arguments)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    def make_base(self) -> None:
        """What python:3.13-slim is, out of Debian's packages: Debian 13 with its Python 3.13 and pip."""
        file = self.folder / "base.tar"
        include = "--include=python3-minimal,python3-pip,ca-certificates"
        without = [f"--dpkgopt=path-exclude=/usr/share/{each}/*" for each in ("man", "doc", "locale", "info")]
        self.do("mmdebstrap", "--quiet", "--variant=minbase", include, *without, "trixie", str(file))
        self.do("podman", "import", str(file), _BASE)
        file.unlink()

    def build(self, tag: str = TAG) -> None:
        """What `make image` does, over that base."""
        pip, ca = self.folder / "pip.conf", Path(os.environ.get("PIP_CERT", "/etc/ssl/certs/ca-certificates.crt"))
        pip.write_text(f"# {CANARY}\n[global]\ncert = /run/secrets/ca\n")
        arguments = [
            "--isolation=chroot",
            "--network=host",
            "--pull=never",
            "--no-cache",
            f"--build-arg=BASE_IMAGE={_BASE}",
            f"--secret=id=pip,src={pip}",
            f"--secret=id=ca,src={ca}",
        ]
        name = tag.rpartition(":")[0]
        self.do("make", "image", "BUILDER=buildah", f"IMAGE={name}", f"IMAGE_ARGS={' '.join(arguments)}")

    def run(self, *arguments: str, options: Sequence[str] = (), image: str = TAG) -> list[str]:
        """The command that runs a container, hardened; `arguments` go to the image's own program."""
        limits = [f"--ulimit={name}={min(hard, 4096)}:{min(hard, 4096)}" for name, hard in _limits()]
        fixed = ["podman", "--runtime=runc", "run", "--rm", "--no-healthcheck", *HARDENED, *limits]
        return [*fixed, *options, image, *arguments]

    def inspect(self, image: str = TAG) -> dict[str, Any]:
        """What the image says of itself, as docker knows it."""
        found: dict[str, Any] = json.loads(self.do("buildah", "inspect", "--type=image", image))["Docker"]
        return found

    def layers(self, image: str = TAG) -> list[str]:
        """The digests of the image's layers."""
        found: list[str] = json.loads(self.do("podman", "image", "inspect", image))[0]["RootFS"]["Layers"]
        return found

    @contextmanager
    def files(self, image: str = TAG) -> Iterator[Path]:
        """The image's files, to look at."""
        folder = Path(self.do("podman", "image", "mount", image).strip())
        try:
            yield folder
        finally:
            self.do("podman", "image", "unmount", image)

    def name(self) -> str:
        """A name for a container."""
        return f"agent-{os.getpid()}-{next(_NUMBERS)}"

    def close(self) -> None:
        """Remove all images and containers, and the folder."""
        for arguments in (("rm", "--all", "--force"), ("rmi", "--all", "--force")):
            self.do("podman", *arguments)
        for mount in sorted(_mounts(self.folder), reverse=True):
            subprocess.run(["umount", mount], check=True)
        shutil.rmtree(self.folder)


@contextmanager
def shared_engine(place: Path) -> Iterator[Engine]:
    """The engine with the image built, once for all of a run's test processes; the last of them removes it.

    Args:
        place: a folder that the processes have in common.
    """
    for name in PROGRAMS:
        if shutil.which(name) is None:
            cannot_run(f"{name} is not installed (Debian: buildah podman runc mmdebstrap)")
    if os.geteuid() != 0:
        cannot_run("an image is built and run as root here")
    note = place / "image.json"
    with _locked(place):
        if note.exists():
            users, folder = json.loads(note.read_text())
            engine = Engine(Path(folder))
        else:
            users, engine = 0, Engine(Path(tempfile.mkdtemp(prefix="deploy-agent-image-", dir="/var/tmp")))
            try:
                engine.make_base()
                engine.build()
            except BaseException:
                engine.close()
                raise
        note.write_text(json.dumps([users + 1, str(engine.folder)]))
    try:
        yield engine
    finally:
        with _locked(place):
            users, folder = json.loads(note.read_text())
            if users > 1:
                note.write_text(json.dumps([users - 1, folder]))
            else:
                note.unlink()
                engine.close()


@contextmanager
def _locked(place: Path) -> Iterator[None]:
    with (place / "image.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _driver(folder: Path) -> str:
    """overlay where the kernel can do it in this folder; else vfs, which copies."""
    parts = [folder / name for name in ("lower", "upper", "work", "merged")]
    for part in parts:
        part.mkdir(exist_ok=True)
    lower, upper, work, merged = map(str, parts)
    options = f"lowerdir={lower},upperdir={upper},workdir={work}"
    tried = subprocess.run(
        ["mount", "-t", "overlay", "overlay", "-o", options, merged], check=False, capture_output=True
    )
    if tried.returncode == 0:
        subprocess.run(["umount", merged], check=True)
    for part in parts:
        shutil.rmtree(part)
    return "overlay" if tried.returncode == 0 else "vfs"


def _limits() -> list[tuple[str, int]]:
    """podman's defaults are higher than some machines allow."""
    return [("nofile", resource.getrlimit(resource.RLIMIT_NOFILE)[1]), ("nproc", 4096)]


def _mounts(folder: Path) -> list[str]:
    with contextlib.suppress(FileNotFoundError):
        lines = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
        return [where for line in lines if (where := line.split()[1]).startswith(f"{folder}/")]
    return []
