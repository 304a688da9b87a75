"""PostgreSQL's own parser (libpg_query, through postgast): may this statement be sent, and what does it say?"""

from __future__ import annotations

import importlib.util
import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

PARSER_MAJOR = 18
"""The PostgreSQL release whose grammar the parser is (postgast 0.2 wraps libpg_query 18)."""

_LIMITS = ("stack depth limit exceeded", "memory exhausted", "out of memory")


class SyntaxProblem(NamedTuple):
    """Why the parser refuses a statement.

    `offset` is where it saw the problem, in characters from the statement's start, or None where it did not say.
    `certain` is False where the parser reached a limit of its own, which says nothing about the statement.
    """

    message: str
    offset: int | None
    certain: bool


def syntax_problem(sql: str) -> SyntaxProblem | None:
    """Parse SQL text without keeping the tree.

    Only the grammar is checked: not names, not types, not the bodies of functions.

    Args:
        sql: one statement or several; without NUL characters.

    Returns:
        The first problem, or None.
    """
    library = _library()
    result = library.pg_query_split_with_parser(sql.encode("utf-8", errors="replace"))
    try:
        if not result.error:
            return None
        error = result.error.contents
        message = (error.message or b"unknown error").decode("utf-8", errors="replace")
        offset = error.cursorpos - 1 if error.cursorpos > 0 else None  # characters, whatever postgast's text says
        return SyntaxProblem(message, offset, certain=not message.startswith(_LIMITS))
    finally:
        library.pg_query_free_split_result(result)


def parse(sql: str) -> list[dict[str, Any]]:
    """The parse tree of each statement.

    The names are those of PostgreSQL's nodes (src/include/nodes/parsenodes.h): `{"SelectStmt": {"targetList": [...]}}`;
    a field that has its default is left out.

    Args:
        sql: text in which `syntax_problem` finds none.

    Raises:
        ValueError: there is one.
    """
    library = _library()
    result = library.pg_query_parse(sql.encode("utf-8", errors="replace"))
    try:
        if result.error:
            raise ValueError("the parser refuses this text")
        return [each["stmt"] for each in json.loads(result.parse_tree)["stmts"]]
    finally:
        library.pg_query_free_parse_result(result)


@cache
def _library() -> Any:  # noqa: ANN401 - a ctypes library has no static type
    """The C library as `postgast.native` declares it.

    That module is loaded by its place: importing the package builds protobuf classes for every kind of node, which
    costs 0.2 s and 8 MiB; the library gives the tree as JSON just as well.

    Raises:
        ImportError: postgast is not installed, or holds no `native` module.
    """
    package = importlib.util.find_spec("postgast")
    places = package.submodule_search_locations if package else None
    if not places:
        raise ImportError("postgast is not installed")
    spec = importlib.util.spec_from_file_location("_postgast_native", Path(places[0]) / "native.py")
    if spec is None or spec.loader is None:
        raise ImportError("postgast holds no native module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.lib
