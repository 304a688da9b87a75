"""Awkward schemas, damaged by a deploy that fails after something has committed: each comes back exactly."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.core.models import EventKind
from tests.restore.cases import RUNGS, Case, prepare, read_case, told, undo

CORPUS = sorted((Path(__file__).parent / "corpus").glob("*.sql"))


def parameters() -> list[object]:
    """Each case with each rung; what is known not to hold must fail, with the reason beside it."""
    found = []
    for path in CORPUS:
        case = read_case(path)
        for rung in RUNGS:
            reason = case.defect(rung)
            marks = [pytest.mark.xfail(reason=reason, strict=True)] if reason else []
            found.append(pytest.param(case, rung, id=f"{case.name}-rung{rung}", marks=marks))
    return found


@pytest.mark.parametrize(("case", "rung"), parameters())
async def test_the_database_is_as_it_was(case: Case, rung: int, database, tmp_path: Path) -> None:
    prepare(case, database)
    outcome, differences = await undo(case, database, tmp_path, rung=rung)
    assert differences == case.losses(rung), "\n".join([told(outcome), *differences])
    assert len([event for event in outcome.of(EventKind.LOG) if " is gone: " in event.message]) == len(differences)
    assert outcome.state == "restored", told(outcome)
    assert outcome.of(EventKind.RUNG)[-1].data["rung"] == rung, told(outcome)


def test_each_case_says_why_it_is_there() -> None:
    assert len(CORPUS) >= 36
    assert all(case.header["Why"] and case.header["Wild"] for case in map(read_case, CORPUS))
