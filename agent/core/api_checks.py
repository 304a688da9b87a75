"""The `api` checks of a runbook as values: what the project's own API lets its users see and do.

They go through PostgREST, Auth and Storage as an application does. See `agent.core.checks` for what all checks share.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SecretStr, model_validator

from agent.core.entries import Entry, Name, Text
from agent.core.expectation import ShortExpect
from agent.core.models import Model
from agent.core.units import Range, RangeOfNumbers, Seconds, Texts, as_list

USER = "$user"
"""Stands for the id of the user who is signed in."""


class SecretPlace(Entry):
    """Where a secret lies; it never stands in the runbook."""

    env: Name | None = None
    """An environment variable of the agent."""
    file: str | None = None
    """Or a file, such as `/run/secrets/test_password`; a line end at its end does not count."""

    @model_validator(mode="after")
    def _one(self) -> SecretPlace:
        if (self.env is None) == (self.file is None):
            raise ValueError("needs exactly one of env, file")
        return self

    def __str__(self) -> str:
        """The place, for people."""
        return self.env if self.env is not None else f"the file {self.file}"


class ApiUser(Entry):
    """A user made for tests, who signs in with a password. The session is ended after the check."""

    email: SecretPlace
    """The user's address."""
    password: SecretPlace
    """The user's password."""


class ApiRead(Entry):
    """Rows that are read from a table or view."""

    from_: Text = Field(alias="from")
    """The table or view."""
    columns: Text = "*"
    """What PostgREST's `select` takes: `id,title,author(name)`."""
    where: dict[str, Any] = Field(default_factory=dict)
    """Columns that must equal these values; `null` means IS NULL. `$user` is the id of the user who is signed in."""
    rows: RangeOfNumbers | None = None
    """How many rows there must be: `0`, `1..`, `<=20`. Default: at least one. At most 1000 are read."""
    every: dict[str, Any] = Field(default_factory=dict)
    """What each of the rows must have, such as `owner: $user`: the user sees only own rows."""

    @property
    def wanted_rows(self) -> Range:
        """How many rows there must be."""
        return self.rows or Range(low=1)


class ApiRefused(Entry):
    """Something that must not be possible: reading a row, or inserting one."""

    from_: str | None = Field(default=None, alias="from")
    """A table or view in which no row may be seen: the API refuses, or returns none."""
    where: dict[str, Any] = Field(default_factory=dict)
    """With `from`: columns that equal these values."""
    into: str | None = None
    """Or a table into which `row` may not be inserted: the API must refuse with 42501."""
    row: dict[str, Any] = Field(default_factory=dict)
    """With `into`: a row that nobody has yet. Should it be let in, the agent deletes it again."""

    @model_validator(mode="after")
    def _one(self) -> ApiRefused:
        if (self.from_ is None) == (self.into is None):
            raise ValueError("needs exactly one of from, into")
        if (self.into is not None) != bool(self.row):
            raise ValueError("into and row belong together")
        if self.into is not None and self.where:
            raise ValueError("where belongs to from")
        return self


class ApiCall(Entry):
    """A function that is called."""

    function: Text
    """Its name."""
    args: dict[str, Any] = Field(default_factory=dict)
    """Its arguments, by name."""
    expect: ShortExpect
    """What it must return. A value that is no row has the column `value`."""


class ApiFile(Entry):
    """An object in Storage that must be there."""

    bucket: Text
    """The bucket."""
    path: Text
    """The object's path in it; with `by: list` a folder's."""
    by: Literal["download", "signed_url", "list"] = "download"
    """`download`: with the key and the user's token. `signed_url`: make one and fetch it. `list`: the folder has an
    entry."""
    min_bytes: Annotated[int, Field(ge=0)] = 1
    """How big it must be at least; not with `list`."""


class ApiCheck(Entry):
    """The project's API, asked with the `supabase` package, after COMMIT. Needs `api` in the settings."""

    as_: Literal["anon", "service"] | ApiUser = Field(default="anon", alias="as")
    """`anon`: nobody is signed in. `service`: with the service key. Or a user made for tests, who signs in."""
    schema_: Text = Field(default="public", alias="schema")
    """The schema; the API must expose it."""
    within: Seconds = 30.0
    """How long the API may take to know the new schema. Until then what it does not know is asked again."""
    knows: Texts = ()
    """Tables and views that the API must know, and columns: `tracks`, `tracks.title`."""
    reads: Annotated[list[ApiRead], BeforeValidator(as_list, json_schema_input_type=ApiRead | list[ApiRead])] = Field(
        default_factory=list
    )
    """What must be seen."""
    refused: Annotated[
        list[ApiRefused], BeforeValidator(as_list, json_schema_input_type=ApiRefused | list[ApiRefused])
    ] = Field(default_factory=list)
    """What must not be possible."""
    calls: Annotated[list[ApiCall], BeforeValidator(as_list, json_schema_input_type=ApiCall | list[ApiCall])] = Field(
        default_factory=list
    )
    """Functions, and what they must return."""
    files: Annotated[list[ApiFile], BeforeValidator(as_list, json_schema_input_type=ApiFile | list[ApiFile])] = Field(
        default_factory=list
    )
    """Objects in Storage."""

    @property
    def who(self) -> str:
        """For people: `anon`, `service`, `a signed-in user`."""
        return self.as_ if isinstance(self.as_, str) else "a signed-in user"

    @property
    def subject(self) -> str:
        """What is looked at, for people."""
        return ", ".join(dict.fromkeys(self._subjects()))

    def _subjects(self) -> Iterator[str]:
        yield from self.knows
        yield from (one.from_ for one in self.reads)
        yield from (one.from_ or one.into or "" for one in self.refused)
        yield from (f"{one.function}()" for one in self.calls)
        yield from (f"{one.bucket}/{one.path}" for one in self.files)

    @model_validator(mode="after")
    def _something(self) -> ApiCheck:
        if not any(self._subjects()):
            raise ValueError("api needs at least one of knows, reads, refused, calls, files")
        if isinstance(self.as_, str) and USER in _values(self):
            raise ValueError(f"{USER} needs a user who is signed in: as: {{email: …, password: …}}")
        return self


def _values(check: ApiCheck) -> Iterator[Any]:
    for read in check.reads:
        yield from (*read.where.values(), *read.every.values())
    for one in check.refused:
        yield from (*one.where.values(), *one.row.values())
    for call in check.calls:
        yield from call.args.values()


class ApiAnswer(Model):
    """What the API said. `code`: PostgREST's, the database's or the service's, "" for a success; `data`: its JSON.

    `bytes`: the size of a file. `status`: of HTTP, where it is known.
    """

    code: str = ""
    message: str = ""
    data: Any = None
    bytes: int = 0
    status: int = 0

    @property
    def ok(self) -> bool:
        """Whether it did what was asked."""
        return not self.code

    @property
    def stale(self) -> bool:
        """Whether the API may not know the new schema yet, or is just looking at it.

        PostgREST documentation, "Errors": group 0 is about its connection, PGRST2xx about its schema cache.
        """
        return self.code in _STALE

    @property
    def refused(self) -> bool:
        """Whether it is refused for want of rights: by a grant or a policy, or because nobody is signed in."""
        return self.code == "42501"

    def __str__(self) -> str:
        """For people."""
        return f"{self.message} ({self.code})" if self.code else "an answer"


_STALE = frozenset({"PGRST000", "PGRST001", "PGRST002", "PGRST003", "PGRST200", "PGRST202", "PGRST204", "PGRST205"})


class ApiKeys(Model):
    """Where the API is, and its keys."""

    url: str
    anon: SecretStr
    service: SecretStr | None = None
