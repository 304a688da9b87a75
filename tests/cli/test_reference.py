"""docs/cli.md and docs/errors.md say what the program says."""

from __future__ import annotations

import os
from pathlib import Path

from tests.cli.reference import reference

ROOT = Path(__file__).parents[2]


def test_the_reference_is_in_step():
    path = ROOT / "docs" / "cli.md"
    text = reference()
    if os.environ.get("UPDATE_GOLDENS"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
