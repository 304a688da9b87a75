"""What must hold between the parts of a runbook: ids, versions, volumes, SQL, expressions, parameters."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from agent.core.checks import Check, RlsCheck
from agent.core.expect import expressions_of
from agent.core.expectation import Expect, Parameter
from agent.core.queries import SqlError, check_query, check_script, check_statement, used_names
from agent.core.runbook import Durations, Metric, Runbook, Script
from agent.core.yaml_text import Path


class Slip(NamedTuple):
    """One thing that is wrong: where in the YAML, and for SQL which character of which text."""

    path: Path
    code: str
    message: str
    hint: str = ""
    text: str = ""
    offset: int = 0


def slips_of(runbook: Runbook) -> Iterator[Slip]:
    """Everything that is wrong between the parts.

    Codes: `runbook.duplicate_id`, `runbook.unknown_check_id`, `runbook.unknown_version`, `runbook.unknown_volume`,
    `runbook.bad_sql`, `runbook.bad_expression`, `runbook.unknown_snapshot`, `runbook.unknown_param`.
    """
    yield from _ids(runbook)
    yield from _references(runbook)
    yield from _volumes(runbook)
    yield from _sql(runbook)
    samples = {query.name for query in runbook.snapshot if query.rows}
    values = {query.name for query in runbook.snapshot} - samples
    for _, path, check in runbook.all_checks():
        yield from _check_sql(check, path)
        yield from _expressions(check, path, values)


def _ids(runbook: Runbook) -> Iterator[Slip]:
    seen: set[str] = set()
    for path, name in runbook.check_ids():
        if name in seen:
            hint = "Give one of them another id, or another title."
            yield Slip(path, "runbook.duplicate_id", f"another check has the id {name!r} too", hint)
        seen.add(name)
    for key, names in (
        ("snapshot", [query.name for query in runbook.snapshot]),
        ("migrations", [migration.version for migration in runbook.migrations]),
    ):
        for index, name in enumerate(names):
            if name in names[:index]:
                yield Slip(
                    (key, index), "runbook.duplicate_id", f"{name} is there twice", "Join the two, or rename one."
                )


def _references(runbook: Runbook) -> Iterator[Slip]:
    ids = [name for _, name in runbook.check_ids()]
    versions = [migration.version for migration in runbook.migrations]
    for key in ("checklist", "success_criteria"):
        for index, proof in enumerate(getattr(runbook, key)):
            yield from _known(proof.checks, ids, (key, index, "checks"), "runbook.unknown_check_id", "check")
    for index, trouble in enumerate(runbook.troubleshooting):
        if trouble.when:
            path = ("troubleshooting", index, "when")
            yield from _known(trouble.when.check, ids, (*path, "check"), "runbook.unknown_check_id", "check")
            yield from _known(
                trouble.when.version,
                versions,
                (*path, "version"),
                "runbook.unknown_version",
                "entry under migrations for",
            )


def _known(names: Collection[str], known: Collection[str], path: Path, code: str, what: str) -> Iterator[Slip]:
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(known) or 'none'}."
            yield Slip(path, code, f"there is no {what} {name!r}", hint)


def _volumes(runbook: Runbook) -> Iterator[Slip]:
    known = list(runbook.volumes.ranges) if runbook.volumes else []
    places: list[tuple[Path, Durations]] = [(("expected",), runbook.expected)]
    places += [(("migrations", index, "expected"), each.expected) for index, each in enumerate(runbook.migrations)]
    for path, expected in places:
        names = [name for name in expected if name != "any"]
        yield from _known(names, known, path, "runbook.unknown_volume", "range under volumes named")


def _sql(runbook: Runbook) -> Iterator[Slip]:
    if runbook.volumes:
        yield from _query(runbook.volumes.measure, ("volumes", "measure"))
    for index, query in enumerate(runbook.snapshot):
        yield from _query(query.sql, ("snapshot", index, "sql"))
    for index, migration in enumerate(runbook.migrations):
        for number, monitor in enumerate(migration.monitors):
            yield from _query(monitor.sql, ("migrations", index, "monitors", number, "sql"))
        yield from _script(migration.rollback, ("migrations", index, "rollback"))
    for index, metric in enumerate(runbook.metrics):
        yield from _query(metric.sql, ("metrics", index, "sql"))
        yield from _same_metric(metric, runbook.metrics[:index], ("metrics", index))
    yield from _script(runbook.rollback.complete, ("rollback", "complete"))
    yield from _script(runbook.rollback.partial, ("rollback", "partial"))


def _same_metric(metric: Metric, others: Collection[Metric], path: Path) -> Iterator[Slip]:
    """Several queries may fill one metric, if they agree on its labels and help, as Prometheus wants it."""
    for other in others:
        if other.name == metric.name and (other.labels, other.help) != (metric.labels, metric.help):
            message = f"{metric.name} is there twice, with other labels or another help"
            yield Slip(
                path, "runbook.duplicate_id", message, "Give one of them another name, or the same labels and help."
            )


def _script(script: Script | None, path: Path) -> Iterator[Slip]:
    if script and script.sql is not None:
        try:
            check_script(script.sql)
        except SqlError as error:
            yield _bad_sql(error, script.sql, (*path, "sql"))


def _check_sql(check: Check, path: Path) -> Iterator[Slip]:
    if check.sql is not None:
        yield from _query(check.sql, (*path, "sql"), check.params)
        yield from _parameters(check.params, (*path, "params"), used_in=(check.sql,))
    elif check.performance:
        spec = check.performance
        yield from _statement(spec.sql, (*path, "performance", "sql"), spec.params)
        yield from _parameters(spec.params, (*path, "performance", "params"), used_in=(spec.sql,))
    elif check.rls:
        yield from _rls_sql(check.rls, (*path, "rls"))


def _rls_sql(spec: RlsCheck, path: Path) -> Iterator[Slip]:
    texts = (*spec.setup, *spec.sees, *spec.does_not_see, *spec.may, *spec.may_not)
    for key in ("sees", "does_not_see"):
        for index, text in enumerate(getattr(spec, key)):
            yield from _query(text, (*path, key, index), spec.params)
    for key in ("setup", "may", "may_not"):
        for index, text in enumerate(getattr(spec, key)):
            yield from _statement(text, (*path, key, index), spec.params)
    yield from _parameters(spec.params, (*path, "params"), used_in=texts, also=(spec.user or "").removeprefix(":"))
    if spec.user and spec.user.startswith(":"):
        yield from _known(
            (spec.user[1:],), spec.params, (*path, "user"), "runbook.unknown_param", "entry in params for"
        )


def _parameters(
    params: Mapping[str, Parameter], path: Path, *, used_in: Collection[str], also: str = ""
) -> Iterator[Slip]:
    used = {also}.union(*(used_names(text, params) for text in used_in))
    for name, parameter in params.items():
        yield from _query(parameter.sql, (*path, name, "sql"))
        if name not in used:
            hint = f"Write :{name} where the value belongs, outside quotes."
            yield Slip((*path, name), "runbook.unknown_param", f"the parameter {name} is not used", hint)


def _query(sql: str, path: Path, names: Collection[str] = ()) -> Iterator[Slip]:
    try:
        check_query(sql, names)
    except SqlError as error:
        yield _bad_sql(error, sql, path)


def _statement(sql: str, path: Path, names: Collection[str]) -> Iterator[Slip]:
    try:
        check_statement(sql, names)
    except SqlError as error:
        yield _bad_sql(error, sql, path)


def _bad_sql(error: SqlError, sql: str, path: Path) -> Slip:
    line = sql[: error.offset].count("\n") + 1
    near = " ".join(sql[error.offset :].split())[:40]
    hint = f"Look at line {line} of the SQL, near {near!r}." if near else "Look at the end of the SQL."
    return Slip(path, "runbook.bad_sql", str(error), hint, sql, error.offset)


def _expressions(check: Check, path: Path, snapshot: Collection[str]) -> Iterator[Slip]:
    if check.expect is not None:
        yield from _expressions_in(check.expect, (*path, "expect"), snapshot)
    for index, call in enumerate(check.api.calls if check.api else ()):
        yield from _expressions_in(call.expect, (*path, "api", "calls", index, "expect"), snapshot)


def _expressions_in(expect: Expect, path: Path, snapshot: Collection[str]) -> Iterator[Slip]:
    try:
        expressions = expressions_of(expect)
    except ValueError as error:
        yield Slip(path, "runbook.bad_expression", str(error), "docs/runbook.md lists what expressions have.")
        return
    for expression in expressions:
        names = [name.partition(".")[2] for name in expression.names if "." in name]
        yield from _known(names, snapshot, path, "runbook.unknown_snapshot", "value under snapshot named")
