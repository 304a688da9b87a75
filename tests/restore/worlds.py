"""A database while it is drawn: what there is so far, and the statements that made it.

What is drawn need not be possible: statements that the database refuses are left out of the case (`test_property`).
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
    inherited: bool = False  # others have its columns
    unproven: bool = False  # it has a check that is not valid

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
    large_objects: list[int] = field(default_factory=list)
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


Maker = Callable[[World], None]
