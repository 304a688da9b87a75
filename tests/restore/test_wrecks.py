"""The corpus, damaged at random: what is called restored is as it was, and what is not is told.

`RESTORE_WRECKS=7,8,9` damages each schema of the corpus in three ways, one for each number; CI one schema.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from agent.core.models import EventKind
from tests.restore.cases import FAILS, RUNGS, Case, prepare, read_case, told, undo
from tests.restore.test_corpus import CORPUS
from tests.restore.wrecks import wreck

SEEDS = [int(seed) for seed in os.environ.get("RESTORE_WRECKS", "").split(",") if seed]
_TOLD_IN_THE_LOG = ("06_", "42_", "44_")  # rows that name by OID, in no backup, and indexes that were invalid
_OTHERS = ("39_", "40_")  # preflight refuses to touch what belongs to others
_REFUSED = ("restore.dependents",)  # names what is in no backup and would go along
_SUPERUSERS = ("22_",)  # what only a superuser makes is gone: the restore fails whole
_CASES = [read_case(path) for path in CORPUS if not path.stem.startswith((*_TOLD_IN_THE_LOG, *_OTHERS))]


@pytest.mark.parametrize("rung", RUNGS)
@pytest.mark.parametrize("seed", SEEDS or [1])
@pytest.mark.parametrize("case", _CASES if SEEDS else _CASES[:1], ids=lambda case: case.name)
async def test_what_is_called_restored_is_as_it_was(case: Case, seed: int, rung: int, database, tmp_path: Path) -> None:
    prepare(case, database)
    migrations = (*wreck(database.url, seed=seed, files=3, each=6), FAILS)
    damaged = replace(case, migrations=migrations, strategy="per_migration")
    outcome, differences = await undo(damaged, database, tmp_path, rung=rung)
    said = "\n".join([told(outcome), *differences, damaged.text()])
    if outcome.state == "needs_operator":
        failure = outcome.of(EventKind.FAILURE)[-1].data
        assert failure["hint"], said
        refused = failure["code"] in _REFUSED or case.name.startswith(_SUPERUSERS)
        assert refused or outcome.of(EventKind.RUNG)[-1].data["differences"], said
        return
    assert outcome.state in {"restored", "rolled_back"}, said
    assert not differences, said
