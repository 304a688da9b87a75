"""The restore beside `psql < plain dump` of the same database, in turn.

    python -m benchmarks.restore [--megabytes 1024] [--rounds 3]

The full restore is `restore_in_place` as a whole, into the database that still holds everything: the backup's files
are checked, what is there is dropped, restored and analysed. The targeted restore is all that a deploy does from its
failure on, which changed a seventh of the data, see `benchmarks.targeted`. The peer finds a database that was emptied
before, which is not counted. All are of the same data: twenty tables with foreign keys and indexes.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from pydantic import SecretStr

from agent.core.compare import differences
from agent.core.models import BackupRecord, Snapshot
from agent.deploy.backup import BackupOptions, take_backup
from agent.deploy.restore import restore_in_place
from agent.deploy.snapshot import application_schemas, exported, take_snapshot
from agent.edges.object_store_folder import FolderStore
from agent.edges.pgtools import PostgresTools
from agent.edges.store import open_store
from agent.edges.target import PsycopgTarget
from benchmarks.data import Clock
from benchmarks.figures import Figure, machine, table
from benchmarks.shop import SHOP, shop_database
from benchmarks.targeted import brought_back

FULL_LIMIT = 0.5
TARGETED_LIMIT = 0.3


@dataclass(kw_only=True)
class Bench:
    """One database with a backup by the agent and a plain dump."""

    url: str
    folder: Path
    programs: Path
    record: BackupRecord
    before: Snapshot

    @property
    def target(self) -> PsycopgTarget:
        return PsycopgTarget(SecretStr(self.url))

    async def full(self) -> float:
        """Seconds of a full restore by the agent."""
        began = time.perf_counter()
        await restore_in_place(
            target=self.target,
            tools=PostgresTools(SecretStr(self.url)),
            objects=FolderStore(self.folder / "backups"),
            backup=self.record,
            options=BackupOptions(),
            clock=Clock(),
            purpose="bench",
            emit=lambda _: None,
        )
        return time.perf_counter() - began

    async def targeted(self) -> float:
        """Seconds of a targeted restore, while an application uses the other tables."""
        seconds, requests = await brought_back(self.url)
        if not requests:
            sys.exit("the application could do nothing during the targeted restore")
        print(f"  the application read and wrote {requests} times meanwhile", flush=True)
        return seconds

    async def plain(self) -> float:
        """Seconds of psql with the plain dump."""
        await self._run("".join(f"DROP TABLE public.{one.name} CASCADE;" for one in SHOP))
        command = [self.programs / "psql", "-qX", "-v", "ON_ERROR_STOP=1", "-f", self.folder / "plain.sql", self.url]
        began = time.perf_counter()
        await asyncio.to_thread(subprocess.run, command, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - began

    async def settle(self) -> None:
        """What the last program has left to the server, and to autovacuum, is done before the next one starts."""
        async with self.target.session(purpose="bench") as session:
            for table in SHOP:
                await session.run(f"VACUUM (ANALYZE) public.{table.name}")
            await session.run("CHECKPOINT")

    async def same(self) -> None:
        """Raises SystemExit if the database is not as it was: a wrong restore has no speed."""
        now = await _snapshot(self.target)
        if found := differences(self.before, now).all:
            sys.exit(f"the database is not as it was before the restore: {'; '.join(found[:5])}")

    async def _run(self, statement: str) -> None:
        async with self.target.session(purpose="bench") as session:
            await session.run(statement)


async def _snapshot(target: PsycopgTarget) -> Snapshot:
    async with exported(target, purpose="bench") as (session, _):
        schemas = await application_schemas(session, ())
        return await take_snapshot(session, schemas=schemas, runbook=None, now=datetime.now(UTC))


async def prepared(url: str, folder: Path) -> Bench:
    """Take the backup and the plain dump."""
    target, tools = PsycopgTarget(SecretStr(url)), PostgresTools(SecretStr(url))
    store = await open_store(f"sqlite:///{folder / 'agent.db'}")
    try:
        async with exported(target, purpose="bench") as (session, snapshot_id):
            schemas = await application_schemas(session, ())
            before = await take_snapshot(session, schemas=schemas, runbook=None, now=datetime.now(UTC))
            record = await take_backup(
                session=session,
                snapshot_id=snapshot_id,
                snapshot=before,
                target=target,
                tools=tools,
                objects=FolderStore(folder / "backups"),
                store=store,
                clock=Clock(),
                project="bench",
                deploy_id="",
                options=BackupOptions(),
                emit=lambda _: None,
            )
    finally:
        await store.close()
    programs = next(Path(path).parent for path in await tools.versions() if path.endswith("pg_dump"))
    tables = [f"--table=public.{one.name}" for one in SHOP]
    dump = [programs / "pg_dump", *tables, f"--file={folder / 'plain.sql'}", f"--dbname={url}"]
    await asyncio.to_thread(subprocess.run, dump, check=True)
    return Bench(url=url, folder=folder, programs=programs, record=record, before=before)


async def measure(url: str, size: int, *, rounds: int = 3) -> list[Figure]:
    """All figures; the first of `rounds` + 1 warms the caches and does not count."""
    times: dict[str, list[float]] = {"full": [], "plain": [], "targeted": []}
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        bench = await prepared(url, Path(place))
        programs = {"full": bench.full, "plain": bench.plain, "targeted": bench.targeted}
        for turn in range(rounds + 1):
            for name in sorted(programs, reverse=bool(turn % 2)):
                await bench.settle()
                seconds = await programs[name]()
                await bench.same()
                if turn:
                    times[name].append(seconds)
                    print(f"  round {turn}: {name:9}{seconds:6.2f} s", flush=True)
    words = f"restore of {size / 1e6:,.0f} MB"
    full, plain, targeted = (median(times[name]) for name in ("full", "plain", "targeted"))
    return [
        Figure(name=f"{words}: psql < plain dump, emptied before", value=plain, unit="s"),
        Figure(name=f"{words}: agent, everything, in place", value=full, unit="s"),
        Figure(name=f"{words}: everything / psql", value=full / plain, unit="x", limit=FULL_LIMIT),
        Figure(name=f"{words}: agent, one table of a seventh", value=targeted, unit="s"),
        Figure(name=f"{words}: one table / psql", value=targeted / plain, unit="x", limit=TARGETED_LIMIT),
    ]


async def _alone(megabytes: int, rounds: int) -> list[Figure]:
    async with shop_database(megabytes) as (url, size):
        return await measure(url, size, rounds=rounds)


def main() -> int:
    """Run the benchmark; 1 if a limit is exceeded."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.restore", description=__doc__.partition("\n")[0])
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    figures = asyncio.run(_alone(given.megabytes, given.rounds))
    print(f"\n{machine()}\n{table(figures)}")
    return int(not all(one.held for one in figures))


if __name__ == "__main__":
    sys.exit(main())
