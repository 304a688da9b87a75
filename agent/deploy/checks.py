"""The checks of a runbook, run against the target; its snapshot queries and its metrics.

Each check runs in a transaction of its own (a savepoint where one is open) that is rolled back whatever it did, so
that nothing of it stays: no row, no setting, no role. Queries are held read-only besides. A check that cannot run is
`errored`, never passed; a connection that is lost ends the checks with its error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agent.core.checks import Check
from agent.core.expect import Judgement, jsonable
from agent.core.expressions import plain
from agent.core.models import CheckResult, EventKind, NewEvent, Severity, Verdict
from agent.core.queries import one_statement
from agent.core.runbook import Metric, SnapshotQuery, Volumes
from agent.deploy.api_checks import ApiProbe
from agent.deploy.check_kinds import CannotRun, HttpProbe, Look, MustWait, fetch, look, scalar, undone
from agent.deploy.emitter import Emit
from agent.errors import InputError, StatementError
from agent.ports import Clock, Row, Session

__all__ = ["HttpProbe", "check_event", "collect_metrics", "measure_volume", "read_values", "run_checks"]


_VALUE_TIMEOUT_S = 60.0
_QUERY_CANCELED = "57014"


async def run_checks(
    session: Session,
    checks: Sequence[Check],
    *,
    phase: str,
    before: Mapping[str, Any],
    clock: Clock,
    http: HttpProbe | None,
    api: ApiProbe | None = None,
    emit: Emit,
    snapshot: Sequence[SnapshotQuery] = (),
    may_wait: bool = False,
) -> list[CheckResult]:
    """Run checks, one after the other, and emit a CHECK event for each.

    Args:
        session: outside a transaction, or inside one, which is left as it was.
        checks: all of them run, whatever the verdicts.
        phase: `preflight`, `migration:<version>`, `final`; goes into the results.
        before: the snapshot's values, by name.
        clock: for the duration.
        http: for http checks; without it they are errored.
        api: for api checks; without it they are errored.
        emit: receives the events.
        snapshot: the queries behind `after.<name>`.
        may_wait: leave a check without a result, with a LOG event, if it can be judged only after COMMIT; the caller
            runs it again then. Otherwise it is errored.

    Raises:
        TargetError: `target.connection_lost`: the verdicts that are missing are not known.
    """
    uncommitted = await session.in_transaction()
    results = []
    for check in checks:
        began = clock.now()
        try:
            judgement = await _judgement(
                Look(
                    session=session,
                    check=check,
                    before=before,
                    snapshot=snapshot,
                    http=http,
                    api=api,
                    clock=clock,
                    uncommitted=uncommitted,
                )
            )
        except MustWait as reason:
            if may_wait:
                emit(NewEvent(kind=EventKind.LOG, message=f"{check.title} waits for COMMIT: {reason}", at=clock.now()))
                continue
            judgement = _errored(str(reason))
        result = CheckResult(
            id=check.id,
            title=check.title,
            phase=phase,
            verdict=judgement.verdict,
            severity=check.severity,
            expected=judgement.expected,
            observed=judgement.observed,
            hint=check.hint,
            seconds=(clock.now() - began).total_seconds(),
        )
        results.append(result)
        emit(check_event(result, clock))
    return results


async def read_values(session: Session, queries: Sequence[SnapshotQuery]) -> dict[str, Any]:
    """The values of snapshot queries, by name, in a form that survives JSON; samples as lists of rows.

    Raises:
        InputError: `runbook.snapshot_failed`: a query fails, or returns something else than one value.
        TargetError: the connection is lost.
    """
    values: dict[str, Any] = {}
    for query in queries:
        try:
            async with undone(session, timeout_s=_VALUE_TIMEOUT_S):
                values[query.name] = await _value(session, query)
        except (StatementError, CannotRun) as error:
            raise InputError(
                f"the snapshot query {query.name} of the runbook failed: {error}",
                code="runbook.snapshot_failed",
                hint="Correct its SQL in the runbook; it runs before the migrations.",
                where={"field": f"snapshot.{query.name}"},
            ) from error
    return values


async def measure_volume(session: Session, volumes: Volumes) -> tuple[str, float]:
    """How big the database is: the name of the range ("" if none fits) and the number.

    Raises:
        InputError: `runbook.volume_failed`: the query fails, or returns something else than one number.
        TargetError: the connection is lost.
    """
    try:
        number = await scalar(session, SnapshotQuery(name="volumes", sql=volumes.measure))
    except (StatementError, CannotRun) as error:
        raise _no_volume(str(error)) from error
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise _no_volume(f"it returns {number!r}, not a number")
    return volumes.name_of(number), float(number)


def _no_volume(reason: str) -> InputError:
    return InputError(
        f"the query volumes.measure of the runbook failed: {reason}",
        code="runbook.volume_failed",
        hint="Correct its SQL in the runbook; it returns one number.",
        where={"field": "volumes.measure"},
    )


async def _value(session: Session, query: SnapshotQuery) -> Any:  # noqa: ANN401 - whatever the column holds
    if query.rows is None:
        return await scalar(session, query)
    return [jsonable(row) for row in (await fetch(session, one_statement(query.sql)))[: query.rows]]


async def collect_metrics(
    session: Session, metrics: Sequence[Metric], *, emit: Emit, clock: Clock
) -> list[tuple[str, dict[str, str], float]]:
    """Name, labels and value of every row of every metric.

    A metric that cannot be read is left out, with a LOG event of severity warning.

    Raises:
        TargetError: the connection is lost.
    """
    samples: list[tuple[str, dict[str, str], float]] = []
    for metric in metrics:
        try:
            async with undone(session, timeout_s=_VALUE_TIMEOUT_S):
                rows = await fetch(session, one_statement(metric.sql))
            samples += [_sample(metric, row) for row in rows]
        except (StatementError, CannotRun) as error:
            message = f"the metric {metric.name} cannot be read: {error}"
            emit(NewEvent(kind=EventKind.LOG, message=message, at=clock.now(), severity=Severity.WARNING))
    return samples


def _sample(metric: Metric, row: Row) -> tuple[str, dict[str, str], float]:
    """One row of a metric.

    Raises:
        CannotRun: a column is missing, or its value is no number.
    """
    left = [column for column in row if column not in metric.labels]
    column = metric.value or (left[0] if len(left) == 1 else "")
    missing = [name for name in (*metric.labels, column) if name not in row]
    if missing:
        raise CannotRun(f"the query returns {', '.join(row)}; name the number with value, and each label with labels")
    try:
        number = float(plain(row[column]))
    except (TypeError, ValueError) as error:
        raise CannotRun(f"{column} is no number: {row[column]!r}") from error
    return metric.name, {label: "" if row[label] is None else str(row[label]) for label in metric.labels}, number


async def _judgement(at: Look) -> Judgement:
    try:
        return await look(at)
    except StatementError as error:
        if error.sqlstate == _QUERY_CANCELED and error.code != "target.cancelled":
            return _errored(f"it took longer than {at.check.timeout:g} s")
        return _errored(f"{error.message} (SQLSTATE {error.sqlstate})")
    except (CannotRun, ValueError) as error:
        return _errored(str(error))


def _errored(reason: str) -> Judgement:
    return Judgement(Verdict.ERRORED, "the check can run", reason)


def check_event(result: CheckResult, clock: Clock) -> NewEvent:
    """What is told of a check that has run."""
    passed = result.verdict is Verdict.PASSED
    told = "" if passed else f": expected {result.expected}; observed {result.observed}"
    return NewEvent(
        kind=EventKind.CHECK,
        message=f"{result.title} {result.verdict}{told}",
        at=clock.now(),
        severity=Severity.INFO if passed else result.severity,
        data=result.model_dump(mode="json"),
    )
