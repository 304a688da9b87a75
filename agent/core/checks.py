"""The checks of a runbook as values: one common frame, and one model for each kind.

A check is `{id, title, severity, timeout, hint}` and exactly one kind key, which names what is looked at. The docstring
of each attribute is its description in config/runbook.schema.json and docs/runbook.md.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from agent.core import patterns
from agent.core.api_checks import ApiCheck
from agent.core.catalog_checks import (
    ColumnCheck,
    ConstraintCheck,
    ForeignKeyCheck,
    FunctionCheck,
    IndexCheck,
    PolicyCheck,
    TableCheck,
    TriggerCheck,
)
from agent.core.entries import Entry, Id, Text, slug
from agent.core.expectation import Parameters, ShortExpect
from agent.core.models import Model, Severity
from agent.core.units import Seconds, Texts, as_list


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

    path: Annotated[str, Field(pattern=patterns.JSON_PATH)]
    """Keys and positions with dots between: `0.id`, `data.items.0.name`."""
    equals: Any = None
    """The value there."""
    exists: bool = True
    """`false`: there must be nothing there."""


class HttpCheck(Entry):
    """A request to an API, for instance PostgREST, sent after COMMIT. `${NAME}` stands for an environment variable."""

    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] = "GET"
    """The method."""
    url: Annotated[str, Field(pattern=patterns.URL)]
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
        "performance", "http", "api",
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
    expect: ShortExpect | None = None
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
    api: ApiCheck | None = None
    """What the project's own API lets its users see and do."""

    @property
    def kind(self) -> str:
        """The one kind key that is given."""
        return next(kind for kind in self.KINDS if getattr(self, kind) is not None)

    @property
    def needs_commit(self) -> bool:
        """Whether it looks at the database from outside, so that it can only see what is committed."""
        return self.http is not None or self.api is not None

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
        "api": lambda: f"API for {spec.who}: {spec.subject}"[:60],
    }[check.kind]()
    return subject if getattr(spec, "exists", True) else f"no {subject}"
