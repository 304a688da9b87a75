"""What `deploy-agent salvage` prints, for people and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from agent.cli.ui import Ui
from agent.core.salvage import Applied, Salvage, SalvagedTable, Settlement, Wishes
from tests.cli.conftest import Cli
from tests.cli.scripted import RECORD
from tests.support.stories import START

Golden = Callable[[str, str], None]

NOTES = SalvagedTable(
    table="public.notes", rows=1204, application=1200, unclear=4, deletes_unknown=True, columns=("id", "body")
)
SALVAGE = Salvage(
    id="20260301T021500Z-4f1a",
    project="tracks-posts",
    deploy_id=RECORD.deploy_id,
    backup_id=RECORD.id,
    at=START,
    tables=(NOTES, NOTES.model_copy(update={"table": "public.likes", "rows": 3, "application": 3, "unclear": 0})),
    location=f"{RECORD.location}/salvage-20260301T021500Z-4f1a",
    until="812:812:",
)
ROWS: dict[str, list[dict[str, str | None]]] = {
    "public.notes": [{"": "a", "id": "7", "body": "x" * 80}, {"": "u", "id": "8", "body": None}]
}


@dataclass
class ScriptedSalvages:
    """Answers as `agent.cli._service.Salvages` must."""

    applied: Sequence[Applied] = ()
    asked: list[Wishes] = field(default_factory=list)

    async def all(self) -> list[Salvage]:
        return [SALVAGE, SALVAGE.model_copy(update={"id": "20260201T0000Z-0001", "settled": Settlement.APPLIED})]

    async def waiting(self) -> set[str]:
        return {RECORD.id}

    async def show(self, name: str, *, rows: int = 0) -> tuple[Salvage, dict[str, list[dict[str, str | None]]]]:
        assert SALVAGE.id.startswith(name)
        return SALVAGE, ROWS if rows else {}

    async def apply(self, name: str, wishes: Wishes) -> tuple[Salvage, Sequence[Applied]]:
        self.asked.append(wishes)
        left = any(one.left_over for one in self.applied) or wishes.dry_run
        return SALVAGE.model_copy(update={} if left else {"settled": Settlement.APPLIED}), self.applied

    async def dismiss(self, name: str) -> Salvage:
        return SALVAGE.model_copy(update={"settled": Settlement.DISMISSED})


@pytest.fixture
def salvages(cli: Cli) -> ScriptedSalvages:
    cli.agent.salvages = ScriptedSalvages()
    return cli.agent.salvages


def test_list(cli: Cli, golden: Golden, salvages: ScriptedSalvages) -> None:
    golden("salvage-list", cli.run("salvage", "list").stdout)
    found = json.loads(cli.run("salvage", "list", "--json").stdout)["salvages"]
    assert [one["settled"] for one in found] == ["open", "applied"]


def test_list_of_none(cli: Cli) -> None:
    assert cli.run("salvage", "list").stdout == "No salvage.\n"
    assert json.loads(cli.run("salvage", "list", "--json").stdout) == {"salvages": []}


@pytest.mark.parametrize(("more", "rows"), [([], "1,203 rows"), (["--unclear"], "1,207 rows")])
def test_apply_asks_about_the_rows_that_it_will_try(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, salvages: ScriptedSalvages, more: list[str], rows: str
) -> None:
    questions: list[str] = []
    monkeypatch.setattr(Ui, "confirm", lambda _ui, question, *, yes: questions.append(question))
    cli.run("salvage", "apply", "2026", *more)
    assert questions == [f"Put up to {rows} back into 2 tables?"]


def test_show(cli: Cli, golden: Golden, salvages: ScriptedSalvages) -> None:
    golden("salvage-show", cli.run("salvage", "show", "20260301", "--rows", "2").stdout)
    shown = json.loads(cli.run("salvage", "show", "20260301", "--rows", "2", "--json").stdout)
    assert shown["rows"] == ROWS
    assert shown["salvage"]["tables"][0]["deletes_unknown"] is True


def test_apply_says_what_is_left_over(cli: Cli, golden: Golden, salvages: ScriptedSalvages) -> None:
    salvages.applied = [
        Applied(table="public.notes", inserted=1190, there=2, differs=8, left=4, left_out=("tag",)),
        Applied(table="public.likes", refused=3, reasons=('violates foreign key constraint "likes_note_id_fkey"',)),
    ]
    result = cli.run("salvage", "apply", "2026", "--yes")
    golden("salvage-apply", result.stdout)
    document = json.loads(cli.run("salvage", "apply", "2026", "--yes", "--json", "--unclear").stdout)
    assert [one["left_over"] for one in document["applied"]] == [12, 3]
    assert salvages.asked == [Wishes(), Wishes(unclear=True)]


def test_apply_needs_a_yes_unless_it_is_only_tried(cli: Cli, salvages: ScriptedSalvages) -> None:
    assert cli.run("salvage", "apply", "2026").exit_code != 0
    assert salvages.asked == []
    result = cli.run("salvage", "apply", "2026", "--dry-run", "--overwrite")
    assert "Nothing was changed." in result.stdout
    assert salvages.asked == [Wishes(overwrite=True, dry_run=True)]


def test_all_applied_and_dismissed(cli: Cli, salvages: ScriptedSalvages) -> None:
    salvages.applied = [Applied(table="public.notes", inserted=1204), Applied(table="public.likes", inserted=3)]
    assert "All of it is in the database." in cli.run("salvage", "apply", "2026", "--yes").stdout
    assert "dismissed" in cli.run("salvage", "dismiss", "2026").stdout


def test_prune_says_what_stays_for_a_salvage(cli: Cli, salvages: ScriptedSalvages) -> None:
    assert RECORD.id in cli.run("backup", "prune").stderr
    assert json.loads(cli.run("backup", "prune", "--json").stdout)["kept_for_salvage"] == [RECORD.id]
