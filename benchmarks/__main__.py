"""All benchmarks and one table: `python -m benchmarks [--quick]`.

`--quick`: small data and one round, to see that everything still runs; its figures are shown, and mean nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from dataclasses import replace

from benchmarks import apply, backup, restore, snapshot, startup
from benchmarks.data import filled_database
from benchmarks.figures import Figure, machine, table
from benchmarks.shop import shop_database


async def measure(*, quick: bool) -> list[Figure]:
    """Everything, one after the other."""
    rounds = 1 if quick else 5
    figures = await startup.measure(rounds=rounds)
    figures += await apply.measure(count=20 if quick else 1000, rounds=rounds)
    async with filled_database(8 if quick else 1024) as (url, size):
        figures += await snapshot.measure(url, size, rounds=rounds)
        figures += await backup.measure(url, size, rounds=rounds)
    async with shop_database(8 if quick else 1024) as (url, size):
        figures += await restore.measure(url, size, rounds=rounds)
    return figures


def main() -> int:
    """1 if a limit is exceeded."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small data, one round, limits not judged")
    quick = parser.parse_args().quick
    before = machine()
    figures = asyncio.run(measure(quick=quick))
    if quick:
        figures = [replace(one, limit=None) for one in figures]
    print(f"\nbefore: {before}\nafter:  {machine()}\n{table(figures)}")
    over = [one for one in figures if not one.held]
    print(f"\n{len(over)} of {sum(one.limit is not None for one in figures)} limits exceeded")
    return int(bool(over))


if __name__ == "__main__":
    sys.exit(main())
