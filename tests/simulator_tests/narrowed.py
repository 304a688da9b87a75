"""The OpenAPI document as schemathesis gets it: what the simulator has, with paths that lead somewhere."""

from __future__ import annotations

import copy
from collections.abc import Collection
from typing import Any

from tests.simulator import Platform
from tests.simulator.contract import OBSERVED

SERVERS = {
    "v1-restart-a-project",  # it stops the server of all tests
    "v1-create-a-branch",  # it starts a server each time
    "v1-delete-a-branch",  # the others need the branch
}
"""Operations that stop and start servers."""


def narrowed(platform: Platform, kept: Collection[str]) -> dict[str, Any]:
    """These operations; path parameters are the platform's own; observed errors are listed too.

    An error is listed with the body that the contract gives it, so that schemathesis checks that as well.
    """
    document = copy.deepcopy(platform.contract.document)
    document["components"].pop("securitySchemes")
    branches = [one.id for one in platform.branches.values()]
    values = {"ref": [platform.ref], "slug": [platform.organization], "branch_id_or_ref": branches}
    for path, item in list(document["paths"].items()):
        document["paths"][path] = {
            method: described for method, described in item.items() if described["operationId"] in kept
        }
        for described in document["paths"][path].values():
            described.pop("security", None)
            _list_errors(described, 2 if path.startswith("/v2") else 1)
            for parameter in described.get("parameters", []):
                if parameter["in"] == "path" and parameter["name"] in values:
                    parameter["schema"] = {"type": "string", "enum": values[parameter["name"]]}
    document["paths"] = {path: item for path, item in document["paths"].items() if item}
    found: dict[str, Any] = _overlapping(document)
    return found


def _overlapping(part: Any) -> Any:
    """The same with `anyOf` for `oneOf`: the document's alternatives overlap, and no answer could satisfy just one."""
    if isinstance(part, list):
        return [_overlapping(one) for one in part]
    if isinstance(part, dict):
        return {"anyOf" if name == "oneOf" else name: _overlapping(one) for name, one in part.items()}
    return part


def _list_errors(described: dict[str, Any], version: int) -> None:
    body = {"$ref": f"#/components/schemas/{'ErrorResponseBody' if version == 2 else 'V1ObservedError'}"}
    for status in sorted(OBSERVED - {500, 501}):
        described["responses"][str(status)] = {
            "description": "an error",
            "content": {"application/json": {"schema": body}},
        }
    described["responses"].pop("500", None)  # the simulator has no business to fail
