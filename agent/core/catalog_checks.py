"""The structural checks of a runbook: what the catalog must hold. `agent.core.structure` judges them."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from agent.core.entries import Entry, Text
from agent.core.units import RangeOfNumbers, Texts


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
