"""Starting: `deploy-agent --help`, and `serve` until `/readyz` says ready.

    python -m benchmarks.startup [--rounds 5]

Beside them, what an interpreter needs that imports nothing of ours.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path
from statistics import median

from agent.edges.embedded import embedded_postgres
from benchmarks.apply import write_project
from benchmarks.figures import Figure, machine, table
from benchmarks.programs import AGENT, Cost, command, environment, serving

HELP_S = 0.4
READY_S = 2.0


async def measure(*, rounds: int = 5) -> list[Figure]:
    """All figures; the first of `rounds` + 1 writes the bytecode and does not count."""
    seen: dict[str, list[Cost]] = {"python -c pass": [], "deploy-agent --help": [], "serve until ready": []}
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        project = write_project(Path(place) / "project", 8)
        async with embedded_postgres() as server:
            await server.create_database("bench")
            await server.bootstrap_supabase("bench")
            for turn in range(rounds + 1):
                for name, costs in seen.items():
                    cost = await asyncio.to_thread(_start, name, server.url("bench"), project, Path(place))
                    if turn:
                        costs.append(cost)
                        print(f"  round {turn}: {name:20}{cost.wall_s:6.2f} s wall {cost.cpu_s:6.2f} s CPU", flush=True)
    limits = {"deploy-agent --help": HELP_S, "serve until ready": READY_S}
    figures = []
    for name, costs in seen.items():
        wall, cpu, peak = (median(getattr(one, what) for one in costs) for what in ("wall_s", "cpu_s", "peak_mib"))
        figures += [
            Figure(name=f"{name}: wall", value=wall, unit="s", limit=limits.get(name)),
            Figure(name=f"{name}: CPU", value=cpu, unit="s"),
        ]
        if name.startswith("serve"):  # of a command, wait4 tells at least what this process held when it forked
            figures.append(Figure(name=f"{name}: peak", value=peak, unit="MiB"))
    return figures


def _start(name: str, url: str, project: Path, work: Path) -> Cost:
    with tempfile.TemporaryDirectory(dir=work) as home:
        if name.startswith("serve"):
            with serving(url, folder=project, home=Path(home)) as agent:
                return agent.started
        arguments = [*AGENT, "--help"] if "help" in name else [sys.executable, "-c", "pass"]
        return command(arguments, folder=project, env=environment(Path(home)))


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; 1 if a limit is exceeded."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.startup", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    figures = asyncio.run(measure(rounds=parser.parse_args(arguments).rounds))
    print(f"\n{machine()}\n{table(figures)}")
    return int(not all(one.held for one in figures))


if __name__ == "__main__":
    sys.exit(main())
