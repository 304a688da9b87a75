"""Which migrations may be sent in one message, and how many.

A message of several files saves a round trip and bookkeeping for each; while it runs nobody can see which file it is
at. So files are sent together only while none of them can take long, and only as many as a blink takes.
"""

from __future__ import annotations

from agent.core.models import RunMode
from agent.core.statements import Script

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
_MOST = 64
_QUICK_S, _SLOW_S = 0.1, 0.4


def may_be_sent_together(script: Script, *, table_bytes: int) -> bool:
    """Whether a file is sure to be done soon.

    Args:
        script: the file.
        table_bytes: the size of all tables before the deploy.
    """
    if script.mode is not RunMode.TRANSACTION:
        return False
    return table_bytes < SMALL_BYTES or all(fact.tag in _LIGHT_TAGS for fact in script.facts)


class Pace:
    """How many files the next message may hold: twice as many after a quick one, half as many after a slow one."""

    def __init__(self) -> None:
        self.files = 4

    def took(self, seconds: float) -> None:
        """A message took so long."""
        if seconds < _QUICK_S:
            self.files = min(_MOST, self.files * 2)
        elif seconds > _SLOW_S:
            self.files = max(1, self.files // 2)
