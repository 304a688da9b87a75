"""What the agent takes the Management API for is what the API's own document says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from agent.core import platform as models
from agent.core.platform_operations import OPERATIONS
from agent.ports import Platform

CONTRACT = json.loads((Path(__file__).parents[1] / "contracts" / "management-api.openapi.json").read_text("utf-8"))

ANSWERS = {
    "project": models.Project,
    "health": models.ServiceHealth,
    "backups": models.Backups,
    "create_restore_point": models.RestorePoint,
    "restore_point": models.RestorePoint,
    "read_only": models.ReadOnly,
    "disk": models.Disk,
    "poolers": models.Pooler,
    "login_role": models.LoginRole,
    "network_restrictions": models.NetworkRestrictions,
    "network_bans": models.NetworkBans,
    "upgrade_status": models.UpgradeStatus,
    "upgrade_eligibility": models.UpgradeEligibility,
    "entitlements": models.Entitlements,
    "branches": models.Branch,
    "create_branch": models.Branch,
    "branch": models.BranchDetail,
}


def operation(name: str) -> dict:
    one = OPERATIONS[name]
    return CONTRACT["paths"][one.path][one.method.lower()]


def resolved(schema: dict) -> dict:
    if "$ref" in schema:
        return CONTRACT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def answer_schema(name: str) -> dict:
    responses = operation(name)["responses"]
    found = next(responses[code] for code in ("200", "201", "2XX") if code in responses)
    return resolved(found["content"]["application/json"]["schema"])


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_as_the_document_has_it(name):
    one, document = OPERATIONS[name], operation(name)
    assert document["operationId"] == one.id
    assert document.get("x-oauth-scope", "") == one.scope
    assert document.get("x-fga-permissions", []) == [list(each) for each in one.permissions]
    successes = {code for code in document["responses"] if code.startswith("2")}
    assert successes == ({str(code) for code in one.successes} or {"2XX"})
    promised = document["responses"][min(successes)].get("content", {})
    # The two query routes promise no body in the document; the guides and the CLI have it as JSON.
    assert set(one.answers) == (set(promised) or ({"application/json"} if "query" in name else set()))


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_request_that_may_be_repeated_changes_nothing(name):
    one = OPERATIONS[name]
    reading = one.scope.endswith(":read") or one.method == "GET"
    assert one.repeats == (reading or name in {"login_role", "run_advisors", "delete_branch"})


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_port_tells_of_each_operation(name):
    one = OPERATIONS[name]
    method = {
        "security_advisors": "advisors",
        "performance_advisors": "advisors",
        "read_only_query": "query",
    }.get(name, name)
    told = " ".join(getattr(Platform, method).__doc__.split())
    assert one.path in told or one.path.rpartition("/")[2] in told
    for permission in (each for alternative in one.permissions for each in alternative):
        assert f"`{permission}`" in told
    assert one.scope in told


def wire_names(model: type[BaseModel]) -> dict[str, str]:
    """The model's fields by their name on the wire."""
    return {
        (info.validation_alias.choices[0] if info.validation_alias else name): name
        for name, info in model.model_fields.items()
    }


def held(model: type[BaseModel], schema: dict) -> list[str]:
    """What of the model the schema does not have, or does not promise and the model demands."""
    schema = resolved(schema)
    if schema.get("type") == "array":
        schema = resolved(schema["items"])
    if "oneOf" in schema:
        every = schema["oneOf"]
        schema = {
            "properties": {key: value for each in every for key, value in each["properties"].items()},
            "required": set.intersection(*(set(each.get("required", ())) for each in every)),
        }
    wrong = []
    for wire, name in wire_names(model).items():
        info, inner = model.model_fields[name], schema["properties"].get(wire)
        if inner is None:
            wrong.append(f"{model.__name__}.{name}: the document has no {wire}")
            continue
        if info.is_required() and wire not in schema.get("required", ()):
            wrong.append(f"{model.__name__}.{name}: the document does not promise {wire}")
        for kind in (info.annotation, *get_args(info.annotation)):
            if isinstance(kind, type) and issubclass(kind, models.PlatformModel):
                wrong += held(kind, inner)
    return wrong


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answers_fields_are_in_the_document(name):
    assert held(ANSWERS[name], answer_schema(name)) == []


def test_parts_of_answers_are_in_the_document():
    assert held(models.Lint, answer_schema("security_advisors")["properties"]["lints"]) == []
    assert held(models.Lint, answer_schema("performance_advisors")["properties"]["lints"]) == []
    run = answer_schema("run_advisors")["properties"]["data"]["properties"]["attributes"]["properties"]["lints"]
    assert held(models.Lint, run) == []
    assert held(models.Addon, answer_schema("addons")["properties"]["selected_addons"]) == []
    window = answer_schema("maintenance")["properties"]["data"]["items"]["properties"]["attributes"]
    assert held(models.Maintenance, window) == []


def test_a_status_that_nobody_knows_is_neither_an_error_nor_good():
    project = models.Project.model_validate_json(
        json.dumps(
            {
                "ref": "a" * 20,
                "name": "n",
                "region": "r",
                "status": "PROMOTING",
                "organization_slug": "o",
                "database": {"host": "h", "version": "v", "postgres_engine": "17", "release_channel": "ga"},
                "new": 1,
            }
        )
    )
    assert (project.healthy, project.restoring, project.restore_failed) == (False, False, False)


def test_the_last_daily_backup_is_the_newest_that_is_whole():
    def backup(number: int, at: str, status: str = "COMPLETED") -> dict:
        return {"id": number, "is_physical_backup": True, "status": status, "inserted_at": at}

    listed = [
        backup(1, "2026-11-20T02:00:00.123Z"),
        backup(2, "2026-11-21 02:00:00"),
        backup(3, "2026-11-22T02:00:00Z", "FAILED"),
        backup(4, "yesterday"),
    ]
    found = models.Backups.model_validate_json(
        json.dumps({"pitr_enabled": False, "walg_enabled": True, "backups": listed, "physical_backup_data": {}})
    )
    assert found.last.id == 2
    assert found.last.at.tzinfo is not None
    assert models.Backups(pitr_enabled=True).last is None
