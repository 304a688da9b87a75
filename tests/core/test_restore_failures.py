"""What a refused statement of a restore is called."""

from __future__ import annotations

import pytest

from agent.core.restore_failures import named
from agent.errors import StatementError


@pytest.mark.parametrize(
    ("sqlstate", "code"), [("53100", "restore.server_disk_full"), ("42501", "restore.missing_privilege")]
)
def test_some_have_a_name(sqlstate: str, code: str) -> None:
    found = named(StatementError("no", sqlstate=sqlstate), left="Nothing was changed.")
    assert found.code == code
    assert found.hint.endswith("Nothing was changed.")


def test_the_others_say_what_to_do() -> None:
    error = StatementError('operator class "by_length" does not exist', sqlstate="42704")
    assert named(error, left="Nothing was changed.") is error
    assert "`deploy-agent restore BACKUP --to URL`" in error.hint
    assert error.hint.endswith("Nothing was changed.")


def test_a_hint_stays() -> None:
    error = StatementError("no", sqlstate="42704", hint="Ask.")
    assert named(error).hint == "Ask."
