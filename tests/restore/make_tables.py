"""Tables and what belongs to them, drawn."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.restore.worlds import Column, Table, World, literal


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
    # A child made after a check of its parent that is not valid has it as valid: corpus 53.
    if parents := [one for one in w.tables if not one.unproven]:
        parent, made = w.one(parents), Table(name=w.place("child"))
        own = Column(name=w.name("own"), type="text", values=("'x'", "NULL"))
        made.columns = [own, *parent.columns]
        parent.inherited = True
        w.tables.append(made)
        w.add("TABLE", made.name, f"CREATE TABLE {made.name} ({own.name} text) INHERITS ({parent.name})")
        fill(w, made)


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
    # A column that a parent gets after its children stands elsewhere when those are made again: corpus 50.
    sources = [one for one in w.tables if not one.inherited]
    targets = [one for one in w.tables if one.key]
    if sources and targets:
        source, target, name = w.one(sources), w.one(targets), w.name("fk")
        column = Column(name=w.name("ref"), type=target.key_type, values=("NULL",))
        rest = w.one(("", " ON DELETE CASCADE", " ON DELETE SET NULL", " DEFERRABLE INITIALLY DEFERRED", " NOT VALID"))
        source.columns.append(column)
        value = w.maybe(
            f" DEFAULT {'gen_random_uuid()' if column.type == 'uuid' else literal('99')}" if "NOT VALID" in rest else ""
        )
        refers = f"REFERENCES {target.name}{rest}"
        w.statements += [
            f"ALTER TABLE {source.name} ADD COLUMN {column.name} {column.type}{value}",
            f"ALTER TABLE {source.name} ADD CONSTRAINT {name} FOREIGN KEY ({column.name}) {refers}",
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
        chosen.unproven |= "NOT VALID" in what
        w.statements.append(f"ALTER TABLE {chosen.name} ADD CONSTRAINT {name} {what}")
        w.statements.append(f"COMMENT ON CONSTRAINT {name} ON {chosen.name} IS 'a constraint'")


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


def publication(w: World) -> None:
    if w.tables:
        chosen = w.one(w.tables)
        columns = (
            f" ({', '.join(filter(None, [chosen.key, *[c.name for c in chosen.columns[:1] if not c.generated]]))})"
        )
        what = w.one((chosen.name, f"{chosen.name}{columns}", f"{chosen.name} WHERE ({chosen.key or '1'} IS NOT NULL)"))
        w.statements.append(f"ALTER PUBLICATION supabase_realtime ADD TABLE {what}")
