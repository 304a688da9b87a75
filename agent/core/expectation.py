"""What the result of a query or a call must be; the values that go into a query. Part of `agent.core.checks`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from agent.core import patterns
from agent.core.entries import Entry, Name, Text
from agent.core.units import RangeOfNumbers, Texts


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
    tolerance: Annotated[str, Field(pattern=patterns.TOLERANCE)] | None = None
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


ShortExpect = Annotated[
    Expect, BeforeValidator(_expect, json_schema_input_type=Expect | int | float | str | bool | None)
]
