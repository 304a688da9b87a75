"""docs/cli.md and docs/errors.md say what the program says."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path

from agent.edges import store_engine
from tests.cli.reference import reference

ROOT = Path(__file__).parents[2]
FAMILIES = (
    "advisors|agent|api|auth|backup|busy|check|delivery|demo|deploy|doctor|engine|health|http|input|migrate|notfound|plan|"
    "platform|platform_metrics|preflight|rehearsal|"
    "restore|rollback|runbook|salvage|serve|settings|state|store|target|tool|wait"
)
CODE = re.compile(rf"(?:{FAMILIES})\.[a-z][a-z0-9_]*")
# Texts of the same shape that are something else: a file, a logger, a setting's or a table's name.
NO_CODES = {
    "agent.db",
    "agent.lock",
    "agent.serve",
    "agent.web",
    "api.anon_key",
    "api.service_key",
    "api.url",
    "auth.schema_migrations",
    "backup.target",
    "deploy.yaml",
    "doctor.json",
    "doctor.probe",
    "engine.db",
    "platform.base_url",
    "platform.ca_file",
    "platform.proxy",
    "platform.ref",
    "settings.json",
    "store.json",
}


def test_the_reference_is_in_step():
    path = ROOT / "docs" / "cli.md"
    text = reference()
    if os.environ.get("UPDATE_GOLDENS"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def field_names(node: ast.Dict) -> list[ast.expr]:
    """The values of `{"field": …}`: names of settings, which look like codes."""
    pairs = zip(node.keys, node.values, strict=True)
    return [value for key, value in pairs if isinstance(key, ast.Constant) and key.value == "field"]


def codes() -> Iterator[str]:
    """Every code that the program can show."""
    for path in sorted((ROOT / "agent").rglob("*.py")):
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        fields = {id(value) for node in nodes if isinstance(node, ast.Dict) for value in field_names(node)}
        for node in nodes:
            text = node.value if isinstance(node, ast.Constant) and id(node) not in fields else None
            if isinstance(text, str) and CODE.fullmatch(text):
                yield text
            if (
                path.name.endswith("preflight.py")
                and isinstance(node, ast.Call)
                and getattr(node.func, "id", "") == "_finding"
            ):
                for part in ast.walk(node.args[0]):
                    # The name, or both names of a choice; not what the choice is made by.
                    if isinstance(part, ast.Constant) and isinstance(part.value, str):
                        yield f"preflight.{part.value}"
    for cases in (store_engine._SQLITE_CASES, store_engine._POSTGRES_CASES):
        yield from (f"store.{name}" for name, _, _ in cases.values())
    yield f"store.{store_engine._REFUSED[0]}"
    yield from ("store.failed", "check.failed", "check.errored")
    yield from (f"doctor.{name}" for name in ("migrations", "runbook", "platform", "database", "tools", "backups"))
    yield from (f"settings.notify_{name}" for name in ("kind", "url", "secret"))
    yield from (f"settings.http_{name}" for name in ("host", "port"))


def test_every_code_is_documented_and_no_other():
    text = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    documented = re.findall(r"^\| `([a-z0-9_.]+)` \|", text, flags=re.MULTILINE)
    assert len(documented) == len(set(documented)), "a code is documented twice"
    used = {code for code in codes() if code not in NO_CODES and not code.endswith("_")}
    assert used - set(documented) == set(), "not in docs/errors.md"
    assert set(documented) - used == set(), "in docs/errors.md, but no longer in the program"


def test_the_codes_are_in_order():
    text = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    for section in text.split("\n## ")[1:]:
        found = re.findall(r"^\| `([a-z0-9_.]+)` \|", section, flags=re.MULTILINE)
        assert found == sorted(found)
