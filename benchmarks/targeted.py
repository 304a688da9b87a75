"""A deploy that changes one table and fails, brought back by rung 3, while an application uses the other tables."""

from __future__ import annotations

import itertools
import sys
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg
from pydantic import SecretStr

from agent.core.models import DeployRequest, Event, EventKind, Strategy
from agent.core.states import State
from agent.local_agent import open_agent
from agent.settings import Settings
from agent.settings.models import BackupSettings
from benchmarks.shop import SHOP, TOUCHED

_DAMAGE = f"""\
alter table public.{TOUCHED} add column note text;
update public.{TOUCHED} set amount = amount + 1, note = 'changed';
create index {TOUCHED}_note on public.{TOUCHED} (note);
"""
_PATIENCE_MS = 1000
_PAUSE_S = 0.01  # a hundred requests a second, so that the processor is not the subject


class Application:
    """Reads and writes a row of each other table, again and again; none may make it wait for longer than a second."""

    def __init__(self, url: str) -> None:
        self.done = 0
        self._url = url
        self._failed: psycopg.Error | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        if self._failed is not None:
            sys.exit(f"a table that the deploy did not touch was out of reach: {self._failed}")

    def _work(self) -> None:
        others = itertools.cycle(one.name for one in SHOP if one.name != TOUCHED)
        options = f"-c lock_timeout={_PATIENCE_MS} -c statement_timeout={10 * _PATIENCE_MS}"
        with psycopg.connect(self._url, options=options, autocommit=True, application_name="application") as connection:
            try:
                while not self._stop.is_set():
                    table = next(others)
                    connection.execute(f"SELECT * FROM public.{table} WHERE id = 2")
                    connection.execute(f"UPDATE public.{table} SET quantity = quantity WHERE id = 1")
                    self.done += 1
                    self._stop.wait(_PAUSE_S)
            except psycopg.Error as error:
                self._failed = error


async def brought_back(url: str) -> tuple[float, int]:
    """Deploy, fail, restore.

    Returns:
        Seconds from the failure until the database is proven to be as before; what the application did meanwhile.

    Raises:
        SystemExit: another rung did it, or none; a table that is not touched could not be read or written.
    """
    events: list[Event] = []
    done: dict[str, int] = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        folder = Path(place)
        (folder / "migrations").mkdir()
        (folder / "migrations" / "20260101000000_damage.sql").write_text(_DAMAGE)
        (folder / "migrations" / "20260102000000_fails.sql").write_text("select 1/0;")
        settings = Settings(
            project="bench",
            database_url=SecretStr(url),
            migrations=folder / "migrations",
            runbook=folder / "deploy.yaml",
            state_dir=folder / "state",
            backup=BackupSettings(target=str(folder / "backups")),
        )
        with Application(url) as application:

            def heard(event: Event) -> None:
                events.append(event)
                if event.kind in (EventKind.STEP_STARTED, EventKind.STEP_FINISHED):
                    done[f"{event.kind} {event.data['step']}"] = application.done

            async with open_agent(settings) as agent:
                request = DeployRequest(project="bench", strategy=Strategy.PER_MIGRATION, requested_by="bench")
                final = await agent.deploy(request, heard)
    rungs = [event.data["rung"] for event in events if event.kind is EventKind.RUNG]
    if final.state is not State.RESTORED or rungs != [3]:
        sys.exit(f"the deploy ended {final.state}, rungs {rungs}: {final.failure}")
    undoing = [
        event.data["seconds"]
        for event in events
        if event.kind is EventKind.STEP_FINISHED and event.data["step"] in (State.ROLLING_BACK, State.RESTORING)
    ]
    meanwhile = done[f"{EventKind.STEP_FINISHED} restoring"] - done[f"{EventKind.STEP_STARTED} rolling_back"]
    return sum(undoing), meanwhile
