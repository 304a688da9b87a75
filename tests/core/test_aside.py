"""What of a backup is compared in another database."""

from __future__ import annotations

import pytest

from agent.core.aside import compare, spellings
from agent.core.models import Snapshot
from tests.support.stories import START


def snapshot(*identities: str) -> Snapshot:
    return Snapshot(taken_at=START, catalog=dict.fromkeys(identities, "digest"))


@pytest.mark.parametrize(
    ("name", "written"), [("plain", "plain"), ("order", '"order"'), ("Aä", '"Aä"'), ("a$", '"a$"')]
)
def test_a_name_is_known_as_the_catalog_writes_it(name: str, written: str):
    assert written in spellings(name)


def test_schemas_and_names_that_are_keywords_are_compared_and_left_out_like_others():
    before = snapshot('policy:"user".notes.readers', 'relation:"user"."order"', "policy:storage.objects.readers")
    found = compare(
        before,
        snapshot(),
        schemas=["user"],
        apart=[f"{one}.{two}" for one in spellings("user") for two in spellings("order")],
    )
    assert found.all == ('policy:"user".notes.readers is missing',)
