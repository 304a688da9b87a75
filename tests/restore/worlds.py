"""Schemas, drawn: every kind of object that refers to every other one that is already there.

What is drawn here need not be possible: statements that the database refuses are left out of the case (`test_property`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from hypothesis import strategies as st

T = TypeVar("T")
Draw = Callable[[st.SearchStrategy[Any]], Any]

# The first is the plainest: shrinking ends there.
_STYLES = (
    "{}",
    "Mixed {}",
    "semi;{}",
    'quo"te {}',
    "per%cent %s {}",
    "{{brace}} {}",
    "a.dot {}",
    "ünï 中 {}",
    "back\\slash {}",
    "it's {}",
    "-- {}",
    "a_name_that_fills_all_of_its_bytes_so_that_others_are_cut_{}",
)

TYPES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("int", ("1", "NULL", "-2147483648")),
    ("text", ("'a'", "''", r"E'tab\t nl\n \\ \\. \\N'", "repeat('long ', 4000)", "'ünï 🎉'", "NULL")),
    ("bigint", ("2", "9223372036854775807")),
    ("numeric", ("1.0", "1.00", "'NaN'", "'-Infinity'", "1e-30")),
    ("double precision", ("0.1", "'-0'", "'NaN'", "'Infinity'", "5e-324")),
    ("real", ("0.1", "'NaN'", "3.4e38")),
    ("boolean", ("true", "false", "NULL")),
    ("uuid", ("'11111111-1111-4111-8111-111111111111'", "gen_random_uuid()")),
    ("timestamptz", ("'2026-01-01 00:00:00.000001+02'", "'infinity'", "'0044-03-15 BC'", "now()")),
    ("timestamp(0)", ("'2026-01-01 12:00'", "'-infinity'")),
    ("date", ("'2026-02-28'", "'infinity'", "'4713-01-01 BC'")),
    ("time with time zone", ("'12:00+05:30'", "'24:00:00-15:59'")),
    ("interval", ("'1 mon'", "'30 days'", "'-1 day +00:00:00.000001'")),
    ("jsonb", ("""'{"a": 1.0, "b": [null]}'""", "'null'", "'{}'")),
    ("json", ("""'{"a":  1, "a": 2}'""", "'null'")),
    ("bytea", (r"'\x00ff5c0a'", "''")),
    ("varchar(20)", ("'a b '", "''")),
    ("char(5)", ("'ab'", "''")),
    ("text[]", ("'{}'", """'{"a,b",NULL,"NULL","","\\""}'""", "'{{a,b},{c,d}}'")),
    ("int[]", ("'[2:3]={1,NULL}'", "'{}'")),
    ("int4range", ("'[1,5)'", "'empty'", "'(,)'")),
    ("int8multirange", ("'{[1,2),[5,)}'", "'{}'")),
    ("inet", ("'::1/64'", "'10.0.0.1'")),
    ("bit varying(9)", ("B'0101'", "B''")),
    ("tsvector", ("'a:1A b'",)),
    ("point", ("'(1,-0)'",)),
    ("money", ("'12.34'",)),
    ('"char"', ("'x'",)),
    ("name", ("'a name'",)),
    ("jsonpath", ("'$.a[*]'",)),
    ("oid", ("4294967295",)),
    ("regtype", ("'int4'",)),
)
ROLES = ("anon", "authenticated", "service_role", "dashboard_user", "PUBLIC")


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    return "E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


@dataclass(kw_only=True)
class Column:
    name: str  # quoted
    type: str
    values: tuple[str, ...]
    generated: bool = False


@dataclass(kw_only=True)
class Table:
    name: str  # qualified and quoted
    columns: list[Column] = field(default_factory=list)
    key: str = ""
    key_type: str = ""

    def column(self, world: World) -> Column:
        return world.one(self.columns)


@dataclass(kw_only=True)
class World:
    """What has been made so far, and the statements that made it. `objects`: (kind, name) as DROP wants them."""

    draw: Draw
    statements: list[str] = field(default_factory=list)
    schemas: list[str] = field(default_factory=lambda: ["public"])
    types: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    enums: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    views: list[str] = field(default_factory=list)
    kept_views: list[str] = field(default_factory=list)
    sequences: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)  # functions text → text
    triggers: list[str] = field(default_factory=list)  # functions that return trigger
    objects: list[tuple[str, str]] = field(default_factory=list)
    count: int = 0

    def one(self, choices: Sequence[T]) -> T:
        return self.draw(st.sampled_from(choices))

    def maybe(self, text: str) -> str:
        """The text, or nothing."""
        return self.one(("", text))

    def name(self, stem: str) -> str:
        """A new quoted name."""
        self.count += 1
        return quoted(self.one(_STYLES).format(f"{stem}{self.count}"))

    def place(self, stem: str) -> str:
        """A new name in one of the schemas."""
        return f"{self.one(self.schemas)}.{self.name(stem)}"

    def add(self, kind: str, name: str, *statements: str) -> None:
        self.statements += statements
        self.objects.append((kind, name))

    def type(self) -> tuple[str, tuple[str, ...]]:
        """A type of Postgres, or one made here."""
        return self.one((*self.types[-3:], *TYPES)) if self.types else self.one(TYPES)


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
        ("", " START 100 INCREMENT 5", " INCREMENT -1 START -7", " AS smallint MAXVALUE 3 CYCLE", " CACHE 10")
    )
    w.add("SEQUENCE", name, f"CREATE SEQUENCE {name}{options}")
    if w.one((False, True)):
        w.statements.append(f"SELECT nextval({literal(name)}), nextval({literal(name)})")


def table(w: World) -> None:
    made = Table(name=w.place("t"))
    lines = []
    match w.one(("identity", "none", "uuid", "serial", "text", "shared")):
        case "identity":
            made.key, made.key_type = w.name("id"), "bigint"
            how = w.one(("ALWAYS", "BY DEFAULT"))
            lines.append(
                f"{made.key} bigint GENERATED {how} AS IDENTITY{w.maybe(' (START 10 INCREMENT 10)')} PRIMARY KEY"
            )
        case "uuid":
            made.key, made.key_type = w.name("id"), "uuid"
            lines.append(f"{made.key} uuid DEFAULT gen_random_uuid() PRIMARY KEY")
        case "serial":
            made.key, made.key_type = w.name("id"), "int"
            lines.append(f"{made.key} serial PRIMARY KEY")
        case "shared" if w.sequences:
            made.key, made.key_type = w.name("id"), "bigint"
            lines.append(f"{made.key} bigint DEFAULT nextval({literal(w.one(w.sequences))}) PRIMARY KEY")
        case "text":
            made.key, made.key_type = w.name("id"), "text"
            lines.append(f"{made.key} text DEFAULT gen_random_uuid()::text PRIMARY KEY")
    for _ in range(w.draw(st.integers(0, 4))):
        kind, values = w.type()
        column = Column(name=w.name("c"), type=kind, values=values)
        made.columns.append(column)
        rest = w.one(("", "", f" DEFAULT {values[0]}", f" DEFAULT {values[0]} NOT NULL"))
        lines.append(f"{column.name} {kind}{rest}")
    texts = [column.name for column in made.columns if column.type in ("text", "varchar(20)")]
    if texts and w.one((False, True)):
        call = f"{w.one(w.texts)}({texts[0]})" if w.texts and w.one((False, True)) else f"upper({texts[0]})"
        column = Column(name=w.name("g"), type="text", values=(), generated=True)
        made.columns.append(column)
        lines.append(f"{column.name} text GENERATED ALWAYS AS ({call}) STORED")
    options = w.one(("", "", " WITH (fillfactor = 70, autovacuum_enabled = false)"))
    w.tables.append(made)
    w.add("TABLE", made.name, f"CREATE{w.one(('', '', ' UNLOGGED'))} TABLE {made.name} ({', '.join(lines)}){options}")
    fill(w, made)


def fill(w: World, into: Table) -> None:
    """Some rows, each of its own values."""
    columns = [column for column in into.columns if not column.generated]
    for _ in range(w.draw(st.integers(0, 3))):
        values = [w.one(column.values) for column in columns]
        names = f" ({', '.join(column.name for column in columns)})" if columns else ""
        w.statements.append(
            f"INSERT INTO {into.name}{names} {'VALUES (' + ', '.join(values) + ')' if columns else 'DEFAULT VALUES'}"
        )
    if columns and w.one((False, True)):
        w.statements.append(
            f"INSERT INTO {into.name} ({columns[0].name}) SELECT {columns[0].values[0]} FROM generate_series(1, 20)"
        )


def partitioned(w: World) -> None:
    made, key = Table(name=w.place("parted")), w.name("k")
    other = Column(name=w.name("c"), type="text", values=("'a'", "NULL"))
    made.columns = [Column(name=key, type="int", values=("1", "5", "15", "500")), other]
    how, bounds = w.one(
        (
            ("RANGE", ("FOR VALUES FROM (MINVALUE) TO (10)", "FOR VALUES FROM (10) TO (20)", "DEFAULT")),
            ("LIST", ("FOR VALUES IN (1, 5)", "FOR VALUES IN (15)", "DEFAULT")),
            ("HASH", ("FOR VALUES WITH (MODULUS 2, REMAINDER 0)", "FOR VALUES WITH (MODULUS 2, REMAINDER 1)")),
        )
    )
    w.tables.append(made)
    key_text = w.maybe(f", PRIMARY KEY ({key})")
    w.add(
        "TABLE",
        made.name,
        f"CREATE TABLE {made.name} ({key} int, {other.name} text{key_text}) PARTITION BY {how} ({key})",
    )
    for bound in bounds:
        part = w.place("part")
        if w.one((False, False, True)):
            null = " NOT NULL" if key_text else ""
            w.add(
                "TABLE",
                part,
                f"CREATE TABLE {part} ({other.name} text, {key} int{null})",
                f"ALTER TABLE {made.name} ATTACH PARTITION {part} {bound}",
            )
        elif how != "HASH" and w.one((False, False, True)):
            w.add("TABLE", part, f"CREATE TABLE {part} PARTITION OF {made.name} {bound} PARTITION BY HASH ({key})")
            leaf = w.place("leaf")
            w.add("TABLE", leaf, f"CREATE TABLE {leaf} PARTITION OF {part} FOR VALUES WITH (MODULUS 1, REMAINDER 0)")
        else:
            w.add("TABLE", part, f"CREATE TABLE {part} PARTITION OF {made.name} {bound}")
    fill(w, made)


def child(w: World) -> None:
    if w.tables:
        parent, made = w.one(w.tables), Table(name=w.place("child"))
        own = Column(name=w.name("own"), type="text", values=("'x'", "NULL"))
        made.columns = [own, *parent.columns]
        w.tables.append(made)
        w.add("TABLE", made.name, f"CREATE TABLE {made.name} ({own.name} text) INHERITS ({parent.name})")
        fill(w, made)


def function(w: World) -> None:
    name = w.place("f")
    rest = w.one(
        ("", " SECURITY DEFINER SET search_path = ''", " STRICT PARALLEL SAFE COST 7", " SET work_mem = '8MB'")
    )
    kind = w.one(("text", "trigger", "row", "set", "atomic", "arguments", "procedure", "aggregate", "plpgsql"))
    table_ = w.one(w.tables) if w.tables else None
    match kind:
        case "text":
            w.texts.append(name)
            w.add(
                "FUNCTION",
                f"{name}(text)",
                f"CREATE FUNCTION {name}(text) RETURNS text LANGUAGE sql IMMUTABLE{rest} AS 'SELECT $1 || ''!'''",
            )
        case "trigger":
            w.triggers.append(name)
            w.add(
                "FUNCTION",
                f"{name}()",
                f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN coalesce(NEW, OLD); END $$",
            )
        case "row" if table_:
            w.add(
                "FUNCTION",
                f"{name}({table_.name})",
                f"CREATE FUNCTION {name}({table_.name}) RETURNS text LANGUAGE sql STABLE AS 'SELECT $1::text'",
            )
        case "set" if table_:
            w.add(
                "FUNCTION",
                f"{name}()",
                f"CREATE FUNCTION {name}() RETURNS SETOF {table_.name} LANGUAGE sql STABLE ROWS 5 AS {literal(f'SELECT * FROM {table_.name}')}",
            )
        case "atomic" if table_:
            w.add(
                "FUNCTION",
                f"{name}()",
                f"CREATE FUNCTION {name}() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT count(*) FROM {table_.name}; END",
            )
        case "arguments":
            (a, values), (b, _) = w.type(), w.type()
            w.add(
                "FUNCTION",
                name,
                f"CREATE FUNCTION {name}({w.name('a')} {b}, INOUT {w.name('b')} {a} DEFAULT {values[0]}) LANGUAGE sql AS 'SELECT $2'",
            )
        case "procedure":
            w.add("PROCEDURE", f"{name}(int)", f"CREATE PROCEDURE {name}(a int DEFAULT 1) LANGUAGE sql AS 'SELECT 1'")
        case "aggregate":
            w.add(
                "AGGREGATE",
                f"{name}(int)",
                f"CREATE AGGREGATE {name}(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0')",
            )
        case _:
            body = "-- %s {x} ; ' \" \\ \nBEGIN RETURN 1; END"
            w.add(
                "FUNCTION",
                f"{name}(text, text)",
                f"CREATE FUNCTION {name}(a text, VARIADIC b text[]) RETURNS int LANGUAGE plpgsql AS $body${body}$body$",
            )


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


def index(w: World) -> None:
    if made := [one for one in w.tables if one.columns]:
        chosen, name = w.one(made), w.name("i")
        column = chosen.column(w).name
        call = f"({w.one(w.texts)}({column}::text))" if w.texts else f"({column} IS NULL)"
        what = w.one(
            (
                f"({column})",
                f"({call})",
                f"({column} DESC NULLS LAST)",
                f"({column}) WHERE {column} IS NOT NULL",
                f"USING hash ({column})",
            )
        )
        w.add(
            "INDEX",
            f"{chosen.name.rsplit('.', 1)[0]}.{name}",
            f"CREATE {w.one(('', '', 'UNIQUE '))}INDEX {name} ON {chosen.name} {what}",
        )


def foreign_key(w: World) -> None:
    if targets := [one for one in w.tables if one.key]:
        source, target, name = w.one(w.tables), w.one(targets), w.name("fk")
        column = Column(name=w.name("ref"), type=target.key_type, values=("NULL",))
        rest = w.one(("", " ON DELETE CASCADE", " ON DELETE SET NULL", " DEFERRABLE INITIALLY DEFERRED", " NOT VALID"))
        source.columns.append(column)
        value = w.maybe(
            f" DEFAULT {'gen_random_uuid()' if column.type == 'uuid' else literal('99')}" if "NOT VALID" in rest else ""
        )
        w.statements += [
            f"ALTER TABLE {source.name} ADD COLUMN {column.name} {column.type}{value}",
            f"ALTER TABLE {source.name} ADD CONSTRAINT {name} FOREIGN KEY ({column.name}) REFERENCES {target.name}{rest}",
        ]
        if w.one((False, True)):
            w.statements.append(
                f"UPDATE {source.name} SET {column.name} = (SELECT {target.key} FROM {target.name} LIMIT 1)"
            )


def constraint(w: World) -> None:
    if made := [one for one in w.tables if one.columns]:
        chosen, name = w.one(made), w.name("k")
        column = chosen.column(w)
        what = w.one(
            (
                f"CHECK ({column.name} IS NOT NULL) NOT VALID",
                f"CHECK ({column.name}::text <> '%s {{x}}')",
                f"UNIQUE ({column.name})",
                f"UNIQUE NULLS NOT DISTINCT ({column.name}) DEFERRABLE",
                f"EXCLUDE USING gist ({column.name} WITH &&)",
                "CHECK (true) NO INHERIT",
            )
        )
        w.statements.append(f"ALTER TABLE {chosen.name} ADD CONSTRAINT {name} {what}")
        w.statements.append(f"COMMENT ON CONSTRAINT {name} ON {chosen.name} IS 'a constraint'")


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


def publication(w: World) -> None:
    if w.tables:
        chosen = w.one(w.tables)
        columns = (
            f" ({', '.join(filter(None, [chosen.key, *[c.name for c in chosen.columns[:1] if not c.generated]]))})"
        )
        what = w.one((chosen.name, f"{chosen.name}{columns}", f"{chosen.name} WHERE ({chosen.key or '1'} IS NOT NULL)"))
        w.statements.append(f"ALTER PUBLICATION supabase_realtime ADD TABLE {what}")


def statistics(w: World) -> None:
    if made := [one for one in w.tables if len(one.columns) > 1]:
        chosen, name = w.one(made), w.place("st")
        columns = ", ".join(column.name for column in chosen.columns[:2])
        w.add("STATISTICS", name, f"CREATE STATISTICS {name} ON {columns} FROM {chosen.name}")


def option(w: World) -> None:
    """What a table says of itself."""
    if w.tables:
        chosen = w.one(w.tables)
        column = chosen.column(w).name if chosen.columns else "none"
        what = w.one(
            (
                "REPLICA IDENTITY FULL",
                "FORCE ROW LEVEL SECURITY",
                f"ALTER COLUMN {column} SET STATISTICS 300",
                f"ALTER COLUMN {column} SET STORAGE EXTERNAL",
                f"ALTER COLUMN {column} SET (n_distinct = 5)",
                "SET (fillfactor = 50)",
                f"DROP COLUMN {column}",
                "OWNER TO postgres",
            )
        )
        if what.startswith("DROP COLUMN"):
            chosen.columns = [one for one in chosen.columns if one.name != column]
        w.statements.append(f"ALTER TABLE {chosen.name} {what}")


def job(w: World) -> None:
    w.count += 1
    name = w.one((f"'job {w.count}'", f"E'it''s \\\\ %s {w.count}'"))
    w.statements.append(f"SELECT cron.schedule({name}, '{w.count % 60} * * * *', 'SELECT ''%s {{x}}''')")


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


Maker = Callable[[World], None]
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
    extension,
    cast,
    operator,
    search,
    collation,
    span,
)


def build(draw: Draw, without: frozenset[Maker] = frozenset()) -> World:
    """A database of about a dozen objects."""
    w = World(draw=draw)
    table(w)
    makers = [maker for maker in MAKERS if maker not in without]
    for _ in range(draw(st.integers(1, 24))):
        w.one(makers)(w)
    return w
