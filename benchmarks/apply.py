"""Applying many small migrations: the agent beside `supabase db push`, in one run, on fresh databases of one server.

    python -m benchmarks.apply [--count 1000] [--rounds 5] [--durable]

The server keeps its files in memory (/dev/shm) and does not sync, unless `--durable`: the programs are compared, not
the disk. The CLI is measured as what it is: one command. The agent is measured as what it is in production: a running
`deploy-agent serve` that is asked for a deploy, from the request to the final state, pg_dump included. Told beside
them, not judged: `applying`, the deploy's step `migrate` alone; the one-shot command `deploy-agent deploy`, which
starts and ends the whole agent for each deploy; and `SQL alone`: the files one by one in one transaction, with no
history, backup or checks.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import psycopg

from agent.edges.embedded import EmbeddedPostgres
from benchmarks.figures import Figure, machine, table
from benchmarks.programs import AGENT, Cost, command, environment, serving, supabase_cli

TEMPLATE = "bench_template"
STRATEGIES = ("per_migration", "atomic")
TOOLS = ("cli", "SQL alone", *(f"{kind} {strategy}" for kind in ("running", "one-shot") for strategy in STRATEGIES))
CPU_LIMIT = 0.5
WALL_LIMITS = {"per_migration": 0.7, "atomic": 0.4}
PEAK_LIMIT_MIB = 120
MEMORY = Path("/dev/shm") if Path("/dev/shm").is_dir() else None

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


def migrations(count: int) -> Iterator[tuple[str, str]]:
    """Names and texts of `count` small migrations of about three statements, as an application's life brings them."""
    for number in range(count):
        name = f"item_{number // len(KINDS):04}"
        kind = number % len(KINDS)
        yield f"{20240101000000 + number}_{name}_{kind}.sql", KINDS[kind].format(table=name)


def write_project(folder: Path, count: int) -> Path:
    """A Supabase project with `count` migrations."""
    target = folder / "supabase" / "migrations"
    target.mkdir(parents=True)
    for name, text in migrations(count):
        (target / name).write_text(text)
    return folder


def run_tool(tool: str, *, url: str, folder: Path, home: Path) -> Cost:
    """Apply the project's migrations with one of `TOOLS`."""
    env = environment(home)
    kind, _, strategy = tool.partition(" ")
    if kind == "SQL":
        return run_sql(url, folder)
    if kind == "cli":
        return command([str(supabase_cli()), "db", "push", "--yes", f"--remote={url}"], folder=folder, env=env)
    if kind == "running":
        with serving(url, folder=folder, home=home) as agent:
            return agent.deploy(strategy)
    env |= {"DEPLOY_AGENT_DATABASE_URL": url, "DEPLOY_AGENT_STATE_DIR": str(home / "state")}
    return command([*AGENT, "deploy", "--strategy", strategy], folder=folder, env=env)


def run_sql(url: str, folder: Path) -> Cost:
    """The files' SQL and nothing else."""
    texts = [file.read_bytes() for file in sorted((folder / "supabase" / "migrations").iterdir())]
    with psycopg.connect(url) as connection:
        began, busy = time.perf_counter(), time.process_time()
        for text in texts:
            connection.execute(text)
        connection.commit()
        return Cost(wall_s=time.perf_counter() - began, cpu_s=time.process_time() - busy, peak_mib=0)


async def sample(server: EmbeddedPostgres, tool: str, project: Path, work: Path) -> Cost:
    """Run one tool on a database of its own."""
    name = "bench_" + tool.replace(" ", "_").replace("-", "_")
    await server.create_database(name, template=TEMPLATE)
    try:
        with tempfile.TemporaryDirectory(dir=work) as home:
            return await asyncio.to_thread(run_tool, tool, url=server.url(name), folder=project, home=Path(home))
    finally:
        await server.drop_database(name)


async def measure(*, count: int = 1000, rounds: int = 5, durable: bool = False) -> list[Figure]:
    """All figures: medians of `rounds`, in which every tool takes its turn."""
    costs: dict[str, list[Cost]] = {tool: [] for tool in TOOLS}
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        project = write_project(Path(place) / "project", count)
        server = EmbeddedPostgres(None if durable else MEMORY, durable=durable)
        await server.start()
        try:
            await server.create_database(TEMPLATE)
            await server.bootstrap_supabase(TEMPLATE)
            for number in range(rounds):
                for tool, seen in costs.items():
                    one = await sample(server, tool, project, Path(place))
                    seen.append(one)
                    print(
                        f"  round {number + 1}: {tool:24}{one.wall_s:6.2f} s wall {one.cpu_s:6.2f} s CPU "
                        f"{one.peak_mib:5.0f} MiB",
                        flush=True,
                    )
        finally:
            await server.stop()
    return _figures(costs, count)


def _figures(costs: dict[str, list[Cost]], count: int) -> list[Figure]:
    def middle(tool: str, what: str) -> float:
        return median(getattr(cost, what) for cost in costs[tool])

    figures = []
    for tool in TOOLS:
        judged = tool.startswith("running")
        words = f"{count} files, {tool}"
        units = [("wall_s", "s", "wall"), ("cpu_s", "s", "CPU"), ("peak_mib", "MiB", "peak")]
        for what, unit, name in units[:1] if tool.startswith("SQL") else units:
            limit = PEAK_LIMIT_MIB if what == "peak_mib" and judged else None
            figures.append(Figure(name=f"{words}: {name}", value=middle(tool, what), unit=unit, limit=limit))
        if tool == "cli":
            continue
        limits = {"cpu_s": CPU_LIMIT, "wall_s": WALL_LIMITS.get(tool.partition(" ")[2])}
        for what, _, name in units[:1] if tool.startswith("SQL") else units[:2]:
            ratio = middle(tool, what) / middle("cli", what)
            limit = limits[what] if judged else None
            figures.append(Figure(name=f"{words}: {name} / cli", value=ratio, unit="x", limit=limit))
        if judged:
            ratio = middle(tool, "applying_s") / middle("cli", "wall_s")
            figures.append(Figure(name=f"{words}: applying / cli's wall", value=ratio, unit="x"))
    return figures


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; 1 if a limit is exceeded."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.apply", description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=1000, help="migrations (1000)")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each tool (5)")
    parser.add_argument("--durable", action="store_true", help="with fsync: measures the disk too")
    given = parser.parse_args(arguments)
    figures = asyncio.run(measure(count=given.count, rounds=given.rounds, durable=given.durable))
    print(f"\n{machine()}\n{table(figures)}")
    return int(not all(one.held for one in figures))


if __name__ == "__main__":
    sys.exit(main())
