"""What a runbook asks of the hosted platform: its advisors, its metrics. Part of `agent.core.runbook`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from agent.core import patterns
from agent.core.entries import Entry, Id, Text, slug
from agent.core.models import Severity
from agent.core.units import Seconds, as_list

AdvisorType = Literal["security", "performance"]
Level = Literal["ERROR", "WARN", "INFO"]
IfNotChecked = Literal["warn", "fail"]

ADVISORS = "advisors"
"""The id of the check that the section stands for."""


class Allowed(Entry):
    """A finding of the advisors that is accepted, and why."""

    name: str = ""
    """All findings of this name, such as `rls_enabled_no_policy`."""
    cache_key: str = ""
    """Or the one finding with this key, such as `rls_enabled_no_policy_public_jobs`."""
    reason: Text
    """Why it is accepted; told with the finding."""

    @model_validator(mode="after")
    def _one_of_them(self) -> Allowed:
        if bool(self.name) == bool(self.cache_key):
            raise ValueError("needs exactly one of name, cache_key")
        return self


class Advisors(Entry):
    """Findings of Supabase's advisors that the deploy brings: asked before and after it, only new ones count."""

    types: Annotated[
        tuple[AdvisorType, ...],
        BeforeValidator(as_list, json_schema_input_type=AdvisorType | list[AdvisorType]),
        Field(min_length=1),
    ] = ("security", "performance")
    """Which advisors are asked. Default: both."""
    level: Level = "ERROR"
    """From which level on a new finding fails the deploy, so that it is undone. What is below is told."""
    allow: list[Allowed] = Field(default_factory=list)
    """Findings that never fail a deploy."""
    if_not_checked: IfNotChecked = "warn"
    """What it means when the advisors cannot be asked: `warn` says so and goes on; `fail` stops the deploy before
    anything is touched, or undoes it if they could still be asked then."""

    def severity_if_not_checked(self, *, required: bool) -> Severity:
        """What an answer that is missing means for the deploy; `required`: the settings say that it stops one."""
        return Severity.ERROR if required or self.if_not_checked == "fail" else Severity.WARNING


class Limit(Entry):
    """A number that one of the platform's metrics must keep to after the deploy. It counts as a check."""

    id: Id = ""
    """Its name in hints, events and reports. Default: made from the title."""
    title: str = ""
    """One line for people. Default: made from the metric and its bounds."""
    name: Annotated[str, Field(pattern=patterns.SERIES)]
    """The metric, such as `pg_stat_database_num_backends`, `node_load1`, `node_filesystem_avail_bytes`."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Labels that a series must have, such as `mountpoint: /data`. Others do not matter."""
    max: float | None = None
    """The most that it may be."""
    min: float | None = None
    """The least that it may be."""
    per_second: bool = False
    """For counters: how much it grows in a second, from one sample to the next."""
    of: Literal["each", "sum", "average"] = "each"
    """Where several series fit: each of them must keep to the limit, or their sum, or their average."""
    samples: Annotated[int, Field(ge=1, le=100)] = 1
    """How many samples one after the other must be beyond the limit before it counts."""
    severity: Severity = Severity.ERROR
    """`error` undoes the deploy; `warning` and `info` are reported."""
    hint: str = ""
    """What to do when it does not keep to it."""

    @model_validator(mode="after")
    def _bounds(self) -> Limit:
        if self.max is None and self.min is None:
            raise ValueError("needs at least one of max, min")
        if self.max is not None and self.min is not None and self.min > self.max:
            raise ValueError("min is greater than max")
        if not self.title:
            object.__setattr__(self, "title", f"{self.subject} is {self.bounds}")
        if not self.id:
            object.__setattr__(self, "id", slug(self.title))
        return self

    @property
    def subject(self) -> str:
        """The metric with its labels, for people."""
        labels = ", ".join(f"{name}={value}" for name, value in self.labels.items())
        shown = f"{self.name}{{{labels}}}" if labels else self.name
        shown = shown if self.of == "each" else f"the {self.of} of {shown}"
        return f"{shown} per second" if self.per_second else shown

    @property
    def bounds(self) -> str:
        """`at most 80`, `at least 1 and at most 3`."""
        parts = [f"at least {self.min:g}"] if self.min is not None else []
        parts += [f"at most {self.max:g}"] if self.max is not None else []
        return " and ".join(parts)


class PlatformMetrics(Entry):
    """The platform's metrics: sampled while the deploy runs, and held to limits when it is verified."""

    every: Annotated[Seconds, Field(ge=0.1)] = 60.0
    """How often they are read. The platform makes them anew once a minute."""
    limits: list[Limit] = Field(default_factory=list)
    """What must hold after the deploy."""
    if_not_checked: IfNotChecked = "warn"
    """What it means when they cannot be read: `warn` says so and goes on; `fail` stops the deploy before anything is
    touched, or undoes it if they could still be read then."""

    def severity_if_not_checked(self, *, required: bool) -> Severity:
        """What metrics that are missing mean for the deploy; `required`: the settings say that it stops one."""
        return Severity.ERROR if required or self.if_not_checked == "fail" else Severity.WARNING


class Soak(Entry):
    """Time to see that all stays well: the final checks and the limits are looked at again and again."""

    for_: Annotated[Seconds, Field(gt=0)] = Field(alias="for")
    """How long, from the moment when everything has passed for the first time."""
    every: Annotated[Seconds, Field(ge=0.1)] = 30.0
    """How often."""
