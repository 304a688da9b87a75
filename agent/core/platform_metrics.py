"""The platform's metrics against the runbook's limits. Pure.

A limit is judged by samples one after the other: one that keeps to it is enough to pass, and only so many beyond it in
a row, as the limit says, fail. A sample that does not say anything about it is neither.

Names of metrics: github.com/supabase/supabase-grafana, docs/metrics.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from agent.core.models import Model, Verdict
from agent.core.runbook_platform import Limit

KEPT = (
    "pg_stat_database_num_backends",
    "max_connections_connection_count",
    "node_load1",
    "node_cpu_seconds_total",
    "node_memory_MemAvailable_bytes",
    "node_filesystem_avail_bytes",
    "node_filesystem_size_bytes",
    "pg_database_size_bytes",
    "pg_ls_archive_statusdir_wal_pending_count",
    "replication_slots_max_lag_bytes",
)
"""What is kept as evidence beside the metrics that have a limit: connections, CPU, memory, disk, WAL."""

_MOST_UNKNOWN = 3


class Reading(Model):
    """One series at one moment."""

    name: str
    labels: dict[str, str]
    value: float


class Sample(Model):
    """What the platform's metrics said at one moment; no value that is no number."""

    at: datetime
    readings: tuple[Reading, ...]


def names_for(limits: Iterable[Limit]) -> frozenset[str]:
    """The metrics to read."""
    return frozenset(KEPT).union(limit.name for limit in limits)


def fitting(limit: Limit, sample: Sample) -> list[Reading]:
    """The series that the limit is about."""
    wanted = limit.labels.items()
    return [one for one in sample.readings if one.name == limit.name and wanted <= one.labels.items()]


def values_of(limit: Limit, now: Sample, last: Sample | None) -> list[float] | None:
    """The numbers that must keep to the limit; None: this sample does not tell.

    Args:
        last: the sample before, for what is counted per second. A counter that was set back tells nothing.
    """
    found = fitting(limit, now)
    values: list[float] = []
    if limit.per_second:
        seconds = (now.at - last.at).total_seconds() if last else 0.0
        before = {_key(one): one.value for one in fitting(limit, last)} if last else {}
        grown = [(one.value, before.get(_key(one))) for one in found]
        values = [(new - old) / seconds for new, old in grown if old is not None and new >= old and seconds > 0]
    else:
        values = [one.value for one in found]
    if not found or len(values) < len(found):
        return None
    if limit.of == "each":
        return values
    return [math.fsum(values) / (len(values) if limit.of == "average" else 1)]


@dataclass(kw_only=True)
class Tracker:
    """One limit over several samples. `verdict`: None until it is known; `observed`: what was seen last, in words."""

    limit: Limit
    observed: str = ""
    verdict: Verdict | None = None
    _beyond: int = field(default=0, repr=False)
    _unknown: int = field(default=0, repr=False)

    @property
    def beyond(self) -> bool:
        """Whether the last sample that told was beyond the limit."""
        return self._beyond > 0

    def look(self, now: Sample | str, last: Sample | None) -> None:
        """Take a sample into account, or the reason why there is none. What has failed stays so."""
        if self.verdict is Verdict.FAILED:
            return
        values = None if isinstance(now, str) else values_of(self.limit, now, last)
        if values is None:
            self._not_told(now, last)
            return
        self._unknown = 0
        worst = _worst(self.limit, values)
        if worst is None:
            self._beyond = 0
            self.verdict, self.observed = Verdict.PASSED, _shown(values)
            return
        self._beyond += 1
        enough = self._beyond >= self.limit.samples
        self.verdict = Verdict.FAILED if enough else None
        times = f" in {self._beyond} samples one after the other" if self.limit.samples > 1 else ""
        self.observed = f"{worst:g}{times}"

    def _not_told(self, now: Sample | str, last: Sample | None) -> None:
        if isinstance(now, str):
            why = now
        elif not fitting(self.limit, now):
            why = f"the platform has no series {self.limit.subject}"
        elif last is None:
            return  # the first of two samples
        else:
            why = f"{self.limit.subject} cannot be told from the last two samples"
        self._unknown += 1
        if self._unknown >= _MOST_UNKNOWN:
            self.verdict, self.observed = Verdict.ERRORED, f"not checked: {why}"

    def again(self) -> None:
        """Another time of looking begins; what is beyond the limit in a row goes on counting."""
        if self.verdict is not Verdict.FAILED:
            self.verdict = None


def ranges(samples: Sequence[Sample]) -> list[tuple[Reading, float, float]]:
    """The last reading of each series, with its least and its most over all samples."""
    seen: dict[tuple[str, frozenset[tuple[str, str]]], tuple[Reading, float, float]] = {}
    for sample in samples:
        for one in sample.readings:
            _, low, high = seen.get(_key(one), (one, one.value, one.value))
            seen[_key(one)] = (one, min(low, one.value), max(high, one.value))
    return list(seen.values())


def _key(one: Reading) -> tuple[str, frozenset[tuple[str, str]]]:
    return one.name, frozenset(one.labels.items())


def _worst(limit: Limit, values: Sequence[float]) -> float | None:
    """The value that is farthest beyond the limit, or None."""
    high, low = max(values), min(values)
    if limit.max is not None and high > limit.max:
        return high
    return low if limit.min is not None and low < limit.min else None


def _shown(values: Sequence[float]) -> str:
    low, high = min(values), max(values)
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"
