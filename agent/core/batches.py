"""Which migrations may be sent in one message, and how many.

A message of several files saves a round trip and bookkeeping for each; while it runs nobody can see which file it is
at. So files are sent together only while none of them can take long, and only as many as a blink takes.
"""

from __future__ import annotations

import re

from agent.core.models import RunMode
from agent.core.scripts import Script
from agent.core.splitter import code_only

SMALL_BYTES = 64 * 2**20
"""In a database of less table data than this, whatever a statement does with it is soon done."""

# Their work does not depend on how many rows there are.
_LIGHT_TAGS = frozenset(
    {
        *(f"CREATE {kind}" for kind in ("SCHEMA", "TABLE", "TYPE", "DOMAIN", "SEQUENCE", "VIEW", "POLICY", "TRIGGER")),
        *("CREATE FUNCTION", "CREATE PROCEDURE", "ALTER FUNCTION", "ALTER PROCEDURE", "ALTER POLICY", "ALTER VIEW"),
        *("ALTER DEFAULT PRIVILEGES", "ALTER SEQUENCE", "COMMENT", "GRANT", "REVOKE", "SET", ""),
        *("DROP FUNCTION", "DROP PROCEDURE", "DROP POLICY", "DROP TRIGGER", "DROP VIEW"),
    }
)
# CREATE TABLE AS; a partition makes the default partition be read.
_FILLED = re.compile(r"\bAS[\s(]+(?:SELECT|WITH|VALUES|TABLE|EXECUTE)\b|\bPARTITION\s+OF\b", re.IGNORECASE)
_MOST = 128
_QUICK_S, _SLOW_S = 0.1, 0.4


def may_be_sent_together(script: Script, *, table_bytes: int) -> bool:
    """Whether a file is sure to be done soon.

    Args:
        script: the file.
        table_bytes: the size of all tables before the deploy.
    """
    if script.mode is not RunMode.TRANSACTION:
        return False
    if table_bytes < SMALL_BYTES:
        return True
    statements = zip(script.facts, script.pieces, strict=True)
    return all(fact.tag in _LIGHT_TAGS and not _reads_rows(fact.tag, piece.text) for fact, piece in statements)


def _reads_rows(tag: str, text: str) -> bool:
    return tag == "CREATE TABLE" and _FILLED.search(code_only(text)) is not None


class Pace:
    """How many files the next message may hold: twice as many after a quick one, half as many after a slow one."""

    def __init__(self, *, most: int = _MOST) -> None:
        self._most = most
        self.files = min(4, most)

    def took(self, seconds: float) -> None:
        """A message took so long."""
        if seconds < _QUICK_S:
            self.files = min(self._most, self.files * 2)
        elif seconds > _SLOW_S:
            self.files = max(1, self.files // 2)
