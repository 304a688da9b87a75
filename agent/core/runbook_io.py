"""A runbook's YAML text to a `Runbook`: everything that can be wrong is found here, before anything runs."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from agent.core.checks import Check
from agent.core.patterns import in_words
from agent.core.runbook import Runbook, dotted
from agent.core.runbook_rules import Slip, slips_of
from agent.core.yaml_text import Document, Path, Place, read_yaml
from agent.errors import InputError

_SHOWN = 10


class Problem(NamedTuple):
    """One thing that is wrong with a runbook."""

    place: Place
    code: str
    message: str
    hint: str
    field: str


def load_runbook(text: str, *, name: str) -> Runbook:
    """Read a runbook.

    Args:
        text: the YAML.
        name: the file's name, for messages.

    Raises:
        InputError: the first thing that is wrong, by line; the hint lists the others. Codes: `runbook.malformed_yaml`,
            `runbook.duplicate_key`, `runbook.unknown_key`, `runbook.unknown_check`, `runbook.missing_key`,
            `runbook.wrong_type`, `runbook.bad_value`, and those of `agent.core.runbook_rules`.
    """
    document = read_yaml(text, name=name)
    if not isinstance(document.data, dict):
        raise _error([Problem(Place(1, 1), "runbook.wrong_type", "a runbook is a mapping of keys", "", "")], name)
    try:
        runbook = Runbook.model_validate(document.data)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=True)
        raise _error([_problem(detail, document) for detail in details], name) from error
    slips = list(slips_of(runbook))
    if slips:
        raise _error([_located(slip, document) for slip in slips], name)
    return runbook


@cache
def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the runbook, for editors; config/runbook.schema.json is this."""
    schema = Runbook.model_json_schema(by_alias=True, mode="validation")
    schema["$defs"]["Check"]["oneOf"] = [{"required": [kind]} for kind in Check.KINDS]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema


def _error(problems: list[Problem], name: str) -> InputError:
    first, *others = sorted(problems, key=lambda problem: problem.place)
    hint = first.hint
    if others:
        lines = [f"line {other.place.line}, column {other.place.column}: {other.message}" for other in others[:_SHOWN]]
        lines += [f"and {len(others) - _SHOWN} more"] if len(others) > _SHOWN else []
        hint = "\n- ".join([f"{hint} Also wrong:".strip(), *lines])
    return InputError(
        f"{name}, line {first.place.line}, column {first.place.column}: {first.message}",
        code=first.code,
        hint=hint,
        where={
            "file": name,
            "line": first.place.line,
            "column": first.place.column,
            "field": first.field,
            "problems": len(problems),
        },
    )


def _located(slip: Slip, document: Document) -> Problem:
    place = document.place_inside(slip.path, slip.text, slip.offset) if slip.text else document.place(slip.path)
    return Problem(place, slip.code, f"{dotted(slip.path)}: {slip.message}", slip.hint, dotted(slip.path))


def _problem(detail: ErrorDetails, document: Document) -> Problem:
    path: Path = tuple(detail["loc"])
    field = dotted(path)
    if detail["type"] == "extra_forbidden":
        return _unknown_key(path, document)
    if detail["type"] == "missing":
        place = document.place(path[:-1])
        return Problem(
            place, "runbook.missing_key", f"{dotted(path[:-1]) or 'the runbook'} lacks {path[-1]!r}", "", field
        )
    while path and not isinstance(_at(document.data, path[:-1]), dict | list):
        path = path[:-1]  # the model's own steps, which the author did not write: `expected: 1m` is kept as {any: 1m}
    field, place = dotted(path), document.place(path)
    if detail["type"] == "string_pattern_mismatch":
        says = f"{field}: {detail['input']!r} does not fit: {in_words(detail['ctx']['pattern'])}"
        return Problem(place, "runbook.bad_value", says, "", field)
    message = detail["msg"].removeprefix("Value error, ")
    code = "runbook.wrong_type" if detail["type"].endswith(("_type", "_parsing")) else "runbook.bad_value"
    given = detail["input"]
    seen = f", not {given!r}" if isinstance(given, str | int | float | None) and detail["type"] != "value_error" else ""
    return Problem(place, code, f"{field}: {message[:1].lower()}{message[1:]}{seen}", "", field)


def _unknown_key(path: Path, document: Document) -> Problem:
    key = str(path[-1])
    schema = _schema_at(path[:-1])
    known = sorted(schema.get("properties", {}))
    place = document.place(path, key=True)
    is_check = schema.get("title") == "Check"
    owner = _at(document.data, path[:-1])
    no_kind = is_check and isinstance(owner, dict) and not set(owner) & set(Check.KINDS)
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    hint = f"Did you mean {near[0]!r}?" if near else f"Known here: {', '.join(known)}."
    where = dotted(path[:-1]) or "the top level"
    if no_kind:
        kinds = f"Kinds of checks: {', '.join(Check.KINDS)}."
        hint = f"{hint} {kinds}" if near else kinds
        return Problem(place, "runbook.unknown_check", f"{key!r} in {where} is no kind of check", hint, dotted(path))
    return Problem(place, "runbook.unknown_key", f"unknown key {key!r} in {where}", hint, dotted(path))


def _at(data: Any, path: Path) -> Any:  # noqa: ANN401 - whatever the YAML holds
    for part in path:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return None
    return data


def _schema_at(path: Path) -> dict[str, Any]:
    schema = json_schema()
    found = [schema]
    for part in path:
        found = [inner for outer in found for inner in _inside(outer, part)]
    return next((inner for inner in found if "properties" in inner), {})


def _inside(schema: dict[str, Any], part: str | int) -> Iterator[dict[str, Any]]:
    if isinstance(part, int):
        inner = schema.get("items")
    else:
        inner = schema.get("properties", {}).get(part) or schema.get("additionalProperties")
    if isinstance(inner, dict):
        yield from _resolved(inner)


def _resolved(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "$ref" in schema:
        yield from _resolved(json_schema()["$defs"][schema["$ref"].rsplit("/", 1)[-1]])
        return
    yield schema
    for branch in schema.get("anyOf", ()):
        yield from _resolved(branch)
