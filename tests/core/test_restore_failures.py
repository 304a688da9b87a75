"""The failures of a restore that have a name, and what they say of the database."""

from __future__ import annotations

import pytest

from agent.deploy.carrying import explained
from agent.errors import StatementError


@pytest.mark.parametrize(
    ("sqlstate", "code"), [("53100", "restore.server_disk_full"), ("42501", "restore.missing_privilege")]
)
def test_where_other_transactions_have_committed_the_database_is_not_said_to_be_as_it_was(sqlstate: str, code: str):
    error = StatementError("no", sqlstate=sqlstate)
    whole, part = explained(error, []), explained(error, [], part=True)
    assert whole.code == part.code == code
    assert whole.hint.endswith("Nothing was changed.")
    assert part.hint.endswith("It goes on where it stopped when it is run again.")


def test_one_without_a_name_says_what_to_do() -> None:
    error = StatementError('operator class "by_length" does not exist', sqlstate="42704")
    assert explained(error, []) is error
    assert "`deploy-agent restore BACKUP --to URL`" in error.hint
    assert error.hint.endswith("Nothing was changed.")


def test_a_hint_stays() -> None:
    assert explained(StatementError("no", sqlstate="42704", hint="Ask."), []).hint == "Ask."
