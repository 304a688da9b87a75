"""What a migration does to a drawn schema: any mix of DDL and DML."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st

from tests.restore import makers
from tests.restore.worlds import ROLES, World, literal


def drop(w: World) -> None:
    if w.objects:
        kind, name = w.one(w.objects)
        w.statements.append(f"DROP {kind} {name} CASCADE")


def alter_table(w: World) -> None:
    if not w.tables:
        return
    table = w.one(w.tables)
    column = table.column(w).name if table.columns else table.key or "none"
    what = w.one(
        (
            f"ADD COLUMN {w.name('new')} int DEFAULT 7",
            f"DROP COLUMN {column} CASCADE",
            f"RENAME COLUMN {column} TO {w.name('renamed')}",
            f"ALTER COLUMN {column} TYPE text USING {column}::text",
            f"ALTER COLUMN {column} DROP DEFAULT, ALTER COLUMN {column} DROP NOT NULL",
            f"ALTER COLUMN {column} DROP EXPRESSION",
            f"RENAME TO {w.name('renamed')}",
            f"SET SCHEMA {w.one(w.schemas)}",
            "ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
            "DISABLE ROW LEVEL SECURITY",
            "REPLICA IDENTITY NOTHING",
            "SET UNLOGGED",
            "SET LOGGED",
            "DISABLE TRIGGER USER",
            "SET (fillfactor = 30)",
            f"ALTER COLUMN {column} SET STATISTICS 5",
            f"ADD CONSTRAINT {w.name('k')} CHECK (false) NOT VALID",
            f"ADD UNIQUE ({column})",
            f"ALTER COLUMN {table.key or column} DROP IDENTITY",
        )
    )
    w.statements.append(f"ALTER TABLE {table.name} {what}")


def rows(w: World) -> None:
    if not w.tables:
        return
    table = w.one(w.tables)
    columns = [column for column in table.columns if not column.generated]
    choices = [f"DELETE FROM {table.name}", f"TRUNCATE {table.name} RESTART IDENTITY CASCADE"]
    choices.append(f"DELETE FROM ONLY {table.name} WHERE ctid = '(0,1)'")
    for column in columns[:3]:
        choices += [f"UPDATE {table.name} SET {column.name} = {value}" for value in (*column.values[-1:], "DEFAULT")]
        choices.append(f"INSERT INTO {table.name} ({column.name}) VALUES ({column.values[0]})")
    w.statements.append(w.one(choices))


def rename(w: World) -> None:
    if w.objects:
        kind, name = w.one(w.objects)
        if kind in {"TRIGGER", "POLICY", "RULE"}:
            old, _, where = name.partition(" ON ")
            w.statements.append(f"ALTER {kind} {old} ON {where} RENAME TO {w.name('renamed')}")
        else:
            w.statements.append(f"ALTER {kind} {name} RENAME TO {w.name('renamed')}")


def alter_type(w: World) -> None:
    if w.enums:
        name = w.one(w.enums)
        what = w.one(("ADD VALUE 'added'", "ADD VALUE 'first' BEFORE 'new'", "RENAME VALUE 'new' TO 'old'"))
        w.statements.append(f"ALTER TYPE {name} {what}")
        if "added" in what and w.one((False, True)):
            for table in w.tables:
                w.statements += [f"UPDATE {table.name} SET {c.name} = 'added'" for c in table.columns if c.type == name]


def alter_function(w: World) -> None:
    if w.texts:
        name = w.one(w.texts)
        what = (
            f"CREATE OR REPLACE FUNCTION {name}(text) RETURNS text LANGUAGE sql AS 'SELECT ''other'''",
            f"ALTER FUNCTION {name}(text) SECURITY DEFINER SET search_path = public",
            f"ALTER FUNCTION {name}(text) STABLE COST 99 RESET ALL",
        )
        w.statements.append(w.one(what))


def alter_sequence(w: World) -> None:
    if w.sequences:
        name = w.one(w.sequences)
        what = (
            f"ALTER SEQUENCE {name} INCREMENT 7 CACHE 3",
            f"ALTER SEQUENCE {name} RESTART",
            f"SELECT setval({literal(name)}, 1, false)",
            f"ALTER SEQUENCE {name} OWNED BY {w.tables[0].name}.{w.tables[0].key or 'none'}",
        )
        w.statements.append(w.one(what))


def alter_view(w: World) -> None:
    if w.views:
        name = w.one(w.views)
        what = (
            f"ALTER VIEW {name} SET (security_invoker = false)",
            f"CREATE OR REPLACE VIEW {name} AS SELECT 1 AS one",
        )
        w.statements.append(w.one(what))
    if w.kept_views:
        w.statements.append(f"REFRESH MATERIALIZED VIEW {w.one(w.kept_views)}{w.maybe(' WITH NO DATA')}")


def alter_large_object(w: World) -> None:
    if w.large_objects:
        number = w.one(w.large_objects)
        what = (
            f"SELECT lo_unlink({number})",
            f"SELECT lo_put({number}, {w.one((0, 3, 5000))}, 'written')",
            f"ALTER LARGE OBJECT {number} OWNER TO {w.one(ROLES)}",
            f"REVOKE ALL ON LARGE OBJECT {number} FROM {w.one(ROLES)}",
            f"GRANT UPDATE ON LARGE OBJECT {number} TO {w.one(ROLES)}",
        )
        w.statements.append(w.one(what))


def publish(w: World) -> None:
    what = [f"ALTER PUBLICATION supabase_realtime DROP TABLE {table.name}" for table in w.tables]
    what += [f"ALTER PUBLICATION supabase_realtime SET TABLE {table.name}" for table in w.tables]
    what += ["ALTER PUBLICATION supabase_realtime SET (publish = 'insert')", "CREATE PUBLICATION other"]
    w.statements.append(w.one(what))


def unschedule(w: World) -> None:
    w.statements.append("SELECT cron.unschedule(jobid) FROM cron.job ORDER BY jobid LIMIT 1")


def grant_all(w: World) -> None:
    schema, role = w.one(w.schemas), w.one(ROLES)
    what = w.one(("TABLES", "SEQUENCES", "ROUTINES"))
    w.statements.append(
        w.one(
            (
                f"GRANT ALL ON ALL {what} IN SCHEMA {schema} TO {role}",
                f"REVOKE ALL ON ALL {what} IN SCHEMA {schema} FROM {role}",
            )
        )
    )


def forget(w: World) -> None:
    if w.objects:
        kind, name = w.one(w.objects)
        w.statements.append(f"COMMENT ON {kind} {name} IS NULL")


def make(w: World) -> None:
    w.one(makers.MAKERS)(w)


DAMAGES: tuple[Callable[[World], None], ...] = (
    drop,
    alter_table,
    rows,
    make,
    drop,
    alter_table,
    rows,
    make,
    rename,
    alter_type,
    alter_function,
    alter_sequence,
    alter_view,
    alter_large_object,
    publish,
    unschedule,
    grant_all,
    forget,
)


def wreck(w: World) -> list[str]:
    """A migration's statements."""
    start = len(w.statements)
    for _ in range(w.draw(st.integers(1, 16))):
        w.one(DAMAGES)(w)
    return w.statements[start:]
