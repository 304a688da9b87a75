"""Findings of the advisors, as the Management API answers them."""

from __future__ import annotations

import json
from typing import Any

from agent.core.platform import Lint


def finding(name: str, entity: str, level: str = "ERROR", category: str = "SECURITY") -> dict[str, Any]:
    """One finding in the form of the OpenAPI document."""
    return {
        "name": name,
        "title": name.replace("_", " "),
        "level": level,
        "facing": "EXTERNAL",
        "categories": [category],
        "description": "what it is",
        "detail": f"about {entity}",
        "remediation": f"https://supabase.com/docs/guides/database/database-linter?lint={name}",
        "metadata": {"schema": "public", "name": entity},
        "cache_key": f"{name}_public_{entity}",
    }


def lint(name: str, entity: str, level: str = "ERROR") -> Lint:
    return Lint.model_validate_json(json.dumps(finding(name, entity, level)))


def body(*findings: dict[str, Any], version: int = 1) -> bytes:
    """An answer of the v1 routes, or of `advisors/run`."""
    lints = {"lints": list(findings)}
    if version == 2:
        return json.dumps({"data": {"type": "project_advisors", "attributes": lints}}).encode()
    return json.dumps(lints).encode()
