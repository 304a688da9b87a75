"""The reference part of docs/runbook.md, made from the JSON Schema of the runbook."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agent.core.runbook_io import json_schema

BEGIN = "<!-- made from the models by `python -m tests.support.generated`; do not edit below -->"
_ORDER = (
    "Runbook", "Proof", "Volumes", "Stage", "SnapshotQuery", "MigrationRunbook", "Monitor", "Script", "Check", "Expect",
    "Parameter", "TableCheck", "ColumnCheck", "IndexCheck", "ConstraintCheck", "ForeignKeyCheck", "TriggerCheck",
    "FunctionCheck", "PolicyCheck", "RlsCheck", "PerformanceCheck", "HttpCheck", "JsonExpect",
    "ApiCheck", "ApiUser", "SecretPlace", "ApiRead", "ApiRefused", "ApiCall", "ApiFile", "Advisors", "Allowed",
    "PlatformMetrics", "Limit", "Soak",    "Metric", "Rollback", "OnFailure", "Trouble", "When", "ManualTest",
)  # fmt: skip
_TITLES = {
    "Runbook": "The runbook", "Proof": "An item of checklist or success_criteria", "Volumes": "volumes",
    "Stage": "preflight", "SnapshotQuery": "An item of snapshot", "MigrationRunbook": "An item of migrations",
    "Monitor": "An item of monitors", "Script": "A rollback script", "Check": "A check", "Expect": "expect",
    "Parameter": "A value of params", "JsonExpect": "An item of json", "Metric": "An item of metrics",
    "ApiUser": "A user of as", "SecretPlace": "A secret", "ApiRead": "An item of reads",
    "ApiRefused": "An item of refused", "ApiCall": "An item of calls", "ApiFile": "An item of files",
    "Advisors": "advisors", "Allowed": "An item of allow",
    "PlatformMetrics": "platform_metrics", "Limit": "An item of limits", "Soak": "soak",
    "Rollback": "rollback", "OnFailure": "on_failure", "Trouble": "An item of troubleshooting", "When": "when",
    "ManualTest": "An item of manual_tests", "ForeignKeyCheck": "foreign_key",
}  # fmt: skip
_SEVERITY = "`error`, `warning`, `info`"


def reference() -> str:
    """Markdown: one table of keys for each kind of entry."""
    schema = json_schema()
    models = {"Runbook": schema, **schema["$defs"]}
    missing = set(models) - set(_ORDER) - {"Severity", "Range", "Span"}
    if missing:
        raise ValueError(f"the reference has no place for {', '.join(sorted(missing))}")
    return "\n".join(line for name in _ORDER for line in _section(name, models[name]))


def with_reference(document: str) -> str:
    """The document with its part below `BEGIN` made anew."""
    head, _, _ = document.partition(BEGIN)
    return f"{head}{BEGIN}\n\n{reference()}"


def _title(name: str) -> str:
    return _TITLES.get(name) or name.removesuffix("Check").lower()


def _section(name: str, schema: dict[str, Any]) -> Iterator[str]:
    yield f"### {_title(name)}"
    yield ""
    yield _description(schema)
    yield ""
    yield "| key | takes | meaning |"
    yield "| --- | --- | --- |"
    for key, entry in schema["properties"].items():
        required = "**required** " if key in schema.get("required", ()) else ""
        meaning = (_description(entry) or _description(_referred(entry))).replace("|", "\\|")
        yield f"| `{key}` | {required}{_takes(entry)}{_default(entry)} | {meaning} |"
    yield ""


def _description(schema: dict[str, Any]) -> str:
    return " ".join(str(schema.get("description", "")).split())


def _referred(entry: dict[str, Any]) -> dict[str, Any]:
    """The model behind a key that has no description of its own, because it would be the model's."""
    found: dict[str, Any] = json_schema()["$defs"].get(str(entry.get("$ref", "")).rsplit("/", 1)[-1], {})
    return found


def _takes(entry: dict[str, Any]) -> str:
    """What a key takes, in words."""
    if "$ref" in entry:
        name = entry["$ref"].rsplit("/", 1)[-1]
        return _SEVERITY if name == "Severity" else f"[{_title(name)}](#{_anchor(_title(name))})"
    if "anyOf" in entry:
        branches = [_takes(branch) for branch in entry["anyOf"] if branch.get("type") != "null"]
        return " or ".join(dict.fromkeys(branches))
    if "enum" in entry or "const" in entry:
        return ", ".join(f"`{value}`" for value in entry.get("enum", [entry.get("const")]))
    return _simple(entry)


def _simple(entry: dict[str, Any]) -> str:
    if entry.get("type") == "array":
        return f"list of {_takes(entry.get('items', {}))}"
    if entry.get("type") == "object":
        inner: Any = entry.get("additionalProperties") or next(iter(entry.get("patternProperties", {}).values()), {})
        return f"mapping to {_takes(inner if isinstance(inner, dict) else {})}"
    words = {"string": "text", "integer": "number", "number": "number", "boolean": "yes or no"}
    return words.get(str(entry.get("type", "")), "anything")


def _default(entry: dict[str, Any]) -> str:
    default = entry.get("default")
    if default in (None, "", [], {}) or isinstance(default, dict):
        return ""
    shown = "true" if default is True else "false" if default is False else default
    return f" (`{shown[0] if isinstance(shown, list) else shown}`)"


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")
