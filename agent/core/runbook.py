"""The runbook `supabase/deploy.yaml` as a value: what a migration guide says, in a form that runs.

docs/runbook.md is the reference; `agent.core.runbook_io` reads and checks the YAML.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BeforeValidator, Field, model_validator

from agent.core import patterns
from agent.core.checks import Check
from agent.core.entries import Entry, Name, Text
from agent.core.models import Failure, Finding, Severity
from agent.core.restore_policy import Policy, Restore
from agent.core.runbook_platform import ADVISORS, Advisors, PlatformMetrics, Soak
from agent.core.units import RangeOfNumbers, Seconds, Span, SpanOfTime, Texts, as_list

_ANY_VOLUME = "any"


def _version(value: Any) -> Any:  # noqa: ANN401 - whatever the YAML holds
    if isinstance(value, bool | float):
        raise ValueError(f"{value!r} is not a version; write the digits that the file's name begins with")  # noqa: TRY004 - pydantic wants ValueError
    return value


Version = Annotated[str, BeforeValidator(_version, json_schema_input_type=str | int), Field(pattern=patterns.VERSION)]
"""The digits a migration file's name begins with, as text: `20250122000000`, `012`."""

Versions = Annotated[tuple[Version, ...], BeforeValidator(as_list, json_schema_input_type=str | int | list[str | int])]
SqlStates = Annotated[
    tuple[Annotated[str, Field(pattern=patterns.SQLSTATE)], ...],
    BeforeValidator(as_list, json_schema_input_type=str | list[str]),
]
Cause = Literal["statement", "check", "cancelled", "lost_connection", "preflight", "snapshot", "backup", "agent"]
Causes = Annotated[tuple[Cause, ...], BeforeValidator(as_list, json_schema_input_type=Cause | list[Cause])]
Step = Literal["preflight", "snapshot", "backup", "migrate", "verify"]


def _expected(value: Any) -> Any:  # noqa: ANN401 - whatever the YAML holds
    return value if isinstance(value, dict) else {_ANY_VOLUME: value}


Durations = Annotated[
    dict[str, SpanOfTime],
    BeforeValidator(_expected, json_schema_input_type=str | float | dict[str, str | float]),
]
"""A span, or one for each named volume."""


class Proof(Entry):
    """A sentence, and what makes it true: checks, a step of the agent, or a person."""

    text: Text
    """What must be so."""
    checks: Texts = ()
    """Ids of checks; all of them must have passed."""
    step: Step | None = None
    """A step of the deploy that does or proves it."""
    manual: bool = False
    """A person looks; the agent reports it as open."""

    @model_validator(mode="after")
    def _proven(self) -> Proof:
        if sum((bool(self.checks), self.step is not None, self.manual)) != 1:
            raise ValueError("needs exactly one of checks, step, manual: true")
        return self


class Volumes(Entry):
    """How big the database is, in words."""

    measure: Text
    """A query with one row and one column: the number."""
    unit: str = "rows"
    """What is counted, for people."""
    ranges: Annotated[dict[Name, RangeOfNumbers], Field(min_length=1)]
    """Name and range, the first that fits: `small: <1000`."""

    def name_of(self, number: float) -> str:
        """The name of the first range that holds the number, or ""."""
        return next((name for name, span in self.ranges.items() if span.holds(number)), "")


class Stage(Entry):
    """Checks before anything is touched."""

    checks: list[Check] = Field(default_factory=list)
    """They must pass before the deploy begins; nothing is undone if not."""


class SnapshotQuery(Entry):
    """A fact recorded before the migration, and compared after a rollback or restore."""

    name: Name
    """Known to expressions as `before.name`, and read anew as `after.name`."""
    sql: Text
    """One query. It returns one value, or, with `rows`, a sample."""
    rows: Annotated[int, Field(ge=1, le=100)] | None = None
    """Keep so many rows as evidence instead of one value."""


class Monitor(Entry):
    """A query that shows how far a migration is, asked on a session of its own while the migration runs."""

    name: Text
    """For people."""
    sql: Text
    """One query with one row; every column is reported."""
    every: Annotated[Seconds, Field(ge=0.1)] = 5.0
    """How often."""
    done: str | None = None
    """The column that grows."""
    total: str | None = None
    """The column that `done` grows to; gives a bar and an estimate."""


class Script(Entry):
    """A rollback script."""

    sql: str | None = None
    """The statements."""
    file: str | None = None
    """Or a file that holds them, relative to the runbook."""
    impact: Texts = ()
    """What it means for the application."""
    first: Texts = ()
    """What people do before it, such as stopping the application."""
    then: Texts = ()
    """What people do after it."""
    checks: list[Check] = Field(default_factory=list)
    """They must pass after the script, beside the comparison with the snapshot."""

    @model_validator(mode="after")
    def _one_source(self) -> Script:
        if (self.sql is None) == (self.file is None):
            raise ValueError("needs exactly one of sql, file")
        return self


class Rollback(Entry):
    """How the whole change is undone."""

    complete: Script | None = None
    """Back to the schema before. The agent may run it by itself; see `on_failure`."""
    partial: Script | None = None
    """Only part of the way, such as emptying the new tables. Run by people: `deploy-agent show` prints it."""
    steps: Texts = ()
    """What people do where the agent may not go on by itself."""
    see: str = ""
    """A document that says more."""


class MigrationRunbook(Entry):
    """What the guide says about one migration."""

    version: Version
    """The digits its file's name begins with."""
    summary: str = ""
    """One line."""
    does: Texts = ()
    """What it does, line by line."""
    impact: str = ""
    """What it means for those who use the application meanwhile."""
    expected: Durations = Field(default_factory=dict)
    """How long it takes: `2m..3m`, or by volume: `{small: 1m..2m, large: 3m..5m}`."""
    monitors: list[Monitor] = Field(default_factory=list)
    """What is watched while it runs."""
    checks: list[Check] = Field(default_factory=list)
    """They must pass after it."""
    rollback: Script | None = None
    """Undoes this migration alone."""
    if_it_fails: Texts = ()
    """What to look at first."""
    notes: Texts = ()
    """Anything else worth knowing."""

    def expected_for(self, volume: str) -> Span | None:
        """How long it should take at that volume (a name from `volumes.ranges`), or None."""
        return self.expected.get(volume) or self.expected.get(_ANY_VOLUME)


class Metric(Entry):
    """Numbers collected after the deploy, one gauge per row."""

    name: Annotated[str, Field(pattern=patterns.METRIC)]
    """A Prometheus name with a unit at its end where there is one: `user_media_size_bytes`."""
    help: Text
    """One line."""
    sql: Text
    """One query."""
    labels: Annotated[tuple[Annotated[str, Field(pattern=patterns.METRIC)], ...], BeforeValidator(list)] = ()
    """Columns that become labels."""
    value: str | None = None
    """The column that holds the number. Default: the only one that is no label."""

    @model_validator(mode="after")
    def _conventional(self) -> Metric:
        suffix = next((end for end in ("_total", "_count", "_sum", "_bucket", "_info") if self.name.endswith(end)), "")
        if suffix:
            raise ValueError(f"{self.name}: the ending {suffix} is kept for counters and histograms; this is a gauge")
        reserved = [label for label in self.labels if label.startswith("__") or label in {"le", "quantile"}]
        if self.name.startswith("__") or reserved:
            raise ValueError(f"{reserved[0] if reserved else self.name} is reserved by Prometheus")
        return self


class OnFailure(Entry):
    """How far the agent may go by itself when something fails."""

    rollback_scripts: bool = True
    """Try the runbook's rollback scripts before a restore: each migration's own, else `rollback.complete`."""
    restore: Restore = "auto"
    """`auto`: restore from the backup. `approve`: show what it would do, and wait for a person's answer. `hold`: stop,
    and tell people what to do. Where the settings say otherwise, the stricter one counts."""
    platform_restore: Restore = "auto"
    """The same for a restore of the whole project by the platform, which the settings must allow: their default is
    `hold`."""
    max_rows_lost: Annotated[int, Field(ge=0)] | None = None
    """Ask a person where more rows would be lost: neither in the backup nor in the salvage, or nobody can tell."""
    max_downtime: Seconds | None = None
    """Ask a person where the restore is estimated to take longer."""

    @property
    def policy(self) -> Policy:
        """What is said here of restores."""
        return Policy(
            restore=self.restore,
            platform_restore=self.platform_restore,
            max_rows_lost=self.max_rows_lost,
            max_downtime=self.max_downtime,
        )


class When(Entry):
    """To which failures a hint belongs. Keys that are given must all fit."""

    version: Versions = ()
    """The migration to blame, or one of a list."""
    check: Texts = ()
    """The id of the check that did not pass, or one of a list."""
    sqlstate: SqlStates = ()
    """The SQLSTATE, `23503`, or its class, `23`; or one of a list."""
    cause: Causes = ()
    """What kind of failure, or one of a list."""

    @model_validator(mode="after")
    def _something(self) -> When:
        if not (self.version or self.check or self.sqlstate or self.cause):
            raise ValueError("needs at least one of version, check, sqlstate, cause")
        return self

    def fits(self, failure: Failure) -> bool:
        """Whether the hint belongs to this failure."""
        return (
            (not self.version or failure.version in self.version)
            and (not self.check or failure.check in self.check)
            and (not self.sqlstate or any(failure.sqlstate.startswith(state) for state in self.sqlstate))
            and (not self.cause or failure.cause in self.cause)
        )


class Trouble(Entry):
    """A known problem."""

    issue: Text
    """What people see."""
    cause: str = ""
    """Why."""
    solution: str = ""
    """What helps."""
    action: str = ""
    """What to do now."""
    when: When | None = None
    """The failures it belongs to; without it, it is only shown to people who look it up."""

    @property
    def line(self) -> str:
        """Issue, cause, solution and action in one line."""
        parts = (self.issue, self.cause and f"Cause: {self.cause}", self.solution, self.action)
        return " ".join(part if part[-1] in ".!?" else f"{part}." for part in parts if part)


class ManualTest(Entry):
    """A test of the application that people do after the deploy; the agent lists it."""

    title: Text
    """What is tested."""
    steps: Texts = ()
    """What to do."""
    expected: Texts = ()
    """What to see."""
    checks: list[Check] = Field(default_factory=list)
    """What can be looked up afterwards to see that it worked; never run by a deploy."""


class PlacedCheck(NamedTuple):
    """A check, its phase (`preflight`, `migration:<version>`, `final`, `rollback`, `manual`), its path in the YAML."""

    phase: str
    path: tuple[str | int, ...]
    check: Check


def _placed(phase: str, checks: Sequence[Check], *path: str | int) -> Iterator[PlacedCheck]:
    for index, check in enumerate(checks):
        yield PlacedCheck(phase, (*path, "checks", index), check)


def dotted(path: Sequence[str | int]) -> str:
    """`migrations[1].checks[0].expect`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


class Runbook(Entry):
    """The runbook of one project."""

    version: Literal[1]
    """The version of this format."""
    title: Text
    """What the change is."""
    description: str = ""
    """More about it."""
    source: str = ""
    """Where the guide lies that this was written from."""
    about: dict[str, str] = Field(default_factory=dict)
    """Anything the guide says about itself: date, risk level, status."""
    checklist: list[Proof] = Field(default_factory=list)
    """What must be so before the deploy."""
    volumes: Volumes | None = None
    """How big the database is, for expected durations."""
    expected: Durations = Field(default_factory=dict)
    """How long the whole takes, as for a migration."""
    preflight: Stage = Field(default_factory=Stage)
    """Checks before anything is touched."""
    snapshot: list[SnapshotQuery] = Field(default_factory=list)
    """Facts recorded before, for comparison."""
    migrations: list[MigrationRunbook] = Field(default_factory=list)
    """What the guide says about each migration."""
    checks: list[Check] = Field(default_factory=list)
    """They must pass when all migrations are in."""
    advisors: Advisors | None = None
    """Findings of Supabase's advisors that the deploy must not bring."""
    platform_metrics: PlatformMetrics | None = None
    """Limits that the platform's own metrics must keep to afterwards."""
    soak: Soak | None = None
    """How long all of it must stay well."""
    metrics: list[Metric] = Field(default_factory=list)
    """Numbers collected afterwards."""
    rollback: Rollback = Field(default_factory=Rollback)
    """How the whole change is undone."""
    on_failure: OnFailure = Field(default_factory=OnFailure)
    """How far the agent may go by itself."""
    troubleshooting: list[Trouble] = Field(default_factory=list)
    """Known problems."""
    manual_tests: list[ManualTest] = Field(default_factory=list)
    """Tests that people do."""
    success_criteria: list[Proof] = Field(default_factory=list)
    """When the deploy counts as a success."""
    next_steps: Texts = ()
    """What to do after the deploy."""
    support: dict[str, Texts] = Field(default_factory=dict)
    """Where to look or ask, by subject."""

    def for_version(self, version: str) -> MigrationRunbook | None:
        """What is said about that migration, or None."""
        return next((migration for migration in self.migrations if migration.version == version), None)

    def all_checks(self) -> Iterator[PlacedCheck]:
        """Every check, with its phase and its place in the YAML."""
        yield from _placed("preflight", self.preflight.checks, "preflight")
        for index, migration in enumerate(self.migrations):
            yield from _placed(f"migration:{migration.version}", migration.checks, "migrations", index)
            if migration.rollback:
                yield from _placed("rollback", migration.rollback.checks, "migrations", index, "rollback")
        yield from _placed("final", self.checks)
        if self.rollback.complete:
            yield from _placed("rollback", self.rollback.complete.checks, "rollback", "complete")
        if self.rollback.partial:
            yield from _placed("rollback", self.rollback.partial.checks, "rollback", "partial")
        for index, test in enumerate(self.manual_tests):
            yield from _placed("manual", test.checks, "manual_tests", index)

    def check_ids(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """The ids of all checks and of what counts as one, each with its place in the YAML."""
        if self.advisors:
            yield ("advisors",), ADVISORS
        for index, limit in enumerate(self.platform_metrics.limits if self.platform_metrics else ()):
            yield ("platform_metrics", "limits", index), limit.id
        for placed in self.all_checks():
            yield placed.path, placed.check.id

    def hints_for(self, failure: Failure) -> tuple[str, ...]:
        """What the runbook says about a failure, the most specific first."""
        hints = [
            placed.check.hint for placed in self.all_checks() if placed.check.id == failure.check and placed.check.hint
        ]
        found = [trouble for trouble in self.troubleshooting if trouble.when and trouble.when.fits(failure)]
        found.sort(key=lambda trouble: -len(trouble.when.model_fields_set if trouble.when else ()))
        hints += [trouble.line for trouble in found]
        migration = self.for_version(failure.version)
        if migration:
            hints += migration.if_it_fails
        return tuple(dict.fromkeys(hints))

    def findings_for(self, versions: Collection[str]) -> tuple[Finding, ...]:
        """What does not fit the migrations folder.

        Args:
            versions: the versions of all files in the folder.
        """
        return tuple(
            Finding(
                code="runbook.unknown_version",
                severity=Severity.ERROR,
                message=f"the runbook speaks of migration {migration.version}, and there is no such file",
                hint="Correct the version in the runbook, or add the file.",
                where={"field": f"migrations.{index}.version"},
            )
            for index, migration in enumerate(self.migrations)
            if migration.version not in versions
        )
