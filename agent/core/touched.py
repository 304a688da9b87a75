"""Which existing tables and schemas pending migrations need rights on, read off the first words of each statement.

Only what is plain: a table that is altered, dropped or indexed needs its owner, a schema that something is created in
needs CREATE. What a DO block or a function does is not seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from agent.core.models import Model
from agent.core.scripts import Script
from agent.core.splitter import code_only
from agent.core.statements import unquoted

_PART = r'(?:"(?:[^"]|"")+"|[\w$]+)'
_NAME = rf"(?:(?P<schema>{_PART})\s*\.\s*)?(?P<name>{_PART})"
_OPTIONAL = r"(?:IF\s+(?:NOT\s+)?EXISTS\s+)?"
_OWNED = re.compile(
    rf"(?:(?:ALTER|DROP)\s+TABLE\s+{_OPTIONAL}|CREATE\s+(?:UNIQUE\s+)?INDEX\b.*?\bON\s+)(?:ONLY\s+)?{_NAME}",
    re.IGNORECASE | re.DOTALL,
)
_CREATED = re.compile(
    r"CREATE\s+(?:OR\s+REPLACE\s+)?(?:UNLOGGED\s+|RECURSIVE\s+)?"
    rf"(?:TABLE|VIEW|MATERIALIZED\s+VIEW|SEQUENCE|TYPE|DOMAIN|FUNCTION|PROCEDURE|AGGREGATE)\s+{_OPTIONAL}{_NAME}",
    re.IGNORECASE,
)
_CHANGES_RIGHTS = re.compile(
    r"\bOWNER\s+TO\b|REASSIGN\b|GRANT\b|(?:SET|RESET)\s+(?:(?:SESSION|LOCAL)\s+)*(?:ROLE|AUTHORIZATION)\b",
    re.IGNORECASE,
)
_OWNER_TAGS = frozenset({"ALTER TABLE", "DROP TABLE", "CREATE INDEX"})
_MAY_CHANGE_RIGHTS = frozenset({"SET", "RESET", "REASSIGN", "GRANT", "ALTER"})


class Place(Model):
    """A statement in a file."""

    file: str
    line: int


class Touched(Model):
    """What has to be there and be allowed before the first statement runs.

    `tables`: by `(schema, name)`, the schema "" where none is written. `schemas`: by name, "" for the first of the
    search path. `certain`: no statement changes who is who on the way.
    """

    tables: dict[tuple[str, str], Place]
    schemas: dict[str, Place]
    certain: bool


def touched(scripts: Iterable[Script]) -> Touched:
    """Read the pending migrations.

    Args:
        scripts: in the order they run.
    """
    tables: dict[tuple[str, str], Place] = {}
    schemas: dict[str, Place] = {}
    certain = True
    for script in scripts:
        for piece, fact in zip(script.pieces, script.facts, strict=True):
            verb = fact.tag.partition(" ")[0]
            if certain and verb in _MAY_CHANGE_RIGHTS:
                certain = _CHANGES_RIGHTS.search(code_only(piece.text).lstrip()) is None
            if fact.tag in _OWNER_TAGS:
                if (found := _OWNED.match(code_only(piece.text).lstrip())) is not None:
                    table = (unquoted(found["schema"] or ""), unquoted(found["name"]))
                    if table not in tables:
                        tables[table] = Place(file=script.migration.file, line=piece.line)
            elif verb == "CREATE" and (found := _CREATED.match(code_only(piece.text).lstrip())) is not None:
                schema = unquoted(found["schema"] or "")
                if schema not in schemas:
                    schemas[schema] = Place(file=script.migration.file, line=piece.line)
    return Touched(tables=tables, schemas=schemas, certain=certain)
