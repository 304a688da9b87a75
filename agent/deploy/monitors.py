"""What can be seen of a migration while it runs: the runbook's monitors, the server's own progress, lock waits.

All of it looks from sessions of its own, so a monitor sees only what is committed: with strategy `atomic` the numbers
move at the end. Nothing here can make a deploy fail or wait: what goes wrong is reported once, and a monitor that
holds the migration up is cancelled.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from agent import sql as files
from agent.core.expect import jsonable, show_row
from agent.core.models import EventKind, NewEvent, Severity
from agent.core.queries import one_statement
from agent.core.runbook import Monitor
from agent.deploy.beside import beside
from agent.deploy.emitter import Emit
from agent.errors import AgentError, StatementError
from agent.ports import Clock, Row, Session, Target

_QUIET_S = 0.5  # a migration that is done sooner is not looked at: most are, and two connections cost more
_LOOK_S = 1.0
_EXPECTED = frozenset({"55P03", "57014"})  # lock not available, query canceled: the migration goes first


@asynccontextmanager
async def monitoring(
    target: Target,
    monitors: Sequence[Monitor],
    *,
    version: str,
    pid: int,
    purpose: str,
    emit: Emit,
    clock: Clock,
) -> AsyncIterator[None]:
    """Watch a migration for as long as the body runs.

    Emits MONITOR for each reading, PROGRESS when the server's own progress moves, LOCK_WAIT when others begin to hold
    the migration up, and one LOG of severity warning for what cannot be read.

    Args:
        target: opens the sessions.
        monitors: the runbook's, for this migration.
        version: the migration's.
        pid: the backend that runs it.
        purpose: the sessions' name on the server.
        emit: receives the events.
        clock: for the intervals.
    """
    watch = _Watch(target=target, version=version, pid=pid, purpose=purpose, emit=emit, clock=clock)
    async with beside(watch.server(), *([watch.runbook(monitors)] if monitors else [])):
        yield


@dataclass(kw_only=True)
class _Watch:
    target: Target
    version: str
    pid: int
    purpose: str
    emit: Emit
    clock: Clock
    asking: Session | None = None
    reported: set[str] = field(default_factory=set)
    first: dict[str, tuple[datetime, float]] = field(default_factory=dict)

    async def server(self) -> None:
        """The server's own progress, and who is in the way."""
        try:
            await self.clock.sleep(_QUIET_S)
            async with self.target.session(purpose=self.purpose) as session:
                await session.rows(files.load("monitors/guard"))
                seen: object = None
                blockers: set[int] = set()
                while True:
                    blockers = await self._blockers(session, blockers)
                    seen = await self._progress(session, seen)
                    await self.clock.sleep(_LOOK_S)
        except AgentError as error:
            self.report("progress", f"the progress of the migration cannot be read: {error}")
        except Exception as error:  # noqa: BLE001 - a bug in watching must not end the migration; it is reported
            self.report("progress", f"watching the migration ended: {type(error).__name__}: {error}")

    async def _progress(self, session: Session, seen: object) -> object:
        rows = await session.rows(files.load("monitors/progress"), {"pid": self.pid})
        if rows and rows != seen:
            row = rows[0]
            what = f"{row['what']} on {row['object']}" if not str(row["object"] or "0").isdigit() else str(row["what"])
            share = f", {100 * row['done'] / row['total']:.0f} %" if row["total"] and row["done"] is not None else ""
            phase = f": {row['phase']}" if row["phase"] else ""
            self.tell(
                EventKind.PROGRESS,
                f"{what}{phase}{share}",
                what=what,
                phase=row["phase"] or "",
                done=row["done"] or 0,
                total=row["total"] or 0,
                version=self.version,
            )
        return rows

    async def _blockers(self, session: Session, known: set[int]) -> set[int]:
        rows = await session.rows(files.load("monitors/blockers"), {"pid": self.pid})
        asking = self.asking
        if asking is not None and any(row["pid"] == asking.pid for row in rows):
            await asking.cancel()  # one of our own monitors: the migration goes first
        others = [row for row in rows if asking is None or row["pid"] != asking.pid]
        if {row["pid"] for row in others} - known:
            names = ", ".join(
                f"{row['user'] or row['state']} ({row['application'] or 'unnamed'}, pid {row['pid']})" for row in others
            )
            message = f"waiting for a lock that {names} {'holds' if len(others) == 1 else 'hold'}"
            self.tell(
                EventKind.LOCK_WAIT,
                message,
                severity=Severity.WARNING,
                version=self.version,
                attempt=0,
                blockers=[dict(row) for row in others],
            )
        return {row["pid"] for row in others}

    async def runbook(self, monitors: Sequence[Monitor]) -> None:
        """The runbook's monitors, each at its own pace, on one session."""
        try:
            await self.clock.sleep(_QUIET_S)
            async with self.target.session(purpose=self.purpose) as session:
                await session.rows(files.load("monitors/guard"))
                self.asking = session
                due = dict.fromkeys(range(len(monitors)), self.clock.now())
                while True:
                    for index, when in due.items():
                        if when <= self.clock.now():
                            await self._ask(session, monitors[index])
                            due[index] = self.clock.now() + timedelta(seconds=monitors[index].every)
                    await self.clock.sleep(max(0.0, (min(due.values()) - self.clock.now()).total_seconds()))
        except AgentError as error:
            self.report("runbook", f"the monitors of migration {self.version} ended: {error}")
        except Exception as error:  # noqa: BLE001 - as above
            self.report("runbook", f"the monitors ended: {type(error).__name__}: {error}")
        finally:
            self.asking = None

    async def _ask(self, session: Session, monitor: Monitor) -> None:
        try:
            rows = await session.rows(one_statement(monitor.sql))
        except StatementError as error:
            if error.sqlstate not in _EXPECTED:
                self.report(monitor.name, f"the monitor {monitor.name} cannot be read: {error}")
            return
        if len(rows) != 1:
            self.report(monitor.name, f"the monitor {monitor.name} returns {len(rows)} rows instead of one")
            return
        self._reading(monitor, rows[0])

    def _reading(self, monitor: Monitor, row: Row) -> None:
        values = {name: jsonable(value) for name, value in row.items()}
        done, total = (self._column(monitor, values, name) for name in (monitor.done, monitor.total))
        share = f"{done:g} of {total:g}" if done is not None and total is not None else show_row(values)
        self.tell(
            EventKind.MONITOR,
            f"{monitor.name}: {share}",
            version=self.version,
            name=monitor.name,
            values=values,
            done=done,
            total=total,
            eta_s=self._eta(monitor.name, done, total),
        )

    def _column(self, monitor: Monitor, values: dict[str, Any], name: str | None) -> float | None:
        if name is None:
            return None
        value = values.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.report(f"{monitor.name}.{name}", f"the monitor {monitor.name} returns no number called {name}")
            return None
        return float(value)

    def _eta(self, name: str, done: float | None, total: float | None) -> float | None:
        """Seconds left at the pace since the first reading; None while nothing has moved."""
        if done is None or total is None:
            return None
        now = self.clock.now()
        began, first = self.first.setdefault(name, (now, done))
        elapsed, gained = (now - began).total_seconds(), done - first
        return round(max(total - done, 0.0) * elapsed / gained, 1) if elapsed > 0 and gained > 0 else None

    def tell(self, kind: EventKind, message: str, *, severity: Severity = Severity.INFO, **data: Any) -> None:  # noqa: ANN401 - whatever the kind documents
        self.emit(NewEvent(kind=kind, message=message, at=self.clock.now(), severity=severity, data=data))

    def report(self, what: str, message: str) -> None:
        """Once for each thing that goes wrong."""
        if what not in self.reported:
            self.reported.add(what)
            self.tell(EventKind.LOG, message, severity=Severity.WARNING, version=self.version)
