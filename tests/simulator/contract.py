"""The Management API's OpenAPI document: which operation a request is, and whether requests and answers keep to it.

Status codes that the document does not list but the real API sends are allowed (`OBSERVED`; v1 error bodies are
`V1ObservedError` of the document, taken from recorded answers).
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote

OBSERVED = frozenset({400, 401, 402, 403, 404, 406, 409, 413, 415, 429, 500, 501, 544})
"""Error codes that any operation may answer with, listed or not."""

_HERE = Path(__file__).resolve().parent
_NAME = "management-api.openapi.json"
_METHODS = ("get", "head", "post", "put", "patch", "delete")


@dataclass(frozen=True, kw_only=True, eq=False)
class Operation:
    """One operation of the document."""

    id: str
    method: str
    path: str
    document: Mapping[str, Any]

    @property
    def version(self) -> int:
        """1 or 2: the two have different error bodies."""
        return int(self.path[2])

    @property
    def public(self) -> bool:
        """Whether it is answered without a token."""
        return not self.document.get("security")

    @property
    def permissions(self) -> list[list[str]]:
        """Alternatives, each a list of permissions that are all needed; empty: any token will do."""
        return self.document.get("x-fga-permissions") or []

    @cached_property
    def parameters(self) -> list[Mapping[str, Any]]:
        return [one for one in self.document.get("parameters", []) if "$ref" not in one]

    def success(self) -> int:
        """The status of a good answer."""
        listed = [int(code) for code in self.document["responses"] if code.isdigit() and code < "300"]
        return min(listed, default=200)


class Contract:
    """The document, with requests and answers checked against it.

    Args:
        document: as read from the file.
    """

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.operations = {
            described["operationId"]: Operation(
                id=described["operationId"], method=method.upper(), path=path, document=described
            )
            for path, item in document["paths"].items()
            for method, described in item.items()
            if method in _METHODS
        }
        self._routes = [(one, one.path.strip("/").split("/")) for one in self.operations.values()]
        # a literal segment wins over a parameter: …/projects/available-regions is no project
        self._routes.sort(key=lambda route: [part.startswith("{") for part in route[1]])
        self._schemas = _as_json_schema(document["components"]["schemas"])
        self._validators: dict[str, Any] = {}

    def match(self, method: str, path: str) -> tuple[Operation, dict[str, str]] | None:
        """The operation that a request means, and the parts of its path."""
        parts = path.strip("/").split("/")
        for operation, pattern in self._routes:
            if operation.method == method and len(pattern) == len(parts):
                found = {}
                for wanted, given in zip(pattern, parts, strict=True):
                    if wanted.startswith("{"):
                        found[wanted[1:-1]] = unquote(given)
                    elif wanted != given:
                        break
                else:
                    return operation, found
        return None

    def parse_query(self, operation: Operation, pairs: list[tuple[str, str]]) -> tuple[dict[str, Any], list[str]]:
        """The query's values with the types that the document gives them, and what is wrong with them."""
        values: dict[str, Any] = {}
        problems = []
        for parameter in operation.parameters:
            if parameter["in"] != "query":
                continue
            name, schema = parameter["name"], parameter["schema"]
            given = [value for key, value in pairs if key in (name, f"{name}[]")]
            if not given:
                if parameter.get("required"):
                    problems.append(f"{name} must be given")
                elif "default" in schema:
                    values[name] = schema["default"]
                continue
            if schema.get("type") == "array":
                values[name] = [item for value in given for item in value.split(",")]
            else:
                values[name] = _typed(given[-1], schema.get("type", "string"))
            problems += self._check(f"{operation.id} query {name}", schema, values[name], name)
        return values, problems

    def check_path(self, operation: Operation, values: Mapping[str, str]) -> list[str]:
        """What is wrong with the parts of the path."""
        found = []
        for parameter in operation.parameters:
            if parameter["in"] == "path":
                name, schema = parameter["name"], parameter["schema"]
                value = _typed(values[name], schema.get("type", "string"))
                found += self._check(f"{operation.id} path {name}", schema, value, name)
        return found

    def check_body(self, operation: Operation, media: str, body: Any) -> list[str]:
        """What is wrong with a request's body, already read as JSON where it is that."""
        described = operation.document.get("requestBody")
        if described is None:
            return []
        content = described["content"].get(media)
        if content is None or "json" not in media:
            return []
        return self._check(f"{operation.id} body {media}", content["schema"], body, "body")

    def check_answer(self, operation: Operation, status: int, media: str, body: bytes) -> list[str]:
        """What is wrong with an answer."""
        responses = operation.document["responses"]
        listed = responses.get(str(status)) or responses.get(f"{status // 100}XX")
        if status >= 400:
            if listed is None and status not in OBSERVED and "default" not in responses:
                return [f"status {status} is not one of {sorted(responses)}"]
            schema = "ErrorResponseBody" if operation.version == 2 else "V1ObservedError"
            return self._check(f"error {schema}", {"$ref": f"#/components/schemas/{schema}"}, _json(body), "answer")
        if listed is None:
            return [f"status {status} is not one of {sorted(responses)}"]
        content = listed.get("content")
        if not content:
            return []
        if media not in content:
            return [f"content type {media!r} is not one of {sorted(content)}"]
        value = _json(body) if "json" in media else body.decode()
        return self._check(f"{operation.id} {status} {media}", content[media]["schema"], value, "answer")

    def _check(self, key: str, schema: Mapping[str, Any], value: Any, what: str) -> list[str]:
        validator = self._validators.get(key)
        if validator is None:
            validator = self._validators[key] = self._validator(schema)
        return [
            f"{what}{_pointer(error.absolute_path)}: {error.message}"[:300] for error in validator.iter_errors(value)
        ]

    def _validator(self, schema: Mapping[str, Any]) -> Any:
        from jsonschema import Draft202012Validator  # noqa: PLC0415 - the demo runs without it

        whole = {**_as_json_schema(schema), "components": {"schemas": self._schemas}}
        return Draft202012Validator(whole, format_checker=_format_checker())


@cache
def load() -> Contract:
    """The contract, from beside this package or from the tests' folder of contracts; read once a process."""
    for folder in (_HERE, _HERE.parent / "contracts"):
        if (folder / _NAME).is_file():
            return Contract(json.loads((folder / _NAME).read_text(encoding="utf-8")))
    raise FileNotFoundError(_NAME)


@cache
def _format_checker() -> Any:
    from jsonschema import FormatChecker  # noqa: PLC0415 - the demo runs without it

    checker = FormatChecker(formats=())

    @checker.checks("date-time", raises=ValueError)
    def _date_time(value: Any) -> bool:
        return not isinstance(value, str) or dt.datetime.fromisoformat(value).tzinfo is not None

    @checker.checks("uuid", raises=ValueError)
    def _uuid(value: Any) -> bool:
        return not isinstance(value, str) or bool(uuid.UUID(value))

    return checker


def _as_json_schema(schema: Any) -> Any:
    """OpenAPI 3.0's dialect as JSON Schema 2020-12."""
    if isinstance(schema, list):
        return [_as_json_schema(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    made = {name: _as_json_schema(value) for name, value in schema.items() if name not in ("nullable", "example")}
    for exclusive, limit in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(made.get(exclusive), bool):
            strict = made.pop(exclusive)
            if strict and limit in made:
                made[exclusive] = made.pop(limit)
    if "oneOf" in made:  # the document's alternatives overlap: a number with its unit is also a bare yes or no
        made["anyOf"] = made.pop("oneOf")
    return {"anyOf": [made, {"type": "null"}]} if schema.get("nullable") is True else made


def _typed(text: str, kind: str) -> Any:
    """A query's or path's text as the type that the document gives; as it is when it is none."""
    try:
        if kind == "boolean":
            return {"true": True, "false": False}[text]
        if kind in ("integer", "number"):
            return int(text) if kind == "integer" else float(text)
    except (KeyError, ValueError):
        pass
    return text


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return f"(no JSON: {body[:80]!r})"


def _pointer(path: Any) -> str:
    return "".join(f".{part}" if isinstance(part, str) else f"[{part}]" for part in path)
