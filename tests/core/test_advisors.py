"""Which findings of the advisors a deploy brought, and which of them count."""

from __future__ import annotations

import pytest

from agent.core.advisors import Found, introduced, judge_advisors, names_of
from agent.core.models import Severity, Verdict
from agent.core.platform import Lint
from agent.core.runbook_platform import Advisors, PlatformMetrics
from tests.support.advisors import lint


def found(*lints: Lint) -> Found:
    return Found(route="v1", lints=lints)


OLD = lint("rls_disabled_in_public", "old", "ERROR")


@pytest.mark.parametrize(
    ("level", "found_level", "counts"),
    [
        ("ERROR", "ERROR", True),
        ("ERROR", "WARN", False),
        ("WARN", "WARN", True),
        ("WARN", "INFO", False),
        ("INFO", "INFO", True),
        ("ERROR", "FATAL", True),  # a level that nobody has seen is not taken for a harmless one
    ],
)
def test_from_the_level_on_a_new_finding_counts(level: str, found_level: str, counts: bool) -> None:
    wanted = Advisors(level=level)
    new = introduced(wanted, found(OLD), found(OLD, lint("no_primary_key", "logs", found_level)))
    assert [(one.lint.cache_key, one.counts) for one in new] == [("no_primary_key_public_logs", counts)]
    judged = judge_advisors(wanted, found(OLD), new)
    assert judged.verdict is (Verdict.FAILED if counts else Verdict.PASSED)


def test_what_was_there_before_is_nobodys_fault_unless_it_is_worse_now() -> None:
    wanted = Advisors(level="WARN")
    assert introduced(wanted, found(OLD), found(OLD)) == []
    assert introduced(wanted, found(OLD), found()) == []
    worse = introduced(wanted, found(lint("x", "t", "INFO")), found(lint("x", "t", "ERROR")))
    assert [one.counts for one in worse] == [True]
    assert introduced(wanted, found(lint("x", "t", "ERROR")), found(lint("x", "t", "WARN"))) == []


def test_an_index_cannot_have_been_used_yet() -> None:
    assert introduced(Advisors(level="INFO"), found(), found(lint("unused_index", "idx", "INFO"))) == []


@pytest.mark.parametrize(
    ("allow", "counting"),
    [
        ({"name": "no_primary_key"}, ["rls_disabled_in_public_public_c"]),
        ({"cache_key": "no_primary_key_public_a"}, ["no_primary_key_public_b", "rls_disabled_in_public_public_c"]),
        (
            {"name": "no_primary"},
            ["no_primary_key_public_a", "no_primary_key_public_b", "rls_disabled_in_public_public_c"],
        ),
    ],
)
def test_what_is_allowed_is_told_and_does_not_count(allow: dict[str, str], counting: list[str]) -> None:
    wanted = Advisors.model_validate({"allow": [{**allow, "reason": "known"}]})
    after = found(*(lint(name, table, "ERROR") for name, table in (
        ("no_primary_key", "a"), ("no_primary_key", "b"), ("rls_disabled_in_public", "c"))))  # fmt: skip
    new = introduced(wanted, found(), after)
    assert sorted(one.lint.cache_key for one in new if one.counts) == counting
    assert len(new) == 3
    assert all(one.allowed and one.allowed.reason == "known" for one in new if not one.counts)


def test_the_worst_come_first_and_many_are_cut_short() -> None:
    wanted = Advisors(level="INFO")
    after = found(*(lint("no_primary_key", f"t{n}", "INFO") for n in range(8)), lint("x", "bad", "ERROR"))
    judged = judge_advisors(wanted, found(), introduced(wanted, found(), after))
    assert judged.observed.startswith("ERROR x: ")
    assert judged.observed.endswith("; and 4 more")
    assert judged.expected == "no new finding of level INFO or above"


def test_a_cut_short_answer_of_the_platform_is_known_as_such() -> None:
    assert found(OLD).unavailable == ""
    assert found(OLD, lint("advisor_check_unavailable", "t", "INFO")).unavailable == "about t"


def test_the_lints_of_a_type() -> None:
    assert "no_primary_key" in names_of(("performance",))
    assert "rls_disabled_in_public" not in names_of(("performance",))


@pytest.mark.parametrize("section", [Advisors, PlatformMetrics])
def test_runbook_or_settings_may_want_an_answer(section: type[Advisors | PlatformMetrics]) -> None:
    assert section().severity_if_not_checked(required=False) is Severity.WARNING
    assert section().severity_if_not_checked(required=True) is Severity.ERROR
    assert section(if_not_checked="fail").severity_if_not_checked(required=False) is Severity.ERROR
