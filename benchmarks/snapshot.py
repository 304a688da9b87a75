"""Reading a snapshot: how many MB of table data are hashed in a second.

    python -m benchmarks.snapshot [--megabytes 1024] [--rounds 5]

The same transaction as in a deploy (REPEATABLE READ, exported snapshot), `take_snapshot` as a whole. Beside it, what
the server needs to only count the same rows.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from datetime import UTC, datetime
from statistics import median

from pydantic import SecretStr

from agent import sql
from agent.deploy.snapshot import application_schemas, exported, take_snapshot
from agent.edges.target import PsycopgTarget
from benchmarks.data import TABLES, filled_database
from benchmarks.figures import Figure, machine, table

MEGABYTES_A_SECOND = 300


async def measure(url: str, size: int, *, rounds: int = 5) -> list[Figure]:
    """All figures; the first of `rounds` + 1 warms the caches and does not count."""
    target = PsycopgTarget(SecretStr(url))
    hashed, counted = [], []
    for turn in range(rounds + 1):
        async with exported(target, purpose="bench") as (session, _):
            schemas = await application_schemas(session, ())
            began = time.perf_counter()
            await take_snapshot(session, schemas=schemas, runbook=None, now=datetime.now(UTC))
            seconds = time.perf_counter() - began
        async with exported(target, purpose="bench") as (session, _):
            await session.run(sql.load("snapshot/settings"))
            began = time.perf_counter()
            for n in range(TABLES):
                await session.value(f"SELECT count(*) FROM public.posts_{n}")
            bare = time.perf_counter() - began
        if turn:
            hashed.append(seconds)
            counted.append(bare)
            print(f"  round {turn}: snapshot {seconds:5.2f} s, count(*) {bare:5.2f} s", flush=True)
    words = f"snapshot of {size / 1e6:,.0f} MB"
    rates = [size / 1e6 / median(one) for one in (hashed, counted)]
    return [
        Figure(name=f"{words}: count(*) alone", value=rates[1], unit="MB/s"),
        Figure(name=f"{words}: hashed", value=rates[0], unit="MB/s", limit=MEGABYTES_A_SECOND, at_least=True),
    ]


async def _alone(megabytes: int, rounds: int) -> list[Figure]:
    async with filled_database(megabytes) as (url, size):
        return await measure(url, size, rounds=rounds)


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; 1 if a limit is exceeded."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.snapshot", description=__doc__.partition("\n")[0])
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args(arguments)
    figures = asyncio.run(_alone(given.megabytes, given.rounds))
    print(f"\n{machine()}\n{table(figures)}")
    return int(not all(one.held for one in figures))


if __name__ == "__main__":
    sys.exit(main())
