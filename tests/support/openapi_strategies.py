"""Answers as the OpenAPI document allows them, drawn by hypothesis; and such answers spoilt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

CONTRACT = json.loads((Path(__file__).parents[1] / "contracts" / "management-api.openapi.json").read_text("utf-8"))
NUMBERS = st.integers(-(2**53), 2**53)
WORDS = st.text(max_size=12)


def strategy(schema: dict[str, Any]) -> st.SearchStrategy[Any]:  # noqa: C901 - one case a type
    """Values that a schema of the document allows; formats are left to chance, and objects have unknown fields too."""
    if "$ref" in schema:
        return strategy(CONTRACT["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    if schema.get("nullable"):
        return st.none() | strategy({key: value for key, value in schema.items() if key != "nullable"})
    for several in ("oneOf", "anyOf"):
        if several in schema:
            return st.one_of([strategy(one) for one in schema[several]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema.get("type"):
        case "object":
            return _objects(schema)
        case "array":
            return st.lists(strategy(schema["items"]), max_size=3)
        case "string" if "pattern" in schema:
            return st.from_regex(schema["pattern"], alphabet=st.characters(codec="ascii"))
        case "string":
            return st.text(min_size=schema.get("minLength", 0), max_size=schema.get("maxLength", 12))
        case "integer":
            return st.integers(schema.get("minimum", -(2**53)) + 1, schema.get("maximum", 2**53))
        case "number":
            return NUMBERS | st.floats(allow_nan=False, allow_infinity=False)
        case "boolean":
            return st.booleans()
        case _:
            return st.none() | WORDS | NUMBERS


def _objects(schema: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    known = {name: strategy(one) for name, one in schema.get("properties", {}).items()}
    required = {name: one for name, one in known.items() if name in schema.get("required", ())}
    optional = {name: one for name, one in known.items() if name not in required}
    unknown = st.dictionaries(WORDS.filter(lambda name: name not in known), NUMBERS | WORDS, max_size=1)
    whole = st.fixed_dictionaries(required, optional=optional)
    return st.builds(lambda more, fields: {**more, **fields}, unknown, whole)


def answers(path: str, method: str) -> st.SearchStrategy[Any]:
    """Successful answers of one operation, as JSON values."""
    responses = CONTRACT["paths"][path][method.lower()]["responses"]
    found = next(responses[code] for code in ("200", "201", "2XX") if code in responses)
    return strategy(found["content"]["application/json"]["schema"])


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
"""Any JSON value."""


@st.composite
def spoilt(draw: st.DrawFn, whole: st.SearchStrategy[Any]) -> Any:
    """An allowed answer, of which one part was taken away or replaced by something else."""
    value = json.loads(json.dumps(draw(whole)))
    places = list(_places(value, ()))
    if not places:
        return draw(ANYTHING)
    at = draw(st.sampled_from(places))
    holder = value
    for key in at[:-1]:
        holder = holder[key]
    if draw(st.booleans()):
        del holder[at[-1]]
    else:
        holder[at[-1]] = draw(ANYTHING)
    return value


def _places(value: Any, here: tuple[Any, ...]) -> Any:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield (*here, key)
        yield from _places(inner, (*here, key))
