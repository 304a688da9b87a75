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


def function(name: str, volatility: str) -> CatalogObject:
    source = f"CREATE OR REPLACE FUNCTION {name}\n RETURNS boolean\n LANGUAGE sql\n{volatility}AS $$\n IMMUTABLE\n$$"
    return CatalogObject(identity=f"function:{name}", kind="function", classid=1, objid=1, settings={"source": source})


def test_only_checks_that_may_read_tables_are_made_again():
    reads, pure = "function:public.f(integer)", "function:public.g(integer)"
    items = [
        function("public.f(integer)", " STABLE STRICT\n"),
        function("public.g(integer)", " IMMUTABLE STRICT\n"),
        item("a", "CHECK (public.f(x))", "column:x", reads),
        item("b", "CHECK (x > 0)", "column:x"),
        item("c", "CHECK (public.f(x)) NOT VALID", reads),
        item("d", "CHECK (public.f(x)) INHERITED", reads, drop=""),
        item("e", "UNIQUE (x)", reads),
        item("f", "CHECK (public.g(x))", pure),
    ]
    assert [one.identity for one in reading_checks({one.identity: one for one in items})] == ["a"]
