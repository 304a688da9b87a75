"""docs/operations.md: every state, exit code and family of errors. Its alerts are in test_prometheus.py."""

from __future__ import annotations

import re

import pytest

from agent.cli import exits
from agent.core.states import EXIT_CODES, FINAL, State
from tests.docs.pages import ROOT, headings

HANDBOOK = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
ERRORS = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """What stands under a heading, up to the next of its level or above."""
    match = re.search(rf"^(#+) {re.escape(title)}\n(.*?)(?=^#{{1,2}} |\Z)", HANDBOOK, re.MULTILINE | re.DOTALL)
    assert match, f"no section {title}"
    return match[2] if match[1] == "##" else match[2].partition("\n### ")[0]


def rows(title: str) -> dict[str, list[str]]:
    """A section's table by its first column; no cell is empty."""
    table = [line.strip("| ").split(" | ") for line in section(title).splitlines() if line.startswith("|")][2:]
    assert all(len(cells) == 3 and all(cell.strip() for cell in cells) for cells in table)
    found = {cells[0].strip("`"): cells[1:] for cells in table}
    assert len(found) == len(table)
    return found


@pytest.mark.parametrize("state", sorted(FINAL))
def test_each_final_state_has_a_section(state: State):
    assert (3, state.value) in headings(HANDBOOK)
    assert len(section(state.value).split()) > 10
    assert f"[`{state.value}`](#{state.value})" in rows("Exit codes")[str(EXIT_CODES[state])][0]


def test_each_state_on_the_way_is_explained_in_its_order():
    assert list(rows("On the way")) == [state.value for state in State if state not in FINAL]


def test_each_exit_code_is_explained():
    assert list(rows("Exit codes")) == [str(code) for code, _ in exits.table()]


def test_each_family_of_errors_is_explained():
    families = {code.partition(".")[0] for code in re.findall(r"^\| `([a-z0-9_.]+)` \|", ERRORS, flags=re.MULTILINE)}
    assert list(rows("Errors by family")) == sorted(families)
