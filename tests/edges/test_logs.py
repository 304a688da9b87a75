"""docs/logs.md names every line that the agent's own code logs, with its level and its fields."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from agent.core.platform import Call

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "logs.md"
LEVELS = {"debug", "info", "warning", "error", "exception"}
LOGGERS = {"_log", "logging.getLogger('agent')"}
REPORTS = {"report", "_report"}  # a message and its fields, into the log as info
TELLS = "_tell"  # of settings that are read again; what asks for somebody is a warning, see agent/cli/ui.py
Line = tuple[str, str, frozenset[str]]


def logged() -> set[Line]:
    """Every call in `agent/` that logs: the message, the level, the fields."""
    return {
        found
        for path in sorted((ROOT / "agent").rglob("*.py"))
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for found in _of(function)
    }


def _of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Line]:
    dicts = {
        target.id: node.value
        for node in ast.walk(function)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict)
        for target in node.targets
        if isinstance(target, ast.Name)
    }

    def keys(value: ast.expr) -> Iterator[str]:
        if isinstance(value, ast.Name):
            value = dicts[value.id]
        if ast.unparse(value) == "call.model_dump()":
            yield from Call.model_fields
            return
        assert isinstance(value, ast.Dict), ast.unparse(value)
        for key, item in zip(value.keys, value.values, strict=True):
            if key is None:  # **more
                yield from keys(item)
            else:
                yield ast.literal_eval(key)

    for call in ast.walk(function):
        if not isinstance(call, ast.Call) or not call.args:
            continue
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        of_log = isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) in LOGGERS
        if of_log and name in LEVELS and isinstance(call.args[0], ast.Constant):
            extra = [one.value for one in call.keywords if one.arg == "extra"]
            level = "error" if name == "exception" else name
            yield call.args[0].value, level, frozenset(key for one in extra for key in keys(one))
        elif name in {*REPORTS, TELLS} and len(call.args) == 2 and isinstance(call.args[1], ast.Dict):
            fields = frozenset(keys(call.args[1]))
            level = "warning" if name == TELLS and ("code" in fields or not fields) else "info"
            yield ast.literal_eval(call.args[0]), level, fields


def documented() -> list[Line]:
    table = DOCUMENT.read_text(encoding="utf-8").partition("<!-- table")[2].partition("<!-- end -->")[0]
    found = re.findall(r"^\| `([^`]+)` \| (\w+) \| (.*)\|$", table, re.MULTILINE)
    return [(event, level, frozenset(re.findall(r"`(\w+)`", fields))) for event, level, fields in found]


def test_the_document_names_every_line_and_no_other():
    assert len(logged()) > 10
    assert set(documented()) == logged()


def test_the_table_is_sorted():
    events = [event for event, _, _ in documented()]
    assert events == sorted(events)
