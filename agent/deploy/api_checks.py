"""How `api` checks look at the project: through its own API, as its users do. See `agent.core.api_checks`.

The API learns of a new schema a moment after COMMIT. What it does not know yet is asked again, with growing pauses,
until the check's `within` is over; only then it counts. Everything else is asked once.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

from agent import sql as files
from agent.core.api_checks import USER, ApiAnswer, ApiCall, ApiCheck, ApiFile, ApiRead, ApiRefused
from agent.core.expect import ROW_LIMIT, Judgement, judge, judge_count, same, show
from agent.core.expectation import Expect
from agent.core.models import Finding, Verdict
from agent.core.runbook import Runbook, dotted
from agent.core.units import duration
from agent.errors import AgentError, StatementError
from agent.ports import Clock, Session

_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 3.0


class ApiClient(Protocol):
    """The API for one user; an answer is returned also where it refuses.

    Every method may raise AgentError `api.unreachable`: there is no answer.
    """

    @property
    def user(self) -> str:
        """The id of the user who is signed in, or ""."""
        ...

    async def select(self, table: str, columns: str, where: Mapping[str, Any], *, limit: int) -> ApiAnswer:
        """Rows; `limit` 0 asks only whether it could be done."""
        ...

    async def insert(self, table: str, row: Mapping[str, Any]) -> ApiAnswer:
        """Insert a row, and do not read it back."""
        ...

    async def call(self, function: str, args: Mapping[str, Any]) -> ApiAnswer:
        """Call a function."""
        ...

    async def file(self, wanted: ApiFile) -> ApiAnswer:
        """Look for an object in Storage."""
        ...

    async def sign_out(self) -> None:
        """End the session that the check began. Raises also AgentError `api.sign_out`."""
        ...


class ApiProbe(Protocol):
    """The project's API."""

    async def check_ready(self, spec: ApiCheck) -> None:
        """See that the check could be run: package, address, keys, the user's secrets.

        Raises:
            AgentError: codes `api.…`.
        """
        ...

    def opened(self, spec: ApiCheck, *, timeout_s: float) -> AbstractAsyncContextManager[ApiClient]:
        """The API for the check's user, who is signed out at the end.

        Args:
            timeout_s: for each request.

        Raises:
            AgentError: as `check_ready`; `api.sign_in`: the user cannot sign in.
        """
        ...


@dataclass(kw_only=True)
class ApiTrial:
    """One check under way.

    `known`: gives the snapshot's values for an expectation. `transaction`: one in which the deploying role looks at
    tables, undone afterwards.
    """

    spec: ApiCheck
    client: ApiClient
    session: Session
    clock: Clock
    known: Callable[[Expect], Awaitable[Mapping[str, Any]]]
    transaction: Callable[[], AbstractAsyncContextManager[None]]
    wanted: list[str] = field(default_factory=list)
    found: list[tuple[Verdict, str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    async def run(self) -> Judgement:
        """Try everything, and judge it together."""
        for name in self.spec.knows:
            await self.knows(name)
        for read in self.spec.reads:
            await self.reads(read)
        for one in self.spec.refused:
            await (self.refuses_row(one) if one.into is not None else self.hides(one))
        for call in self.spec.calls:
            await self.calls(call)
        for one_file in self.spec.files:
            await self.has(one_file)
        try:
            await self.client.sign_out()
        except AgentError as error:
            self.notes.append(error.message)
        return self._judgement()

    def _judgement(self) -> Judgement:
        who = self.spec.who
        for verdict in (Verdict.FAILED, Verdict.ERRORED):  # what is wrong for sure says more than what is not known
            bad = [(wanted, seen) for kind, wanted, seen in self.found if kind is verdict]
            if bad:
                expected = "; ".join(dict.fromkeys(wanted for wanted, _ in bad))
                seen = bad[0][1] if len(bad) == 1 else "; ".join(f"{wanted}: {seen}" for wanted, seen in bad)
                seen = "; ".join([seen, *self.notes])
                return Judgement(verdict, f"{who} {expected}", seen)
        return Judgement(Verdict.PASSED, f"{who} {'; '.join(self.wanted)}", "; ".join(["it is so", *self.notes]))

    def _say(self, wanted: str, verdict: Verdict, seen: str) -> None:
        self.wanted.append(wanted)
        if verdict is not Verdict.PASSED:
            self.found.append((verdict, wanted, seen))

    async def knows(self, name: str) -> None:
        """A table, view or column that the API must know."""
        table, _, column = name.partition(".")
        answer, waited = await self._fresh(lambda: self.client.select(table, column or "*", {}, limit=0))
        verdict = Verdict.PASSED if answer.ok or answer.refused else Verdict.FAILED
        self._say(f"finds {name}", verdict, f"{answer}{waited}")

    async def reads(self, read: ApiRead) -> None:
        """Rows that must be seen."""
        wanted = f"reads {read.wanted_rows} rows of {read.from_}{_shown(read.where)}"
        wanted += f", each with {_pairs(read.every)}" if read.every else ""
        answer, waited = await self._fresh(
            lambda: self.client.select(read.from_, read.columns, self._filled(read.where), limit=ROW_LIMIT + 1)
        )
        if not answer.ok:
            self._say(wanted, Verdict.FAILED, f"{answer}{waited}")
            return
        rows = _rows(answer.data)
        judged = judge_count(read.wanted_rows, min(len(rows), ROW_LIMIT), more=len(rows) > ROW_LIMIT)
        seen, verdict = judged.observed, judged.verdict
        odd = next((row for row in rows if not _has(row, self._filled(read.every))), None)
        if odd is not None:
            seen, verdict = f"a row with {_pairs({key: odd.get(key) for key in read.every})}", Verdict.FAILED
        self._say(wanted, verdict, seen)

    async def hides(self, one: ApiRefused) -> None:
        """A table of which nothing may be seen."""
        assert one.from_ is not None  # noqa: S101 - the model says so
        table = one.from_
        wanted = f"sees no row of {table}{_shown(one.where)}"
        answer, waited = await self._fresh(lambda: self.client.select(table, "*", self._filled(one.where), limit=1))
        if answer.ok and _rows(answer.data):
            self._say(wanted, Verdict.FAILED, "sees one")
        elif answer.ok or answer.refused:
            self._say(wanted, Verdict.PASSED, "")
            if answer.ok and not await self._has_rows(table):
                self.notes.append(f"{table} is empty, so there was nothing to hide")
        else:
            self._say(wanted, Verdict.ERRORED, f"{answer}{waited}")

    async def _has_rows(self, table: str) -> bool:
        async with self.transaction():
            return bool(await self.session.value(files.load("checks/api_hidden"), names={"table": self._name(table)}))

    async def refuses_row(self, one: ApiRefused) -> None:
        """A row that may not be inserted. One that is let in is deleted again."""
        assert one.into is not None  # noqa: S101 - the model says so
        table, row = one.into, self._filled(one.row)
        wanted = f"cannot insert into {table}"
        params = {"row": json.dumps(row)}
        names = {"table": self._name(table)}
        async with self.transaction():
            there = await self.session.value(files.load("checks/api_rows"), params, names=names)
        if there:
            self._say(wanted, Verdict.ERRORED, "such a row is there already; give it a value that no row has")
            return
        answer, waited = await self._fresh(lambda: self.client.insert(table, row))
        if answer.refused:
            self._say(wanted, Verdict.PASSED, "")
        elif answer.ok:
            left = await self._take_back(table, params, names)
            self._say(wanted, Verdict.FAILED, f"the row was let in; {left}")
        else:
            self._say(wanted, Verdict.ERRORED, f"it was stopped, but not for want of rights: {answer}{waited}")

    async def _take_back(self, table: str, params: Mapping[str, Any], names: Mapping[str, tuple[str, ...]]) -> str:
        try:
            async with self.session.transaction():
                tag = await self.session.run(files.load("checks/api_undo"), params, names=names)
        except StatementError as error:
            return f"it could not be deleted from {table} again, do that by hand: {error.message}"
        rows = tag.rpartition(" ")[2]
        return "it is deleted again" if rows == "1" else f"{rows} rows like it were found in {table}: look there"

    async def calls(self, call: ApiCall) -> None:
        """A function that must return something."""
        wanted = f"calls {call.function}"
        answer, waited = await self._fresh(lambda: self.client.call(call.function, self._filled(call.args)))
        if not answer.ok:
            self._say(wanted, Verdict.FAILED, f"{answer}{waited}")
            return
        rows = _rows(answer.data)
        judged = judge(call.expect, rows[:ROW_LIMIT], known=await self.known(call.expect), more=len(rows) > ROW_LIMIT)
        self._say(f"{wanted}: {judged.expected}", judged.verdict, judged.observed)

    async def has(self, one: ApiFile) -> None:
        """An object in Storage."""
        wanted = f"reaches {one.bucket}/{one.path} ({one.by.replace('_', ' ')})"
        answer = await self.client.file(one)
        if not answer.ok:
            self._say(wanted, Verdict.FAILED, str(answer))
        elif one.by == "list":
            entries = len(_rows(answer.data))
            self._say(wanted, Verdict.PASSED if entries else Verdict.FAILED, "the folder is empty")
        else:
            enough = answer.bytes >= one.min_bytes
            self._say(wanted, Verdict.PASSED if enough else Verdict.FAILED, f"it has {answer.bytes} bytes")

    async def _fresh(self, ask: Callable[[], Awaitable[ApiAnswer]]) -> tuple[ApiAnswer, str]:
        """The answer of an API that knows the schema; or, when the time is over, the last one, and how long it took."""
        until = self.clock.now() + timedelta(seconds=self.spec.within)
        pause = _FIRST_PAUSE_S
        while True:
            answer = await ask()
            left = (until - self.clock.now()).total_seconds()
            if not answer.stale:
                return answer, ""
            if left <= 0:
                return answer, f"; asked for {duration(self.spec.within)}"
            await self.clock.sleep(min(pause, left))
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _filled(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return {key: self.client.user if value == USER else value for key, value in values.items()}

    def _name(self, table: str) -> tuple[str, ...]:
        return (self.spec.schema_, table)


def _rows(data: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - any JSON
    found = data if isinstance(data, list) else [data]
    return [one if isinstance(one, dict) else {"value": one} for one in found]


def _has(row: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return all(key in row and same(value, row[key]) for key, value in wanted.items())


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} = {show(value)}" for key, value in values.items())


def _shown(where: Mapping[str, Any]) -> str:
    return f" where {_pairs(where)}" if where else ""


async def not_ready(api: ApiProbe | None, runbook: Runbook | None, phases: Collection[str]) -> list[Finding]:
    """What would keep the runbook's api checks from running, found before anything is touched.

    Args:
        phases: whose checks will run, such as `final`.
    """
    found: dict[tuple[str, str], Finding] = {}
    for placed in runbook.all_checks() if runbook else ():
        spec = placed.check.api
        if spec is None or api is None or placed.phase not in phases:
            continue
        try:
            await api.check_ready(spec)
        except AgentError as error:
            one = Finding(
                code=error.code,
                severity=placed.check.severity,
                message=error.message,
                hint=error.hint,
                where={"field": dotted(placed.path)},
            )
            found.setdefault((one.code, one.message), one)
    return list(found.values())


async def reload(session: Session, runbook: Runbook | None) -> None:
    """After COMMIT, tell PostgREST that the schema has changed, where checks will ask it.

    Supabase has an event trigger that does so too; a second notification does no harm.
    """
    if any(placed.check.needs_commit for placed in (runbook.all_checks() if runbook else ())):
        await session.run(files.load("checks/reload_api"))
