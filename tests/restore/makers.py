"""Types, privileges and the rest, drawn; and a database of all of it."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.restore.make_programs import function, policy, rule, trigger, view
from tests.restore.make_tables import (
    child,
    constraint,
    foreign_key,
    index,
    option,
    partitioned,
    publication,
    statistics,
    table,
)
from tests.restore.worlds import ROLES, Draw, Maker, World, literal


def schema(w: World) -> None:
    name = w.name("schema")
    w.schemas.append(name)
    w.add("SCHEMA", name, f"CREATE SCHEMA {name}", f"GRANT USAGE ON SCHEMA {name} TO {w.one(ROLES)}")


def enum(w: World) -> None:
    name = w.place("enum")
    w.enums.append(name)
    labels = ("'new'", "'Done; it''s'", "'%s \\ \"{x}\"'")
    w.types += [(name, labels), (f"{name}[]", ("'{}'", "'{new,NULL}'"))]
    w.add("TYPE", name, f"CREATE TYPE {name} AS ENUM ({', '.join(labels)})")


def domain(w: World) -> None:
    name = w.place("domain")
    base, values = w.type()
    w.types.append((name, values))
    rest = (
        w.maybe(" NOT NULL") + w.maybe(f" DEFAULT {values[0]}") + w.maybe(" CONSTRAINT known CHECK (VALUE IS NOT NULL)")
    )
    w.add("DOMAIN", name, f"CREATE DOMAIN {name} AS {base}{rest}")


def composite(w: World) -> None:
    name = w.place("composite")
    (a, values), (b, others) = w.type(), w.type()
    fields = f"({w.name('a')} {a}, {w.name('b')} {b})"
    row = f"ROW({values[0]}, {others[0]})::{name}"
    w.types += [(name, (row, "NULL")), (f"{name}[]", (f"ARRAY[{row}, NULL]", "'{}'"))]
    w.add("TYPE", name, f"CREATE TYPE {name} AS {fields}")


def span(w: World) -> None:
    name, subtype = w.place("range"), w.one(("time", "text", "inet"))
    w.types.append((name, ("'empty'", "'(,)'")))
    w.add("TYPE", name, f"CREATE TYPE {name} AS RANGE (SUBTYPE = {subtype})")


def sequence(w: World) -> None:
    name = w.place("seq")
    w.sequences.append(name)
    options = w.one(
        ("", " START 100 INCREMENT 5", " INCREMENT -1 START -7", " AS smallint MAXVALUE 9 CYCLE", " CACHE 10")
    )
    w.add("SEQUENCE", name, f"CREATE SEQUENCE {name}{options}")
    if w.one((False, True)):
        w.statements.append(f"SELECT nextval({literal(name)}), nextval({literal(name)})")


def comment(w: World) -> None:
    if w.objects:
        kind, name = w.one(w.objects)
        text = literal(w.one(("plain", "it's %s {x} \\ ; --", "lines\nand\ttabs")))
        w.statements.append(f"COMMENT ON {kind} {name} IS {text}")


def grant(w: World) -> None:
    role, more = w.one(ROLES), w.maybe(" WITH GRANT OPTION")
    choices = []
    for one in w.tables:
        choices += [f"GRANT SELECT, UPDATE ON {one.name} TO {role}{more}", f"REVOKE ALL ON {one.name} FROM {role}"]
        choices += [
            f"GRANT SELECT ({column.name}), UPDATE ({column.name}) ON {one.name} TO {role}"
            for column in one.columns[:1]
        ]
    choices += [f"GRANT USAGE ON SEQUENCE {one} TO {role}{more}" for one in w.sequences]
    choices += [f"REVOKE EXECUTE ON FUNCTION {one}(text) FROM {role}" for one in w.texts]
    choices += [f"REVOKE USAGE ON TYPE {one} FROM {role}" for one in w.enums]
    choices += [f"GRANT CREATE ON SCHEMA {one} TO {role}" for one in w.schemas[1:]]
    if choices:
        w.statements.append(w.one(choices))


def default_privilege(w: World) -> None:
    role, kind = w.one(ROLES), w.one(("TABLES", "FUNCTIONS", "SEQUENCES", "TYPES"))
    where = w.one(("", *[f" IN SCHEMA {name}" for name in w.schemas]))
    what = w.one((f"GRANT ALL ON {kind} TO {role}", f"REVOKE ALL ON {kind} FROM {role}"))
    w.statements.append(f"ALTER DEFAULT PRIVILEGES{where} {what}")


def job(w: World) -> None:
    w.count += 1
    name = w.one((f"'job {w.count}'", f"E'it''s \\\\ %s {w.count}'"))
    w.statements.append(f"SELECT cron.schedule({name}, '{w.count % 60} * * * *', 'SELECT ''%s {{x}}''')")


def large_object(w: World) -> None:
    w.count += 1
    number = 70000 + w.count
    content = w.one(("''", "'short'", "convert_to(repeat('long ', 4000), 'UTF8')"))
    w.large_objects.append(number)
    w.add("LARGE OBJECT", str(number), f"SELECT lo_from_bytea({number}, {content})")
    if w.one((False, True)):
        w.statements.append(f"GRANT {w.one(('SELECT', 'ALL'))} ON LARGE OBJECT {number} TO {w.one(ROLES)}")


def extension(w: World) -> None:
    name = w.one(("hstore", "citext", "pg_trgm", "ltree"))
    where = w.one(("extensions", *w.schemas))
    w.add("EXTENSION", name, f"CREATE EXTENSION {name} WITH SCHEMA {where}")
    if name == "hstore":
        w.types.append((f"{where}.hstore", ("'a=>1'", "''")))
    if name == "citext":
        w.types.append((f"{where}.citext", ("'Ab'", "''")))


def cast(w: World) -> None:
    if w.enums:
        source = w.one(w.enums)
        name = w.place("cast")
        w.statements += [
            f"CREATE FUNCTION {name}({source}) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1'",
            f"CREATE CAST ({source} AS int) WITH FUNCTION {name}({source}){w.maybe(' AS ASSIGNMENT')}",
        ]


def operator(w: World) -> None:
    if w.texts:
        where = w.one(w.schemas)
        w.add(
            "OPERATOR",
            f"{where}.!@# (NONE, text)",
            f"CREATE OPERATOR {where}.!@# (RIGHTARG = text, FUNCTION = {w.one(w.texts)})",
        )


def search(w: World) -> None:
    name = w.place("ts")
    w.add("TEXT SEARCH CONFIGURATION", name, f"CREATE TEXT SEARCH CONFIGURATION {name} (COPY = simple)")


def collation(w: World) -> None:
    name = w.place("coll")
    w.types.append((f"text COLLATE {name}", ("'a'", "'B'")))
    w.add("COLLATION", name, f'CREATE COLLATION {name} FROM "C"')


MAKERS: tuple[Maker, ...] = (
    table,
    table,
    function,
    view,
    index,
    foreign_key,
    constraint,
    trigger,
    policy,
    enum,
    schema,
    domain,
    composite,
    sequence,
    partitioned,
    child,
    rule,
    comment,
    grant,
    default_privilege,
    publication,
    statistics,
    option,
    job,
    large_object,
    extension,
    cast,
    operator,
    search,
    collation,
    span,
)


def build(draw: Draw) -> World:
    """A database of about a dozen objects."""
    w = World(draw=draw)
    table(w)
    for _ in range(draw(st.integers(1, 24))):
        w.one(MAKERS)(w)
    return w
