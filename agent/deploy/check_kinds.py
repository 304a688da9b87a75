"""How each kind of check looks at the target. The verdicts themselves are made in `core`."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol

from agent import sql as files
from agent.core import structure
from agent.core.answers import judge_answer
from agent.core.checks import Check, HttpAnswer, HttpCheck, PerformanceCheck, RlsCheck
from agent.core.expect import ROW_LIMIT, Judgement, expressions_of, jsonable, judge, show
from agent.core.expectation import Expect, Parameter
from agent.core.expressions import used
from agent.core.models import Verdict
from agent.core.plans import Shape, is_small, judge_plan, read_plan, shape_slips
from agent.core.queries import bind, one_statement, used_names
from agent.core.runbook import SnapshotQuery
from agent.deploy.api_checks import ApiProbe, ApiTrial
from agent.errors import AgentError, StatementError
from agent.ports import Clock, Row, Session

Values = Mapping[str, Any]

_REFUSED = "42501"  # insufficient_privilege: no grant, or a policy's WITH CHECK


class HttpProbe(Protocol):
    """Sends the request of an http check."""

    async def send(self, request: HttpCheck, *, timeout_s: float) -> HttpAnswer:
        """The answer, whatever its status.

        Raises:
            AgentError: there is none; codes `http.…`.
        """
        ...


class CannotRun(Exception):  # noqa: N818 - an outcome, not a fault
    """A check cannot be run, and why."""


class MustWait(Exception):  # noqa: N818 - an outcome, not a fault
    """A check can only be judged after COMMIT, and why."""


class _Undo(Exception):  # noqa: N818 - it rolls a transaction back
    """Ends a transaction that must leave nothing."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """One check, and what it looks at."""

    session: Session
    check: Check
    before: Values
    snapshot: Sequence[SnapshotQuery]
    http: HttpProbe | None
    api: ApiProbe | None
    clock: Clock
    uncommitted: bool


@asynccontextmanager
async def undone(session: Session, *, timeout_s: float, read_only: bool = True) -> AsyncIterator[None]:
    """A transaction, or a savepoint where one is open, that is always rolled back.

    Args:
        timeout_s: the longest one statement may take.
        read_only: the server refuses writes, also to sequences, which a rollback does not take back.
    """
    with suppress(_Undo):
        async with session.transaction():
            await session.rows(files.load("checks/guard"), {"timeout_ms": max(1, round(timeout_s * 1000))})
            if read_only:
                await session.run(files.load("checks/read_only"))
            yield
            raise _Undo


async def fetch(session: Session, query: str, params: Values | None = None, *, one: bool = False) -> list[Row]:
    """The first rows of a query (without semicolon): up to `ROW_LIMIT` and one more, or one. Once a transaction."""
    await session.run(files.load("checks/declare") + query, params)
    return await session.rows(session.bind(files.load("checks/fetch"), {"rows": 1 if one else ROW_LIMIT + 1}))


async def look(at: Look) -> Judgement:
    """Run the check.

    Raises:
        CannotRun, StatementError: it is errored.
        MustWait: it can be judged only after COMMIT.
        TargetError: the connection is lost.
    """
    return await _KINDS[at.check.kind](at)


async def _sql(at: Look) -> Judgement:
    check = at.check
    assert check.sql is not None and check.expect is not None  # noqa: S101, PT018 - its kind
    async with undone(at.session, timeout_s=check.timeout):
        known = await _known(at, check.expect)
        values = await _parameters(at, check.params)
        rows = await fetch(at.session, bind(one_statement(check.sql), check.params), values or None)
    return judge(check.expect, rows[:ROW_LIMIT], known=known, more=len(rows) > ROW_LIMIT)


async def _known(at: Look, expect: Expect) -> dict[str, Any]:
    """The snapshot's values that the expressions use: those from before, and those of now."""
    expressions = expressions_of(expect)
    known = {f"before.{name}": at.before[name] for name in used(expressions, "before") if name in at.before}
    wanted = used(expressions, "after")
    for query in at.snapshot:
        if query.name in wanted:
            known[f"after.{query.name}"] = await scalar(at.session, query)
    return known


async def scalar(session: Session, query: SnapshotQuery) -> Any:  # noqa: ANN401 - whatever the column holds
    """The one value of a snapshot query, in a form that survives JSON.

    Raises:
        CannotRun: it returns more or less than one value.
    """
    async with undone(session, timeout_s=60):
        rows = await fetch(session, one_statement(query.sql))
    if len(rows) != 1 or len(rows[0]) != 1:
        shape = f"{len(rows)} rows" if len(rows) != 1 else f"{len(rows[0])} columns"
        raise CannotRun(f"the snapshot query {query.name} must return one value, and returns {shape}")
    return jsonable(next(iter(rows[0].values())))


async def _parameters(at: Look, params: Mapping[str, Parameter]) -> dict[str, Any]:
    values = {}
    for name, parameter in params.items():
        async with undone(at.session, timeout_s=at.check.timeout):
            rows = await fetch(at.session, one_statement(parameter.sql), one=True)
        if not rows:
            raise CannotRun(f"the query for :{name} returns no row; let it fall back to some value with coalesce")
        values[name] = next(iter(rows[0].values()))
    return values


async def _catalog(at: Look, name: str, qualified_name: str, **params: Any) -> list[Row]:  # noqa: ANN401 - query parameters
    schema, plain_name = structure.qualified(qualified_name)
    async with undone(at.session, timeout_s=at.check.timeout):
        return await at.session.rows(files.load(f"checks/{name}"), {"schema": schema, "name": plain_name, **params})


async def _table(at: Look) -> Judgement:
    spec = at.check.table
    assert spec is not None  # noqa: S101 - its kind
    rows = await _catalog(at, "table", spec.name)
    count = None
    if rows and spec.exists and spec.rows is not None:
        async with undone(at.session, timeout_s=at.check.timeout):
            names = {"table": structure.qualified(spec.name)}
            count = int(await at.session.value(files.load("checks/count"), names=names))
    return structure.table(spec, rows, count)


async def _column(at: Look) -> Judgement:
    spec = at.check.column
    assert spec is not None  # noqa: S101 - its kind
    return structure.column(spec, await _catalog(at, "columns", spec.table, type=spec.type))


async def _index(at: Look) -> Judgement:
    spec = at.check.index
    assert spec is not None  # noqa: S101 - its kind
    schema = structure.qualified(spec.name if spec.name and "." in spec.name else spec.table or spec.name or "")[0]
    name = structure.qualified(spec.name)[1] if spec.name else None
    table = structure.qualified(spec.table)[1] if spec.table else None
    async with undone(at.session, timeout_s=at.check.timeout):
        params = {"schema": schema, "name": name, "table": table}
        return structure.index(spec, await at.session.rows(files.load("checks/indexes"), params))


async def _constraint(at: Look) -> Judgement:
    spec = at.check.constraint
    assert spec is not None  # noqa: S101 - its kind
    return structure.constraint(spec, await _catalog(at, "constraints", spec.table))


async def _foreign_key(at: Look) -> Judgement:
    spec = at.check.foreign_key
    assert spec is not None  # noqa: S101 - its kind
    return structure.foreign_key(spec, await _catalog(at, "constraints", spec.table))


async def _trigger(at: Look) -> Judgement:
    spec = at.check.trigger
    assert spec is not None  # noqa: S101 - its kind
    return structure.trigger(spec, await _catalog(at, "triggers", spec.table))


async def _function(at: Look) -> Judgement:
    spec = at.check.function
    assert spec is not None  # noqa: S101 - its kind
    args = None if spec.args is None else [part.strip() for part in spec.args.split(",") if part.strip()]
    return structure.function(spec, await _catalog(at, "functions", spec.name, args=args))


async def _policy(at: Look) -> Judgement:
    spec = at.check.policy
    assert spec is not None  # noqa: S101 - its kind
    tables = await _catalog(at, "table", spec.table)
    return structure.policy(spec, tables, await _catalog(at, "policies", spec.table))


async def _http(at: Look) -> Judgement:
    spec = at.check.http
    assert spec is not None  # noqa: S101 - its kind
    if at.uncommitted:
        raise MustWait("an API sees only what is committed")
    if at.http is None:
        raise CannotRun("http checks are not set up here")
    try:
        return judge_answer(spec, await at.http.send(spec, timeout_s=at.check.timeout))
    except AgentError as error:
        raise CannotRun(error.message) from error


async def _api(at: Look) -> Judgement:
    spec = at.check.api
    assert spec is not None  # noqa: S101 - its kind
    if at.uncommitted:
        raise MustWait("an API sees only what is committed")
    if at.api is None:
        raise CannotRun("api checks are not set up here")
    try:
        async with at.api.opened(spec, timeout_s=at.check.timeout) as client:
            return await ApiTrial(
                spec=spec,
                client=client,
                session=at.session,
                clock=at.clock,
                known=lambda expect: _known(at, expect),
                transaction=lambda: undone(at.session, timeout_s=at.check.timeout),
            ).run()
    except AgentError as error:
        if not error.code.startswith("api."):
            raise
        raise CannotRun(error.message) from error


async def _performance(at: Look) -> Judgement:
    spec = at.check.performance
    assert spec is not None  # noqa: S101 - its kind
    async with undone(at.session, timeout_s=at.check.timeout):
        values = await _parameters(at, spec.params) or None
    statement = bind(one_statement(spec.sql), spec.params)
    times: list[float] = []
    shape = Shape(frozenset(), ())
    for run in range(spec.runs + 1 if spec.max_ms is not None else 1):
        milliseconds, shape = await _explain(at, "checks/explain_analyze", statement, values)
        if run or spec.max_ms is None:
            times.append(milliseconds)
    slips, note = shape_slips(spec, shape), ""
    if slips and is_small(spec, shape):
        _, forced = await _explain(at, "checks/explain", statement, values, no_seq_scan=True)
        if not shape_slips(spec, forced):
            slips, note = [], "the table is small, so it is read whole; the index can be used"
    if slips and at.uncommitted:
        await _refuse_unusable(at, spec, shape)
    return judge_plan(spec, times, slips, note=note)


async def _explain(
    at: Look, file: str, statement: str, values: Values | None, *, no_seq_scan: bool = False
) -> tuple[float, Shape]:
    async with undone(at.session, timeout_s=at.check.timeout, read_only=False):
        if no_seq_scan:
            await at.session.run(files.load("checks/no_seq_scan"))
        answer = await at.session.value(files.load(file) + statement, values)
    return read_plan(answer)


async def _refuse_unusable(at: Look, spec: PerformanceCheck, shape: Shape) -> None:
    """An index built in this transaction may be passed over until COMMIT: then the plan says nothing."""
    named = spec.uses_index if isinstance(spec.uses_index, list) else []
    params = {
        "indexes": [name.rpartition(".")[2] for name in named],
        "tables": [scan.table for scan in shape.scans],
    }
    rows = await at.session.rows(files.load("checks/unusable_indexes"), params)
    if rows:
        names = ", ".join(row["name"] for row in rows)
        raise MustWait(
            f"{names} can be used only after COMMIT, for rows that it covers were updated in this transaction"
        )


async def _rls(at: Look) -> Judgement:
    spec = at.check.rls
    assert spec is not None  # noqa: S101 - its kind
    trial = _Trial(at, spec)
    async with undone(at.session, timeout_s=at.check.timeout, read_only=False):
        trial.values = await _parameters(at, spec.params)
        for text in spec.setup:
            await at.session.run(*trial.bound(text))
        for text in spec.does_not_see:
            trial.hidden.append(await trial.returns_row(text, as_role=False))
        for text in spec.sees:
            seen = await trial.returns_row(text, as_role=True)
            trial.add(f"sees {show(text)}", "" if seen else "sees no row" if seen is False else "is refused")
        for text, exists in zip(spec.does_not_see, trial.hidden, strict=True):
            await trial.does_not_see(text, exists=exists)
        for text in spec.may:
            touched, told = await trial.touches(text)
            trial.add(f"may {show(text)}", "" if touched else told)
        for text in spec.may_not:
            touched, told = await trial.touches(text)
            trial.add(f"may not {show(text)}", told if touched else "")
    return trial.judgement()


class _Trial:
    """What a role sees and may do: each try in a savepoint of its own, with that role and its claims."""

    def __init__(self, at: Look, spec: RlsCheck) -> None:
        self.session = at.session
        self.timeout_s = at.check.timeout
        self.spec = spec
        self.values: dict[str, Any] = {}
        self.hidden: list[bool | None] = []
        self.wanted: list[str] = []
        self.wrong: list[tuple[str, str]] = []
        self.notes: list[str] = []

    def add(self, wanted: str, wrong: str) -> None:
        """One thing that is wanted; `wrong` says what was seen instead, or nothing."""
        self.wanted.append(wanted)
        if wrong:
            self.wrong.append((wanted, wrong))

    def judgement(self) -> Judgement:
        """All tries together; of a failed check only the tries that went wrong."""
        wanted = dict.fromkeys(wanted for wanted, _ in self.wrong) or self.wanted
        expected = f"{self.spec.role} {', '.join(wanted)}"
        if len(self.wrong) == 1:
            return Judgement(Verdict.FAILED, expected, self.wrong[0][1])
        if self.wrong:
            return Judgement(Verdict.FAILED, expected, "; ".join(f"{wanted}: {seen}" for wanted, seen in self.wrong))
        return Judgement(Verdict.PASSED, expected, "; ".join(["it is so", *self.notes]))

    def bound(self, text: str) -> tuple[str, Values | None]:
        """The statement and the values that it uses."""
        names = used_names(text, self.spec.params)
        return bind(one_statement(text), names), {name: self.values[name] for name in names} or None

    async def returns_row(self, text: str, *, as_role: bool) -> bool | None:
        """Whether a query returns a row; None: it is refused."""
        statement, values = self.bound(text)
        try:
            async with undone(self.session, timeout_s=self.timeout_s):
                await self._become(as_role=as_role)
                return bool(await fetch(self.session, statement, values, one=True))
        except StatementError as error:
            if as_role and error.sqlstate == _REFUSED:
                return None
            raise

    async def does_not_see(self, text: str, *, exists: bool | None) -> None:
        """One query that must show nothing; `exists`: whether there is something to hide."""
        wanted = f"does not see {show(text)}"
        self.add(wanted, "sees a row" if await self.returns_row(text, as_role=True) else "")
        if not exists and self.spec.must_exist:
            self.wrong.append((wanted, "there is nothing to hide, so this proves nothing"))
        elif not exists:
            self.notes.append("there was nothing to hide")

    async def touches(self, text: str) -> tuple[bool, str]:
        """Whether a statement is let through and touches a row, and what happened."""
        statement, values = self.bound(text)
        try:
            async with undone(self.session, timeout_s=self.timeout_s, read_only=False):
                await self._become(as_role=True)
                tag = await self.session.run(statement, values)
        except StatementError as error:
            if error.sqlstate == _REFUSED:
                return False, f"is refused: {error.message}"
            if error.sqlstate.startswith("23"):
                raise CannotRun(
                    f"{show(text)} was stopped by a constraint, not by a policy: {error.message}"
                ) from error
            raise
        rows = int(tag.rpartition(" ")[2]) if tag.rpartition(" ")[2].isdigit() else 0
        return rows > 0, f"touches {rows} row{'' if rows == 1 else 's'}"

    async def _become(self, *, as_role: bool) -> None:
        """Take the claims, and the role unless the deploying role is to look with them."""
        user = self.spec.user or ""
        user = str(self.values[user[1:]]) if user.startswith(":") else user
        claims = {"role": self.spec.role, **({"sub": user} if user else {}), **self.spec.claims}
        params = {"claims": json.dumps(claims), "user": user, "role": self.spec.role}
        try:
            await self.session.rows(files.load("checks/act_as"), params)
            if as_role:
                await self.session.run(files.load("checks/role"), names={"role": self.spec.role})
        except StatementError as error:
            raise CannotRun(f"cannot act as {self.spec.role}: {error.message}") from error


_KINDS: Mapping[str, Callable[[Look], Awaitable[Judgement]]] = {
    "sql": _sql,
    "table": _table,
    "column": _column,
    "index": _index,
    "constraint": _constraint,
    "foreign_key": _foreign_key,
    "trigger": _trigger,
    "function": _function,
    "policy": _policy,
    "rls": _rls,
    "performance": _performance,
    "http": _http,
    "api": _api,
}
