"""Applying many small migrations: the agent beside `supabase db push`, in one run, on fresh databases of one server.

    python -m benchmarks.apply [--count 1000] [--rounds 5] [--durable]

Each tool is measured as a whole command, and again with a single migration; the difference is what the migrations
themselves cost, without starting the program (and, with the agent, without its backup).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from agent.edges.embedded import EmbeddedPostgres

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = "bench_template"
MIB = 1024

KINDS = (
    """\
-- Table {table}: one row per item
create table public.{table} (
  id bigint generated always as identity primary key,
  owner_id uuid not null,
  title text not null check (char_length(title) <= 200),
  created_at timestamptz not null default now()
);
alter table public.{table} enable row level security;
create policy "{table}: owners read" on public.{table}
  for select to authenticated using (owner_id = (select auth.uid()));
""",
    """\
create index {table}_owner_idx on public.{table} (owner_id);
create index {table}_created_idx on public.{table} (created_at desc);
comment on table public.{table} is 'Items; one row per item';
""",
    """\
alter table public.{table} add column updated_at timestamptz not null default now();

create or replace function public.{table}_touch() returns trigger language plpgsql set search_path = '' as $$
begin
  new.updated_at := now();
  return new;
end;
$$;

create trigger {table}_touch before update on public.{table}
  for each row execute function public.{table}_touch();
""",
    """\
alter table public.{table} add column status text not null default 'draft';
insert into public.{table} (owner_id, title) values
  ('00000000-0000-0000-0000-000000000001', 'first; of many'),
  ('00000000-0000-0000-0000-000000000002', 'it''s the second');
update public.{table} set status = 'ready' where title like 'first%';
""",
)


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one command cost: seconds of wall and processor time, MiB of memory at its peak."""

    wall_s: float
    cpu_s: float
    peak_mib: float


@dataclass(frozen=True, kw_only=True)
class Budget:
    """A ratio to the CLI's median that must not be exceeded."""

    tool: str
    what: str
    limit: float


BUDGETS = (
    Budget(tool="per_migration", what="cpu_s", limit=0.5),
    Budget(tool="atomic", what="cpu_s", limit=0.5),
    Budget(tool="per_migration", what="wall_s", limit=0.7),
    Budget(tool="atomic", what="wall_s", limit=0.4),
)
PEAK_LIMIT_MIB = 120


def migrations(count: int) -> Iterator[tuple[str, str]]:
    """Names and texts of `count` small migrations of about three statements, as an application's life brings them."""
    for number in range(count):
        table = f"item_{number // len(KINDS):04}"
        kind = number % len(KINDS)
        yield f"{20240101000000 + number}_{table}_{kind}.sql", KINDS[kind].format(table=table)


def write_project(folder: Path, count: int) -> Path:
    """A Supabase project with `count` migrations."""
    target = folder / "supabase" / "migrations"
    target.mkdir(parents=True)
    for name, text in migrations(count):
        (target / name).write_text(text)
    return folder


def measure(command: list[str], *, folder: Path, env: dict[str, str]) -> Cost:
    """Run one command to its end; its own children count too."""
    with tempfile.TemporaryFile() as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            sys.exit(f"{Path(command[0]).name} exited with {process.returncode}:\n{output.read().decode()[-4000:]}")
    return Cost(wall_s=wall_s, cpu_s=usage.ru_utime + usage.ru_stime, peak_mib=usage.ru_maxrss / MIB)


def cli_binary() -> Path:
    found = sorted((ROOT / ".tools" / "node_modules" / "@supabase").glob("cli-*/bin/supabase"))
    if not found:
        sys.exit("the Supabase CLI is missing: run `make tools` (needs npm)")
    return found[0]


def environment(home: Path) -> dict[str, str]:
    """A bare environment: no settings, telemetry or update notices of the user's."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "SUPABASE_HOME": str(home),
        "SUPABASE_TELEMETRY_DISABLED": "1",
        "SUPABASE_NO_UPDATE_NOTIFIER": "1",
        "DO_NOT_TRACK": "1",
        "NO_COLOR": "1",
    }


def run_tool(tool: str, *, url: str, folder: Path, home: Path) -> Cost:
    env = environment(home)
    if tool == "cli":
        return measure([str(cli_binary()), "db", "push", "--yes", f"--remote={url}"], folder=folder, env=env)
    env |= {"DEPLOY_AGENT_DATABASE_URL": url, "DEPLOY_AGENT_STATE_DIR": str(home / "state")}
    return measure([sys.executable, "-m", "agent", "deploy", "--strategy", tool], folder=folder, env=env)


async def sample(server: EmbeddedPostgres, tool: str, project: Path, work: Path) -> Cost:
    """Run one tool on a database of its own."""
    name = f"bench_{tool}"
    home = Path(tempfile.mkdtemp(prefix=f"{tool}-", dir=work))
    await server.create_database(name, template=TEMPLATE)
    try:
        return await asyncio.to_thread(run_tool, tool, url=server.url(name), folder=project, home=home)
    finally:
        await server.drop_database(name)


async def run(*, count: int, rounds: int, durable: bool) -> bool:
    """Measure, print, and say whether all budgets hold."""
    tools = ("cli", "per_migration", "atomic")
    costs: dict[tuple[str, int], list[Cost]] = {(tool, size): [] for tool in tools for size in (1, count)}
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        work = Path(place)
        projects = {size: write_project(work / f"project-{size}", size) for size in (1, count)}
        server = EmbeddedPostgres(durable=durable)
        await server.start()
        try:
            await server.create_database(TEMPLATE)
            await server.bootstrap_supabase(TEMPLATE)
            for number in range(rounds):
                for (tool, size), seen in costs.items():
                    last = await sample(server, tool, projects[size], work)
                    seen.append(last)
                    print(f"  round {number + 1}: {tool}, {size}: {last.wall_s:.2f} s wall, {last.cpu_s:.2f} s CPU")
        finally:
            await server.stop()
    return report(costs, count)


def report(costs: dict[tuple[str, int], list[Cost]], count: int) -> bool:
    """Print medians and ratios."""

    def middle(tool: str, size: int, what: str) -> float:
        return median(getattr(cost, what) for cost in costs[tool, size])

    print(
        f"\n{count} migrations, medians\n{'':16}{'wall s':>9}{'CPU s':>9}{'peak MiB':>10}{'Δ wall s':>10}{'Δ CPU s':>9}"
    )
    for tool in ("cli", "per_migration", "atomic"):
        wall, cpu, peak = (middle(tool, count, what) for what in ("wall_s", "cpu_s", "peak_mib"))
        beyond = [middle(tool, count, what) - middle(tool, 1, what) for what in ("wall_s", "cpu_s")]
        print(f"{tool:16}{wall:9.2f}{cpu:9.2f}{peak:10.0f}{beyond[0]:10.2f}{beyond[1]:9.2f}")
    print("Δ: beyond the same command with one migration\n")
    held = True
    for budget in BUDGETS:
        ratio = middle(budget.tool, count, budget.what) / middle("cli", count, budget.what)
        own, theirs = (middle(t, count, budget.what) - middle(t, 1, budget.what) for t in (budget.tool, "cli"))
        held &= ratio <= budget.limit
        word = "ok" if ratio <= budget.limit else "OVER"
        name = f"{budget.tool} {budget.what} / cli"
        print(f"{name:30}{ratio:6.2f}  limit {budget.limit:.2f}  {word:5} (Δ only: {own / theirs:.2f})")
    peak = max(middle(tool, count, "peak_mib") for tool in ("per_migration", "atomic"))
    held &= peak < PEAK_LIMIT_MIB
    print(
        f"{'peak MiB of the agent':30}{peak:6.0f}  limit {PEAK_LIMIT_MIB}   {'ok' if peak < PEAK_LIMIT_MIB else 'OVER'}"
    )
    return held


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; 1 if a budget is exceeded."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.apply", description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=1000, help="migrations (1000)")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each tool (5)")
    parser.add_argument("--durable", action="store_true", help="with fsync: measures the disk too")
    given = parser.parse_args(arguments)
    return 0 if asyncio.run(run(count=given.count, rounds=given.rounds, durable=given.durable)) else 1


if __name__ == "__main__":
    sys.exit(main())
