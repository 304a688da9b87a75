"""A backup by the agent beside a bare `pg_dump` of the same database, in turn: wall time and the agent's memory.

    python -m benchmarks.backup [--megabytes 1024] [--rounds 5]

The agent's time is that of `take_backup`: dump, checksums while it is written, manifest, publishing. Memory is that of
a process which does nothing else; it must not grow with the database.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from pydantic import SecretStr

from agent.core.models import Snapshot, TableMark
from agent.deploy.backup import BackupOptions, take_backup
from agent.deploy.snapshot import exported
from agent.edges.object_store_folder import FolderStore
from agent.edges.pgtools import PostgresTools
from agent.edges.store import open_store
from agent.edges.target import PsycopgTarget
from benchmarks.data import TABLES, Clock, filled_database
from benchmarks.figures import Figure, machine, table
from benchmarks.programs import ROOT

RATIO_LIMIT = 1.05
GROWTH_LIMIT_MIB = 16


async def ours(url: str, folder: Path) -> dict[str, float]:
    """One backup in this process: seconds, bytes, and MiB of memory before and at the peak."""
    target, tools = PsycopgTarget(SecretStr(url)), PostgresTools(SecretStr(url))
    marks = {f"public.posts_{n}": TableMark(rows=0, hash="") for n in range(TABLES)}
    store = await open_store(f"sqlite:///{folder.parent / 'agent.db'}")
    try:
        before = _peak_mib()
        began = time.perf_counter()
        async with exported(target, purpose="bench") as (session, snapshot_id):
            record = await take_backup(
                session=session,
                snapshot_id=snapshot_id,
                snapshot=Snapshot(taken_at=datetime.now(UTC), tables=marks),
                target=target,
                tools=tools,
                objects=FolderStore(folder),
                store=store,
                clock=Clock(),
                project="bench",
                deploy_id="",
                options=BackupOptions(),
                emit=lambda _: None,
            )
        seconds = time.perf_counter() - began
    finally:
        await store.close()
    return {"seconds": seconds, "bytes": record.bytes, "before": before, "peak": _peak_mib()}


def _peak_mib() -> float:
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


def ours_apart(url: str, folder: Path) -> dict[str, float]:
    """The same in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.backup", "--once", str(folder)],
        input=url,
        text=True,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def bare(pg_dump: str, url: str, folder: Path) -> float:
    """Seconds of pg_dump by itself."""
    command = [pg_dump, "-Fd", "-j2", "--compress=zstd:1", "--schema=public", f"--file={folder}", f"--dbname={url}"]
    began = time.perf_counter()
    subprocess.run(command, check=True)
    return time.perf_counter() - began


async def measure(url: str, size: int, *, rounds: int = 5) -> list[Figure]:
    """All figures; the first of `rounds` + 1 warms the caches and does not count."""
    pg_dump = next(path for path in await PostgresTools(SecretStr(url)).versions() if path.endswith("pg_dump"))
    times: dict[str, list[float]] = {"ours": [], "bare": []}
    seen: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        folder = Path(place)
        for turn in range(rounds + 1):
            for name in ("bare", "ours") if turn % 2 else ("ours", "bare"):
                if name == "ours":
                    seen.append(await asyncio.to_thread(ours_apart, url, folder / "ours"))
                    seconds = seen[-1]["seconds"]
                else:
                    seconds = await asyncio.to_thread(bare, pg_dump, url, folder / "bare")
                shutil.rmtree(folder / name)
                if turn:
                    times[name].append(seconds)
                    print(f"  round {turn}: {name:6}{seconds:6.2f} s", flush=True)
    words = f"backup of {size / 1e6:,.0f} MB"
    growth = max(one["peak"] - one["before"] for one in seen)
    return [
        Figure(name=f"{words}: pg_dump alone, wall", value=median(times["bare"]), unit="s"),
        Figure(name=f"{words}: agent, wall", value=median(times["ours"]), unit="s", note=_size(seen)),
        Figure(
            name=f"{words}: agent / pg_dump", value=median(times["ours"]) / median(times["bare"]), unit="x",
            limit=RATIO_LIMIT,
        ),
        Figure(name=f"{words}: growth of the agent's memory", value=growth, unit="MiB", limit=GROWTH_LIMIT_MIB),
    ]  # fmt: skip


def _size(seen: list[dict[str, float]]) -> str:
    return f"{seen[-1]['bytes'] / 1e6:,.0f} MB written"


async def _alone(megabytes: int, rounds: int) -> list[Figure]:
    async with filled_database(megabytes) as (url, size):
        return await measure(url, size, rounds=rounds)


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; 1 if a limit is exceeded."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.backup", description=__doc__.partition("\n")[0])
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--once", type=Path, help=argparse.SUPPRESS)  # one backup of the database on standard input
    given = parser.parse_args(arguments)
    if given.once:
        print(json.dumps(asyncio.run(ours(sys.stdin.read(), given.once))))
        return 0
    figures = asyncio.run(_alone(given.megabytes, given.rounds))
    print(f"\n{machine()}\n{table(figures)}")
    return int(not all(one.held for one in figures))


if __name__ == "__main__":
    sys.exit(main())
