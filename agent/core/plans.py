"""EXPLAIN (FORMAT JSON) against what a performance check wants. Pure.

The node types and keys are PostgreSQL's: documentation, "Using EXPLAIN", and src/backend/commands/explain.c.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from agent.core.checks import PerformanceCheck
from agent.core.expect import Judgement
from agent.core.models import Verdict

Plan = Mapping[str, Any]


class Scan(NamedTuple):
    """A table read from start to end, and how many rows were looked at."""

    table: str
    rows: float


class Shape(NamedTuple):
    """What a plan reads: the indexes it uses, and the tables it scans."""

    indexes: frozenset[str]
    scans: tuple[Scan, ...]


def read_plan(answer: Any) -> tuple[float, Shape]:  # noqa: ANN401 - the JSON as the driver gives it
    """Execution time in milliseconds (0 without ANALYZE) and shape, from the one value that EXPLAIN returns.

    Raises:
        ValueError: it is not the JSON of EXPLAIN.
    """
    try:
        [whole] = answer
        nodes = list(_nodes(whole["Plan"]))
        milliseconds = float(whole.get("Execution Time", 0.0))
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise ValueError("the server's answer is not the JSON of EXPLAIN") from error
    indexes = frozenset(str(node["Index Name"]) for node in nodes if "Index Name" in node)
    scans = tuple(
        Scan(str(node["Relation Name"]), _rows_read(node))
        for node in nodes
        if node.get("Node Type") == "Seq Scan" and "Relation Name" in node
    )
    return milliseconds, Shape(indexes, scans)


def _nodes(plan: Plan) -> Iterator[Plan]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def _rows_read(node: Plan) -> float:
    loops = float(node.get("Actual Loops", 1))
    seen = float(node.get("Actual Rows", node.get("Plan Rows", 0)))
    return (seen + float(node.get("Rows Removed by Filter", 0))) * max(loops, 1.0)


def shape_slips(spec: PerformanceCheck, shape: Shape) -> list[str]:
    """What is not as wanted in the plan, in words; nothing if all is."""
    wanted = spec.uses_index if isinstance(spec.uses_index, list) else []
    slips = [f"index {name} is not used" for name in wanted if _bare(name) not in shape.indexes]
    if spec.uses_index is True and not shape.indexes:
        slips.append("no index is used")
    if spec.uses_index is False and shape.indexes:
        slips.append(f"an index is used: {', '.join(sorted(shape.indexes))}")
    forbidden = {_bare(name) for name in spec.no_seq_scan_on or ()}
    slips += [
        f"sequential scan of {scan.table} ({scan.rows:.0f} rows)" for scan in shape.scans if scan.table in forbidden
    ]
    return slips


def is_small(spec: PerformanceCheck, shape: Shape) -> bool:
    """Whether every sequential scan of the plan reads so few rows that it is the right plan, index or not."""
    return bool(shape.scans) and all(scan.rows <= spec.small_table_rows for scan in shape.scans)


def judge_plan(
    spec: PerformanceCheck, milliseconds: Sequence[float], slips: Sequence[str], *, note: str = ""
) -> Judgement:
    """Time and shape together.

    Args:
        spec: what is wanted.
        milliseconds: the execution time of each run that counts.
        slips: from `shape_slips`.
        note: what else to tell.
    """
    median = statistics.median(milliseconds)
    wanted = []
    if spec.max_ms is not None:
        wanted.append(f"at most {spec.max_ms:g} ms (median of {spec.runs})")
    if spec.uses_index is not None:
        names = ", ".join(spec.uses_index) if isinstance(spec.uses_index, list) else "an index"
        wanted.append(f"without {names}" if spec.uses_index is False else f"uses {names}")
    if spec.no_seq_scan_on:
        wanted.append(f"no sequential scan of {', '.join(spec.no_seq_scan_on)}")
    slow = spec.max_ms is not None and median > spec.max_ms
    told = [f"{median:.3g} ms" if median < 100 else f"{median:.0f} ms", *slips, *([note] if note else [])]
    return Judgement(Verdict.FAILED if slow or slips else Verdict.PASSED, "; ".join(wanted), "; ".join(told))


def _bare(name: str) -> str:
    return name.rpartition(".")[2]
