"""Functions and what calls them, drawn."""

from __future__ import annotations

from tests.restore.worlds import World, literal


def function(w: World) -> None:
    name = w.place("f")
    how = w.one(("", " SECURITY DEFINER SET search_path = ''", " STRICT PARALLEL SAFE COST 7", " SET work_mem = '8MB'"))
    table = w.one(w.tables).name if w.tables else "pg_catalog.pg_class"
    kind = w.one(("text", "trigger", "row", "set", "atomic", "arguments", "procedure", "aggregate", "plpgsql"))
    match kind:
        case "text":
            w.texts.append(name)
            takes, says = "text", f"RETURNS text LANGUAGE sql IMMUTABLE{how} AS 'SELECT $1 || ''!'''"
        case "trigger":
            w.triggers.append(name)
            takes, says = "", "RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN coalesce(NEW, OLD); END $$"
        case "row":
            takes, says = table, f"RETURNS text LANGUAGE sql STABLE{how} AS 'SELECT $1::text'"
        case "set":
            body = literal(f"SELECT * FROM {table}")
            takes, says = "", f"RETURNS SETOF {table} LANGUAGE sql STABLE ROWS 5 AS {body}"
        case "atomic":
            body = f"SELECT 1; SELECT count(*) FROM {table};"
            takes, says = "", f"RETURNS bigint LANGUAGE sql BEGIN ATOMIC {body} END"
        case "arguments":
            (a, values), (b, _) = w.type(), w.type()
            takes = f"{w.name('a')} {b}, INOUT {w.name('b')} {a} DEFAULT {values[0]}"
            says = f"LANGUAGE sql{how} AS 'SELECT $2'"
        case "procedure":
            w.add("PROCEDURE", f"{name}(int)", f"CREATE PROCEDURE {name}(a int DEFAULT 1) LANGUAGE sql AS 'SELECT 1'")
            return
        case "aggregate":
            state = "(SFUNC = int4pl, STYPE = int, INITCOND = '0')"
            w.add("AGGREGATE", f"{name}(int)", f"CREATE AGGREGATE {name}(int) {state}")
            return
        case _:
            body = "-- %s {x} ; ' \" \\ \nBEGIN RETURN 1; END"
            takes, says = "a text, VARIADIC b text[]", f"RETURNS int LANGUAGE plpgsql{how} AS $body${body}$body$"
    w.add("FUNCTION", name, f"CREATE FUNCTION {name}({takes}) {says}")


def trigger(w: World) -> None:
    if not w.triggers or w.one((False, False, False, True)):
        function(w)
    if w.triggers:
        name, calls = w.name("tr"), w.one(w.triggers)
        where = w.one((*[one.name for one in w.tables], "auth.users", "auth.users"))
        when = w.one(("BEFORE INSERT", "AFTER UPDATE OR DELETE", "BEFORE INSERT OR UPDATE"))
        w.add(
            "TRIGGER",
            f"{name} ON {where}",
            f"CREATE TRIGGER {name} {when} ON {where} FOR EACH ROW EXECUTE FUNCTION {calls}('it''s %s')",
        )
        if where != "auth.users" and w.one((False, True)):
            w.statements.append(
                f"ALTER TABLE {where} {w.one(('DISABLE', 'ENABLE ALWAYS', 'ENABLE REPLICA'))} TRIGGER {name}"
            )


def policy(w: World) -> None:
    name = w.name("pol")
    where = w.one((*[one.name for one in w.tables], "storage.objects", "storage.objects"))
    tests = ["true", "(SELECT auth.uid()) IS NOT NULL"]
    tests += [f"{one}('a') <> ''" for one in w.texts[-2:]] + [
        f"EXISTS (SELECT FROM {one.name})" for one in w.tables[-2:]
    ]
    rest = w.one(
        (
            f"FOR SELECT TO anon USING ({w.one(tests)})",
            f"FOR INSERT WITH CHECK ({w.one(tests)})",
            f"AS RESTRICTIVE USING ({w.one(tests)}) WITH CHECK ({w.one(tests)})",
        )
    )
    if where != "storage.objects":
        w.statements.append(f"ALTER TABLE {where} {w.one(('ENABLE', 'FORCE', 'ENABLE'))} ROW LEVEL SECURITY")
    w.add("POLICY", f"{name} ON {where}", f"CREATE POLICY {name} ON {where} {rest}")


def rule(w: World) -> None:
    if w.tables:
        name, where = w.name("r"), w.one(w.tables).name
        what = w.one(("ON DELETE TO {} DO INSTEAD NOTHING", "ON UPDATE TO {} DO ALSO NOTIFY changed")).format(where)
        w.add("RULE", f"{name} ON {where}", f"CREATE RULE {name} AS {what}")


def view(w: World) -> None:
    sources = [one.name for one in w.tables] + w.views
    if sources:
        name, source = w.place("v"), w.one(sources)
        extra = f", {w.one(w.texts)}('x') AS {w.name('x')}" if w.texts and w.one((False, True)) else ""
        options = w.one(("", " WITH (security_invoker = true)", " WITH (security_barrier)"))
        body = w.one((f"SELECT *{extra} FROM {source}", f"SELECT count(*) AS n{extra} FROM {source}"))
        if w.one((False, False, True)):
            w.kept_views.append(name)
            w.add("MATERIALIZED VIEW", name, f"CREATE MATERIALIZED VIEW {name} AS {body}{w.maybe(' WITH NO DATA')}")
        else:
            w.add("VIEW", name, f"CREATE VIEW {name}{options} AS {body}")
        w.views.append(name)
