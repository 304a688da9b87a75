"""SQL that pg_restore does not write, or writes for a superuser only."""

from __future__ import annotations

from agent.core.catalog import CatalogObject
from agent.core.restore_sql import as_members, reading_checks

_HEAD = "\\restrict abc\nSET lock_timeout = 0;\nSELECT pg_catalog.set_config('search_path', '', false);\n\n"
_OWN = """--
-- Name: TABLE a; Type: ACL; Schema: public; Owner: postgres
--

REVOKE ALL ON TABLE public.a FROM anon;
GRANT SELECT ON TABLE public.a TO b;
"""
_OF_ANOTHER = """SET SESSION AUTHORIZATION "b ;c";
GRANT SELECT ON TABLE public.a TO d;
RESET SESSION AUTHORIZATION;
"""


def test_rights_that_the_owner_granted_are_left_to_pg_restore():
    assert as_members(_HEAD + _OWN + "\\unrestrict abc\n") == ()


def test_rights_that_others_granted_are_granted_as_members():
    assert as_members(_HEAD + _OWN + _OF_ANOTHER) == (
        "REVOKE ALL ON TABLE public.a FROM anon",
        "GRANT SELECT ON TABLE public.a TO b",
        'SET LOCAL ROLE "b ;c"',
        "GRANT SELECT ON TABLE public.a TO d",
        "RESET ROLE",
    )


def item(name: str, definition: str, *needs: str, drop: str = "drop it") -> CatalogObject:
    return CatalogObject(
        identity=name, kind="constraint", classid=1, objid=1, definition=definition, needs=needs, drop=drop
    )


def test_only_checks_that_call_functions_of_the_application_are_made_again():
    items = [
        item("a", "CHECK (public.f(x))", "function:public.f(integer)"),
        item("b", "CHECK (x > 0)", "column:x"),
        item("c", "CHECK (public.f(x)) NOT VALID", "function:public.f(integer)"),
        item("d", "CHECK (public.f(x)) INHERITED", "function:public.f(integer)", drop=""),
        item("e", "UNIQUE (x)", "function:public.f(integer)"),
    ]
    assert [one.identity for one in reading_checks({one.identity: one for one in items})] == ["a"]
