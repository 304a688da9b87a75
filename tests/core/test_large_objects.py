"""What a restore does with large objects, by two looks at them."""

from __future__ import annotations

import pytest

from agent.core.large_objects import Goal, arrived, as_left, goals

OWN, OTHER = "a" * 32, "b" * 32  # owner, rights, comment
TEXT, MORE = "c" * 32, "d" * 32  # content


@pytest.mark.parametrize(
    ("before", "now", "wanted"),
    [
        ({"5": OWN + TEXT}, {"5": OWN + TEXT}, []),
        ({"5": OWN + TEXT}, {}, [Goal(oid=5, make=True)]),
        ({"5": OWN}, {}, []),  # it could not be read
        ({"5": OWN + TEXT}, {"5": OTHER + TEXT}, [Goal(oid=5, about=OTHER, content=TEXT)]),
        ({"5": OWN + TEXT}, {"5": OTHER}, [Goal(oid=5, about=OTHER)]),  # content was not looked at
        (
            {"5": OWN + TEXT},
            {"5": OWN + MORE},
            [Goal(oid=5, unlink=True, make=True, about=OWN, content=MORE, keep=True)],
        ),
        ({}, {"7": OWN + TEXT}, [Goal(oid=7, unlink=True, about=OWN, content=TEXT)]),
        ({}, {"8": OWN + TEXT}, [Goal(oid=8, unlink=True, about=OWN, content=TEXT, keep=True)]),
        ({}, {"8": OWN}, []),  # perhaps somebody else's, and it could not be kept
        ({}, {"9": OWN + TEXT}, []),
    ],
)
def test_what_is_done_with_one(before: dict[str, str], now: dict[str, str], wanted: list[Goal]) -> None:
    new = {"7": True, "8": False}
    assert list(goals(before, now, new=new, missing=True)) == wanted
    assert list(goals(before, now, new=new, missing=False)) == [goal for goal in wanted if goal.about]


def test_what_only_others_can_have_done_is_no_difference() -> None:
    before = {"5": OWN + TEXT, "6": OWN + TEXT}
    now = {"5": OTHER + MORE, "7": OWN + TEXT, "9": OWN + TEXT}
    assert as_left(before, now, new={"7": True}, wrote=True) == {"5": OTHER + MORE, "7": OWN + TEXT}
    assert as_left(before, now, new={}, wrote=False) == {"5": OTHER + TEXT, "6": OWN + TEXT}


def test_another_database_is_asked_for_what_the_backup_holds() -> None:
    before = {"5": OWN + TEXT, "6": OWN + TEXT, "7": OWN, "10": OWN + TEXT}
    now = {"5": OWN + MORE, "6": OTHER, "7": OWN + TEXT, "9": OWN + TEXT}
    assert arrived(before, now) == (
        {"5": OWN + TEXT, "6": OWN + TEXT},
        {"5": OWN + MORE, "6": OTHER + TEXT},
        ["10"],
    )
