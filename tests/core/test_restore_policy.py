"""May the agent restore by itself: policy, verdict, what an approval covers, and the estimate."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.backups import Manifest
from agent.core.models import Answer, Approval, Event, EventKind, Proposal
from agent.core.restore_policy import (
    Policy,
    approval_words,
    covers,
    describe,
    estimate_seconds,
    judge,
    strictest,
    tried_rungs,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PROPOSAL = Proposal(rung=4, backup_id="b", tables=("public.a",), rows_salvaged=3, rows_lost=2, seconds=60.0)
PLATFORM = PROPOSAL.model_copy(
    update={"rung": 5, "tables": (), "lost_unknown": True, "way": "let the platform go back to noon"}
)
UNKNOWN = PROPOSAL.model_copy(update={"lost_unknown": True})

policies = st.builds(
    Policy,
    restore=st.sampled_from(["auto", "approve", "hold"]),
    platform_restore=st.sampled_from(["auto", "approve", "hold"]),
    max_rows_lost=st.none() | st.integers(0, 4),
    max_downtime=st.none() | st.sampled_from([0.0, 59.0, 60.0, 61.0]),
)
proposals = st.builds(
    Proposal,
    rung=st.sampled_from([3, 4, 5]),
    backup_id=st.just("b"),
    tables=st.lists(st.sampled_from("abc"), unique=True, max_size=3).map(tuple),
    rows_lost=st.integers(0, 4),
    lost_unknown=st.booleans(),
    seconds=st.sampled_from([0.0, 60.0]),
)
RANK = {"go": 0, "ask": 1, "hold": 2}


@pytest.mark.parametrize(
    ("proposal", "policy", "verdict", "reason"),
    [
        (PROPOSAL, Policy(), "go", ""),
        (UNKNOWN, Policy(), "go", ""),
        (PROPOSAL, Policy(max_rows_lost=2, max_downtime=60), "go", ""),
        (PROPOSAL, Policy(max_rows_lost=1), "ask", "2 rows would be lost, max_rows_lost is 1"),
        (UNKNOWN, Policy(max_rows_lost=1), "ask", "2 rows would be lost, max_rows_lost is 1"),
        (UNKNOWN, Policy(max_rows_lost=2), "ask", "how much would be lost is not known, max_rows_lost is 2"),
        (PROPOSAL, Policy(max_downtime=59), "ask", "it would take about 1 min, max_downtime is 59 s"),
        (PROPOSAL, Policy(restore="approve"), "ask", "restore is set to approve"),
        (PLATFORM, Policy(), "hold", "platform_restore is set to hold"),
        (PLATFORM, Policy(platform_restore="approve"), "ask", "platform_restore is set to approve"),
        (PLATFORM, Policy(platform_restore="auto"), "go", ""),
        (PLATFORM, Policy(restore="hold", platform_restore="auto"), "hold", "restore is set to hold"),
        (PLATFORM, Policy(restore="approve", platform_restore="auto"), "ask", "restore is set to approve"),
        (
            PLATFORM,
            Policy(platform_restore="auto", max_rows_lost=2),
            "ask",
            "how much would be lost is not known, max_rows_lost is 2",
        ),
        (
            PROPOSAL,
            Policy(restore="approve", max_rows_lost=0),
            "ask",
            "restore is set to approve; 2 rows would be lost, max_rows_lost is 0",
        ),
        (PROPOSAL, Policy(restore="hold"), "hold", "restore is set to hold"),
    ],
)
def test_the_verdict(proposal: Proposal, policy: Policy, verdict: str, reason: str) -> None:
    assert judge(proposal, policy) == (verdict, reason)


@pytest.mark.parametrize(("rung", "tried", "goes"), [(4, {3}, True), (3, {4}, False), (4, {4}, False), (3, {1}, True)])
def test_the_ladder_is_climbed_upwards_and_no_rung_twice(rung: int, tried: set[int], *, goes: bool) -> None:
    judgement = judge(PROPOSAL.model_copy(update={"rung": rung}), Policy(), tried=tried)
    assert judgement.verdict == ("go" if goes else "hold")
    assert goes or f"rung {max(tried)} has been tried already" in judgement.reason


@given(proposals, policies, policies)
def test_the_stricter_policy_counts(proposal: Proposal, one: Policy, other: Policy) -> None:
    both = judge(proposal, strictest(one, other)).verdict
    assert RANK[both] == max(RANK[judge(proposal, each).verdict] for each in (one, other))
    assert strictest(one, other) == strictest(other, one)


@given(proposals, proposals, policies)
def test_what_is_covered_is_allowed_wherever_what_was_asked_is(asked: Proposal, now: Proposal, policy: Policy) -> None:
    if covers(asked, now, policy):
        without_time = policy.model_copy(update={"max_downtime": None})  # an estimate may waver
        assert RANK[judge(now, without_time).verdict] <= RANK[judge(asked, without_time).verdict]
    assert covers(asked, asked, policy)


@pytest.mark.parametrize(
    ("change", "covered"),
    [
        ({"rows_salvaged": 99, "seconds": 99.0, "undone": ("x",)}, True),
        ({"tables": ()}, True),
        ({"rows_lost": 1}, True),
        ({"tables": ("public.a", "public.b")}, False),
        ({"rows_lost": 3}, False),
        ({"rung": 3}, False),
        ({"backup_id": "other"}, False),
    ],
)
def test_what_an_approval_covers(change: dict[str, object], *, covered: bool) -> None:
    assert covers(PROPOSAL, PROPOSAL.model_copy(update=change), Policy()) is covered


def test_deletes_meanwhile_are_a_new_question_only_where_losses_are_limited() -> None:
    assert covers(PROPOSAL, UNKNOWN, Policy())
    assert not covers(PROPOSAL, UNKNOWN, Policy(max_rows_lost=9))
    assert covers(UNKNOWN, PROPOSAL, Policy(max_rows_lost=9))


def test_a_rung_that_was_cut_off_has_not_been_tried() -> None:
    def event(seq: int, kind: EventKind, **data: object) -> Event:
        return Event(deploy_id="d", seq=seq, kind=kind, message="m", at=NOW, data=data)

    events = [
        event(1, EventKind.PROPOSAL, rung=4),
        event(2, EventKind.RUNG, rung=1, ok=False),
        event(3, EventKind.RUNG, rung=3, ok=True),
    ]
    assert tried_rungs(events) == {1}


def test_the_words() -> None:
    assert describe(UNKNOWN.model_copy(update={"undone": tuple(f"table t{n} is new" for n in range(7))})) == (
        "rung 4, the in-place restore, would take about 1 min, keep 3 rows in a salvage file, lose 2 rows "
        "(deletes by the application since the backup cannot be known), reload 1 table (public.a), and undo "
        "table t0 is new; table t1 is new; table t2 is new; table t3 is new; table t4 is new; 2 more"
    )
    asked = Approval(number=1, proposal=PROPOSAL, reason="because", asked_at=NOW)
    assert approval_words(asked) == f"waiting for approval: {describe(PROPOSAL)} (because)"
    given = {"answer": Answer.REJECTED, "answered_at": NOW, "answered_by": "nina", "remark": "not now"}
    assert approval_words(asked.model_copy(update=given)) == "the restore (rung 4) was rejected by nina: not now"


def manifest(*, dump_seconds: float, seconds: float) -> Manifest:
    return Manifest(
        id="b",
        project="p",
        target="t",
        created_at=NOW,
        finished_at=NOW + timedelta(seconds=seconds),
        agent_version="0",
        tool_version="17",
        server_version="17",
        lsn="0/0",
        snapshot_id="s",
        schemas=(),
        all_schemas=(),
        dump_seconds=dump_seconds,
        files=(),
    )


def test_the_estimate_follows_the_backups_own_rate() -> None:
    sizes = {"a": 900, "b": 100}
    slow, fast = manifest(dump_seconds=100, seconds=300), manifest(dump_seconds=10, seconds=300)
    whole = estimate_seconds(slow, sizes)
    assert whole == estimate_seconds(slow, sizes, {"a", "b"}) > estimate_seconds(slow, sizes, {"a"})
    nothing = estimate_seconds(slow, sizes, ())
    assert whole - nothing == pytest.approx(10 * (estimate_seconds(slow, sizes, {"b"}) - nothing))
    assert whole - nothing == pytest.approx(10 * (estimate_seconds(fast, sizes) - nothing))


def test_the_estimate_of_an_older_backup_and_of_empty_tables() -> None:
    older = manifest(dump_seconds=0, seconds=100)
    assert estimate_seconds(older, {"a": 1}) == estimate_seconds(manifest(dump_seconds=100, seconds=1), {"a": 1})
    assert estimate_seconds(older, {"a": 0}, {"a"}) == estimate_seconds(older, {})
    assert estimate_seconds(older, {"a": 0}, ()) < estimate_seconds(older, {})
