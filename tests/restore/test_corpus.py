"""Awkward schemas, damaged by a deploy that fails after something has committed: each comes back exactly."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.core.models import EventKind
from tests.restore.cases import RUNGS, Case, prepare, read_case, told, undo

CORPUS = sorted((Path(__file__).parent / "corpus").glob("*.sql"))

_GONE_TYPES = tuple(f'type "public.{name}" does not exist' for name in ("ltree", "earth"))  # with an extension of ours


@pytest.mark.parametrize("rung", RUNGS)
@pytest.mark.parametrize("case", [read_case(path) for path in CORPUS], ids=lambda case: case.name)
async def test_the_database_is_as_it_was(case: Case, rung: int, database, tmp_path: Path) -> None:
    prepare(case, database)
    outcome, differences = await undo(case, database, tmp_path, rung=rung)
    last = outcome.of(EventKind.RUNG)[-1].data
    assert last["rung"] == (4 if case.told else case.last_rung(rung)), told(outcome)
    if case.told:
        assert outcome.state == "needs_operator", told(outcome)
        assert last["differences"] == case.told
        return
    assert outcome.state == "restored", told(outcome)
    lost = case.losses(rung)
    assert len(differences) == len(lost), "\n".join([told(outcome), *differences])
    assert all(found.startswith(expected) for found, expected in zip(differences, lost, strict=True)), differences
    logs = [event.message for event in outcome.of(EventKind.LOG)]
    left = [line for line in logs if "could not be loaded ahead" in line]
    assert not [line for line in left if not line.endswith(_GONE_TYPES)]
    assert not [line for line in logs if "cannot be renamed back" in line]
    assert len([line for line in logs if " is gone: " in line or "point nowhere" in line]) == len(lost), logs


def test_each_case_says_why_it_is_there() -> None:
    assert len(CORPUS) >= 36
    assert all(case.header["Why"] and case.header["Wild"] for case in map(read_case, CORPUS))
