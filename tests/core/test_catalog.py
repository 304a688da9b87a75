"""Two catalogs compared: what is told, what is left out, and what hangs on it."""

from __future__ import annotations

import pytest

from agent.core.catalog import CatalogDiff, CatalogObject, diff, digest, in_place
from agent.core.drift import Left, changed, drift

TABLE = CatalogObject(identity="relation:public.a", kind="table", classid=1, objid=1)


def column(name: str, definition: str, *, table: str = "public.a", **more: object) -> CatalogObject:
    return CatalogObject.model_validate(
        {
            "identity": f"column:{table}.{name}",
            "kind": "column",
            "classid": 1,
            "objid": 1,
            "parent": f"relation:{table}",
            "definition": definition,
            **more,
        }
    )


def catalog(*objects: CatalogObject) -> dict[str, CatalogObject]:
    return {item.identity: item for item in objects}


VIEW = CatalogObject(
    identity="relation:public.v", kind="view", classid=1, objid=2, needs=("column:public.a.x", "relation:public.a")
)
ABOVE = CatalogObject(identity="relation:public.w", kind="view", classid=1, objid=3, needs=("relation:public.v",))


def test_equal_catalogs_do_not_differ_whatever_their_oids():
    moved = TABLE.model_copy(update={"objid": 99, "drop": "other"})
    assert diff(catalog(TABLE), catalog(moved)) == CatalogDiff()
    assert digest(TABLE) == digest(moved)


def test_parts_of_what_was_made_or_dropped_are_not_told():
    before, now = catalog(TABLE, column("x", "1 text")), catalog(TABLE, column("x", "1 text"), VIEW)
    assert [one.name for one in diff(before, now).created] == ["view public.v"]
    assert [one.name for one in diff(now, {}).dropped] == ["table public.a", "view public.v"]


def test_a_column_that_only_moved_is_not_told():
    before = catalog(TABLE, column("x", "1 text"), column("y", "2 text"))
    found = diff(before, catalog(TABLE, column("y", "1 text")))
    assert [one.identity for one in found.dropped] == ["column:public.a.x"]
    assert found.altered == ()


def test_what_hangs_on_a_change_near_and_far():
    before = catalog(TABLE, column("x", "1 text"), VIEW, ABOVE)
    found = diff(before, catalog(TABLE, column("x", "1 int"), VIEW, ABOVE))
    [change] = found.altered
    assert [(one.what, one.before, one.now) for one in change.details] == [("definition", "1 text", "1 int")]
    assert change.dependents == ("relation:public.v", "relation:public.w")
    assert diff(before, {}).dropped[0].dependents == ("relation:public.v", "relation:public.w")


def test_nothing_hangs_on_a_comment():
    commented = column("x", "1 text", settings={"comment": "COMMENT …"})
    [change] = diff(catalog(TABLE, column("x", "1 text"), VIEW), catalog(TABLE, commented, VIEW)).altered
    assert [one.what for one in change.details] == ["comment"]
    assert change.dependents == ()


def test_settings_are_cleared_backwards_before_they_are_set():
    before = TABLE.model_copy(update={"settings": {"owner": "o1", "acl": "a1", "rls": "r"}, "clear": {"acl": "ca1"}})
    now = TABLE.model_copy(
        update={
            "settings": {"owner": "o2", "comment": "c", "acl": "a2", "rls": "r"},
            "clear": {"comment": "cc", "acl": "ca2"},
        }
    )
    assert in_place(before, now) == (("cc", "ca2"), ("o1", "a1"))
    assert in_place(before, before) == ((), ())


def test_changed_digests_without_parts():
    before = {"relation:public.a": "1", "column:public.a.x": "1", "index:public.a_x": "1", 'column:public."b.c".d': "1"}
    now = {"relation:public.a2": "1", "column:public.a2.x": "1", 'column:public."b.c".d': "2"}
    found = changed(before, now)
    assert found.created == ("relation:public.a2",)
    assert found.dropped == ("index:public.a_x", "relation:public.a")
    assert found.altered == ('column:public."b.c".d',)
    assert found.counts == "1 created, 2 dropped, 1 altered"
    assert changed(now, now).counts == "nothing"


LEFT = Left(server_major=17, catalog={"relation:public.a": "1"}, history=("1",))


@pytest.mark.parametrize(
    ("now", "found"),
    [
        ({}, False),
        ({"catalog": {"relation:public.a": "2"}}, True),
        ({"catalog": {}}, True),
        ({"catalog": {}, "history": ("1", "2")}, False),
        ({"catalog": {}, "server_major": 18}, False),
        ({"catalog": {}, "format": 99}, False),
    ],
)
def test_drift_is_told_only_where_it_can_be_told(now: dict[str, object], found: bool):
    findings = drift(LEFT, LEFT.model_copy(update=now), deploy_id="d1")
    assert [one.code for one in findings] == ["preflight.drift"] * found


def test_drift_names_ten_at_most():
    now = LEFT.model_copy(update={"catalog": {f"relation:public.t{number:02}": "1" for number in range(12)}})
    [finding] = drift(LEFT, now, deploy_id="d1")
    assert "12 created, 1 dropped" in finding.message
    assert "relation:public.t09 and 3 more" in finding.message
