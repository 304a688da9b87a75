"""What Supabase's advisors found before and after a deploy: which findings are new, and which of them count. Pure.

A finding is told apart by its `cache_key`, as the platform does it. It is new if it was not there before, or was there
at a lower level. Facts: the lints of github.com/supabase/splinter, and the Management API's OpenAPI document.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Literal, NamedTuple

from agent.core.expect import Judgement
from agent.core.models import Model, Verdict
from agent.core.platform import Lint
from agent.core.runbook_platform import Advisors, AdvisorType, Allowed
from agent.core.units import count

LINTS: Mapping[str, AdvisorType] = MappingProxyType(
    {
        "auth_users_exposed": "security",
        "extension_in_public": "security",
        "foreign_table_in_api": "security",
        "function_search_path_mutable": "security",
        "materialized_view_in_api": "security",
        "policy_exists_rls_disabled": "security",
        "rls_disabled_in_public": "security",
        "rls_enabled_no_policy": "security",
        "rls_references_user_metadata": "security",
        "security_definer_view": "security",
        "unsupported_reg_types": "security",
        "auth_rls_initplan": "performance",
        "duplicate_index": "performance",
        "multiple_permissive_policies": "performance",
        "no_primary_key": "performance",
        "unindexed_foreign_keys": "performance",
    }
)
"""The lints about the schema that the v2 route knows by name. Those about settings, logs and the machine are left out:
no migration changes what they look at."""

_UNAVAILABLE = frozenset({"project_not_active", "advisor_check_unavailable"})
"""Answers of the v2 route that say that nothing was looked at."""

_TOO_EARLY = frozenset({"unused_index"})
"""An index that a deploy has made cannot have been used yet."""

_LEVELS = {"INFO": 0, "WARN": 1, "ERROR": 2}
_SHOWN = 5


class Found(Model):
    """What the advisors said at one moment; `route`: by which version of the API."""

    route: Literal["v1", "v2"]
    lints: tuple[Lint, ...]

    @property
    def unavailable(self) -> str:
        """Why the platform could not look, in its words, or ""."""
        return next((one.detail or one.title for one in self.lints if one.name in _UNAVAILABLE), "")


class New(NamedTuple):
    """A finding that the deploy brought. `counts`: it fails the deploy; `allowed`: the runbook's entry for it."""

    lint: Lint
    counts: bool
    allowed: Allowed | None

    @property
    def minor(self) -> bool:
        """Whether it is a note rather than a warning."""
        return self.allowed is not None or self.lint.level.upper() == "INFO"


def names_of(types: Collection[AdvisorType]) -> list[str]:
    """The lints of these advisors, for the v2 route."""
    return [name for name, kind in LINTS.items() if kind in types]


def introduced(wanted: Advisors, before: Found, after: Found) -> list[New]:
    """The findings that are new since before, the worst first."""
    levels: dict[str, int] = {}
    for lint in before.lints:
        levels[lint.cache_key] = max(levels.get(lint.cache_key, -1), _rank(lint.level))
    fresh = {
        lint.cache_key: lint
        for lint in after.lints
        if lint.name not in _TOO_EARLY and _rank(lint.level) > levels.get(lint.cache_key, -1)
    }
    found = [_weighed(wanted, lint) for lint in fresh.values()]
    return sorted(found, key=lambda one: (not one.counts, -_rank(one.lint.level), one.lint.cache_key))


def judge_advisors(wanted: Advisors, before: Found, new: Sequence[New]) -> Judgement:
    """Failed if a new finding counts, else passed."""
    expected = f"no new finding of level {wanted.level}{'' if wanted.level == 'ERROR' else ' or above'}"
    counting = [one.lint for one in new if one.counts]
    rest = len(new) - len(counting)
    known = count(len(before.lints), "finding")
    if not counting:
        told = f"{count(rest, 'new finding')}, below that level or allowed" if rest else "no new finding"
        return Judgement(Verdict.PASSED, expected, f"{told}; {known} before")
    lines = [line(one) for one in counting[:_SHOWN]]
    lines += [f"and {len(counting) - _SHOWN} more"] if len(counting) > _SHOWN else []
    lines += [f"{count(rest, 'other new finding')} below that level or allowed"] if rest else []
    return Judgement(Verdict.FAILED, expected, "; ".join(lines))


def not_checked(wanted: Advisors, why: str) -> Judgement:
    """The advisors could not be asked, which is never a pass."""
    return Judgement(Verdict.ERRORED, f"the advisors answer ({', '.join(wanted.types)})", f"not checked: {why}")


def line(lint: Lint) -> str:
    """One finding for people."""
    return f"{lint.level} {lint.name}: {' '.join((lint.detail or lint.title).split())}"


def _weighed(wanted: Advisors, lint: Lint) -> New:
    allowed = next((one for one in wanted.allow if _fits(one, lint)), None)
    return New(lint, allowed is None and _rank(lint.level) >= _LEVELS[wanted.level], allowed)


def _fits(allowed: Allowed, lint: Lint) -> bool:
    return lint.name == allowed.name if allowed.name else lint.cache_key == allowed.cache_key


def _rank(level: str) -> int:
    """A level that nobody has seen yet counts as the highest."""
    return _LEVELS.get(level.upper(), max(_LEVELS.values()))
