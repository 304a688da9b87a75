"""A backup by the agent beside a bare `pg_dump` of the same database, in turn: wall time and the agent's memory.

Run: `python -m benchmarks.backup [--megabytes 1024] [--rounds 5]`. Goal: ratio of the medians at most 1.05.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from pydantic import SecretStr

from agent.core.models import Snapshot, TableMark
from agent.deploy.backup import BackupOptions, take_backup
from agent.deploy.snapshot import exported
from agent.edges.embedded import EmbeddedPostgres, embedded_postgres
from agent.edges.object_store import FolderStore
from agent.edges.pgtools import PostgresTools
from agent.edges.store import open_store
from agent.edges.target import PsycopgTarget

# Rows as an application has them: keys, times, text, JSON, arrays; about 300 bytes each.
_TABLE = """
CREATE TABLE public.posts_{n} (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, owner uuid NOT NULL, created_at timestamptz NOT NULL,
    title text NOT NULL, likes int NOT NULL, details jsonb, tags text[]
)"""
_ROWS = """
INSERT INTO public.posts_{n} (owner, created_at, title, likes, details, tags)
SELECT gen_random_uuid(), '2026-01-01'::timestamptz + i * interval '1 s', 'post ' || md5(i::text), i % 1000,
    jsonb_build_object('n', i, 'mood', i % 7, 'text', md5((i + 1)::text)), ARRAY[md5((i % 100)::text), 'tag' || i % 10]
FROM generate_series(1, {rows}) AS i"""
_TABLES = 4
_ROWS_A_MEGABYTE = 3400
_AT_MOST = 1.05


class Clock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def fill(server: EmbeddedPostgres, megabytes: int) -> tuple[str, Snapshot]:
    await server.create_database("bench")
    await server.bootstrap_supabase("bench")
    url = server.url("bench")
    tables = {}
    async with PsycopgTarget(SecretStr(url)).session(purpose="bench") as session:
        rows = megabytes * _ROWS_A_MEGABYTE // _TABLES
        for n in range(_TABLES):
            await session.run(_TABLE.format(n=n))
            await session.run(_ROWS.format(n=n, rows=rows))
            await session.run(f"VACUUM ANALYZE public.posts_{n}")
            tables[f"public.posts_{n}"] = TableMark(rows=rows, hash="")
        size = await session.value("SELECT pg_size_pretty(pg_database_size(current_database()))")
    print(f"database: {size}, {rows * _TABLES:,} rows in {_TABLES} tables")
    return url, Snapshot(taken_at=datetime.now(UTC), tables=tables)


async def ours(url: str, folder: Path, snapshot: Snapshot) -> tuple[float, int]:
    target, tools = PsycopgTarget(SecretStr(url)), PostgresTools(SecretStr(url))
    store = await open_store(f"sqlite+aiosqlite:///{folder.parent / 'agent.db'}")
    try:
        began = time.perf_counter()
        async with exported(target, purpose="bench") as (session, snapshot_id):
            record = await take_backup(
                session=session,
                snapshot_id=snapshot_id,
                snapshot=snapshot,
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
        return time.perf_counter() - began, record.bytes
    finally:
        await store.close()


def bare(pg_dump: str, url: str, folder: Path) -> float:
    command = [pg_dump, "-Fd", "-j2", "--compress=zstd:1", "--schema=public", f"--file={folder}", f"--dbname={url}"]
    began = time.perf_counter()
    subprocess.run(command, check=True)
    return time.perf_counter() - began


async def measure(*, megabytes: int, rounds: int) -> bool:
    async with embedded_postgres() as server:
        url, snapshot = await fill(server, megabytes)
        pg_dump = next(path for path in await PostgresTools(SecretStr(url)).versions() if path.endswith("pg_dump"))
        folder = Path(tempfile.mkdtemp(prefix="deploy-agent-bench-"))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        times: dict[str, list[float]] = {"ours": [], "bare": []}
        try:
            for turn in range(rounds + 1):  # the first one warms the caches
                for name in ("bare", "ours") if turn % 2 else ("ours", "bare"):
                    if name == "ours":
                        seconds, size = await ours(url, folder / "ours", snapshot)
                    else:
                        seconds = await asyncio.to_thread(bare, pg_dump, url, folder / "bare")
                    shutil.rmtree(folder / name)
                    if turn:
                        times[name].append(seconds)
        finally:
            shutil.rmtree(folder)
    medians = {name: statistics.median(values) for name, values in times.items()}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for name, values in times.items():
        print(f"{name}: median {medians[name]:.2f} s of {', '.join(f'{value:.2f}' for value in values)}")
    print(f"backup: {size / 1e6:.0f} MB")
    ratio = medians["ours"] / medians["bare"]
    print(f"ratio: {ratio:.3f} (at most {_AT_MOST})")
    print(f"peak memory of the agent: {peak / 1024:.0f} MiB; before the first backup: {before / 1024:.0f} MiB")
    return ratio <= _AT_MOST


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; 1 if the goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.backup", description=__doc__.partition("\n")[0])
    parser.add_argument("--megabytes", type=int, default=1024, help="size of the database (1024)")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each (5)")
    given = parser.parse_args(arguments)
    return 0 if asyncio.run(measure(megabytes=given.megabytes, rounds=given.rounds)) else 1


if __name__ == "__main__":
    sys.exit(main())
