"""The checks of a runbook as values: one common frame, and one model for each kind.

A check is `{id, title, severity, timeout, hint}` and exactly one kind key, which names what is looked at. The docstring
of each attribute is its description in config/runbook.schema.json and docs/runbook.md.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from agent.core.models import Model, Severity
from agent.core.units import RangeOfNumbers, Seconds, Texts, as_list

NAME = r"[A-Za-z_][A-Za-z0-9_]*"
Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}$")]
Name = Annotated[str, Field(pattern=rf"^{NAME}$")]
Text = Annotated[str, Field(min_length=1)]


class Entry(BaseModel):
    """Base of everything that a person writes: frozen, strict about keys, numbers accepted where text is meant."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", coerce_numbers_to_str=True, use_attribute_docstrings=True, allow_inf_nan=False
    )

    def model_dump_json(self, **options: Any) -> str:  # noqa: ANN401 - pydantic's own
        """JSON that reads back as the same value: what was not written stays unwritten (`value: null` is written)."""
        return super().model_dump_json(**({"exclude_unset": True, "by_alias": True} | options))


class Parameter(Entry):
    """A value for a `:name` placeholder, read from the database just before."""

    sql: Text
    """One query; the first column of its first row is the value. A query without a row makes the check errored."""


def _parameter(value: Any) -> Any:  # noqa: ANN401 - whatever the YAML holds
    return {"sql": value} if isinstance(value, str) else value


Parameters = dict[Name, Annotated[Parameter, BeforeValidator(_parameter, json_schema_input_type=str | Parameter)]]


class Expect(Entry):
    """What the result of a query must be. Several keys must all hold. A NULL where a value is compared never passes."""

    value: Any = None
    """The only column of the only row equals this; `null` means NULL. Short form: `expect: 0`."""
    tolerance: Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?\s*%?$")] | None = None
    """With `value`: how far off the number may be, as a number (`5`) or in percent of `value` (`2%`)."""
    rows: RangeOfNumbers | None = None
    """How many rows there are: `4`, `1..5`, `<=3`, `1..`."""
    empty: bool | None = None
    """`true`: no row. `false`: at least one row."""
    equals: list[Any] | None = None
    """These rows and no others, in any order: each a mapping from column to value, or one value."""
    includes: Annotated[list[Any], Field(min_length=1)] | None = None
    """At least these rows, in any order; a mapping may name fewer columns than the query returns."""
    that: Texts | None = None
    """Expressions over the columns of the only row, such as `tracks >= audio_posts` or `total == before.total`."""
    every: Texts | None = None
    """Expressions that hold in every row. No rows: they hold; add `rows: 1..` if there must be some."""
    first: Texts | None = None
    """Expressions that hold in the first row; further rows are ignored. No rows: they do not hold."""

    @model_validator(mode="after")
    def _something(self) -> Expect:
        if not self.model_fields_set:
            raise ValueError("expect needs at least one of value, rows, empty, equals, includes, that, every, first")
        if self.tolerance is not None and (
            isinstance(self.value, bool)
            or not isinstance(self.value, int | float)
            or "value" not in self.model_fields_set
        ):
            raise ValueError("tolerance needs value, and value must be a number")
        return self


def _expect(value: Any) -> Any:  # noqa: ANN401 - whatever the YAML holds
    return value if isinstance(value, dict | Expect) else {"value": value}


_Expect = Annotated[Expect, BeforeValidator(_expect, json_schema_input_type=Expect | int | float | str | bool | None)]


class TableCheck(Entry):
    """A table (or view). Short form: `table: posts`."""

    name: Text
    """`table` or `schema.table`; without a schema, `public`. As stored: upper and lower case count."""
    exists: bool = True
    """`false`: there must be no such table."""
    rls: bool | None = None
    """Whether row level security is enabled."""
    columns: Texts | None = None
    """Columns that must exist."""
    rows: RangeOfNumbers | None = None
    """How many rows it holds (counted)."""
    comment: str | None = None
    """Its comment; `*` stands for any text, upper and lower case are the same."""


class ColumnCheck(Entry):
    """A column, or all columns that match a name with `*`."""

    table: Text
    """`table` or `schema.table`."""
    name: Text
    """The column; `audio_*` means every column that matches, and there must be at least one."""
    exists: bool = True
    """`false`: there must be no such column."""
    type: str | None = None
    """Its type by any name Postgres knows: `uuid`, `timestamptz`, `varchar(255)`."""
    nullable: bool | None = None
    """Whether NULL is allowed."""
    default: str | None = None
    """Its default expression; `none` means that there is none."""
    comment: str | None = None
    """Its comment; `*` stands for any text, upper and lower case are the same."""


class IndexCheck(Entry):
    """An index, by name, or by table and columns. Short form: `index: idx_posts_track_id`."""

    name: str | None = None
    """`index` or `schema.index`."""
    table: str | None = None
    """The table it belongs to."""
    columns: Texts | None = None
    """Its key columns or expressions in order; `created_at desc` asks for the direction too."""
    exists: bool = True
    """`false`: there must be no such index."""
    unique: bool | None = None
    """Whether it is unique."""
    valid: bool = True
    """Whether it can be used; a CREATE INDEX CONCURRENTLY that failed leaves an invalid one."""
    method: str | None = None
    """`btree`, `gin`, `gist`, `hash`, `brin`."""
    where: str | None = None
    """The predicate of a partial index; `none` means that it is not partial."""

    @model_validator(mode="after")
    def _identified(self) -> IndexCheck:
        if self.name is None and (self.table is None or self.columns is None):
            raise ValueError("an index needs a name, or a table with columns")
        return self


class ConstraintCheck(Entry):
    """A constraint of a table."""

    table: Text
    """`table` or `schema.table`."""
    name: Text
    """The constraint's name."""
    exists: bool = True
    """`false`: there must be no such constraint."""
    type: Literal["check", "unique", "primary key", "foreign key", "exclusion"] | None = None
    """Its kind."""
    validated: bool | None = True
    """Whether existing rows have been checked (`false` after NOT VALID); `null`: either."""
    definition: str | None = None
    """As `pg_get_constraintdef` shows it, casts and needless parentheses aside; or with `*` for any text."""


class ForeignKeyCheck(Entry):
    """A foreign key, by what it links."""

    table: Text
    """`table` or `schema.table` that refers."""
    columns: Texts
    """The columns that refer."""
    references: Text
    """`tracks`, `tracks(id)` or `schema.table(id)`."""
    name: str | None = None
    """The constraint's name."""
    exists: bool = True
    """`false`: there must be no such foreign key."""
    on_delete: Literal["no action", "restrict", "cascade", "set null", "set default"] | None = None
    """What happens when the row that is referred to is deleted."""
    on_update: Literal["no action", "restrict", "cascade", "set null", "set default"] | None = None
    """What happens when its key changes."""
    validated: bool | None = True
    """Whether existing rows have been checked (`false` after NOT VALID); `null`: either."""


class TriggerCheck(Entry):
    """A trigger on a table."""

    table: Text
    """`table` or `schema.table`."""
    name: Text
    """The trigger's name."""
    exists: bool = True
    """`false`: there must be no such trigger."""
    enabled: bool = True
    """Whether it fires in ordinary sessions."""
    timing: Literal["before", "after", "instead of"] | None = None
    """When it fires."""
    events: list[Literal["insert", "update", "delete", "truncate"]] | None = None
    """What it fires on: exactly these."""
    level: Literal["row", "statement"] | None = None
    """Once a row or once a statement."""
    function: str | None = None
    """The function it calls: `function` or `schema.function`."""


class FunctionCheck(Entry):
    """A function or procedure. Short form: `function: public.detect_media_type`."""

    name: Text
    """`function` or `schema.function`."""
    args: str | None = None
    """The argument types, such as `text, integer`; an empty text means none. Left out: any."""
    exists: bool = True
    """`false`: there must be no such function."""
    returns: str | None = None
    """The result type as `pg_get_function_result` shows it."""
    language: str | None = None
    """`sql`, `plpgsql`, …"""
    security_definer: bool | None = None
    """Whether it runs with the rights of its owner."""


Command = Literal["select", "insert", "update", "delete"]


class PolicyCheck(Entry):
    """The row level security policies of a table; row level security must be enabled too."""

    table: Text
    """`table` or `schema.table`."""
    name: str | None = None
    """Only the policy of this name."""
    exists: bool = True
    """`false`: there must be no such policy."""
    roles: Texts | None = None
    """Only policies for these roles (a policy for `public` is for all)."""
    commands: list[Command] | None = None
    """Each of these must be covered by a policy (one FOR ALL covers all four)."""
    count: RangeOfNumbers | None = None
    """How many policies there are: `4`, `1..`."""
    permissive: bool | None = None
    """`false`: restrictive ones."""
    using: str | None = None
    """The USING expression of every policy found, casts and needless parentheses aside; or with `*` for any text."""
    check: str | None = None
    """The WITH CHECK expression of every policy found, likewise."""


class RlsCheck(Entry):
    """What a role can see and do, tried for real and undone."""

    role: Text = "authenticated"
    """The database role: `anon`, `authenticated`, `service_role`."""
    user: str | None = None
    """The user's id, which becomes the JWT claim `sub`; a `:name` of `params` is replaced."""
    claims: dict[str, Any] = Field(default_factory=dict)
    """Further JWT claims."""
    params: Parameters = Field(default_factory=dict)
    """Values for `:name` in `user` and in the statements, read with the deploying role's rights."""
    setup: Texts = ()
    """Statements run first with the deploying role's rights, such as two users with a row each; undone afterwards."""
    sees: Texts = ()
    """Queries that must return a row."""
    does_not_see: Texts = ()
    """Queries that must return no row, or be refused."""
    may: Texts = ()
    """Statements that must succeed and touch a row."""
    may_not: Texts = ()
    """Statements that must be refused (SQLSTATE 42501) or touch no row."""
    must_exist: bool = False
    """For `does_not_see`: fail if there is nothing to hide, that is, if the deploying role gets no row either."""

    @model_validator(mode="after")
    def _something(self) -> RlsCheck:
        if not (self.sees or self.does_not_see or self.may or self.may_not):
            raise ValueError("rls needs at least one of sees, does_not_see, may, may_not")
        return self


def _indexes(value: Any) -> Any:  # noqa: ANN401 - whatever the YAML holds
    return [value] if isinstance(value, str) else value


class PerformanceCheck(Entry):
    """How a statement runs: EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON), undone afterwards."""

    sql: Text
    """One statement."""
    params: Parameters = Field(default_factory=dict)
    """Values for `:name` in the statement, such as a sample id."""
    max_ms: Annotated[float, Field(gt=0)] | None = None
    """The most that the median execution time may be, in milliseconds."""
    runs: Annotated[int, Field(ge=1, le=101)] = 5
    """How many runs are measured; one run before them warms the cache and is not counted."""
    uses_index: (
        Annotated[list[str] | bool, BeforeValidator(_indexes, json_schema_input_type=bool | str | list[str])] | None
    ) = None
    """`true`: some index; or the names of indexes that must all be used."""
    no_seq_scan_on: Texts | None = None
    """Tables that must not be read from start to end."""
    small_table_rows: Annotated[int, Field(ge=0)] = 10_000
    """Up to so many rows a sequential scan is the right plan: then what counts is whether the index can be used."""

    @model_validator(mode="after")
    def _something(self) -> PerformanceCheck:
        if self.max_ms is None and self.uses_index in (None, False) and not self.no_seq_scan_on:
            raise ValueError("performance needs at least one of max_ms, uses_index, no_seq_scan_on")
        return self


class JsonExpect(Entry):
    """One value inside a JSON answer."""

    path: Annotated[str, Field(pattern=r"^[^.\[\]]+(\.[^.\[\]]+)*$")]
    """Keys and positions with dots between: `0.id`, `data.items.0.name`."""
    equals: Any = None
    """The value there."""
    exists: bool = True
    """`false`: there must be nothing there."""


class HttpCheck(Entry):
    """A request to an API, for instance PostgREST, sent after COMMIT. `${NAME}` stands for an environment variable."""

    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] = "GET"
    """The method."""
    url: Annotated[str, Field(pattern=r"^(https?://|\$\{)")]
    """The address, such as `${SUPABASE_URL}/rest/v1/tracks?select=id&limit=1`."""
    headers: dict[str, str] = Field(default_factory=dict)
    """Request headers, such as `apikey: ${SUPABASE_ANON_KEY}`."""
    body: Any = None
    """Sent as JSON."""
    status: Annotated[
        tuple[Annotated[int, Field(ge=100, le=599)], ...],
        BeforeValidator(as_list, json_schema_input_type=int | list[int]),
    ] = (200,)
    """The status that must come back, or a list of which one must."""
    json_: list[JsonExpect] = Field(default_factory=list, alias="json")
    """What the JSON body must hold."""
    contains: str | None = None
    """A text that the body must hold."""


def _named(model: Any) -> Any:  # noqa: ANN401 - a model class
    return BeforeValidator(
        lambda value: {"name": value} if isinstance(value, str) else value, json_schema_input_type=str | model
    )


class Check(Entry):
    """One check: a few common keys, and exactly one kind."""

    KINDS: ClassVar[tuple[str, ...]] = (
        "sql", "table", "column", "index", "constraint", "foreign_key", "trigger", "function", "policy", "rls",
        "performance", "http",
    )  # fmt: skip

    id: Id = ""
    """Its name in hints, events and reports; unique in the runbook. Default: made from the title."""
    title: str = ""
    """One line for people. Default: made from the kind and its subject."""
    severity: Severity = Severity.ERROR
    """`error` stops or undoes the deploy; `warning` and `info` are reported."""
    timeout: Annotated[Seconds, Field(gt=0)] = 30.0
    """The longest one of its statements may take."""
    hint: str = ""
    """What to do when it does not pass."""

    sql: str | None = None
    """A query; see `expect`."""
    expect: _Expect | None = None
    """What the query must return."""
    params: Parameters = Field(default_factory=dict)
    """Values for `:name` in the query."""
    table: Annotated[TableCheck, _named(TableCheck)] | None = None
    """A table exists, and how it is."""
    column: ColumnCheck | None = None
    """A column exists, and how it is."""
    index: Annotated[IndexCheck, _named(IndexCheck)] | None = None
    """An index exists, and how it is."""
    constraint: ConstraintCheck | None = None
    """A constraint exists, and how it is."""
    foreign_key: ForeignKeyCheck | None = None
    """A foreign key exists, and how it is."""
    trigger: TriggerCheck | None = None
    """A trigger exists, and how it is."""
    function: Annotated[FunctionCheck, _named(FunctionCheck)] | None = None
    """A function exists, and how it is."""
    policy: PolicyCheck | None = None
    """Policies exist, and how they are."""
    rls: RlsCheck | None = None
    """What a role sees and may do."""
    performance: PerformanceCheck | None = None
    """How fast a statement is, and by which plan."""
    http: HttpCheck | None = None
    """What an API answers."""

    @property
    def kind(self) -> str:
        """The one kind key that is given."""
        return next(kind for kind in self.KINDS if getattr(self, kind) is not None)

    @property
    def needs_commit(self) -> bool:
        """Whether it looks at the database from outside, so that it can only see what is committed."""
        return self.http is not None

    @model_validator(mode="before")
    @classmethod
    def _null_is_expected(cls, data: Any) -> Any:  # noqa: ANN401 - whatever the YAML holds
        """`expect: null` is the short form of `expect: {value: null}`."""
        if isinstance(data, dict) and "expect" in data and data["expect"] is None and data.get("sql") is not None:
            return data | {"expect": {"value": None}}
        return data

    @model_validator(mode="after")
    def _one_kind(self) -> Check:
        given = [kind for kind in self.KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            which = f"has {' and '.join(given)}" if given else "has none"
            raise ValueError(f"a check needs exactly one of {', '.join(self.KINDS)}; this one {which}")
        if (self.sql is None) != (self.expect is None):
            raise ValueError("sql and expect belong together" if self.sql else "expect belongs to sql")
        if self.params and self.sql is None:
            raise ValueError("params belongs to sql here; rls and performance have their own, inside")
        if not self.title:
            object.__setattr__(self, "title", self.id or _title(self))
        if not self.id:
            object.__setattr__(self, "id", slug(self.title))
        return self


class HttpAnswer(Model):
    """What came back from an API. `text`: the body, cut off at the probe's limit (`cut`)."""

    status: int
    text: str = ""
    cut: bool = False


def slug(text: str) -> str:
    """An id made from a title: lower case, words joined by `-`, at most 60 characters."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60].strip("-") or "check"


def _title(check: Check) -> str:
    spec = getattr(check, check.kind)
    if isinstance(spec, str):
        return " ".join(spec.split())[:60]
    subject = {
        "table": lambda: f"table {spec.name}",
        "column": lambda: f"column {spec.table}.{spec.name}",
        "index": lambda: "index " + (spec.name or f"on {spec.table} ({', '.join(spec.columns or ())})"),
        "constraint": lambda: f"constraint {spec.name} on {spec.table}",
        "foreign_key": lambda: f"foreign key {spec.table} ({', '.join(spec.columns)}) to {spec.references}",
        "trigger": lambda: f"trigger {spec.name} on {spec.table}",
        "function": lambda: f"function {spec.name}",
        "policy": lambda: f"policy {spec.name} on {spec.table}" if spec.name else f"policies on {spec.table}",
        "rls": lambda: f"row level security for {spec.role}",
        "performance": lambda: f"performance of {' '.join(spec.sql.split())[:40]}",
        "http": lambda: f"{spec.method} {spec.url}",
    }[check.kind]()
    return subject if getattr(spec, "exists", True) else f"no {subject}"
