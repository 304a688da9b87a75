"""What a runbook asks of the hosted platform: its advisors. Part of `agent.core.runbook`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from agent.core.entries import Entry, Text
from agent.core.models import Severity
from agent.core.units import as_list

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

    @property
    def severity_if_not_checked(self) -> Severity:
        """What an answer that is missing means for the deploy."""
        return Severity.ERROR if self.if_not_checked == "fail" else Severity.WARNING
