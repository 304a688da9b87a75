"""SQL as the API runs it: the answer's JSON as postgres-meta and node-postgres make it, errors in the API's words.

Sources: supabase/postgres-meta (bigint as a number while that is exact, dates and times as Postgres writes them, of
several statements the last result that has rows); node-postgres for the rest (numeric as text, bytea as a Buffer).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import psycopg
from psycopg import AsyncRawCursor

from .model import Refused

_SAFE_INTEGER = 2**53 - 1
_ARRAYS = {1000: 16, 1005: 21, 1007: 23, 1016: 20, 1021: 700, 1022: 701, 1028: 26, 199: 114, 3807: 3802, 1001: 17}
_TEXT_ARRAYS = frozenset({1002, 1003, 1009, 1014, 1015, 1115, 1182, 1183, 1185, 1187, 1231, 1270, 2951})
# The HTTP way's own limit; the documentation says 60 s.
_LIMIT = "-c statement_timeout=58s"


async def run(
    url: str, query: str, parameters: Sequence[Any] | None = None, *, read_only: bool = False
) -> list[dict[str, Any]]:
    """Run SQL; the rows of the last result that has any.

    Raises:
        Refused: 400 with Postgres's error; 544 when the database cannot be reached.
    """
    options = _LIMIT + (" -c default_transaction_read_only=on" if read_only else "")
    try:
        connection = await psycopg.AsyncConnection.connect(
            url,
            autocommit=True,
            connect_timeout=10,
            options=options,
            application_name="supabase/mgmt-api",
            cursor_factory=AsyncRawCursor,
        )
    except psycopg.OperationalError as error:
        raise Refused(544, "Failed to run sql query: Connection terminated due to connection timeout") from error
    async with connection:
        try:
            cursor = await connection.execute(query.encode(), [*map(_parameter, parameters)] if parameters else None)
        except psycopg.Error as error:
            if error.sqlstate is not None:
                raise Refused(400, f"Failed to run sql query: {in_words(error, query)}") from error
            if isinstance(error, psycopg.OperationalError):
                raise Refused(544, "Failed to run sql query: Connection terminated unexpectedly") from error
            raise Refused(400, f"Failed to run sql query: {error}") from error
        except UnicodeEncodeError as error:  # half of a surrogate pair, which JSON can hold and UTF-8 cannot
            raise Refused(400, "Failed to run sql query: the text is not Unicode") from error
        rows: list[dict[str, Any]] = []
        while True:
            rows = _rows(cursor.pgresult) or rows
            if not cursor.nextset():
                return rows


def _parameter(value: Any) -> Any:
    """As node-postgres sends it: objects as JSON, numbers and truth values as text."""
    if isinstance(value, dict | list):
        return json.dumps(value)
    return value if value is None or isinstance(value, str) else json.dumps(value)


def in_words(error: psycopg.Error, query: str) -> str:
    """An error as the API words it: `ERROR:  42P01: relation … does not exist`, with the line that it points at."""
    about = error.diag
    text = f"{about.severity or 'ERROR'}:  {error.sqlstate}: {about.message_primary}\n"
    if about.statement_position:
        position = int(about.statement_position) - 1
        before = query[:position]
        start = before.rfind("\n") + 1
        line = query[start:].split("\n", 1)[0]
        label = f"LINE {before.count(chr(10)) + 1}: "
        text += f"{label}{line}\n{' ' * (len(label) + position - start)}^\n"
    for label, part in (
        ("DETAIL", about.message_detail),
        ("HINT", about.message_hint),
        ("QUERY", about.internal_query),
        ("CONTEXT", about.context),
    ):
        if part:
            text += f"{label}:  {part}\n"
    return text


def _rows(result: Any) -> list[dict[str, Any]]:
    if result is None or not result.nfields:
        return []
    columns = [(result.fname(index).decode(), _converter(result.ftype(index))) for index in range(result.nfields)]
    return [
        {
            name: None if (value := result.get_value(row, index)) is None else convert(value.decode())
            for index, (name, convert) in enumerate(columns)
        }
        for row in range(result.ntuples)
    ]


def _converter(oid: int) -> Callable[[str], Any]:
    if oid in _ARRAYS:
        element = _converter(_ARRAYS[oid])
        return lambda text: _array(text, element)
    if oid in _TEXT_ARRAYS:
        return lambda text: _array(text, str)
    return _SCALARS.get(oid, str)


def _bigint(text: str) -> int | str:
    number = int(text)
    return number if abs(number) <= _SAFE_INTEGER else text


def _float(text: str) -> float | int | None:
    number = float(text)
    if not math.isfinite(number):
        return None  # JSON.stringify writes null
    return int(number) if number.is_integer() and abs(number) <= _SAFE_INTEGER else number


def _bytea(text: str) -> dict[str, Any]:
    return {"type": "Buffer", "data": list(bytes.fromhex(text.removeprefix("\\x")))}


_SCALARS: dict[int, Callable[[str], Any]] = {
    16: lambda text: text == "t",
    17: _bytea,
    20: _bigint,
    21: int,
    23: int,
    26: int,
    114: json.loads,
    700: _float,
    701: _float,
    3802: json.loads,
}


def _array(text: str, convert: Callable[[str], Any]) -> list[Any]:
    """Postgres's text of an array as nested lists."""
    position = text.index("{")  # after bounds such as [0:1]=

    def items() -> list[Any]:
        nonlocal position
        position += 1
        found: list[Any] = []
        while text[position] != "}":
            if text[position] == ",":
                position += 1
            elif text[position] == "{":
                found.append(items())
            else:
                found.append(item())
        position += 1
        return found

    def item() -> Any:
        nonlocal position
        if text[position] != '"':
            end = position
            while text[end] not in ",}":
                end += 1
            word, position = text[position:end], end
            return None if word == "NULL" else convert(word)
        position += 1
        letters = []
        while text[position] != '"':
            if text[position] == "\\":
                position += 1
            letters.append(text[position])
            position += 1
        position += 1
        return convert("".join(letters))

    return items()
