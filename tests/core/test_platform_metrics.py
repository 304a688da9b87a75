"""The platform's metrics against limits, sample by sample."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from agent.core.models import Verdict
from agent.core.platform_metrics import Reading, Sample, Tracker, ranges, values_of
from agent.core.runbook_platform import Limit
from agent.edges.exposition import read_sample
from agent.errors import PlatformError

START = datetime(2026, 11, 22, tzinfo=UTC)
REAL = """# HELP pg_stat_database_num_backends The number of active backends
# TYPE pg_stat_database_num_backends gauge
pg_stat_database_num_backends{supabase_project_ref="abcdefghijklmnopqrst",server="localhost:5432"} 12
# TYPE node_cpu_seconds_total counter
node_cpu_seconds_total{service_type="db",cpu="0",mode="idle"} 1.5e+06
node_cpu_seconds_total{service_type="db",cpu="1",mode="idle"} 2500000 1732200000000
node_cpu_seconds_total{service_type="db",cpu="0",mode="user"} 7
replication_slots_max_lag_bytes{server="localhost:5432"} NaN
something_else{a="b",a="b"} what
"""


def sample(seconds: float, *values: float, name: str = "x", label: str = "cpu") -> Sample:
    readings = [Reading(name=name, labels={label: str(n), "mode": "idle"}, value=v) for n, v in enumerate(values)]
    return Sample(at=START + timedelta(seconds=seconds), readings=tuple(readings))


def limit(**more: object) -> Limit:
    return Limit.model_validate({"name": "x", "max": 10} | more)


def test_the_text_format_is_read_for_the_names_that_are_wanted() -> None:
    names = {"pg_stat_database_num_backends", "node_cpu_seconds_total", "replication_slots_max_lag_bytes"}
    read = read_sample(REAL, names, at=START)
    assert [(one.name, one.labels.get("cpu"), one.value) for one in read.readings] == [
        ("pg_stat_database_num_backends", None, 12.0),
        ("node_cpu_seconds_total", "0", 1_500_000.0),
        ("node_cpu_seconds_total", "1", 2_500_000.0),
        ("node_cpu_seconds_total", "0", 7.0),
    ]


@pytest.mark.parametrize("text", ["", "<html>", "Service Unavailable", '{"x": 1}', "# TYPE x gauge\n"])
def test_what_holds_no_series_at_all_is_no_answer(text: str) -> None:
    with pytest.raises(PlatformError, match="no series") as caught:
        read_sample(text, {"x"}, at=START)
    assert caught.value.code == "platform.bad_answer"
    assert read_sample('y{z="1 2"} NaN\n', {"x"}, at=START).readings == ()


@pytest.mark.parametrize("line", ['x{a="1",a="2"} 3', "x{ 3", "x", "x three"])
def test_a_line_that_is_not_in_the_format_is_an_error(line: str) -> None:
    with pytest.raises(PlatformError, match="the series x is not") as caught:
        read_sample(f"y 1\n{line}\n", {"x"}, at=START)
    assert caught.value.code == "platform.bad_answer"


@pytest.mark.parametrize(
    ("wanted", "values"),
    [
        ({}, [4.0, 8.0]),
        ({"of": "sum"}, [12.0]),
        ({"of": "average"}, [6.0]),
        ({"labels": {"cpu": "1"}}, [8.0]),
        ({"labels": {"cpu": "7"}}, None),
        ({"per_second": True}, [0.1, 0.3]),
        ({"per_second": True, "of": "average"}, [0.2]),
    ],
)
def test_which_numbers_a_limit_is_about(wanted: dict[str, object], values: list[float] | None) -> None:
    found = values_of(limit(**wanted), sample(10, 4, 8), sample(0, 3, 5))
    assert found == (None if values is None else pytest.approx(values))


def test_a_counter_that_was_set_back_tells_nothing() -> None:
    assert values_of(limit(per_second=True), sample(10, 4, 2), sample(0, 3, 5)) is None
    assert values_of(limit(per_second=True), sample(10, 4), None) is None


def after(wanted: Limit, *samples: Sample | str) -> Tracker:
    tracker, last = Tracker(limit=wanted), None
    for one in samples:
        tracker.look(one, last)
        last = one if isinstance(one, Sample) else last
    return tracker


def test_one_good_sample_passes_and_only_so_many_bad_ones_in_a_row_fail() -> None:
    good, bad = sample(0, 9), sample(0, 11)
    assert after(limit(), good).verdict is Verdict.PASSED
    assert after(limit(), bad).verdict is Verdict.FAILED
    patient = limit(samples=3)
    assert after(patient, bad, bad).verdict is None
    assert after(patient, bad, bad, good).verdict is Verdict.PASSED
    failed = after(patient, bad, bad, good, bad, bad, bad)
    assert (failed.verdict, failed.observed) == (Verdict.FAILED, "11 in 3 samples one after the other")
    assert after(limit(), bad, good).verdict is Verdict.FAILED, "what has failed stays so"
    assert after(limit(min=5), sample(0, 3)).observed == "3"


def test_what_nobody_can_tell_is_errored_in_the_end_and_never_passed() -> None:
    assert after(limit(), "no answer", "no answer").verdict is None
    assert after(limit(), "no answer", "no answer", "no answer").observed == "not checked: no answer"
    missing = after(limit(name="y"), *[sample(0, 1)] * 3)
    assert (missing.verdict, missing.observed) == (Verdict.ERRORED, "not checked: the platform has no series y")
    assert after(limit(), "no answer", "no answer", sample(0, 1), "no answer").verdict is Verdict.PASSED


def test_a_limit_in_words() -> None:
    one = limit(
        name="node_cpu_seconds_total", labels={"mode": "idle"}, per_second=True, of="average", min=0.05, max=None
    )
    assert one.title == "the average of node_cpu_seconds_total{mode=idle} per second is at least 0.05"
    assert limit(min=1).bounds == "at least 1 and at most 10"


def test_least_and_most_of_all_samples() -> None:
    (found,) = ranges([sample(0, 4), sample(1, 2), sample(2, 9), sample(3, 5)])
    assert (found[0].value, found[1], found[2]) == (5.0, 2.0, 9.0)
